#pragma once
// Deterministic training: one thread's part, which is its columns (columns.h). Block after block, its steps are
// planned, their products measured, and when all threads have told theirs, the weights are changed.

#include "word2vec/column_plan.h"
#include "word2vec/rows.h"

namespace fastrnn {
namespace FASTRNN_ISA {
namespace word2vec {

class ColumnPass : ColumnPlan {
 public:
  FASTRNN_INLINE ColumnPass(const Settings& settings, ColumnWorker& columns, uint64_t key, float alpha)
      : ColumnPlan(settings, columns, key, alpha), registers_(columns.columns() / W) {}

  FASTRNN_INLINE void train(Sentences range) {
    begin_sentences(range);
    Block* now = &c_.blocks[0];
    Block* next = &c_.blocks[1];
    begin_plan(*now);
    while (plan_step(*now)) continue;
    while (now->num_steps) {
      const int count = measure(*now);
      publish(c_);
      begin_plan(*next);
      for (int i = 0; i < kPlannedFirst && plan_step(*next); ++i) continue;
      wait_for_others(c_);
      add_up(count);
      change(*now, *next);
      Block* const done = now;
      now = next;
      next = done;
    }
  }

 private:
  // ---- this thread's columns of rows

  FASTRNN_INLINE float* row_of(const Rows& rows, int32_t row) const {
    return rows.shared + int64_t(row) * (registers_ * W);
  }
  FASTRNN_INLINE int find_path(int32_t center, float** rows) const {
    const int32_t* const list = s_.path_rows + s_.path_begin(center);
    const int count = s_.turns(center);
    for (int k = 0; k < count; ++k) rows[k] = row_of(w_.nodes, list[k]);
    for (int k = count; k % kRowTile; ++k) rows[k] = rows[0];
    return count;
  }
  /// The rows of a list, and the list after it.
  FASTRNN_INLINE int find_list(const int32_t*& list, float** rows) const {
    const int count = *list++;
    for (int k = 0; k < count; ++k) rows[k] = row_of(w_.negatives, *list++);
    for (int k = count; k % kRowTile; ++k) rows[k] = rows[0];
    return count;
  }
  FASTRNN_INLINE void prefetch(const Rows& rows, int32_t row) const {
    const float* const p = row_of(rows, row);
    for (int i = 0; i < registers_ * W; i += 16) prefetch_line(p + i);
  }
  FASTRNN_INLINE float** row_pointers() const { return const_cast<float**>(w_.pointers); }
  FASTRNN_INLINE float** input_pointers() const {
    return row_pointers() + 2 * (kMaxTurns + kRowTile) + s_.negative + 1;
  }

  // ---- products

  /// Returns how many.
  FASTRNN_INLINE int measure(const Block& block) {
    const int32_t* words = block.words;
    const int32_t* lists = block.rows;
    float* hidden = c_.hidden;
    float* const begin = c_.exchanges[c_.thread].products[c_.block & 1];
    float* out = begin;
    for (int i = 0; i < block.num_steps; ++i) {
      const ColumnStep& step = block.steps[i];
      if (s_.skip_gram) {
        out = measure_tile_of(step, words, lists, out);
      } else {
        float** const inputs = input_pointers();
        for (int c = 0; c < step.contexts; ++c) inputs[c] = row_of(w_.inputs, words[c]);
        sum_rows(inputs, step.contexts, s_.mean ? 1.0f / float(step.contexts) : 1.0f, registers_, hidden);
        const float* const input = hidden;
        out = measure_step<1>(step, &input, lists, out);
        hidden += registers_ * W;
      }
      words += step.contexts;
    }
    return int(out - begin);
  }

  /// Not inlined: one copy of each size serves all callers.
  __attribute__((noinline)) float* measure_tile_of(const ColumnStep& step, const int32_t* words, const int32_t*& lists,
                                                   float* out) {
    with_constant<kMaxContexts>(step.contexts, [&](auto n) {
      constexpr int C = decltype(n)::value;
      const float* inputs[C];
      for (int c = 0; c < C; ++c) inputs[c] = row_of(w_.inputs, words[c]);
      out = measure_step<C>(step, inputs, lists, out);
    });
    return out;
  }

