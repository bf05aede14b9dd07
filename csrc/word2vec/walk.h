#pragma once
// The way through sentences, for all kinds of training: subsampling, windows, negative samples, gradients.

#include "word2vec/random.h"
#include "word2vec/score.h"

namespace fastrnn {
namespace FASTRNN_ISA {
namespace word2vec {

constexpr int kHotTurns = 5;  // 2^5 nodes of 100 floats fill half of the first-level cache

struct Window {
  int begin, end;  // of the kept words, the center at `center` among them
  int center;
  FASTRNN_INLINE int contexts() const { return end - begin - 1; }
  FASTRNN_INLINE int context(int c) const { return begin + c + (begin + c >= center); }
};

class Walk {
 protected:
  FASTRNN_INLINE Walk(const Settings& settings, Worker& worker, uint64_t key, float alpha)
      : s_(settings), w_(worker), key_(key), alpha_(alpha), g_stride_((settings.max_rows() + W - 1) / W * W) {}

  /// Takes the next piece from the tokens, and returns how many words stay of it.
  FASTRNN_INLINE int keep(int64_t& token, int64_t end) {
    int kept = 0;
    for (; token < end && kept < s_.max_kept; ++token) {
      const int32_t word = s_.ids[token];
      const uint64_t draw = token_draw(key_, uint64_t(token));
      w_.kept_words[kept] = word;
      w_.kept_draws[kept] = draw;
      kept += !s_.keep || uint32_t(draw) <= s_.keep[word];
    }
    return kept;
  }

  /// The j-th negative sample of a center.
  FASTRNN_INLINE int32_t sample(uint64_t draw, int j) const {
    const uint64_t z = negative_draw(draw, uint64_t(j));
    const int32_t column = int32_t(((z >> 32) * uint64_t(s_.vocab)) >> 32);
    // Without a branch, which would be mispredicted half the time; compilers put one in unless this hides the choice.
    const int32_t other = s_.alias_index[column];
    const int32_t stay = -int32_t((uint64_t(uint32_t(z)) - s_.alias_threshold[column]) >> 63);
    return other ^ ((other ^ column) & stay);
  }

  FASTRNN_INLINE Window window(int center, int kept) const {
    int reach = s_.window;
    if (s_.shrink_windows) reach -= int(((w_.kept_draws[center] >> 32) * uint64_t(s_.window)) >> 32);
    return {center - reach > 0 ? center - reach : 0, center + reach + 1 < kept ? center + reach + 1 : kept, center};
  }

  /// Coefficients of C contexts with rows [first, first + left) from their products f: what the contexts before one do
  /// to the rows is made up for by the products of contexts with one another.
  template <int C>
  FASTRNN_INLINE void gradients(V* f, V label, const float (*pairs)[kMaxContexts], bool skip_saturated, int first,
                                int left, bool loss) {
    V g[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
#pragma GCC unroll 8
      for (int before = 0; before < c; ++before) f[c] = fma(V(pairs[before][c]), g[before], f[c]);
      g[c] = gradient(f[c], label, skip_saturated, s_.sigmoid_table) * V(alpha_);
      g[c].store(w_.coefficients + c * g_stride_ + first);
      if (__builtin_expect(loss, 0)) add_loss(f[c], label, left);
    }
  }

  FASTRNN_INLINE void add_loss(V f, V label, int count) {
    float scores[W], labels[W];
    f.store(scores);
    label.store(labels);
    double sum = 0;
    for (int i = 0; i < count; ++i) sum += softplus_of_minus(labels[i] > 0 ? double(scores[i]) : -double(scores[i]));
    w_.counts.loss += sum;
  }

  static FASTRNN_INLINE V negative_labels(int first) { return path_labels(first ? ~uint64_t(0) : ~uint64_t(1), 0); }

  FASTRNN_INLINE float lock(int32_t word) const { return s_.vectors_lockf ? s_.vectors_lockf[word] : 1.0f; }

  const Settings& s_;
  Worker& w_;
  const uint64_t key_;
  const float alpha_;
  const int g_stride_;
};

}  // namespace word2vec
}  // namespace FASTRNN_ISA
}  // namespace fastrnn
