#pragma once
// The launches of the persistent kernels with a projection, in files of their own to compile beside the others.

#include "cuda/drive_persistent.h"
#include "cuda/persistent_projected.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

template <class Cell, class Weights>
constexpr auto projected_kernel(const Forward&) {
  return forward_projected_persistent<Cell, Weights>;
}
template <class Cell, class Weights>
constexpr auto projected_kernel(const Backward&) {
  return backward_projected_persistent<Cell, Weights>;
}

template <class T, class Call>
void run_projected(const Call& call, const Placement& place, const Workspace& work, Stream stream) {
  using Cell = LstmCell;
  static_assert(kProjects<Cell>);
  const LaunchShape shape = persistent_launch(place, call.directions);
  if constexpr (!kRounds<T>) {  // the halves have tensor cores only
    if (place.product == Product::kFfma)
      return launch(projected_kernel<Cell, SharedWeights<T>>(call), shape, stream, call, place, work);
  }
  launch(projected_kernel<Cell, TensorWeights<T, false>>(call), shape, stream, call, place, work);
}

#define FASTRNN_PROJECTED(T)                                                                   \
  namespace fastrnn {                                                                          \
  namespace FASTRNN_BACKEND {                                                                  \
  template void run_projected<T>(const Forward&, const Placement&, const Workspace&, Stream);  \
  template void run_projected<T>(const Backward&, const Placement&, const Workspace&, Stream); \
  }                                                                                            \
  }

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
