#pragma once
// Deterministic training for any number of threads: each thread has some columns of all matrices to itself. Threads
// take the same steps in the same order; a step's products h . s are sums over columns, so all threads tell one another
// theirs, for a block of steps at a time, and each then changes its own columns. Sums over columns are added up in
// groups that do not depend on the number of threads, so neither does the result; and no two cores ever write to the
// same line. Nor to neighboring ones, which cores load unasked: while threads train, each matrix lies apart in blocks,
// one of each thread's columns.

#include <atomic>
#include <memory>
#include <vector>

#include "cpu/parallel.h"
#include "word2vec/column_block.h"
#include "word2vec/kernels.h"
#include "word2vec/memory.h"
#include "word2vec/schedule.h"

namespace fastrnn {
namespace word2vec {

/// A ColumnWorker and what it points to.
struct ColumnMemory : WorkerMemory, ColumnWorker {
  /// The thread with groups [first, last) of columns.
  ColumnMemory(const Settings& settings, int groups, int first, int last);

  Array<ColumnStep> steps_memory[2];
  Array<int32_t> words_memory[2], rows_memory[2];
  Array<float> hidden_memory, products_memory[2], totals_memory, ignored_row;
  Array<float*> ignored_memory;
};

class Columns {
 public:
  /// Of those threads that were asked for, as many as there are groups and cores for.
  Columns(const Settings& settings, const Kernels& kernels, int threads, const std::vector<int64_t>& chunks);

  int threads() const { return int(workers_.size()); }

  /// One thread's part of the chunks from `first` on. All threads call this; thread 0 asks `stop` before each chunk.
  void run(int thread, const Epoch& epoch, int64_t first, const std::atomic<bool>& stop, std::atomic<int64_t>& done);

  const Counts& counts() const { return workers_.front()->worker->counts; }
  void clear_counts() { workers_.front()->worker->counts = {}; }

 private:
  void rearrange(int thread, bool apart);

  const Settings& settings_;
  const Kernels& kernels_;
  const std::vector<int64_t>& chunks_;
  std::vector<std::unique_ptr<ColumnMemory>> workers_;
  std::unique_ptr<Exchange[]> exchanges_;
  std::vector<Array<float>> buffers_;  // of each thread, for rearranging
  Barrier barrier_;
  bool stopping_ = false;
};

}  // namespace word2vec
}  // namespace fastrnn
