#pragma once
// What all launches of a step have in common.

#include <algorithm>

#include "cuda/drive.h"
#include "cuda/step_parts.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// Rows of a step in the direction that has more.
inline int rows_of_step(const StepRows& rows, const int64_t* offsets, int directions, int64_t step) {
  if (!offsets) return rows.batch;
  int most = 0;
  for (int d = 0; d < directions; ++d) {
    const int64_t t = rows.time_of(step, d);
    if (t >= 0 && t < rows.seq_len) most = std::max(most, int(offsets[t + 1] - offsets[t]));
  }
  return most;
}

template <class T, int kOutputs>
LaunchShape tile_launch(int hidden, int rows, int directions) {
  LaunchShape shape;
  shape.blocks = TilePlace<T>::blocks(hidden, rows, directions);
  shape.threads = Tile<T>::kThreads;
  shape.shared_bytes = Tile<T>::template shared_bytes<kOutputs>();
  return shape;
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
