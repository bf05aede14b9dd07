#pragma once
// The exact log-likelihood of sentences under hierarchical softmax.

#include "word2vec/step.h"

namespace fastrnn {
namespace FASTRNN_ISA {
namespace word2vec {

using namespace fastrnn::word2vec;

/// -log sigmoid(x), nats
FASTRNN_INLINE double softplus_of_minus(double x) {
  return (x < 0 ? -x : 0) + __builtin_log1p(__builtin_exp(x < 0 ? x : -x));
}

class Scorer {
 public:
  FASTRNN_INLINE Scorer(const Settings& settings, Worker& worker)
      : s_(settings), w_(worker), registers_(settings.stride / W) {}

  /// Whole windows, every word; the sum over centers (CBOW) or over pairs of center and context (skip-gram).
  FASTRNN_INLINE double sentence(int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i - s_.window > begin ? i - s_.window : begin;
      const int64_t last = i + s_.window + 1 < end ? i + s_.window + 1 : end;
      if (last - first < 2) continue;
      if (s_.skip_gram) {
        for (int64_t c = first; c < last; ++c)
          if (c != i) sum += word(s_.ids[i], s_.vectors + int64_t(s_.ids[c]) * s_.stride);
      } else {
        sum += word(s_.ids[i], context(first, last, i));
      }
    }
    return sum;
  }

 private:
  FASTRNN_INLINE const float* context(int64_t first, int64_t last, int64_t center) {
    const V scale(s_.mean ? 1.0f / float(last - first - 1) : 1.0f);
    for (int j = 0; j < registers_; ++j) {
      V sum(0.0f);
      for (int64_t c = first; c < last; ++c)
        if (c != center) sum = sum + V::load(s_.vectors + int64_t(s_.ids[c]) * s_.stride + j * W);
      (sum * scale).store(w_.input_sum + j * W);
    }
    return w_.input_sum;
  }

  FASTRNN_INLINE double word(int32_t center, const float* input) {
    const int64_t begin = s_.path_begin(center);
    const int turns = s_.turns(center);
    const uint64_t code = s_.codes[center];
    double sum = 0;
    for (int first = 0; first < turns; first += W) {
      const int left = turns - first < W ? turns - first : W;
      const float* rows[W];
      for (int k = 0; k < W; ++k)
        rows[k] = s_.node_vectors + int64_t(s_.path_rows[begin + first + (k < left ? k : 0)]) * s_.stride;
      V f;
      dot_products<1>(rows, (left + kRowTile - 1) / kRowTile, &input, 0, registers_, &f);
      float scores[W];
      f.store(scores);
      for (int k = 0; k < left; ++k)
        sum -= softplus_of_minus(code >> (first + k) & 1 ? -double(scores[k]) : double(scores[k]));
    }
    return sum;
  }

  const Settings& s_;
  Worker& w_;
  const int registers_;
};

}  // namespace word2vec
}  // namespace FASTRNN_ISA
}  // namespace fastrnn
