#pragma once
// The launches of cells with a projection.

#include <algorithm>

#include "cuda/drive_steps.h"
#include "cuda/projected.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

template <class Cell, class T>
void forward_projected(const Forward& call, const int64_t* offsets, Stream stream) {
  for (int64_t step = 0; step < call.rows.seq_len; ++step) {
    const int rows = rows_of_step(call.rows, offsets, call.directions, step);
    launch(forward_unprojected_step<Cell, T>, tile_launch<T, Cell::kGates>(call.hidden, rows, call.directions), stream,
           call, step, rows);
    launch(forward_project_step<Cell, T>, tile_launch<T, 1>(call.width, rows, call.directions), stream, call, step,
           rows);
  }
}

template <class Cell, class T>
void backward_projected(const Backward& call, const int64_t* offsets, Stream stream) {
  const int64_t steps = call.rows.seq_len;
  for (int64_t step = 0; step <= steps; ++step) {  // the last one for the gradients of initial states
    const int rows = std::max(rows_of_step(call.rows, offsets, call.directions, steps - 1 - step),
                              rows_of_step(call.rows, offsets, call.directions, steps - step));
    launch(backward_projected_step<Cell, T>, tile_launch<T, 1>(call.width, rows, call.directions), stream, call, step,
           rows);
    launch(backward_unprojected_step<Cell, T>, tile_launch<T, 1>(call.hidden, rows, call.directions), stream, call,
           step, rows);
  }
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
