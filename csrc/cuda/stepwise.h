#pragma once
// The path for everything: a launch for each phase of each step, any size, any type of numbers. Launches follow one
// another on the stream, so nothing has to be exchanged within one; each makes a tile of the recurrent product and
// applies the cell to it.

#include "cuda/tile_product.h"
#include "cuda/unit.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// Which pairs of units and rows a block has. Blocks are numbered by units first, then rows, then directions.
template <class T>
struct TilePlace {
  int first_unit, first_row, direction;

  FASTRNN_DEVICE TilePlace(int hidden, int rows) {
    const int units = (hidden + Tile<T>::kUnits - 1) / Tile<T>::kUnits;
    const int tiles = (rows + Tile<T>::kRows - 1) / Tile<T>::kRows;
    first_unit = block_index() % units * Tile<T>::kUnits;
    first_row = block_index() / units % tiles * Tile<T>::kRows;
    direction = block_index() / (units * tiles);
  }
  static int blocks(int hidden, int rows, int directions) {
    return (hidden + Tile<T>::kUnits - 1) / Tile<T>::kUnits * ((rows + Tile<T>::kRows - 1) / Tile<T>::kRows) *
           directions;
  }
};

/// Where the first phase leaves its part of the reserve for the second: where x gates were, but for the halves, where
/// it would be rounded.
template <class Cell, class T>
struct LeftReserve {
  Compute<T>* p;
  int64_t stride;

  FASTRNN_DEVICE LeftReserve(const Forward& call, int d, int64_t row, int b, int u) {
    const int64_t H = call.hidden;
    if constexpr (kRounds<T>) {
      stride = call.rows.batch * H;
      p = static_cast<Compute<T>*>(call.direction[d].kept) + stride + b * H + u;
    } else {
      stride = H;
      p = static_cast<T*>(call.direction[d].gates) + row * CellView<Cell>::kSlots * H + u;
    }
  }
};

/// `rows`: the most that any direction has in this step.
template <class Cell, class T, int kPhase>
FASTRNN_KERNEL(Tile<T>::kThreads)
forward_step(Forward call, int64_t step, int rows) {
  using Phase = PhaseView<Cell, kPhase>;
  constexpr int kGates = Phase::kGates;
  const TilePlace<T> place(call.hidden, rows);
  const int d = place.direction, H = call.hidden;
  const ForwardDirection& own = call.direction[d];
  const int64_t t = call.rows.time_of(step, d);
  const int count = call.rows.count(t);
  const T* const weight_hh = static_cast<const T*>(own.weight_hh) + int64_t(Phase::kFirstGate) * H * H;
  const auto weight = [&](int gate, int unit, int k) {
    const int u = place.first_unit + unit;
    return u < H ? load_number(weight_hh + (int64_t(gate) * H + u) * H + k) : Value<T>(0);
  };
  const auto line = [&](int row) -> const T* {
    const int b = place.first_row + row;
    if (b >= count) return nullptr;
    return kPhase ? static_cast<const T*>(own.operand) + int64_t(b) * H : hidden_before<T>(call, t, b, d);
  };
  const auto column = [](int k) { return k; };
  Pack<Value<T>, kGates> sums;
  multiply_tile<T, kGates, true>(shared_memory(), H, weight, line, column, sums);

  const int b = place.first_row + thread_index() / Tile<T>::kUnits;
  const int u = place.first_unit + thread_index() % Tile<T>::kUnits;
  if (thread_index() >= Tile<T>::kPairs || b >= count || u >= H) return;
  const int64_t row = call.rows.row(t, b);
  Compute<T>* const cells = static_cast<Compute<T>*>(own.cells);
  Compute<T>* const hidden = static_cast<Compute<T>*>(own.kept);
  const auto prev = states_before<Cell, T>(call, cells, hidden, !call.saving, t, b, u, d);
  const auto gates = load_gates<Cell, T, kPhase>(call, d, row, u);
  const auto params = load_unit_params<Cell, T>(own.unit_params, u, H);
  const UnitBias<Cell, T, kPhase> bias(call, d, u);
  Pack<Value<T>, Cell::kReserve> reserve;
  const LeftReserve<Cell, T> left(call, d, row, b, u);
  if constexpr (kPhase > 0) reserve = load_values<Cell::kReserve>(left.p, left.stride);
  Pack<Value<T>, Cell::kStates> next;
  const Value<T> value = forward_unit<Cell, T, kPhase>(gates, bias, params, sums, prev, next, reserve);
  if constexpr (kPhase + 1 < Cell::kPhases) {
    store_number(static_cast<T*>(own.operand) + int64_t(b) * H + u, value);
#pragma unroll
    for (int k = 0; k < Cell::kReserve; ++k)
      if (Cell::kOperandReserve >> k & 1) left.p[k * left.stride] = reserve[k].v;
  } else {
    if (call.saving) store_reserve<Cell, T>(call, d, row, u, reserve);
    store_states<Cell, T>(call, d, t, b, u, cells + (call.saving ? row : b) * H + u, next);
    if constexpr (kKeepsHidden<Cell, T>) hidden[int64_t(b) * H + u] = value.v;
  }
}

