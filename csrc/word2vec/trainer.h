#pragma once
// Training: chunks of sentences for any number of threads. Fast runs share the matrices without locks (Hogwild, Niu
// et al. 2011); deterministic ones share out its columns (columns.h).

#include <functional>
#include <memory>
#include <vector>

#include "word2vec/columns.h"
#include "word2vec/kernels.h"
#include "word2vec/memory.h"
#include "word2vec/schedule.h"

namespace fastrnn {
namespace word2vec {

class Trainer {
 public:
  /// Throws std::bad_alloc where the threads' memory cannot be had.
  Trainer(const Settings& settings, int threads, bool deterministic);
  ~Trainer();

  /// Trains until the epoch ends or poll, called in this thread about every tenth of a second, returns false. Threads
  /// finish their chunk before they stop.
  Progress train(const Epoch& epoch, const std::function<bool(const Progress&)>& poll);

  /// Sentences of the epoch that are trained; none after them is.
  int64_t position() const { return position_; }
  const std::vector<int64_t>& chunk_starts() const { return chunks_; }

 private:
  void run_thread(int thread, const Epoch& epoch);
  void set_merge_intervals(Worker& worker, double alpha) const;

  struct Shared;
  const Settings settings_;
  const Kernels& kernels_;
  std::vector<int64_t> chunks_;  // first sentences, and the end
  std::vector<WorkerMemory> workers_;
  std::unique_ptr<Columns> columns_;  // of a deterministic run
  int64_t position_ = 0;
  std::unique_ptr<Shared> shared_;
};

/// Log-likelihood (nats) of each sentence of the settings' corpus, into scores [num_sentences].
void score_sentences(const Settings& settings, int threads, double* scores);

/// word2vec.c's, of kSigmoidEntries: entry i is the sigmoid of 6 (2 i / 1000 - 1).
const float* sigmoid_table();

/// Of the instruction set in use.
const Kernels& current_kernels();

}  // namespace word2vec
}  // namespace fastrnn
