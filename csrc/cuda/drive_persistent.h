#pragma once
// The launches of the persistent kernels.

#include "cuda/drive.h"
#include "cuda/persistent.h"
#include "cuda/tensor_weights.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

template <class Call>
struct Persistent;
template <>
struct Persistent<Forward> {
  template <class Cell, class Weights>
  static constexpr auto kernel() {
    return forward_persistent<Cell, Weights>;
  }
};
template <>
struct Persistent<Backward> {
  template <class Cell, class Weights>
  static constexpr auto kernel() {
    return backward_persistent<Cell, Weights>;
  }
};

inline LaunchShape persistent_launch(const Placement& place, int directions) {
  LaunchShape shape;
  shape.blocks = place.blocks(directions);
  shape.threads = place.threads;
  shape.shared_bytes = place.shared_floats * 4;
  shape.cluster = place.mode == Mode::kCluster ? place.slices : 1;
  shape.cooperative = place.mode == Mode::kGrid;
  return shape;
}

template <class T, class Cell, class Call>
void launch_persistent(const Call& call, const Placement& place, const Workspace& work, Stream stream) {
  if constexpr (!kPersistent<Cell>) {
    throw cuda::LaunchRefused("the cell has no persistent kernels");
  } else {
    const LaunchShape shape = persistent_launch(place, call.directions);
    const auto start = [&](auto kernel) { launch(kernel, shape, stream, call, place, work); };
    using Kernels = Persistent<Call>;
    const bool tensor = place.product != Product::kFfma, registers = place.weights == cuda::WeightPlace::kRegisters;
    if constexpr (!kRounds<T>) {  // the halves have tensor cores only
      if (!tensor) {
        if constexpr (Cell::kPhases == 1) {
          if (registers) return start(Kernels::template kernel<Cell, RegisterWeights>());
        }
        return start(Kernels::template kernel<Cell, SharedWeights<T>>());
      }
    }
    if constexpr (cuda::tensors_in_registers(Cell::kName)) {
      if (registers) return start(Kernels::template kernel<Cell, TensorWeights<T, true>>());
    }
    start(Kernels::template kernel<Cell, TensorWeights<T, false>>());
  }
}

#define FASTRNN_LAUNCH(Cell) launch_persistent<T, Cell, Call>,
template <class T, class Call>
void run_persistent(int cell, const Call& call, const Placement& place, const Workspace& work, Stream stream) {
  static constexpr void (*kLaunches[])(const Call&, const Placement&, const Workspace&,
                                       Stream) = {FASTRNN_FOR_EACH_CELL(FASTRNN_LAUNCH)};
  if (place.projecting >= 0) return run_projected<T>(call, place, work, stream);
  kLaunches[cell](call, place, work, stream);
}
#undef FASTRNN_LAUNCH

/// In a file of its own each, to compile side by side.
#define FASTRNN_PERSISTENT(T, Call)                                                                    \
  namespace fastrnn {                                                                                  \
  namespace FASTRNN_BACKEND {                                                                          \
  template void run_persistent<T, Call>(int, const Call&, const Placement&, const Workspace&, Stream); \
  }                                                                                                    \
  }

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
