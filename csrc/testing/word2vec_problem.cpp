#include "testing/word2vec_problem.h"

#include <math.h>

#include <algorithm>

namespace fastrnn {
namespace testing {

uint64_t Numbers::next() {
  uint64_t z = seed_ * 0xD1342543DE82EF95u + ++count_ * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

Corpus::Corpus(int64_t vocab_, int64_t words, uint64_t seed) : vocab(vocab_) {
  constexpr int64_t kTopics = 5;
  Numbers numbers(seed);
  while (int64_t(ids.size()) < words) {
    const int64_t topic = numbers.below(kTopics), kind = numbers.below(64);
    const int64_t length = std::min(words - int64_t(ids.size()), kind == 0 ? 400 : kind < 8 ? kind % 2 : kind / 2);
    for (int64_t i = 0; i < length; ++i) {
      const double u = numbers.uniform(), square = u * u;
      const bool common = numbers.below(8) == 0;
      ids.push_back(int32_t(common ? square * double(vocab)
                                   : double(kTopics * int64_t(square * double(vocab / kTopics)) + topic)));
    }
    offsets.push_back(int64_t(ids.size()));
  }
  std::vector<int64_t> counts(size_t(vocab), 1);
  for (const int32_t id : ids) ++counts[size_t(id)];
  tree = huffman_tree(counts.data(), vocab, false);
  std::vector<double> weights;
  for (const int64_t count : counts) {
    weights.push_back(pow(double(count), 0.75));
    keep.push_back(uint32_t(std::min(0.3 + 2.0 / double(count), 1.0) * 4294967295.0));
    lockf.push_back(float(numbers.below(4)) / 2);
  }
  alias = alias_table(weights.data(), vocab);
}

std::string ModelShape::name() const {
  return std::string(skip_gram ? "skip-gram" : "CBOW") + (tree ? " tree" : "") + (negative ? " negative" : "") +
         " size " + std::to_string(size);
}

std::vector<ModelShape> model_shapes(int size) {
  std::vector<ModelShape> shapes;
  for (const bool skip_gram : {false, true})
    for (const auto& [tree, negative] : {std::pair(true, 0), std::pair(false, 5), std::pair(true, 5)})
      shapes.push_back({size, skip_gram, tree, negative});
  return shapes;
}

Model::Model(const Corpus& corpus, const ModelShape& shape, double spread, uint64_t seed) {
  word2vec::Settings& s = settings;
  s.vocab = corpus.vocab;
  s.vector_size = shape.size;
  s.stride = (shape.size + 15) / 16 * 16;
  s.ids = corpus.ids.data();
  s.offsets.wide = corpus.offsets.data();
  s.num_sentences = int64_t(corpus.offsets.size()) - 1;
  s.skip_gram = shape.skip_gram;
  s.negative = shape.negative;
  s.seed = seed;
  for (word2vec::Array<float>& memory : memory_) memory = word2vec::Array<float>(s.vocab * s.stride);
  s.vectors = memory_[0].get();
  if (shape.tree) {
    s.node_vectors = memory_[1].get();
    const std::vector<int64_t>& offsets = corpus.tree.path_offsets;
    for (size_t i = 0; i + 1 < offsets.size(); ++i)
      paths_.push_back(word2vec::packed_path(offsets[i], offsets[i + 1] - offsets[i]));
    s.paths = paths_.data();
    s.path_rows = corpus.tree.path_rows.data();
    s.codes = corpus.tree.codes.data();
  }
  if (shape.negative) {
    s.negative_vectors = memory_[2].get();
    s.alias_threshold = corpus.alias.thresholds.data();
    s.alias_index = corpus.alias.index.data();
  }
  Numbers numbers(seed);
  const double largest = sqrt(3 * spread / sqrt(double(shape.size)));
  for (word2vec::Array<float>& memory : memory_)
    for (int64_t i = 0; i < s.vocab * s.stride; ++i)
      memory.get()[i] = i % s.stride < s.vector_size ? float(largest * (2 * numbers.uniform() - 1)) : 0.0f;
}

std::vector<const float*> Model::matrices() const {
  std::vector<const float*> all{settings.vectors};
  if (settings.node_vectors) all.push_back(settings.node_vectors);
  if (settings.negative_vectors) all.push_back(settings.negative_vectors);
  return all;
}

std::vector<float> Model::weights() const {
  std::vector<float> all;
  for (const float* matrix : matrices())
    for (int64_t row = 0; row < settings.vocab; ++row)
      all.insert(all.end(), matrix + row * settings.stride, matrix + row * settings.stride + settings.vector_size);
  return all;
}

bool Model::padding_is_zero() const {
  for (const float* matrix : matrices())
    for (int64_t i = 0; i < settings.vocab * settings.stride; ++i)
      if (i % settings.stride >= settings.vector_size && matrix[i] != 0) return false;
  return true;
}

}  // namespace testing
}  // namespace fastrnn
