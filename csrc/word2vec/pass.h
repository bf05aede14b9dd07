#pragma once
// Strict and fast training: one thread's way through sentences, and the steps of each center word.

#include "word2vec/rows.h"
#include "word2vec/walk.h"

namespace fastrnn {
namespace FASTRNN_ISA {
namespace word2vec {

template <Sharing kSharing>
class Pass : Walk {
 public:
  FASTRNN_INLINE Pass(const Settings& settings, Worker& worker, uint64_t key, float alpha)
      : Walk(settings, worker, key, alpha), registers_(settings.stride / W) {}

  /// Trains on the tokens [begin, end), as one sentence.
  FASTRNN_INLINE void sentence(int64_t begin, int64_t end) {
    w_.counts.words += end - begin;
    for (int64_t token = begin; token < end;) {
      const int kept = keep(token, end);
      w_.counts.kept += kept;
      piece(kept);
    }
  }

 private:
  static constexpr int kAhead = 2;  // centers: about a microsecond, several times the latency of memory

  FASTRNN_INLINE void piece(int kept) {
    const int ahead = s_.skip_gram ? 1 : 2;
    if (s_.negative)
      for (int i = 0; i < ahead && i < kept; ++i) draw_negatives(window(i, kept));
    for (int i = 0; i < kept; ++i) {
      next_contexts_ = 0;
      if (s_.negative && i + ahead < kept) draw_negatives(window(i + ahead, kept));
      if (s_.hierarchical()) prefetch_paths(i, kept);
      if (i + kAhead + s_.window < kept)
        prefetch_row<kSharing>(w_.inputs, w_.kept_words[i + kAhead + s_.window], s_.stride);
      const Window around = window(i, kept);
      if (around.contexts() == 0) continue;
      if (s_.skip_gram)
        skip_gram(around);
      else
        cbow(around);
      if constexpr (kSharing == Sharing::kHot)
        if (--w_.until_merge == 0) merge_due(w_, s_.stride);
    }
  }

  /// A path is found in three steps, each of which needs what the one before has brought: where the word's nodes are
  /// listed, the list, the nodes. Reading any of them before it is there costs a rare word a microsecond in all.
  FASTRNN_INLINE void prefetch_paths(int i, int kept) {
    if (i + 3 * kAhead < kept) {
      const int32_t word = w_.kept_words[i + 3 * kAhead];
      __builtin_prefetch(s_.paths + word);
      __builtin_prefetch(s_.codes + word);
    }
    if (i + 2 * kAhead < kept) {
      const int32_t* const list = s_.path_rows + s_.path_begin(w_.kept_words[i + 2 * kAhead]);
      __builtin_prefetch(list);
      __builtin_prefetch(list + 16);
    }
    if (i + kAhead < kept) {
      const int32_t word = w_.kept_words[i + kAhead];
      const int32_t* const path = s_.path_rows + s_.path_begin(word);
      const int turns = s_.turns(word);
      // The first nodes are in the cache anyway.
      for (int k = kHotTurns; k < turns; ++k) prefetch_row<kSharing>(w_.nodes, path[k], s_.stride);
    }
  }

  /// Of one center, before its turn, so that their rows arrive in time; -1 where the center itself was drawn.
  FASTRNN_INLINE void draw_negatives(const Window& around) {
    const int32_t center = w_.kept_words[around.center];
    const uint64_t draw = w_.kept_draws[around.center];
    int32_t* targets = targets_of(around.center);
    const int count = s_.negative * (s_.skip_gram ? around.contexts() : 1);
    for (int j = 0; j < count; ++j) {
      const int32_t target = sample(draw, j);
      targets[j] = target == center ? -1 : target;
    }
    if (s_.skip_gram)
      next_contexts_ = around.contexts();
    else
      prefetch_targets(targets);
    prefetch_row<kSharing>(w_.negatives, center, s_.stride);
  }
  FASTRNN_INLINE int32_t* targets_of(int center) {
    return w_.targets + int64_t(center & (kTargetRing - 1)) * s_.negative * (s_.skip_gram ? 2 * s_.window : 1);
  }
  FASTRNN_INLINE void prefetch_targets(const int32_t* targets) {
    for (int j = 0; j < s_.negative; ++j)
      if (targets[j] >= 0) prefetch_row<kSharing>(w_.negatives, targets[j], s_.stride);
  }
  /// Skip-gram: the samples of two contexts later, which may be the next center's. All of a center's at once would
  /// fill the first-level cache.
  FASTRNN_INLINE void prefetch_after(const Window& around, int c) {
    const int later = c + 2;
    if (later < around.contexts())
      prefetch_targets(targets_of(around.center) + later * s_.negative);
    else if (later - around.contexts() < next_contexts_)
      prefetch_targets(targets_of(around.center + 1) + (later - around.contexts()) * s_.negative);
  }

