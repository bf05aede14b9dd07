#pragma once
// The launches of the stepwise path, and the table of them for all cells.

#include <algorithm>

#include "cuda/drive.h"
#include "cuda/stepwise.h"

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

template <class Cell, class T>
void forward_stepwise(const Forward& call, const int64_t* offsets, Stream stream) {
  if constexpr (refusal_of<Cell>() == nullptr) {
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
  if constexpr (refusal_of<Cell>() == nullptr) {
    const int64_t steps = call.rows.seq_len;
    for (int64_t step = 0; step <= steps; ++step) {  // numbered from the last one on
      const int now = rows_of_step(call.rows, offsets, call.directions, steps - 1 - step);
      const int rows = std::max(now, rows_of_step(call.rows, offsets, call.directions, steps - step));
      launch(backward_step<Cell, T>, tile_launch<T, 1>(call.hidden, rows, call.directions), stream, call, step, rows);
      if constexpr (Cell::kPhases == 2) {
        if (step < steps)
          launch(backward_operand_step<Cell, T>, tile_launch<T, 1>(call.hidden, now, call.directions), stream, call,
                 step, now);
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
