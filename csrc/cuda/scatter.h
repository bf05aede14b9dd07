#pragma once
// Backward's exchange where blocks keep their own gates' gradients (Sums::kScatter): a block has the rows of weight_hh
// that it has in forward, and of each unit's sum the part that its own gates make. Each part goes to the block that
// owns the unit, which adds up those of all blocks, in their order. A block gets and sends as many floats a row as
// there are units, however many gates a unit has; parts are float32 for every type of storage.

#include "cuda/exchange.h"
#include "cuda/resident.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// Of one block. Blocks of a cluster write into the owners' shared memory, in two buffers by turns, so that one barrier
/// of the cluster a round is enough: a block writes to others for a round before it comes to that round's barrier, and
/// reads what it got before it comes to the next one's; nobody writes for the round after that, into the same buffer,
/// before having passed the latter. Blocks of a grid write into a ring in global memory, of two slots for the same
/// reason, by [owner, source, row, unit]; they add up several sources at once on the way into shared memory.
class Scatter {
 public:
  FASTRNN_DEVICE Scatter(const Placement& place, const Workspace& work, float* shared, int team, int slice)
      : place_(place), work_(work), shared_(shared), team_(team), slice_(slice) {}

  /// After add_partials: sends the block's parts for all units, and waits for those that it gets. False where other
  /// blocks of a grid did not come.
  template <class Exchange>
  FASTRNN_DEVICE bool exchange(Exchange& blocks, int phase, int round, int rows, int hidden) const {
    dawdle();
    const int numbers = rows * place_.units;
    for (int i = thread_index(); i < place_.slices * numbers; i += num_threads()) {
      const int owner = i / numbers, at = i % numbers, row = at / place_.units;
      const int u = owner * place_.units + at - row * place_.units;
      if (u >= hidden) continue;
      const float part = sums_of<1>(place_, shared_, phase, row, u)[0].v;
      if (place_.mode == Mode::kCluster)
        *map_shared(received(round, slice_) + at, owner) = part;
      else
        store_relaxed(slot(round, owner, slice_) + at, part);
    }
    if (place_.mode == Mode::kCluster) {
      sync_cluster();
      return true;
    }
    if (!blocks.meet()) return false;
    take(round, numbers);
    sync_block();
    return true;
  }

  /// After that: the sum of one of the block's units.
  FASTRNN_DEVICE ScalarValue<float> sum(int round, int row, int unit) const {
    float sum = 0.0f;
    for (int part = 0; part < place_.received_parts(); ++part) sum += received(round, part)[row * place_.units + unit];
    return ScalarValue<float>(sum);
  }

 private:
  FASTRNN_DEVICE float* received(int round, int part) const {
    return shared_ + place_.received_at + (round & 1) * place_.received_stride + part * place_.part_pitch();
  }
  FASTRNN_DEVICE float* slot(int round, int owner, int source) const {
    const int64_t block = int64_t(team_ * 2 + (round & 1)) * place_.slices + owner;
    return static_cast<float*>(work_.ring) + (block * place_.slices + source) * place_.part_pitch();
  }

  /// From the ring, four numbers of kSourcesAtOnce blocks at a time, so that loads are under way together. What lies
  /// past the last number was never written.
  FASTRNN_DEVICE void take(int round, int numbers) const {
    constexpr int kSources = cuda::kSourcesAtOnce;
    const int quads = (numbers + 3) / 4;
    for (int i = thread_index(); i < place_.received_parts() * quads; i += num_threads()) {
      const int part = i / quads, at = i % quads * 4;
      const float* const from = slot(round, slice_, part * kSources) + at;
      Vec4 loaded[kSources] = {};
#pragma unroll
      for (int s = 0; s < kSources; ++s)
        if (part * kSources + s < place_.slices) loaded[s] = load4_relaxed(from + s * place_.part_pitch());
#pragma unroll
      for (int s = 1; s < kSources; ++s)
#pragma unroll
        for (int k = 0; k < 4; ++k) loaded[0].v[k] += loaded[s].v[k];
#pragma unroll
      for (int k = 0; k < 4; ++k) received(0, part)[at + k] = loaded[0].v[k];
    }
  }

  const Placement& place_;
  const Workspace& work_;
  float* shared_;
  int team_, slice_;
};

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