  template <int C>
  FASTRNN_INLINE float* measure_step(const ColumnStep& step, const float* const* inputs, const int32_t*& lists,
                                     float* out) {
    float** const rows = row_pointers();
    if (s_.hierarchical()) {
      const int turns = find_path(step.center, rows);
      if constexpr (C > 1) {
        pair_products<C>(
            inputs,
            [&](auto n, const float* const* r, const float* const* h, V* products) {
              group_products<decltype(n)::value>(r, 1, h, products);
            },
            out);
        out += pair_products_size(C);
      }
      out = store_products<C>(rows, turns, inputs, out);
    }
    for (int l = 0; l < step.lists; ++l) {
      const int count = find_list(lists, rows);
      out = store_products<1>(rows, count, inputs + (C > 1 ? l : 0), out);
    }
    return out;
  }

  template <int C>
  FASTRNN_INLINE float* store_products(const float* const* rows, int count, const float* const* inputs, float* out) {
    const int stride = product_stride(count);
    for (int first = 0; first < count; first += W) {
      const int left = count - first < W ? count - first : W;
      V f[C];
      group_products<C>(rows + first, (left + kRowTile - 1) / kRowTile, inputs, f);
      for (int c = 0; c < C; ++c) f[c].store(out + c * stride + first);
    }
    return out + C * stride;
  }

  /// As all_products, over this thread's columns, its groups added up in pairs.
  template <int C>
  FASTRNN_INLINE void group_products(const float* const* rows, int tiles, const float* const* inputs, V* out) const {
    const int n = c_.num_groups;
    V sums[kMaxGroups][C];
    for (int g = 0; g < n; ++g)
      all_products<C>(rows, tiles, inputs, (c_.group_ends[g] - c_.begin()) / W, (c_.group_ends[g + 1] - c_.begin()) / W,
                      sums[g]);
    for (int half = 1; half < n; half *= 2)
      for (int g = 0; g < n; g += 2 * half)
        for (int c = 0; c < C; ++c) sums[g][c] = sums[g][c] + sums[g + half][c];
    for (int c = 0; c < C; ++c) out[c] = sums[0][c];
  }

  /// Adds up what all threads tell of a block, in pairs, too. All at once, so that many lines are on their way to this
  /// core at a time.
  FASTRNN_INLINE void add_up(int count) {
    const int parity = int(c_.block - 1) & 1;  // publishing has counted the block
    for (int i = 0; i < count; i += W) {
      V sums[kMaxGroups];
      for (int t = 0; t < c_.threads; ++t) sums[t] = V::load(c_.exchanges[t].products[parity] + i);
      for (int half = 1; half < c_.threads; half *= 2)
        for (int t = 0; t < c_.threads; t += 2 * half) sums[t] = sums[t] + sums[t + half];
      sums[0].store(c_.totals + i);
    }
  }

  // ---- changes

  /// Changes the weights as a block says; between its steps plans the next one's, and starts loading their weights.
  FASTRNN_INLINE void change(const Block& block, Block& next) {
    const int32_t* words = block.words;
    const int32_t* lists = block.rows;
    const int32_t* next_words = next.words;
    const int32_t* next_lists = next.rows;
    const float* hidden = c_.hidden;
    int64_t place = 0;
    int ahead = 0;
    for (int i = 0; i < block.num_steps; ++i) {
      const ColumnStep& step = block.steps[i];
      plan_step(next);
      if (ahead < next.num_steps) prefetch_step(next.steps[ahead++], next_words, next_lists);
      if (s_.skip_gram) {
        place = change_tile_of(step, words, lists, place);
      } else {
        const float* const input = hidden;
        float* const error = w_.errors;
        bool add = false;
        if (s_.hierarchical()) add = change_path<1>(step, &input, &error, place);
        if (s_.negative) add = change_list(lists, input, error, add, place);
        const float share = s_.divide ? 1.0f / float(step.contexts) : 1.0f;
        for (int c = 0; add && c < step.contexts; ++c)
          add_error(row_of(w_.inputs, words[c]), error, share * lock(words[c]), registers_);
        hidden += registers_ * W;
      }
      words += step.contexts;
    }
    while (plan_step(next)) continue;
    while (ahead < next.num_steps) prefetch_step(next.steps[ahead++], next_words, next_lists);
  }

