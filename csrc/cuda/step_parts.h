#pragma once
// What kernels of one step have in common: the products, and the gradients that go from step to step.

#include "cuda/regularize.h"
#include "cuda/tile_product.h"
#include "cuda/unit.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// Which pairs of units (or features of a projected h) and rows a block has, and which a thread. Blocks are numbered by
/// units first, then rows, then directions.
template <class T>
struct TilePlace {
  int first_unit, first_row, direction, unit, row;

  FASTRNN_DEVICE TilePlace(int hidden, int rows) {
    const int units = (hidden + Tile<T>::kUnits - 1) / Tile<T>::kUnits;
    const int tiles = (rows + Tile<T>::kRows - 1) / Tile<T>::kRows;
    first_unit = block_index() % units * Tile<T>::kUnits;
    first_row = block_index() / units % tiles * Tile<T>::kRows;
    direction = block_index() / (units * tiles);
    unit = first_unit + thread_index() % Tile<T>::kUnits;
    row = first_row + thread_index() / Tile<T>::kUnits;
  }
  /// Whether the thread has a pair, of `rows` rows.
  FASTRNN_DEVICE bool owns(int hidden, int rows) const {
    return thread_index() < Tile<T>::kPairs && unit < hidden && row < rows;
  }
  static int blocks(int hidden, int rows, int directions) {
    return (hidden + Tile<T>::kUnits - 1) / Tile<T>::kUnits * ((rows + Tile<T>::kRows - 1) / Tile<T>::kRows) *
           directions;
  }
};

/// States that a product's operand has side by side: h, or h and another.
template <class Cell>
constexpr int kOperandStates = Cell::kOperandHasState ? 2 : 1;

/// A row of what the recurrent weights of a step meet. Null: zeros.
template <class Cell, class T>
struct OperandLine {
  const T* first = nullptr;             // h, or what the first phase has made
  const Compute<T>* scale = nullptr;    // what multiplies it; null: nothing
  const T* stored = nullptr;            // the further state, as it was given or made
  const Compute<T>* running = nullptr;  // or as steps hand it on
  int hidden = 0;

  FASTRNN_DEVICE Value<T> at(int k) const {
    if constexpr (Cell::kOperandHasState) {
      if (k >= hidden) {
        k -= hidden;
        return running ? Value<T>(running[k]) : stored ? load_number(stored + k) : Value<T>(0);
      }
    }
    if (!first) return Value<T>(0);
    const Value<T> value = load_number(first + k);
    return scale ? value * Value<T>(scale[k]) : value;
  }
};

template <class Cell, class T, int kPhase>
FASTRNN_DEVICE OperandLine<Cell, T> operand_line(const Forward& call, int d, int64_t t, int b) {
  const ForwardDirection& own = call.direction[d];
  const int64_t H = call.width, at = (int64_t(d) * call.rows.batch + b) * H;
  OperandLine<Cell, T> line;
  line.hidden = call.width;
  const T* const made = static_cast<const T*>(own.operand) + b * H;
  if (kPhase == 0 || Cell::kOperandHasState) {
    line.first = hidden_before<T>(call, t, b, d);
    const Compute<T>* const scale = static_cast<const Compute<T>*>(call.regularizers.hidden_scale);
    if (scale) line.scale = scale + at;
  } else {
    line.first = made;
  }
  if constexpr (Cell::kOperandHasState) {
    const Before from = before(call.rows, t, b, d);
    if (kPhase > 0)
      line.stored = made;
    else if (from.kind == Before::kRow)
      line.running = static_cast<const Compute<T>*>(own.cells) + (call.saving ? call.rows.row(from.time, b) : b) * H;
    else if (from.kind == Before::kInitial && call.initial[1])
      line.stored = static_cast<const T*>(call.initial[1]) + at;
  }
  return line;
}

/// The recurrent product of a phase.
template <class Cell, class T, int kPhase>
FASTRNN_DEVICE void multiply_operand(const Forward& call, const TilePlace<T>& place, int64_t t,
                                     Pack<Value<T>, Cell::kPhaseGates[kPhase]>& sums) {
  constexpr int kGates = PhaseView<Cell, kPhase>::kGates, kFirstGate = PhaseView<Cell, kPhase>::kFirstGate;
  const int d = place.direction, H = call.hidden, depth = kOperandStates<Cell> * call.width;
  const int count = call.rows.count(t);
  const T* const weight_hh = static_cast<const T*>(call.direction[d].weight_hh) + int64_t(kFirstGate) * H * depth;
  const auto weight = [&](int gate, int unit, int k) {
    const int u = place.first_unit + unit;
    return u < H ? load_number(weight_hh + (int64_t(gate) * H + u) * depth + k) : Value<T>(0);
  };
  const auto line = [&](int row) {
    const int b = place.first_row + row;
    return b < count ? operand_line<Cell, T, kPhase>(call, d, t, b) : OperandLine<Cell, T>{};
  };
  multiply_tile<T, kGates, true>(shared_memory(), depth, weight, line, sums);
}

