#pragma once
// How the blocks that share a sequence hand each other what the next product is with. Persistent kernels go from round
// to round: a product, the cell, and its results published to all blocks of the group, whose product they enter next.
//
// The contract with the weights (resident.h): T is Weights::Number, the type of storage of the call's arrays, of the
// weights and of the operand alike; place.itemsize is its size. What is published is float32 and rounded to T once,
// by publish; the operand is an array [row, column] of T in shared memory, place.operand_pitch numbers between rows (a
// multiple of 8, so that rows start at 16 bytes). Columns from the depth to the pitch are zeros or what a deeper phase
// of the same row left there, so weights must be zero there. multiply() gets it between barriers: all that was
// published is there, and nothing changes it before the next round's finish(), except the other of two buffers.

#include "cuda/exchange_tagged.h"
#include "cuda/plan.h"
#include "cuda/storage.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

using cuda::Handover;
using cuda::Mode;
using cuda::Placement;

/// Global memory beside the call's own.
struct Workspace {
  void* ring;  // two slots of [direction, group, row, column] of T, or of tagged words; zero at first. Or scatter.h's
  uint32_t* counters;  // one for each direction and group, zero at first: how often its blocks have published
  float* streamed;     // weights that the chip has no room for: place.streamed_floats for each block
  uint32_t* failed;    // shared with the host; set where a block has waited for too long
  uint64_t patience;   // nanoseconds
};

/// Of one block. Buffers alternate, so that a block may publish for the next round while others still read for this
/// one: nobody publishes for the round after that before all have come to the end of this one.
template <class T>
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
    ring_ = static_cast<char*>(work.ring) + 2 * team * slot_ * place.word_bytes();
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
  FASTRNN_DEVICE T* operand(int round) const {
    // In one expression: with the buffer's place in a variable, ptxas of CUDA 13 spills registers.
    return reinterpret_cast<T*>(shared_ + place_.operand_at +
                                (place_.mode == Mode::kGrid ? 0 : (round & 1) * place_.operand_stride));
  }

  /// A value of the product of `round`, to all blocks of the group.
  FASTRNN_DEVICE void publish(int round, int row, int column, Compute<T> result) const {
    dawdle();
    const T value = Storage<T>::store(result);
    const int64_t at = int64_t(row) * place_.operand_pitch + column;
    if (place_.keeps_operand()) {
      operand(round)[at] = value;
    } else if (place_.mode == Mode::kCluster) {
      T* const own = operand(round) + at;
      for (int rank = 0; rank < place_.slices; ++rank) *map_shared(own, rank) = value;
    } else if (place_.exchange == Handover::kTagged) {
      store_relaxed(slot<typename Tagged<T>::Word>(round) + at, Tagged<T>::word(value, Tagged<T>::tag(round)));
    } else {
      store_relaxed(slot<T>(round) + at, value);
    }
  }

  /// All that was published for `round` is in operand(round) of this block from here on. False where other blocks did
  /// not come: then the kernel must end.
  FASTRNN_DEVICE bool finish(int round, int rows, int depth) {
    dawdle();
    if (place_.keeps_operand()) {
      sync_block();
      return true;
    }
    if (place_.mode == Mode::kCluster) {
      sync_cluster();
      return true;
    }
    if (place_.exchange == Handover::kTagged) {
      const bool came = take_tagged<T>(slot<typename Tagged<T>::Word>(round), operand(round), round, rows, depth,
                                       place_.operand_pitch, patience_);
      if (!came) raise_flag(failed_);
      return sync_block_all(came);
    }
    if (!meet()) return false;
    take(slot<T>(round), operand(round), rows, depth);
    sync_block();
    return true;
  }

  /// Of a grid: what all blocks of the group have written into the ring is there from here on.
  FASTRNN_DEVICE bool meet() {
    sync_block();
    published_ += uint32_t(place_.slices);
    bool came = true;
    if (thread_index() == 0) {
      add_release(counter_, 1);
      came = wait();
    }
    return sync_block_all(came);
  }

 private:
  template <class Word>
  FASTRNN_DEVICE Word* slot(int round) const {
    return static_cast<Word*>(ring_) + (round & 1) * slot_;
  }

  /// From the ring, with several loads of 16 bytes under way together. What lies past the depth was never written.
  FASTRNN_DEVICE void take(const T* from, T* to, int rows, int depth) const {
    constexpr int kInLoad = 16 / int(sizeof(T)), kAtOnce = sizeof(T) == 2 ? 2 : 1;
    const int loads = loads_in_row(depth, kInLoad), all = rows * loads;
    for (int first = thread_index(); first < all; first += kAtOnce * num_threads()) {
      LoadedWords words[kAtOnce];
      int at[kAtOnce];
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        const int i = first + j * num_threads();
        at[j] = i / loads * place_.operand_pitch + i % loads * kInLoad;
        if (i < all) words[j] = load_words(reinterpret_cast<const uint32_t*>(from + at[j]));
      }
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j)
        if (first + j * num_threads() < all) store_words(to + at[j], words[j]);
    }
  }

  FASTRNN_DEVICE bool wait() const {
    Patience waiting;
    while (int32_t(load_acquire(counter_) - published_) < 0) {  // both may have wrapped around
      if (waiting.ends(patience_)) {
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
  void* ring_ = nullptr;  // of the group
  uint32_t published_ = 0;
};

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