  /// Addresses of the center's path, and how many.
  FASTRNN_INLINE int find_path(int32_t center, float** rows) {
    const int64_t begin = s_.path_begin(center);
    const int count = s_.turns(center);
    for (int k = 0; k < count; ++k) rows[k] = find_row<kSharing>(w_.nodes, s_.path_rows[begin + k], s_.stride);
    return count;
  }

  FASTRNN_INLINE int find_negatives(int32_t center, const int32_t* targets, float** rows) {
    int count = 0;
    rows[count++] = find_row<kSharing>(w_.negatives, center, s_.stride);
    for (int j = 0; j < s_.negative; ++j) {
      if (targets[j] < 0) continue;
      rows[count++] = find_row<kSharing>(w_.negatives, targets[j], s_.stride);
    }
    return count;
  }

  FASTRNN_INLINE void add_context_error(float* input, const float* error, float share, int position) {
    add_error(input, error, share * lock(w_.kept_words[position]), registers_);
  }

  /// Where the outputs are not to be trained, the step works on copies.
  FASTRNN_INLINE void protect(float** rows, int count) {
    if (s_.train_outputs) return;
    for (int r = 0; r < count; ++r) {
      float* const copy = w_.frozen + int64_t(r) * s_.stride;
      __builtin_memcpy(copy, rows[r], size_t(s_.stride) * sizeof(float));
      rows[r] = copy;
    }
  }

  /// The step of C contexts with their common rows; labels(first row of a register).
  template <int C, class Labels>
  FASTRNN_INLINE void step(float** rows, int count, const Labels& labels, bool skip_saturated,
                           const float* const* inputs, float* const* errors, bool add) {
    float pairs[C][kMaxContexts];
    if constexpr (C > 1) {
      float products[pair_products_size(C) + W];
      pair_products<C>(
          inputs,
          [&](auto n, const float* const* r, const float* const* h, V* out) {
            all_products<decltype(n)::value>(r, 1, h, 0, registers_, out);
          },
          products);
      arrange_pairs<C>(products, pairs);
    }
    for (int r = count; r % kRowTile; ++r) rows[r] = rows[0];  // a whole number of tiles
    for (int first = 0; first < count; first += W) {
      const int left = count - first < W ? count - first : W;
      V f[C];
      all_products<C>(rows + first, (left + kRowTile - 1) / kRowTile, inputs, 0, registers_, f);
      gradients<C>(f, labels(first), pairs, skip_saturated, first, left, s_.loss);
    }
    update<C>(rows, rows, count, w_.coefficients, g_stride_, inputs, errors, add, registers_);
  }

  template <int C>
  FASTRNN_INLINE void path_step(float** rows, int count, int32_t center, const float* const* inputs,
                                float* const* errors) {
    const uint64_t code = s_.codes[center];
    step<C>(rows, count, [&](int first) { return path_labels(code, first); }, true, inputs, errors, false);
  }

  FASTRNN_INLINE void negative_step(float** rows, int count, const float* input, float* error, bool add) {
    const bool skip = s_.skip_saturated_negatives;
    if (__builtin_expect(!s_.strict, 1)) return step<1>(rows, count, negative_labels, skip, &input, &error, add);
    for (int r = 0; r < count; ++r) {  // a word that is drawn twice is seen as it is by then
      float* row[kRowTile] = {rows[r]};
      step<1>(row, 1, [&](int) { return negative_labels(r); }, skip, &input, &error, add || r > 0);
    }
  }