/// A step of backward, which are numbered from the last one on, and the one that it had before, later in time.
struct BackwardStep {
  int64_t t, later;
  int count, count_later;

  FASTRNN_DEVICE BackwardStep(const StepRows& rows, int64_t step, int d)
      : t(rows.time_of(rows.seq_len - 1 - step, d)),
        later(d ? t - 1 : t + 1),
        count(rows.count(t)),
        count_later(rows.count(later)) {}
};

/// A row of gradients of a phase's gates, of their recurrent parts. Null: zeros.
template <class Cell, class T, int kPhase>
struct GradientLine {
  const T* row;
  int hidden;

  FASTRNN_DEVICE GradientLine(const Backward& call, int d, int64_t t, int b, bool there)
      : row(there ? static_cast<const T*>(call.direction[d].d_gates) +
                        call.rows.row(t, b) * CellView<Cell>::kGradients * call.hidden
                  : nullptr),
        hidden(call.hidden) {}
  FASTRNN_DEVICE Value<T> at(int k) const {
    return row ? load_number(row + PhaseView<Cell, kPhase>::hidden_column(k, hidden)) : Value<T>(0);
  }
};

/// The gradient of a phase's operand, from those of its gates in the first `count` rows of time t; `passes`: whether
/// something of row b gets there.
template <class Cell, class T, int kPhase, class Passes>
FASTRNN_DEVICE void multiply_gradients(const Backward& call, const TilePlace<T>& place, int64_t t, int count,
                                       const Passes& passes, Pack<Value<T>, kOperandStates<Cell>>& sums) {
  constexpr int kStates = kOperandStates<Cell>, kFirstGate = PhaseView<Cell, kPhase>::kFirstGate;
  const int d = place.direction, H = call.hidden, width = call.width;
  const T* const weight_hh =
      static_cast<const T*>(call.direction[d].weight_hh) + int64_t(kFirstGate) * H * (kStates * width);
  const auto weight = [&](int state, int unit, int k) {
    const int u = place.first_unit + unit;
    return u < width ? load_number(weight_hh + (int64_t(k) * kStates + state) * width + u) : Value<T>(0);
  };
  const auto line = [&](int row) {
    const int b = place.first_row + row;
    return GradientLine<Cell, T, kPhase>(call, d, t, b, b < count && passes(b));
  };
  multiply_tile<T, kStates, false>(shared_memory(), PhaseView<Cell, kPhase>::kGates * H, weight, line, sums);
}

/// Of the gradient of a state's unit after row b of the step: what goes past the later step's product, or that of the
/// final state.
template <class T>
FASTRNN_DEVICE Value<T> passed_gradient(const Backward& call, const BackwardStep& step, int state, int d, int b, int u,
                                        int64_t features) {
  if (b < step.count_later)
    return Value<T>(static_cast<const Compute<T>*>(call.direction[d].d_states[state])[b * features + u]);
  const T* const d_final = static_cast<const T*>(call.d_final[state]);
  return d_final ? load_number(d_final + (int64_t(d) * call.rows.batch + b) * features + u) : Value<T>(0);
}

/// The gradients of the states after row b of the step but for d_y, or of the initial states: what the later step's
/// product passes on and what goes past it, or those of the final states.
template <class Cell, class T>
FASTRNN_DEVICE Carry<Cell, T> later_gradients(const Backward& call, const BackwardStep& step, int d, int b, int u,
                                              const Pack<Value<T>, kOperandStates<Cell>>& sums) {
  Carry<Cell, T> carry;
#pragma unroll
  for (int k = 0; k < Cell::kStates; ++k) carry[k] = passed_gradient<T>(call, step, k, d, b, u, call.hidden);
  if (b < step.count_later) {
    const Value<T> through = sums[0] * hidden_scale<T>(call, d, b, u);
    carry[0] = through + carry[0];
    if constexpr (Cell::kOperandHasState) carry[1] = sums[1] + carry[1];
  }
  return carry;
}

template <class Cell, class T>
FASTRNN_DEVICE void store_carry(const Backward& call, int d, int b, int u, const Carry<Cell, T>& carry) {
#pragma unroll
  for (int k = 0; k < Cell::kStates; ++k)
    static_cast<Compute<T>*>(call.direction[d].d_states[k])[int64_t(b) * call.hidden + u] = carry[k].v;
}

template <class Cell, class T>
FASTRNN_DEVICE void store_initial_gradients(const Backward& call, int d, int b, int u, const Carry<Cell, T>& carry) {
  const int64_t at = (int64_t(d) * call.rows.batch + b) * call.hidden + u;
#pragma unroll
  for (int k = 0; k < Cell::kStates; ++k)
    if (call.d_initial[k]) store_number(static_cast<T*>(call.d_initial[k]) + at, carry[k]);
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
