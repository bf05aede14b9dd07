#pragma once
// Deterministic training for any number of threads. An epoch is cut into rounds, a round into kShards shards. Every
// shard trains on copies of the hot rows and writes down what it would add to the others, blind to the other shards;
// then the copies are merged row by row, and the additions made, both in the order of the shards. Nothing depends on
// which thread does which shard or row, so neither do the results.

#include <atomic>
#include <memory>
#include <vector>

#include "cpu/parallel.h"
#include "word2vec/kernels.h"
#include "word2vec/memory.h"
#include "word2vec/schedule.h"

namespace fastrnn {
namespace word2vec {

class Rounds {
 public:
  static constexpr int kShards = 8;           // at most so many threads have work
  static constexpr int64_t kMaxPiece = 1000;  // words of a sentence piece, so that a round can be split

  Rounds(const Settings& settings, const Kernels& kernels, int threads, const std::vector<int64_t>& chunks);

  /// One thread's part of the rounds from `first` on. All threads call this; thread 0 asks `stop` before each round.
  /// Returns the first round that was not done.
  int64_t run(int thread, const Epoch& epoch, int64_t first, const std::atomic<bool>& stop, std::atomic<int64_t>& done);

  Counts counts() const;  // of all shards, added up in their order
  void clear_counts();

 private:
  struct Piece {
    int64_t begin, end;  // tokens
  };
  struct Shard : WorkerMemory {
    using WorkerMemory::WorkerMemory;
    std::vector<Piece> pieces;
    Array<float> copies[3];
    Array<int32_t> visit_counts[3];
    Array<Update> updates_memory[3];
    Array<float> saved_memory;
    Array<int32_t> slot_rows;  // of skip-gram's nodes
    Array<int32_t> earlier;    // of each slot: the same row's place in an earlier shard, or -1
    Rows* rows(int matrix) { return matrix == 0 ? &inputs : matrix == 1 ? &nodes : &negatives; }
  };

  struct Thread {
    Array<int32_t> slots;  // of the shard that it trains, all -1 between shards: one table stays in its cache
    Array<int32_t> mine;   // the rows that it merges, or which of a shard's updates are of its rows
  };

  void cut(int64_t round);
  void train(Shard& shard, Thread& memory, uint64_t key, double alpha);
  /// The copies of a row, in the order of the shards, and their visits.
  struct Copies {
    const float* rows[kShards];
    int count = 0;
    int64_t visits = 0;
  };
  void merge_hot(int matrix, int thread, float* sum, double alpha);
  void merge_slots(int thread, float* sum, double alpha);
  void merge_row(float* target, const Copies& copies, float* sum, double alpha);
  void add_updates(int matrix, int thread);
  void prefetch(int32_t row);

  const Settings& settings_;
  const Kernels& kernels_;
  const int threads_;
  const std::vector<int64_t>& chunks_;
  std::vector<Shard> shards_;
  Array<int32_t> last_;  // of each of skip-gram's nodes: its place in the last shard that touched it, or -1
  std::vector<Thread> threads_memory_;
  Barrier barrier_;
  std::atomic<bool> taken_[kShards];
  bool stopping_ = false;
};

}  // namespace word2vec
}  // namespace fastrnn
