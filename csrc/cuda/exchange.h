#pragma once
// How the blocks that share a sequence hand each other what the next product is with. Persistent kernels go from round
// to round: a product, the cell, and its results published to all blocks of the group, whose product they enter next.

#include "cuda/ops.h"
#include "cuda/plan.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

using cuda::Mode;
using cuda::Placement;

/// Global memory beside the call's own.
struct Workspace {
  float* ring;         // two slots of [direction, group, row, column]; need not be cleared
  uint32_t* counters;  // one for each direction and group, zero at first: how often its blocks have published
  uint32_t* failed;    // shared with the host; set where a block has waited for too long
  uint64_t patience;   // nanoseconds
};

/// Of one block. Buffers alternate, so that a block may publish for the next round while others still read for this
/// one: nobody publishes for the round after that before all have come to the end of this one.
class Exchange {
 public:
  FASTRNN_DEVICE Exchange(const Placement& place, const Workspace& work, float* shared, int team)
      : place_(place),
        shared_(shared),
        counter_(work.counters + team),
        failed_(work.failed),
        patience_(work.patience),
        slot_(int64_t(place.group_rows) * place.operand_pitch) {
    if (place.mode != Mode::kGrid) return;
    ring_ = work.ring + 2 * team * slot_;
  }

  /// Operands start as zeros, what lies past the last column among them.
  FASTRNN_DEVICE void start() {
    const int buffers = place_.mode == Mode::kGrid ? 1 : 2;
    for (int i = thread_index(); i < buffers * place_.operand_stride; i += num_threads())
      shared_[place_.operand_at + i] = 0.0f;
    if (place_.mode == Mode::kCluster)
      sync_cluster();  // from here on others may write here
    else
      sync_block();
  }

  /// [row, column] with place.operand_pitch between rows.
  FASTRNN_DEVICE float* operand(int round) const {
    return shared_ + place_.operand_at + (place_.mode == Mode::kGrid ? 0 : (round & 1) * place_.operand_stride);
  }

  /// A value of the product of `round`, to all blocks of the group.
  FASTRNN_DEVICE void publish(int round, int row, int column, float value) const {
    const int64_t at = int64_t(row) * place_.operand_pitch + column;
    if (place_.mode == Mode::kBlock) {
      operand(round)[at] = value;
    } else if (place_.mode == Mode::kCluster) {
      float* const own = operand(round) + at;
      for (int rank = 0; rank < place_.slices; ++rank) *map_shared(own, rank) = value;
    } else {
      store_relaxed(ring_ + (round & 1) * slot_ + at, value);
    }
  }

  /// All that was published for `round` is in operand(round) of this block from here on. False where other blocks did
  /// not come: then the kernel must end.
  FASTRNN_DEVICE bool finish(int round, int rows, int depth) {
    if (place_.mode == Mode::kBlock) {
      sync_block();
      return true;
    }
    if (place_.mode == Mode::kCluster) {
      sync_cluster();
      return true;
    }
    sync_block();
    published_ += uint32_t(place_.slices);
    uint32_t* const flag = reinterpret_cast<uint32_t*>(shared_ + place_.flag_at);
    if (thread_index() == 0) {
      add_release(counter_, 1);
      *flag = wait() ? 1 : 0;
    }
    sync_block();
    if (*flag == 0) return false;
    float* const to = operand(round);
    const float* const from = ring_ + (round & 1) * slot_;
    for (int i = thread_index(); i < rows * depth; i += num_threads()) {
      const int64_t at = int64_t(i / depth) * place_.operand_pitch + i % depth;
      to[at] = load_relaxed(from + at);
    }
    sync_block();
    return true;
  }

 private:
  FASTRNN_DEVICE bool wait() const {
    const uint64_t start = nanoseconds();
    for (uint32_t polls = 1; load_acquire(counter_) < published_; ++polls) {
      if (polls % 16384 == 0 && nanoseconds() - start > patience_) {
        raise_flag(failed_);
        return false;
      }
      wait_turn();
    }
    return true;
  }

  const Placement& place_;
  float* shared_;
  uint32_t* counter_;
  uint32_t* failed_;
  uint64_t patience_;
  int64_t slot_;
  float* ring_ = nullptr;
  uint32_t published_ = 0;
};

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