  template <int C>
  FASTRNN_INLINE void skip_gram_tile(const Window& around, int first, float** path, int turns) {
    const int32_t center = w_.kept_words[around.center];
    float* inputs[C];
    float* errors[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      inputs[c] = find_row<kSharing>(w_.inputs, w_.kept_words[around.context(first + c)], s_.stride);
      errors[c] = w_.errors + c * s_.stride;
    }
    if (turns && !s_.train_outputs) protect(path, find_path(center, path));  // the last tile has changed its copies
    if (turns) path_step<C>(path, turns, center, inputs, errors);
    if (s_.negative) {
      float** const rows = const_cast<float**>(w_.pointers) + kMaxTurns + kRowTile;
      for (int c = 0; c < C; ++c) {
        prefetch_after(around, first + c);
        const int count = find_negatives(center, targets_of(around.center) + (first + c) * s_.negative, rows);
        protect(rows, count);
        negative_step(rows, count, inputs[c], errors[c], turns > 0);
        // At once, so that a word that is twice in the window is seen as it now is.
        add_context_error(inputs[c], errors[c], 1.0f, around.context(first + c));
      }
    } else if (turns) {
      for (int c = 0; c < C; ++c) add_context_error(inputs[c], errors[c], 1.0f, around.context(first + c));
    }
  }

  FASTRNN_INLINE void skip_gram(const Window& around) {
    const int contexts = around.contexts();
    float** const path = const_cast<float**>(w_.pointers);
    const int32_t center = w_.kept_words[around.center];
    const int turns = s_.hierarchical() ? find_path(center, path) : 0;
    // Without a path to share there is nothing to gain from a tile, whose contexts change the path as they go.
    const int tile = s_.strict || turns == 0 || !s_.train_outputs ? 1 : kMaxContexts;
    const int tiles = (contexts + tile - 1) / tile;
    for (int t = 0, first = 0; t < tiles; ++t) {
      const int size = (contexts - first + tiles - t - 1) / (tiles - t);
      skip_gram_tile_of(size, around, first, path, turns);
      first += size;
    }
    w_.counts.pairs += contexts;
  }

  /// Not inlined: one copy of each size serves all callers.
  __attribute__((noinline)) void skip_gram_tile_of(int size, const Window& around, int first, float** path, int turns) {
    with_constant<kMaxContexts>(size, [&](auto c) { skip_gram_tile<decltype(c)::value>(around, first, path, turns); });
  }

  FASTRNN_INLINE void cbow(const Window& around) {
    const int contexts = around.contexts();
    const int32_t center = w_.kept_words[around.center];
    float* const h = w_.input_sum;
    float* const e = w_.errors;
    float** const rows = const_cast<float**>(w_.pointers);
    float** const inputs = rows + 2 * (kMaxTurns + kRowTile) + s_.negative + 1;
    for (int c = 0; c < contexts; ++c)
      inputs[c] = find_row<kSharing>(w_.inputs, w_.kept_words[around.context(c)], s_.stride);
    sum_rows(inputs, contexts, s_.mean ? 1.0f / float(contexts) : 1.0f, registers_, h);
    bool add = false;
    if (s_.hierarchical()) {
      const int turns = find_path(center, rows);
      protect(rows, turns);
      const float* const input = h;
      if (turns) path_step<1>(rows, turns, center, &input, &e);
      add = turns > 0;
    }
    if (s_.negative) {
      const int count = find_negatives(center, targets_of(around.center), rows);
      protect(rows, count);
      negative_step(rows, count, h, e, add);
      add = true;
    }
    if (add) {
      const float share = s_.divide ? 1.0f / float(contexts) : 1.0f;
      for (int c = 0; c < contexts; ++c) add_context_error(inputs[c], e, share, around.context(c));
    }
    w_.counts.pairs += 1;
  }

  const int registers_;
  int next_contexts_ = 0;  // of the center after the one at work
};

}  // namespace word2vec
}  // namespace FASTRNN_ISA
}  // namespace fastrnn