  FASTRNN_INLINE void prefetch_step(const ColumnStep& step, const int32_t*& words, const int32_t*& lists) const {
    if (s_.hierarchical()) {
      const int32_t* const path = s_.path_rows + s_.path_begin(step.center);
      for (int k = kHotTurns; k < s_.turns(step.center); ++k) prefetch(w_.nodes, path[k]);
    }
    words += step.contexts;
    prefetch(w_.inputs, words[-1]);  // the others have been in the window before
    for (int l = 0; l < step.lists; ++l)
      for (int count = *lists++; count > 0; --count) prefetch(w_.negatives, *lists++);
  }

  __attribute__((noinline)) int64_t change_tile_of(const ColumnStep& step, const int32_t* words, const int32_t*& lists,
                                                   int64_t place) {
    with_constant<kMaxContexts>(step.contexts, [&](auto n) {
      constexpr int C = decltype(n)::value;
      float* inputs[C];
      float* errors[C];
      for (int c = 0; c < C; ++c) {
        inputs[c] = row_of(w_.inputs, words[c]);
        errors[c] = w_.errors + c * s_.stride;
      }
      const bool add = s_.hierarchical() && change_path<C>(step, inputs, errors, place);
      for (int c = 0; c < C; ++c) {
        if (s_.negative) change_list(lists, inputs[c], errors[c], add, place);
        if (s_.negative || add) add_error(inputs[c], errors[c], lock(words[c]), registers_);
      }
    });
    return place;
  }

  /// False if the path has no nodes.
  template <int C>
  FASTRNN_INLINE bool change_path(const ColumnStep& step, const float* const* inputs, float* const* errors,
                                  int64_t& place) {
    float** const rows = row_pointers();
    const int turns = find_path(step.center, rows);
    float pairs[C][kMaxContexts];
    if constexpr (C > 1) {
      arrange_pairs<C>(c_.totals + place, pairs);
      place += pair_products_size(C);
    }
    const uint64_t code = s_.codes[step.center];
    change_rows<C>(
        rows, turns, [&](int first) { return path_labels(code, first); }, pairs, true, inputs, errors, false, place);
    return turns > 0;
  }

  FASTRNN_INLINE bool change_list(const int32_t*& list, const float* input, float* error, bool add, int64_t& place) {
    float** const rows = row_pointers();
    const int count = find_list(list, rows);
    change_rows<1>(rows, count, negative_labels, nullptr, s_.skip_saturated_negatives, &input, &error, add, place);
    return true;
  }

  template <int C, class Labels>
  FASTRNN_INLINE void change_rows(float** rows, int count, const Labels& labels, const float (*pairs)[kMaxContexts],
                                  bool skip_saturated, const float* const* inputs, float* const* errors, bool add,
                                  int64_t& place) {
    const int stride = product_stride(count);
    for (int first = 0; first < count; first += W) {
      V f[C];
      for (int c = 0; c < C; ++c) f[c] = V::load(c_.totals + place + c * stride + first);
      const int left = count - first < W ? count - first : W;
      gradients<C>(f, labels(first), pairs, skip_saturated, first, left, s_.loss && c_.thread == 0);
    }
    place += C * stride;
    float* const* const targets = s_.train_outputs ? rows : c_.ignored;
    update<C>(rows, targets, count, w_.coefficients, g_stride_, inputs, errors, add, registers_);
  }

  const int registers_;
};

}  // namespace word2vec
}  // namespace FASTRNN_ISA
}  // namespace fastrnn
