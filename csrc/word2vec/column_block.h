#pragma once
// What threads of a deterministic run (columns.h) work on, as the kernels see it.

#include <stdint.h>

#include "word2vec/settings.h"

namespace fastrnn {
namespace word2vec {

constexpr int kMaxGroups = 8;  // of columns: at most so many threads have work

/// One center with all its contexts (CBOW), or with a tile of them (skip-gram).
struct ColumnStep {
  int32_t center;
  int32_t contexts;  // words of Block::words
  int32_t lists;     // of Block::rows: one a context (skip-gram), or one (CBOW); 0 without negative sampling
};

/// Steps whose products all come from the weights before any of them.
struct Block {
  ColumnStep* steps;
  int32_t* words;  // contexts, step by step
  int32_t* rows;   // lists of output rows: how many, the center, negative samples
  int num_steps, num_words, num_rows, num_products;
};

/// What a thread tells the others.
struct alignas(128) Exchange {
  uint32_t blocks = 0;    // whose products are there
  uint32_t sleepers = 0;  // threads that wait for more
  float* products[2];     // of the last of them and of the one before, which another thread may still be reading
};

struct ColumnWorker {
  Worker* worker;  // whose rows are of `columns()` floats
  // Of a block, before one more step, however large, is added.
  int max_steps, max_words, max_rows, max_products;

  int num_groups;                  // of columns: this thread's
  int group_ends[kMaxGroups + 1];  // in floats: group g is [group_ends[g], group_ends[g + 1])
  int begin() const { return group_ends[0]; }
  int columns() const { return group_ends[num_groups] - group_ends[0]; }

  Block blocks[2];
  float* const* ignored;  // where the new values of outputs go that are not to be trained, for each row of a step
  float* totals;          // of all threads' products
  float* hidden;          // [max_steps, columns]: CBOW's means
  int64_t block = 0;      // that is at work
  Exchange* exchanges;
  int thread, threads;
};

/// Tells the other threads that the block's products are there.
void publish(ColumnWorker& worker);

/// Waits for those of the others.
void wait_for_others(const ColumnWorker& worker);

}  // namespace word2vec
}  // namespace fastrnn
