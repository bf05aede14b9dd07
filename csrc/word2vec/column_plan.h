#pragma once
// Deterministic training: which steps come next. Every thread plans all of them for itself.

#include "word2vec/column_block.h"
#include "word2vec/kernels.h"
#include "word2vec/walk.h"

namespace fastrnn {
namespace FASTRNN_ISA {
namespace word2vec {

class ColumnPlan : protected Walk {
 protected:
  FASTRNN_INLINE ColumnPlan(const Settings& settings, ColumnWorker& columns, uint64_t key, float alpha)
      : Walk(settings, *columns.worker, key, alpha),
        c_(columns),
        most_pulls_(most_pulls(settings, alpha)),
        // Where outputs stay as they are, a tile's contexts do not change the products of one another.
        tile_(settings.hierarchical() && settings.train_outputs ? kMaxContexts : 1) {}

  static constexpr int kPlannedFirst = 8;  // steps of a block: instead of waiting

  FASTRNN_INLINE void begin_sentences(Sentences range) {
    sentence_ = range.begin;
    end_ = range.end;
  }

  FASTRNN_INLINE void begin_plan(Block& block) {
    block.num_steps = block.num_words = block.num_rows = block.num_products = 0;
    pulls_ = 0;
  }

  /// Adds a step. False if the block is full, or there is none.
  FASTRNN_INLINE bool plan_step(Block& block) {
    if (pulls_ >= most_pulls_ || block.num_steps >= c_.max_steps || block.num_words >= c_.max_words ||
        block.num_rows >= c_.max_rows || block.num_products >= c_.max_products)
      return false;
    for (;;) {
      if (center_ == kept_) {
        if (!next_piece()) return false;
        continue;
      }
      if (context_ == 0) {
        around_ = window(center_, kept_);
        if (s_.hierarchical()) prefetch_paths();
      }
      const int left = around_.contexts() - context_;
      if (left > 0) break;
      ++center_;
      context_ = 0;
    }
    const int left = around_.contexts() - context_;
    const int tiles = (left + tile_ - 1) / tile_;
    const int size = s_.skip_gram ? (left + tiles - 1) / tiles : left;
    add_step(block, size);
    pulls_ += s_.skip_gram ? size : 1;
    w_.counts.pairs += s_.skip_gram ? size : 1;
    context_ += size;
    if (size == left) {
      ++center_;
      context_ = 0;
    }
    return true;
  }

  static FASTRNN_INLINE int whole_tiles(int rows) { return (rows + kRowTile - 1) / kRowTile * kRowTile; }
  /// Of the products of one context with `rows` rows. Whole registers are stored, one over the end of the one before.
  static FASTRNN_INLINE int product_stride(int rows) { return rows <= W ? whole_tiles(rows) : (rows + W - 1) / W * W; }

  ColumnWorker& c_;

 private:
  /// How many times the hottest row may be pulled before its products are taken anew: by about 1 / curvature in all,
  /// past which pulls that do not see one another overshoot.
  static FASTRNN_INLINE int most_pulls(const Settings& settings, float alpha) {
    constexpr float kStaleness = 3;  // of the root, which every step pulls
    constexpr int kLeast = 16, kMost = 128;
    if (!settings.hierarchical()) return kMost;
    const float most = kStaleness / (alpha > 1e-6f ? alpha : 1e-6f);
    return most < kLeast ? kLeast : most > kMost ? kMost : int(most);
  }

  FASTRNN_INLINE bool next_piece() {
    center_ = kept_ = 0;
    while (token_ == token_end_) {
      if (sentence_ == end_) return false;
      token_ = s_.offsets[sentence_];
      token_end_ = s_.offsets[++sentence_];
      w_.counts.words += token_end_ - token_;
    }
    kept_ = keep(token_, token_end_);
    w_.counts.kept += kept_;
    return true;
  }

  FASTRNN_INLINE void add_step(Block& block, int contexts) {
    const int32_t center = w_.kept_words[center_];
    for (int c = 0; c < contexts; ++c) block.words[block.num_words++] = w_.kept_words[around_.context(context_ + c)];
    const int lists = !s_.negative ? 0 : s_.skip_gram ? contexts : 1;
    for (int l = 0; l < lists; ++l) {
      int32_t* const list = block.rows + block.num_rows;
      int count = 1;
      list[count++] = center;
      for (int j = 0; j < s_.negative; ++j) {
        const int32_t target = sample(w_.kept_draws[center_], (context_ + l) * s_.negative + j);
        list[count] = target;
        count += target != center;
      }
      list[0] = count - 1;
      block.num_rows += count;
      block.num_products += whole_tiles(count - 1);
    }
    if (s_.hierarchical()) {
      const int tile = s_.skip_gram ? contexts : 1;
      block.num_products += tile * (kRowTile + product_stride(s_.turns(center)));
    }
    block.steps[block.num_steps++] = {center, contexts, lists};
  }

  /// A path is found in steps, each of which needs what the one before has brought.
  FASTRNN_INLINE void prefetch_paths() const {
    constexpr int kAhead = 4;  // centers
    if (center_ + 2 * kAhead < kept_) {
      const int32_t word = w_.kept_words[center_ + 2 * kAhead];
      __builtin_prefetch(s_.paths + word);
      __builtin_prefetch(s_.codes + word);
    }
    if (center_ + kAhead < kept_) {
      const int32_t* const list = s_.path_rows + s_.path_begin(w_.kept_words[center_ + kAhead]);
      __builtin_prefetch(list);
      __builtin_prefetch(list + 16);
    }
  }

  const int most_pulls_;
  const int tile_;
  // Where the plan has come to.
  int64_t sentence_ = 0, end_ = 0, token_ = 0, token_end_ = 0;
  int kept_ = 0, center_ = 0, context_ = 0, pulls_ = 0;
  Window around_{};
};

}  // namespace word2vec
}  // namespace FASTRNN_ISA
}  // namespace fastrnn
