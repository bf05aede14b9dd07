#include "testing/scalar_word2vec.h"

#include <math.h>

#include <algorithm>

namespace fastrnn {
namespace testing {
namespace {

using word2vec::Epoch;
using word2vec::Settings;
using Vector = std::vector<double>;

constexpr uint64_t kStep = 0x9E3779B97F4A7C15u;

uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

std::vector<Vector> rows_of(const Settings& s, const float* matrix) {
  std::vector<Vector> rows;
  for (int64_t row = 0; matrix && row < s.vocab; ++row)
    rows.emplace_back(matrix + row * s.stride, matrix + row * s.stride + s.vector_size);
  return rows;
}

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void add(double factor, const Vector& from, Vector& to) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += factor * from[i];
}

double minus_log_sigmoid(double x) { return x < 0 ? log1p(exp(x)) - x : log1p(exp(-x)); }

double learning_rate(const Settings& s, const Epoch& e, int64_t sentence) {
  const double done = e.done + double(e.by_sentences ? sentence : s.offsets[sentence]);
  if (e.c_schedule) return std::max(e.alpha_start * 1e-4, e.alpha_start * (1 - done / (e.total + 1)));
  return std::max(e.alpha_end, e.alpha_start - (e.alpha_start - e.alpha_end) * done / e.total);
}

class Training {
 public:
  Training(const Settings& settings, const Epoch& epoch)
      : s_(settings),
        key_(mix(mix(settings.seed + kStep) + kStep * (epoch.number + 1))),
        vectors_(rows_of(settings, settings.vectors)),
        nodes_(rows_of(settings, settings.node_vectors)),
        negatives_(rows_of(settings, settings.negative_vectors)) {}

  void sentence(int64_t number, double alpha) {
    alpha_ = alpha;
    std::vector<Token> kept;
    for (int64_t i = s_.offsets[number]; i < s_.offsets[number + 1]; ++i) {
      ++counts_.words;
      const uint64_t draw = mix(key_ + kStep * uint64_t(i + 1));
      if (!s_.keep || (draw & 0xFFFFFFFFu) <= s_.keep[s_.ids[i]]) kept.push_back({s_.ids[i], draw});
      if (int64_t(kept.size()) == s_.max_kept || i + 1 == s_.offsets[number + 1]) {
        counts_.kept += int64_t(kept.size());
        piece(kept);
        kept.clear();
      }
    }
  }

  ScalarRun result() const {
    ScalarRun run{{}, counts_, nearest_};
    for (const auto* matrix : {&vectors_, &nodes_, &negatives_})
      for (const Vector& row : *matrix) run.weights.insert(run.weights.end(), row.begin(), row.end());
    return run;
  }

 private:
  struct Token {
    int32_t word;
    uint64_t draw;
  };

  void piece(const std::vector<Token>& kept) {
    const int64_t size = int64_t(kept.size());
    for (int64_t i = 0; i < size; ++i) {
      const Token& center = kept[size_t(i)];
      const int64_t less = int64_t(((center.draw >> 32) * uint64_t(s_.window)) >> 32);
      const int64_t reach = s_.window - (s_.shrink_windows ? less : 0);
      std::vector<int32_t> contexts;
      for (int64_t c = std::max<int64_t>(0, i - reach); c <= std::min(size - 1, i + reach); ++c)
        if (c != i) contexts.push_back(kept[size_t(c)].word);
      if (contexts.empty()) continue;
      if (s_.skip_gram)
        skip_gram(center, contexts);
      else
        cbow(center, contexts);
    }
  }

  void skip_gram(const Token& center, const std::vector<int32_t>& contexts) {
    for (size_t c = 0; c < contexts.size(); ++c) {
      Vector& input = vectors_[size_t(contexts[c])];
      const Vector error = predict(center, input, c);
      add(factor(contexts[c]), error, input);
      ++counts_.pairs;
    }
  }

  void cbow(const Token& center, const std::vector<int32_t>& contexts) {
    Vector input(size_t(s_.vector_size));
    for (const int32_t word : contexts) add(s_.mean ? 1.0 / double(contexts.size()) : 1, vectors_[size_t(word)], input);
    const Vector error = predict(center, input, 0);
    for (const int32_t word : contexts)
      add(factor(word) / (s_.divide ? double(contexts.size()) : 1), error, vectors_[size_t(word)]);
    ++counts_.pairs;
  }

