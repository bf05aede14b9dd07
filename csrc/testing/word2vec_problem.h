#pragma once
// A small training problem: a corpus with something to learn, and weights of its own for every run.

#include <stdint.h>

#include <string>
#include <vector>

#include "word2vec/alias_table.h"
#include "word2vec/huffman.h"
#include "word2vec/memory.h"
#include "word2vec/settings.h"

namespace fastrnn {
namespace testing {

/// SplitMix64 over a counter; written out here, so that the trainer's own is not taken for granted.
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : seed_(seed) {}
  uint64_t next();
  int64_t below(int64_t limit) { return int64_t(next() % uint64_t(limit)); }
  double uniform() { return double(next() >> 11) * 0x1p-53; }  // [0, 1)

 private:
  uint64_t seed_, count_ = 0;
};

/// Sentences about one of a few topics each, some of them empty, of one word, or long; small ids are frequent.
struct Corpus {
  Corpus(int64_t vocab, int64_t words, uint64_t seed);

  int64_t vocab;
  std::vector<int32_t> ids;
  std::vector<int64_t> offsets{0};
  HuffmanTree tree;
  AliasTable alias;
  std::vector<uint32_t> keep;  // thresholds of subsampling
  std::vector<float> lockf;
};

struct ModelShape {
  int size;
  bool skip_gram, tree;
  int negative;

  std::string name() const;
};

/// Both trainings with the tree, with negative samples, and with both.
std::vector<ModelShape> model_shapes(int size);

/// Settings and the weights that they point to, drawn from the seed and as large as to give scores about `spread`.
struct Model {
  Model(const Corpus& corpus, const ModelShape& shape, double spread, uint64_t seed);

  word2vec::Settings settings;
  std::vector<float> weights() const;  // all matrices without their padding
  bool padding_is_zero() const;

 private:
  std::vector<const float*> matrices() const;

  word2vec::Array<float> memory_[3];
  std::vector<uint64_t> paths_;
};

}  // namespace testing
}  // namespace fastrnn
