#pragma once
// Backward's exchange where blocks keep their own gates' gradients (Sums::kScatter): a block has the rows of weight_hh
// that it has in forward, and of each unit's sum the part that its own gates make. Each part goes to the block that
// owns the unit, which adds up those of all blocks, in their order. A block gets and sends as many floats a row as
// there are units, however many gates a unit has; parts are float32 for every type of storage.

#include "cuda/exchange.h"
#include "cuda/resident.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// Of one block. Buffers alternate by round, so that one barrier of the cluster a round is enough: a block writes to
/// others for a round before it comes to that round's barrier, and reads what it got before it comes to the next one's;
/// nobody writes for the round after that, into the same buffer, before having passed the latter.
class Scatter {
 public:
  FASTRNN_DEVICE Scatter(const Placement& place, float* shared, int slice)
      : place_(place), shared_(shared), slice_(slice) {}

  /// After add_partials: sends the block's parts for all units.
  FASTRNN_DEVICE void exchange(int phase, int round, int rows, int hidden) const {
    dawdle();
    for (int i = thread_index(); i < rows * hidden; i += num_threads()) {
      const int row = i / hidden, u = i % hidden, owner = u / place_.units;
      float* const own = received(round, slice_, row, u - owner * place_.units);
      *map_shared(own, owner) = sums_of<1>(place_, shared_, phase, row, u)[0].v;
    }
    sync_cluster();
  }

  /// After that: the sum of one of the block's units.
  FASTRNN_DEVICE ScalarValue<float> sum(int round, int row, int unit) const {
    float sum = 0.0f;
    for (int source = 0; source < place_.slices; ++source) sum += *received(round, source, row, unit);
    return ScalarValue<float>(sum);
  }

 private:
  FASTRNN_DEVICE float* received(int round, int source, int row, int unit) const {
    return shared_ + place_.received_at + (round & 1) * place_.received_stride +
           (source * place_.group_rows + row) * place_.units + unit;
  }

  const Placement& place_;
  float* shared_;
  int slice_;
};

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