/// The gradient of h before the step that backward had before, and with it that of the gates of this step, whose number
/// counts from the last one on. After all steps one more round leaves the gradients of the initial states.
template <class Cell, class T>
FASTRNN_KERNEL(Tile<T>::kThreads)
backward_step(Backward call, int64_t step, int rows) {
  using V = Value<T>;
  using View = CellView<Cell>;
  const TilePlace<T> place(call.hidden, rows);
  const int d = place.direction, H = call.hidden;
  const BackwardDirection& own = call.direction[d];
  const int64_t t = call.rows.time_of(call.rows.seq_len - 1 - step, d), before = d ? t - 1 : t + 1;
  const int count = call.rows.count(t), count_before = call.rows.count(before);
  const T* const weight_hh = static_cast<const T*>(own.weight_hh);
  const auto weight = [&](int, int unit, int k) {
    const int u = place.first_unit + unit;
    return u < H ? load_number(weight_hh + int64_t(k) * H + u) : V(0);
  };
  const auto line = [&](int row) -> const T* {
    const int b = place.first_row + row;
    if (b >= count_before || call.rows.resets_at(before, b)) return nullptr;
    return static_cast<const T*>(own.d_gates) + call.rows.row(before, b) * View::kGradients * H;
  };
  const auto column = [&](int k) { return View::First::hidden_column(k, H); };
  Pack<V, 1> sums;
  multiply_tile<T, 1, false>(shared_memory(), View::First::kGates * H, weight, line, column, sums);

  const int b = place.first_row + thread_index() / Tile<T>::kUnits;
  const int u = place.first_unit + thread_index() % Tile<T>::kUnits;
  if (thread_index() >= Tile<T>::kPairs || u >= H || (b >= count && b >= count_before)) return;
  Carry<Cell, T> carry;
  const int64_t at = (int64_t(d) * call.rows.batch + b) * H + u;
#pragma unroll
  for (int k = 0; k < Cell::kStates; ++k) {
    const T* const d_final = static_cast<const T*>(call.d_final[k]);
    if (b < count_before)
      carry[k] = load_number(static_cast<const Compute<T>*>(own.d_states[k]) + int64_t(b) * H + u);
    else
      carry[k] = d_final ? load_number(d_final + at) : V(0);
  }
  if (b < count_before) carry[0] = sums[0] + carry[0];
  if (b < count) {
    const auto unit = load_unit<Cell, T>(call, d, t, b, u);
    const auto params = load_unit_params<Cell, T>(own.unit_params, u, H);
    Pack<V, View::Last::kGates> d_a;
    Pack<V, View::First::kGates> d_first;
    Pack<V, Cell::kUnitParams> d_params;
    backward_unit<Cell, T>(call, d, t, b, u, unit, params, carry, d_a, d_first, d_params);
    if constexpr (Cell::kPhases == 2)
      store_values(d_first, static_cast<T*>(own.d_gates) + call.rows.row(t, b) * View::kGradients * H + u, int64_t(H));
    if constexpr (Cell::kUnitParams > 0) {
      Compute<T>* const d_units = static_cast<Compute<T>*>(own.d_unit_params) + int64_t(b) * Cell::kUnitParams * H + u;
#pragma unroll
      for (int k = 0; k < Cell::kUnitParams; ++k) d_units[int64_t(k) * H] += d_params[k].v;
    }
#pragma unroll
    for (int k = 0; k < Cell::kStates; ++k) static_cast<Compute<T>*>(own.d_states[k])[int64_t(b) * H + u] = carry[k].v;
  } else {
#pragma unroll
    for (int k = 0; k < Cell::kStates; ++k)
      if (call.d_initial[k]) store_number(static_cast<T*>(call.d_initial[k]) + at, carry[k]);
  }
}

/// The second launch of a step of backward, for cells of two phases: the gradient of the operand.
template <class Cell, class T>
FASTRNN_KERNEL(Tile<T>::kThreads)
backward_operand_step(Backward call, int64_t step, int rows) {
  using V = Value<T>;
  using View = CellView<Cell>;
  const TilePlace<T> place(call.hidden, rows);
  const int d = place.direction, H = call.hidden;
  const BackwardDirection& own = call.direction[d];
  const int64_t t = call.rows.time_of(call.rows.seq_len - 1 - step, d);
  const int count = call.rows.count(t);
  const T* const weight_hh = static_cast<const T*>(own.weight_hh) + int64_t(View::Last::kFirstGate) * H * H;
  const auto weight = [&](int, int unit, int k) {
    const int u = place.first_unit + unit;
    return u < H ? load_number(weight_hh + int64_t(k) * H + u) : V(0);
  };
  const auto line = [&](int row) -> const T* {
    const int b = place.first_row + row;
    if (b >= count) return nullptr;
    return static_cast<const T*>(own.d_gates) + call.rows.row(t, b) * View::kGradients * H;
  };
  const auto column = [&](int k) { return View::Last::hidden_column(k, H); };
  Pack<V, 1> sums;
  multiply_tile<T, 1, false>(shared_memory(), View::Last::kGates * H, weight, line, column, sums);

  const int b = place.first_row + thread_index() / Tile<T>::kUnits;
  const int u = place.first_unit + thread_index() % Tile<T>::kUnits;
  if (thread_index() >= Tile<T>::kPairs || b >= count || u >= H) return;
  Carry<Cell, T> carry;
#pragma unroll
  for (int k = 0; k < Cell::kStates; ++k)
    carry[k] = load_number(static_cast<const Compute<T>*>(own.d_states[k]) + int64_t(b) * H + u);
  const auto unit = load_unit<Cell, T>(call, d, t, b, u);
  const auto params = load_unit_params<Cell, T>(own.unit_params, u, H);
  auto d_first = load_values<View::First::kGates>(
      static_cast<const T*>(own.d_gates) + call.rows.row(t, b) * View::kGradients * H + u, int64_t(H));
  backward_operand_unit<Cell, T>(call, d, t, b, u, unit, params, sums[0], carry, d_first);
  static_cast<Compute<T>*>(own.d_states[0])[int64_t(b) * H + u] = carry[0].v;
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
