#pragma once
// The launches of cells whose pre-activations are normalized.

#include <algorithm>

#include "cuda/drive_steps.h"
#include "cuda/normalized_backward.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

constexpr int64_t kMostRowBlocks = 1 << 16;  // they go on with further rows

template <class T>
LaunchShape row_launch(int64_t rows, int directions) {
  LaunchShape shape;
  shape.blocks = int(std::min(rows * directions, kMostRowBlocks));
  shape.threads = kRowThreads;
  shape.shared_bytes = row_shared_bytes<Compute<T>>();
  return shape;
}

/// A block for each row of a step.
template <class T>
LaunchShape step_row_launch(int rows, int directions) {
  LaunchShape shape = row_launch<T>(1, 1);
  shape.blocks = rows * directions;
  return shape;
}

inline int64_t total_rows(const StepRows& rows, const int64_t* offsets) {
  return offsets ? offsets[rows.seq_len] : rows.seq_len * rows.batch;
}

template <class Cell, class T>
void forward_normalized(const Forward& call, const int64_t* offsets, Stream stream) {
  const int64_t all = total_rows(call.rows, offsets);
  launch(normalize_input<Cell, T>, row_launch<T>(all, call.directions), stream, call, all);
  for (int64_t step = 0; step < call.rows.seq_len; ++step) {
    const int rows = rows_of_step(call.rows, offsets, call.directions, step);
    launch(multiply_step<Cell, T>, tile_launch<T, Cell::kGates>(call.hidden, rows, call.directions), stream, call, step,
           rows);
    launch(forward_normalized_step<Cell, T>, step_row_launch<T>(rows, call.directions), stream, call, step, rows);
  }
}

template <class Cell, class T>
void backward_normalized(const Backward& call, const int64_t* offsets, Stream stream) {
  const int64_t steps = call.rows.seq_len, all = total_rows(call.rows, offsets);
  for (int64_t step = 0; step <= steps; ++step) {
    const int now = rows_of_step(call.rows, offsets, call.directions, steps - 1 - step);
    const int rows = std::max(now, rows_of_step(call.rows, offsets, call.directions, steps - step));
    launch(backward_multiply_step<Cell, T>, tile_launch<T, 1>(call.hidden, rows, call.directions), stream, call, step,
           rows);
    if (step < steps)
      launch(backward_normalized_step<Cell, T>, step_row_launch<T>(now, call.directions), stream, call, step, now);
  }
  LaunchShape columns;
  columns.blocks = (call.hidden + kColumnUnits - 1) / kColumnUnits * call.rows.batch * call.directions;
  columns.threads = kRowThreads;
  columns.shared_bytes = parameter_shared_bytes<Cell, T>();
  launch(gate_parameter_gradients<Cell, T>, columns, stream, call, all);
  launch(normalize_input_gradients<Cell, T>, row_launch<T>(all, call.directions), stream, call, all);
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
