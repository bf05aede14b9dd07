#pragma once
// The launches of the stepwise path, and the table of them for all cells.

#include "cuda/drive_normalized.h"
#include "cuda/drive_projected.h"
#include "cuda/stepwise.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

template <class Cell, class T>
void forward_stepwise(const Forward& call, const int64_t* offsets, Stream stream) {
  if constexpr (Cell::kNormalizesGates) {
    forward_normalized<Cell, T>(call, offsets, stream);
  } else {
    if constexpr (kProjects<Cell>) {
      if (call.direction[0].weight_hr) return forward_projected<Cell, T>(call, offsets, stream);
    }
    for (int64_t step = 0; step < call.rows.seq_len; ++step) {
      const int rows = rows_of_step(call.rows, offsets, call.directions, step);
      launch(forward_step<Cell, T, 0>, tile_launch<T, Cell::kPhaseGates[0]>(call.hidden, rows, call.directions), stream,
             call, step, rows);
      if constexpr (Cell::kPhases == 2)
        launch(forward_step<Cell, T, 1>, tile_launch<T, Cell::kPhaseGates[1]>(call.hidden, rows, call.directions),
               stream, call, step, rows);
    }
  }
}

template <class Cell, class T>
void backward_stepwise(const Backward& call, const int64_t* offsets, Stream stream) {
  if constexpr (Cell::kNormalizesGates) {
    backward_normalized<Cell, T>(call, offsets, stream);
  } else {
    if constexpr (kProjects<Cell>) {
      if (call.direction[0].weight_hr) return backward_projected<Cell, T>(call, offsets, stream);
    }
    const int64_t steps = call.rows.seq_len;
    for (int64_t step = 0; step <= steps; ++step) {  // numbered from the last one on
      const int now = rows_of_step(call.rows, offsets, call.directions, steps - 1 - step);
      const int rows = std::max(now, rows_of_step(call.rows, offsets, call.directions, steps - step));
      launch(backward_step<Cell, T>, tile_launch<T, kOperandStates<Cell>>(call.hidden, rows, call.directions), stream,
             call, step, rows);
      if constexpr (Cell::kPhases == 2) {
        if (step < steps)
          launch(backward_operand_step<Cell, T>,
                 tile_launch<T, kOperandStates<Cell>>(call.hidden, now, call.directions), stream, call, step, now);
      }
    }
  }
}

/// By cell.
template <class T, class Call>
struct Stepwise;
template <class T>
struct Stepwise<T, Forward> {
#define FASTRNN_LAUNCH(Cell) forward_stepwise<Cell, T>,
  static constexpr void (*kLaunches[])(const Forward&, const int64_t*,
                                       Stream) = {FASTRNN_FOR_EACH_CELL(FASTRNN_LAUNCH)};
#undef FASTRNN_LAUNCH
};
template <class T>
struct Stepwise<T, Backward> {
#define FASTRNN_LAUNCH(Cell) backward_stepwise<Cell, T>,
  static constexpr void (*kLaunches[])(const Backward&, const int64_t*,
                                       Stream) = {FASTRNN_FOR_EACH_CELL(FASTRNN_LAUNCH)};
#undef FASTRNN_LAUNCH
};

template <class T, class Call>
void run_stepwise(int cell, const Call& call, const int64_t* offsets, Stream stream) {
  Stepwise<T, Call>::kLaunches[cell](call, offsets, stream);
}

/// In the files that compile them.
#define FASTRNN_STEPWISE(T)                                                    \
  namespace fastrnn {                                                          \
  namespace FASTRNN_BACKEND {                                                  \
  template void run_stepwise<T>(int, const Forward&, const int64_t*, Stream);  \
  template void run_stepwise<T>(int, const Backward&, const int64_t*, Stream); \
  }                                                                            \
  }

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