  double factor(int32_t word) const { return s_.vectors_lockf ? double(s_.vectors_lockf[word]) : 1; }

  /// Trains the center's outputs and returns the input's error; `set` is the number of its set of samples.
  Vector predict(const Token& center, const Vector& input, size_t set) {
    Vector error(input.size());
    if (s_.node_vectors) {
      const int64_t begin = s_.path_begin(center.word);
      for (int64_t k = begin; k < begin + s_.turns(center.word); ++k) {
        const double label = s_.codes[center.word] >> (k - begin) & 1 ? 0 : 1;
        output(nodes_[size_t(s_.path_rows[k])], label, true, input, error);
      }
    }
    if (s_.negative) {
      output(negatives_[size_t(center.word)], 1, s_.skip_saturated_negatives, input, error);
      for (int j = 0; j < s_.negative; ++j) {
        const uint64_t z = mix(center.draw + kStep * (set * uint64_t(s_.negative) + uint64_t(j) + 1));
        const uint64_t column = (z >> 32) * uint64_t(s_.vocab) >> 32;
        const bool itself = (z & 0xFFFFFFFFu) < s_.alias_threshold[column];
        const int32_t target = itself ? int32_t(column) : s_.alias_index[column];
        if (target != center.word) output(negatives_[size_t(target)], 0, s_.skip_saturated_negatives, input, error);
      }
    }
    return error;
  }

  void output(Vector& row, double label, bool skip_saturated, const Vector& input, Vector& error) {
    const double f = dot(input, row);
    counts_.loss += minus_log_sigmoid(label > 0 ? f : -f);
    nearest_ = std::min(nearest_, fabs(fabs(f) - 6));
    if (skip_saturated && fabs(f) >= 6) return;
    const double g = (label - sigmoid(f)) * alpha_;
    add(g, row, error);
    if (s_.train_outputs) add(g, input, row);
  }

  double sigmoid(double f) const {
    if (fabs(f) >= 6) return f > 0 ? 1 : 0;
    if (s_.sigmoid_table) {
      const double e = exp((int((f + 6) * 83) / 1000.0 * 2 - 1) * 6);
      return e / (1 + e);
    }
    return 1 / (1 + exp(-f));
  }

  const Settings& s_;
  const uint64_t key_;
  std::vector<Vector> vectors_, nodes_, negatives_;
  double alpha_ = 0, nearest_ = 1;
  word2vec::Counts counts_;
};

}  // namespace

std::vector<int64_t> scalar_chunks(const Settings& s) {
  const int64_t most = std::max<int64_t>(256, std::min<int64_t>(10000, s.offsets[s.num_sentences] / 64));
  std::vector<int64_t> chunks{0};
  for (int64_t sentence = 1, words = 0; sentence <= s.num_sentences; ++sentence) {
    words += s.offsets[sentence] - s.offsets[sentence - 1];
    if (words < most && sentence < s.num_sentences) continue;
    chunks.push_back(sentence);
    words = 0;
  }
  return chunks;
}

ScalarRun scalar_train(const Settings& settings, const Epoch& epoch) {
  Training training(settings, epoch);
  const std::vector<int64_t> chunks = scalar_chunks(settings);
  for (size_t i = 0; i + 1 < chunks.size(); ++i)
    for (int64_t s = chunks[i]; s < chunks[i + 1]; ++s)
      training.sentence(s, double(float(learning_rate(settings, epoch, chunks[i]))));
  return training.result();
}

double scalar_score(const Settings& settings, int64_t sentence) {
  Settings s = settings;  // whole windows, every word, no training, no samples
  s.keep = nullptr;
  s.shrink_windows = false;
  s.negative = 0;
  s.negative_vectors = nullptr;
  s.max_kept = INT32_MAX;
  Training training(s, Epoch());
  training.sentence(sentence, 0);
  return -training.result().counts.loss;
}

}  // namespace testing
}  // namespace fastrnn
