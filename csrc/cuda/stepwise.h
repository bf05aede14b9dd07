#pragma once
// The path for everything: a launch for each phase of each step, any size, any type of numbers. Launches follow one
// another on the stream, so nothing has to be exchanged within one; each makes a tile of the recurrent product and
// applies the cell to it.

#include "cuda/step_parts.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

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
  using V = Value<T>;
  const TilePlace<T> place(call.hidden, rows);
  const int d = place.direction, H = call.hidden, b = place.row, u = place.unit;
  const ForwardDirection& own = call.direction[d];
  const int64_t t = call.rows.time_of(step, d);
  Pack<V, Cell::kPhaseGates[kPhase]> sums;
  multiply_operand<Cell, T, kPhase>(call, place, t, sums);

  if (!place.owns(H, call.rows.count(t))) return;
  const int64_t row = call.rows.row(t, b);
  Compute<T>* const cells = static_cast<Compute<T>*>(own.cells);
  const auto prev =
      states_before<Cell, T>(call, cells, static_cast<const Compute<T>*>(own.kept), !call.saving, t, b, u, d);
  const auto gates = load_gates<Cell, T, kPhase>(call, d, row, u);
  const auto params = load_unit_params<Cell, T>(own.unit_params, u, H);
  const UnitBias<Cell, T, kPhase> bias(call, d, u);
  Pack<V, Cell::kReserve> reserve;
  const LeftReserve<Cell, T> left(call, d, row, b, u);
  if constexpr (kPhase > 0) reserve = load_values<Cell::kReserve>(left.p, left.stride);
  Pack<V, Cell::kStates> next;
  const V value = forward_unit<Cell, T, kPhase>(gates, bias, params, sums, prev, next, reserve);
  if constexpr (kPhase + 1 < Cell::kPhases) {
    store_number(static_cast<T*>(own.operand) + int64_t(b) * H + u, made_operand<Cell, T>(call, d, b, u, value));
#pragma unroll
    for (int k = 0; k < Cell::kReserve; ++k)
      if (Cell::kOperandReserve >> k & 1) left.p[k * left.stride] = reserve[k].v;
  } else {
    if (call.saving) store_reserve<Cell, T>(call, d, row, u, reserve);
    zone_out<Cell, T>(call, d, t, b, u, prev, next);
    keep_hidden<Cell, T>(call, d, b, u, next[0]);
    store_states<Cell, T>(call, d, t, b, u, cells + (call.saving ? row : b) * H + u, next);
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
  const int d = place.direction, H = call.hidden, b = place.row, u = place.unit;
  const BackwardDirection& own = call.direction[d];
  const BackwardStep now(call.rows, step, d);
  Pack<V, kOperandStates<Cell>> sums;
  multiply_gradients<Cell, T, 0>(
      call, place, now.later, now.count_later, [&](int row) { return !call.rows.resets_at(now.later, row); }, sums);

  if (!place.owns(H, now.count > now.count_later ? now.count : now.count_later)) return;
  Carry<Cell, T> carry = later_gradients<Cell, T>(call, now, d, b, u, sums);
  if (b >= now.count) return store_initial_gradients<Cell, T>(call, d, b, u, carry);
  const auto unit = load_unit<Cell, T>(call, d, now.t, b, u);
  const auto params = load_unit_params<Cell, T>(own.unit_params, u, H);
  Pack<V, View::Last::kGates> d_a;
  Pack<V, View::First::kGates> d_first;
  Pack<V, Cell::kUnitParams> d_params;
  backward_unit<Cell, T>(call, d, now.t, b, u, unit, params, carry, d_a, d_first, d_params);
  if constexpr (Cell::kPhases == 2)
    store_values(d_first, static_cast<T*>(own.d_gates) + call.rows.row(now.t, b) * View::kGradients * H + u,
                 int64_t(H));
  if constexpr (Cell::kUnitParams > 0) {
    Compute<T>* const d_units = static_cast<Compute<T>*>(own.d_unit_params) + int64_t(b) * Cell::kUnitParams * H + u;
#pragma unroll
    for (int k = 0; k < Cell::kUnitParams; ++k) d_units[int64_t(k) * H] += d_params[k].v;
  }
  store_carry<Cell, T>(call, d, b, u, carry);
}

/// The second launch of a step of backward, for cells of two phases: the gradient of the operand.
template <class Cell, class T>
FASTRNN_KERNEL(Tile<T>::kThreads)
backward_operand_step(Backward call, int64_t step, int rows) {
  using V = Value<T>;
  using View = CellView<Cell>;
  const TilePlace<T> place(call.hidden, rows);
  const int d = place.direction, H = call.hidden, b = place.row, u = place.unit;
  const BackwardDirection& own = call.direction[d];
  const BackwardStep now(call.rows, step, d);
  Pack<V, kOperandStates<Cell>> sums;
  multiply_gradients<Cell, T, View::kLast>(call, place, now.t, now.count, [](int) { return true; }, sums);

  if (!place.owns(H, now.count)) return;
  Carry<Cell, T> carry;
#pragma unroll
  for (int k = 0; k < Cell::kStates; ++k)
    carry[k] = V(static_cast<const Compute<T>*>(own.d_states[k])[int64_t(b) * H + u]);
  const auto unit = load_unit<Cell, T>(call, d, now.t, b, u);
  const auto params = load_unit_params<Cell, T>(own.unit_params, u, H);
  auto d_first = load_values<View::First::kGates>(
      static_cast<const T*>(own.d_gates) + call.rows.row(now.t, b) * View::kGradients * H + u, int64_t(H));
  if constexpr (Cell::kOperandHasState) {
    // h has entered this product, too; of c's gradient, backward_unit has kept apart what zoneout hands on.
    if (!call.rows.resets_at(now.t, b)) carry[0] = carry[0] + sums[0] * hidden_scale<T>(call, d, b, u);
    backward_operand_unit<Cell, T>(call, d, now.t, b, u, unit, params, sums[1], carry, d_first);
    if (call.rows.resets_at(now.t, b))
      carry[1] = V(0);
    else if (call.regularizers.any_zoneout())
      carry[1] = carry[1] + V(static_cast<const Compute<T>*>(own.kept_state)[int64_t(b) * H + u]);
  } else {
    backward_operand_unit<Cell, T>(call, d, now.t, b, u, unit, params, sums[0], carry, d_first);
  }
  store_carry<Cell, T>(call, d, b, u, carry);
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
