#pragma once
// One thread's way through sentences: subsampling, windows, and the steps of each center word.

#include "word2vec/random.h"
#include "word2vec/rows.h"
#include "word2vec/score.h"

namespace fastrnn {
namespace FASTRNN_ISA {
namespace word2vec {

template <Sharing kSharing>
class Pass {
 public:
  FASTRNN_INLINE Pass(const Settings& settings, Worker& worker, uint64_t key, float alpha)
      : s_(settings),
        w_(worker),
        key_(key),
        alpha_(alpha),
        registers_(settings.stride / W),
        g_stride_((settings.max_rows() + W - 1) / W * W) {}

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
    const int32_t other = s_.alias_index[column];  // loaded always: a branch would be mispredicted half the time
    return uint32_t(z) < s_.alias_threshold[column] ? column : other;
  }

  static constexpr int kAhead = 2;     // centers: about a microsecond, several times the latency of memory
  static constexpr int kHotTurns = 5;  // 2^5 nodes of 100 floats fill half of the first-level cache

  struct Window {
    int begin, end;  // of the kept words, the center at `center` among them
    int center;
    FASTRNN_INLINE int contexts() const { return end - begin - 1; }
    FASTRNN_INLINE int context(int c) const { return begin + c + (begin + c >= center); }
  };

  FASTRNN_INLINE Window window(int center, int kept) const {
    int reach = s_.window;
    if (s_.shrink_windows) reach -= int(((w_.kept_draws[center] >> 32) * uint64_t(s_.window)) >> 32);
    return {center - reach > 0 ? center - reach : 0, center + reach + 1 < kept ? center + reach + 1 : kept, center};
  }

  FASTRNN_INLINE void piece(int kept) {
    const int ahead = s_.skip_gram ? 1 : 2;
    if constexpr (kSharing == Sharing::kShard) {
      begin_piece(kept);
      for (int i = 0; i < s_.window && i < kept; ++i) enter_window(i);
    }
    if (s_.negative)
      for (int i = 0; i < ahead && i < kept; ++i) draw_negatives(window(i, kept));
    for (int i = 0; i < kept; ++i) {
      next_contexts_ = 0;
      if constexpr (kSharing == Sharing::kShard)
        if (i + s_.window < kept) enter_window(i + s_.window);
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
      __builtin_prefetch(s_.path_offsets + word);
      __builtin_prefetch(s_.codes + word);
    }
    if (i + 2 * kAhead < kept) {
      const int32_t* const list = s_.path_rows + s_.path_offsets[w_.kept_words[i + 2 * kAhead]];
      __builtin_prefetch(list);
      __builtin_prefetch(list + 16);
    }
    if (i + kAhead < kept) {
      const int32_t word = w_.kept_words[i + kAhead];
      const int64_t end = s_.path_offsets[word + 1];
      // The first nodes are in the cache anyway.
      for (int64_t k = s_.path_offsets[word] + kHotTurns; k < end; ++k)
        prefetch_row<kSharing>(w_.nodes, s_.path_rows[k], s_.stride);
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
    const int64_t begin = s_.path_offsets[center];
    const int count = int(s_.path_offsets[center + 1] - begin);
    for (int k = 0; k < count; ++k) rows[k] = find_output(w_.nodes, s_.path_rows[begin + k], k);
    return count;
  }

  FASTRNN_INLINE int find_negatives(int32_t center, const int32_t* targets, float** rows) {
    int count = 0;
    rows[count++] = find_output(w_.negatives, center, 0);
    for (int j = 0; j < s_.negative; ++j) {
      if (targets[j] < 0) continue;
      rows[count] = find_output(w_.negatives, targets[j], count);
      ++count;
    }
    return count;
  }

  FASTRNN_INLINE float* find_output(Rows& rows, int32_t row, int position) {
    if constexpr (kSharing == Sharing::kShard) w_.cold_rows[position] = rows.slot || row < rows.hot ? -1 : row;
    return find_row<kSharing>(rows, row, s_.stride);
  }

  /// Where the new values of rows go that have just been found.
  FASTRNN_INLINE float* const* destinations(float** rows, int count) {
    if constexpr (kSharing != Sharing::kShard) return rows;
    for (int r = 0; r < count; ++r) w_.destinations[r] = w_.cold_rows[r] < 0 ? rows[r] : w_.ignored;
    return w_.destinations;
  }

  /// Writes down what a step does to cold rows, `saved` being where its input is, or -1. Without branches: which rows
  /// are cold cannot be predicted.
  FASTRNN_INLINE void log_updates(Rows& rows, int count, const float* input, int64_t saved) {
    if (!rows.updates) return;
    const bool fresh = saved < 0;
    if (fresh) saved = w_.num_saved;
    Update* const updates = rows.updates + rows.num_updates;
    int n = 0;
    for (int r = 0; r < count; ++r) {
      updates[n] = {w_.cold_rows[r], w_.coefficients[r], int32_t(saved)};
      n += w_.cold_rows[r] >= 0;
    }
    rows.num_updates += n;
    if (!fresh || n == 0) return;
    ++w_.num_saved;
    __builtin_memcpy(w_.saved + saved * s_.stride, input, size_t(s_.stride) * sizeof(float));
  }

  /// A shard's piece sums up what the words in it are to be changed by, and skip-gram keeps them as they were.
  FASTRNN_INLINE void begin_piece(int kept) {
    w_.first_error = w_.num_saved;
    w_.first_input = w_.first_error + kept;
    w_.num_saved += s_.skip_gram ? 2 * int64_t(kept) : kept;
  }
  FASTRNN_INLINE void enter_window(int position) {
    const int32_t word = w_.kept_words[position];
    if (word < w_.inputs.hot) return;
    const size_t bytes = size_t(s_.stride) * sizeof(float);
    __builtin_memset(w_.saved + (w_.first_error + position) * s_.stride, 0, bytes);
    if (s_.skip_gram)
      __builtin_memcpy(w_.saved + (w_.first_input + position) * s_.stride, w_.inputs.shared + int64_t(word) * s_.stride,
                       bytes);
    w_.inputs.updates[w_.inputs.num_updates++] = {word, 1.0f, int32_t(w_.first_error + position)};
  }

  /// Where the word is saved as it entered the window, or -1.
  FASTRNN_INLINE int64_t saved_input(int position) const {
    if constexpr (kSharing != Sharing::kShard) return -1;
    return w_.kept_words[position] < w_.inputs.hot ? -1 : w_.first_input + position;
  }

  FASTRNN_INLINE void add_context_error(float* input, const float* error, float share, int position) {
    const int32_t word = w_.kept_words[position];
    if constexpr (kSharing == Sharing::kShard)
      if (word >= w_.inputs.hot) input = w_.saved + (w_.first_error + position) * s_.stride;
    add_error(input, error, share * lock(word), registers_);
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
  FASTRNN_INLINE void step(float** rows, float* const* targets, int count, const Labels& labels, bool skip_saturated,
                           const float* const* inputs, float* const* errors, bool add) {
    constexpr int D = C < kDotContexts ? C : kDotContexts;
    for (int r = count; r % kRowTile; ++r) rows[r] = rows[0];  // a whole number of tiles
    for (int first = 0; first < count; first += W) {
      const int left = count - first < W ? count - first : W;
      const V label = labels(first);
      V f[C];
#pragma GCC unroll 8
      for (int c = 0; c + D <= C; c += D)
        dot_products<D>(rows + first, (left + kRowTile - 1) / kRowTile, inputs + c, registers_, f + c);
      if constexpr (C % D != 0)
        dot_products<C % D>(rows + first, (left + kRowTile - 1) / kRowTile, inputs + C / D * D, registers_,
                            f + C / D * D);
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) {
        const V g = gradient(f[c], label, skip_saturated, s_.sigmoid_table) * V(alpha_);
        g.store(w_.coefficients + c * g_stride_ + first);
        if (__builtin_expect(s_.loss, 0)) add_loss(f[c], label, left);
      }
    }
    update<C>(rows, targets, count, w_.coefficients, g_stride_, inputs, errors, add, registers_);
  }

  FASTRNN_INLINE void add_loss(V f, V label, int count) {
    float scores[W], labels[W];
    f.store(scores);
    label.store(labels);
    double sum = 0;
    for (int i = 0; i < count; ++i) sum += softplus_of_minus(labels[i] > 0 ? double(scores[i]) : -double(scores[i]));
    w_.counts.loss += sum;
  }

  template <int C>
  FASTRNN_INLINE void path_step(float** rows, int count, int32_t center, const float* const* inputs,
                                float* const* errors) {
    const uint64_t code = s_.codes[center];
    const auto labels = [&](int first) { return path_labels(code, first); };
    // Several contexts share each row of skip-gram's paths: those have copies whether cold or not.
    float* const* const targets = s_.skip_gram ? rows : destinations(rows, count);
    step<C>(rows, targets, count, labels, true, inputs, errors, false);
    if constexpr (kSharing == Sharing::kShard)
      if (!s_.skip_gram) log_updates(w_.nodes, count, inputs[0], -1);
  }

  FASTRNN_INLINE void negative_step(float** rows, int count, const float* input, float* error, bool add,
                                    int64_t saved) {
    const auto labels = [](int first) { return path_labels(first ? ~uint64_t(0) : ~uint64_t(1), 0); };
    if (__builtin_expect(!s_.strict, 1)) {
      step<1>(rows, destinations(rows, count), count, labels, s_.skip_saturated_negatives, &input, &error, add);
      if constexpr (kSharing == Sharing::kShard) log_updates(w_.negatives, count, input, saved);
      return;
    }
    for (int r = 0; r < count; ++r) {  // a word that is drawn twice is seen as it is by then
      float* row[kRowTile] = {rows[r]};
      step<1>(row, row, 1, [&](int) { return labels(r); }, s_.skip_saturated_negatives, &input, &error, add || r > 0);
    }
  }

  FASTRNN_INLINE float lock(int32_t word) const { return s_.vectors_lockf ? s_.vectors_lockf[word] : 1.0f; }

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
        negative_step(rows, count, inputs[c], errors[c], turns > 0, saved_input(around.context(first + c)));
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
    // Without a path to share there is nothing to gain from a tile.
    const int tile = s_.strict || turns == 0 ? 1 : kMaxContexts;
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
      negative_step(rows, count, h, e, add, -1);
      add = true;
    }
    if (add) {
      const float share = s_.divide ? 1.0f / float(contexts) : 1.0f;
      for (int c = 0; c < contexts; ++c) add_context_error(inputs[c], e, share, around.context(c));
    }
    w_.counts.pairs += 1;
  }

  const Settings& s_;
  Worker& w_;
  const uint64_t key_;
  const float alpha_;
  const int registers_;
  const int g_stride_;
  int next_contexts_ = 0;  // of the center after the one at work
};

}  // namespace word2vec
}  // namespace FASTRNN_ISA
}  // namespace fastrnn
