#pragma once
// A cell's equations on one unit of one row, with what they read and leave behind: the same in every kernel, which
// only differ in how they come by the sums of the recurrent product.

#include "cuda/regularize.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// A unit's biases in one phase: what is added to the input's part of each gate, and to the recurrent part of those
/// gates that keep it apart.
template <class Cell, class T, int kPhase>
struct UnitBias {
  using Phase = PhaseView<Cell, kPhase>;
  Value<T> x[Phase::kGates], h[Phase::kSplits > 0 ? Phase::kSplits : 1];

  FASTRNN_DEVICE UnitBias(const Forward& call, int d, int u) {
    const T* const ih = static_cast<const T*>(call.direction[d].bias_ih);
    const T* const hh = static_cast<const T*>(call.direction[d].bias_hh);
    const int64_t H = call.hidden;
#pragma unroll
    for (int k = 0; k < Phase::kGates; ++k) {
      const int64_t at = (Phase::kFirstGate + k) * H + u;
      const bool joint = k < Phase::kJoint;
      x[k] = ih ? load_number(ih + at) : Value<T>(0);
      if (ih && joint) x[k] = x[k] + load_number(hh + at);
      if (!joint) h[k - Phase::kJoint] = hh ? load_number(hh + at) : Value<T>(0);
    }
  }
};

/// A unit's input part of all gates of a phase, without bias.
template <class Cell, class T, int kPhase>
FASTRNN_DEVICE Pack<Value<T>, Cell::kPhaseGates[kPhase]> load_gates(const Forward& call, int d, int64_t row, int u) {
  const int64_t H = call.hidden;
  const T* const gates = static_cast<const T*>(call.direction[d].gates) + row * CellView<Cell>::kSlots * H + u;
  return load_values<Cell::kPhaseGates[kPhase]>(gates + PhaseView<Cell, kPhase>::kFirstGate * H, H);
}

/// All gates of a unit, for a later step: on their way to the second-level cache.
template <class Cell, class T>
FASTRNN_DEVICE void prefetch_gates(const Forward& call, int d, int64_t row, int u) {
  const int64_t H = call.hidden;
  const T* const gates = static_cast<const T*>(call.direction[d].gates) + row * CellView<Cell>::kSlots * H + u;
#pragma unroll
  for (int k = 0; k < Cell::kGates; ++k) prefetch(gates + (CellView<Cell>::kInput + k) * H);
}

template <class Cell, class T>
FASTRNN_DEVICE Pack<Value<T>, Cell::kUnitParams> load_unit_params(const void* params, int u, int64_t hidden) {
  return load_values<Cell::kUnitParams>(static_cast<const T*>(params) + u, hidden);
}

/// From the recurrent sums of a phase to h', or to the operand of the second phase. The input's part is added last: a
/// chain of sums that starts from it would round each addition at its size.
template <class Cell, class T, int kPhase>
FASTRNN_DEVICE Value<T> forward_unit(const Pack<Value<T>, Cell::kPhaseGates[kPhase]>& gates,
                                     const UnitBias<Cell, T, kPhase>& bias,
                                     const Pack<Value<T>, Cell::kUnitParams>& params,
                                     const Pack<Value<T>, Cell::kPhaseGates[kPhase]>& sums,
                                     const Pack<Value<T>, Cell::kStates>& prev, Pack<Value<T>, Cell::kStates>& next,
                                     Pack<Value<T>, Cell::kReserve>& reserve) {
  using V = Value<T>;
  using Phase = PhaseView<Cell, kPhase>;
  Pack<V, Phase::kGates> a;
  Pack<V, Phase::kSplits> x;
#pragma unroll
  for (int k = 0; k < Phase::kGates; ++k) {
    const V part = gates[k] + bias.x[k];
    if (k < Phase::kJoint) {
      a[k] = part + sums[k];
    } else {
      a[k] = sums[k] + bias.h[k - Phase::kJoint];
      x[k - Phase::kJoint] = part;
    }
  }
  if constexpr (kPhase + 1 < Cell::kPhases) {
    return Cell::template forward_operand<V>(a, x, params, prev, reserve);
  } else {
    Cell::template forward<V>(a, x, params, prev, next, reserve);
    return next[0];
  }
}

/// Leaves the reserve where x gates were.
template <class Cell, class T>
FASTRNN_DEVICE void store_reserve(const Forward& call, int d, int64_t row, int u,
                                  const Pack<Value<T>, Cell::kReserve>& reserve) {
  const int64_t H = call.hidden;
  store_values(reserve, static_cast<T*>(call.direction[d].gates) + row * CellView<Cell>::kSlots * H + u, H);
}

/// Whether row b of time t is the last one of its sequence in a direction.
FASTRNN_DEVICE bool ends_after(const StepRows& rows, int64_t t, int b, int d) {
  return d ? t == 0 : b >= rows.count(t + 1);
}

/// Where h' and c' of row b go, and the final states with them. `cell` is where c' goes.
template <class Cell, class T>
FASTRNN_DEVICE void store_states(const Forward& call, int d, int64_t t, int b, int u, Compute<T>* cell,
                                 const Pack<Value<T>, Cell::kStates>& next) {
  store_number(static_cast<T*>(call.y.data) + call.y.offset(call.rows, t, b) + d * call.hidden + u, next[0]);
  if constexpr (Cell::kStates > 1) *cell = next[1].v;
  if (!ends_after(call.rows, t, b, d)) return;
  const int64_t at = (int64_t(d) * call.rows.batch + b) * call.hidden + u;
#pragma unroll
  for (int k = 0; k < Cell::kStates; ++k) store_number(static_cast<T*>(call.final_states[k]) + at, next[k]);
}

/// What of a unit's gradients goes from step to step beside the recurrent product.
template <class Cell, class T>
using Carry = Pack<Value<T>, Cell::kStates>;

/// What backward reads of a unit of a row.
template <class Cell, class T>
struct UnitBefore {
  Pack<Value<T>, Cell::kReserve> reserve;
  Pack<Value<T>, Cell::kStates> prev, next;
  Value<T> d_y;
};
template <class Cell, class T>
FASTRNN_DEVICE UnitBefore<Cell, T> load_unit(const Backward& call, int d, int64_t t, int b, int u) {
  using V = Value<T>;
  const BackwardDirection& own = call.direction[d];
  const int64_t H = call.hidden, row = call.rows.row(t, b);
  const Compute<T>* const cells = static_cast<const Compute<T>*>(own.cells);
  UnitBefore<Cell, T> unit;
  unit.reserve =
      load_values<Cell::kReserve>(static_cast<const T*>(own.gates) + row * CellView<Cell>::kSlots * H + u, H);
  unit.prev = states_before<Cell, T>(call, cells, nullptr, false, t, b, u, d);
  unit.next[0] = load_number(static_cast<const T*>(call.y.data) + call.y.offset(call.rows, t, b) + d * H + u);
  if constexpr (Cell::kStates > 1) unit.next[1] = V(cells[row * H + u]);
  if (call.regularizers.any_zoneout()) {
#pragma unroll
    for (int k = 0; k < Cell::kStates; ++k) unit.next[k] = V(static_cast<const Compute<T>*>(own.made[k])[row * H + u]);
  }
  const T* const d_y = static_cast<const T*>(call.d_y.data);
  unit.d_y = d_y ? load_number(d_y + call.d_y.offset(call.rows, t, b) + d * H + u) : V(0);
  return unit;
}

/// That of a later step: on its way to the second-level cache. The states before a row are those after another one.
template <class Cell, class T>
FASTRNN_DEVICE void prefetch_unit(const Backward& call, int d, int64_t t, int b, int u) {
  const BackwardDirection& own = call.direction[d];
  const int64_t H = call.hidden, row = call.rows.row(t, b);
  const T* const reserve = static_cast<const T*>(own.gates) + row * CellView<Cell>::kSlots * H + u;
#pragma unroll
  for (int k = 0; k < Cell::kReserve; ++k) prefetch(reserve + k * H);
  prefetch(static_cast<const T*>(call.y.data) + call.y.offset(call.rows, t, b) + d * H + u);
  if constexpr (Cell::kStates > 1) prefetch(static_cast<const Compute<T>*>(own.cells) + row * H + u);
  const T* const d_y = static_cast<const T*>(call.d_y.data);
  if (d_y) prefetch(d_y + call.d_y.offset(call.rows, t, b) + d * H + u);
}

/// What the weights of the first phase have met, for their gradients.
template <class Cell, class T>
FASTRNN_DEVICE void store_operand(const Backward& call, int d, int64_t row, int b, int u,
                                  const Pack<Value<T>, Cell::kStates>& prev) {
  const BackwardDirection& own = call.direction[d];
  const int64_t at = row * call.hidden + u;
  store_number(static_cast<T*>(own.operands[0]) + at, prev[0] * hidden_scale<T>(call, d, b, u));
  if constexpr (Cell::kOperandHasState) store_number(static_cast<T*>(own.state_operand) + at, prev[1]);
}

/// The gradients of the states before a row, as far as no product passes them on.
template <class Cell, class T>
FASTRNN_DEVICE Carry<Cell, T> carry_before(const Backward& call, int64_t t, int b,
                                           const Pack<Value<T>, Cell::kStates>& d_prev,
                                           const Pack<Value<T>, Cell::kStates>& d_kept) {
  Carry<Cell, T> carry{};
  if (call.rows.resets_at(t, b)) return carry;
#pragma unroll
  for (int k = 0; k < Cell::kStates; ++k) carry[k] = k > 0 || Cell::kHiddenCarry ? d_prev[k] + d_kept[k] : d_kept[k];
  return carry;
}

/// The gradients of a phase's gates, into their columns of d_gates.
template <class Cell, class T, int kPhase>
FASTRNN_DEVICE void store_gradients(const Backward& call, int d, int64_t row, int u,
                                    const Pack<Value<T>, Cell::kPhaseGates[kPhase]>& d_a,
                                    const Pack<Value<T>, Cell::kPhaseSplit[kPhase]>& d_x) {
  using Phase = PhaseView<Cell, kPhase>;
  const int64_t H = call.hidden;
  T* const to = static_cast<T*>(call.direction[d].d_gates) + row * CellView<Cell>::kGradients * H + u;
#pragma unroll
  for (int k = 0; k < Phase::kGates; ++k) {
    const bool joint = k < Phase::kJoint;
    store_number(to + (Phase::kFirstGate + k) * H, joint ? d_a[k] : d_x[k - Phase::kJoint]);
    if (!joint) store_number(to + Phase::hidden_column(k * H, H), d_a[k]);
  }
}

/// From the gradient of h' (but d_y) and of c' to those of the last phase's gates, d_a of their recurrent parts; with
/// two phases d_first is what is known of the first one's by now. `carry` comes with the gradient of the states after
/// the row and leaves with those before it, as far as they do not go through the product.
template <class Cell, class T>
FASTRNN_DEVICE void backward_unit(const Backward& call, int d, int64_t t, int b, int u, const UnitBefore<Cell, T>& unit,
                                  const Pack<Value<T>, Cell::kUnitParams>& params, Carry<Cell, T>& carry,
                                  Pack<Value<T>, CellView<Cell>::Last::kGates>& d_a,
                                  Pack<Value<T>, Cell::kPhaseGates[0]>& d_first,
                                  Pack<Value<T>, Cell::kUnitParams>& d_params) {
  using V = Value<T>;
  using View = CellView<Cell>;
  const BackwardDirection& own = call.direction[d];
  const int64_t H = call.hidden, row = call.rows.row(t, b);
  Pack<V, Cell::kStates> d_next = carry, d_prev{};
  if (call.d_y.data) d_next[0] = d_next[0] + unit.d_y;
  const auto d_kept = take_kept<Cell, T>(call, d, t, b, u, d_next);
  Pack<V, View::Last::kSplits> d_x;
  if constexpr (Cell::kPhases == 2) {
    Cell::template backward<V>(unit.reserve, params, unit.prev, unit.next, d_next, d_prev, d_a, d_first, d_x, d_params);
    const V operand = Cell::template operand<V>(unit.reserve, unit.prev);
    store_number(static_cast<T*>(own.operands[1]) + row * H + u, made_operand<Cell, T>(call, d, b, u, operand));
  } else {
    Cell::template backward<V>(unit.reserve, params, unit.prev, unit.next, d_next, d_prev, d_a, d_x, d_params);
  }
  store_gradients<Cell, T, View::kLast>(call, d, row, u, d_a, d_x);
  store_operand<Cell, T>(call, d, row, b, u, unit.prev);
  carry = carry_before<Cell, T>(call, t, b, d_prev, d_kept);
  if constexpr (Cell::kOperandHasState) {  // the first phase goes on from here
    carry[1] = d_prev[1];
    if (call.regularizers.any_zoneout()) static_cast<Compute<T>*>(own.kept_state)[int64_t(b) * H + u] = d_kept[1].v;
  }
}

/// With two phases, from the gradient of the operand to those of the first phase's gates; h's carry changes.
template <class Cell, class T>
FASTRNN_DEVICE void backward_operand_unit(const Backward& call, int d, int64_t t, int b, int u,
                                          const UnitBefore<Cell, T>& unit,
                                          const Pack<Value<T>, Cell::kUnitParams>& params, Value<T> d_operand,
                                          Carry<Cell, T>& carry, Pack<Value<T>, Cell::kPhaseGates[0]>& d_first) {
  using V = Value<T>;
  Pack<V, Cell::kPhaseSplit[0]> d_x;
  Pack<V, Cell::kUnitParams> d_params;
  Pack<V, Cell::kStates> d_prev = carry;
  Cell::template backward_operand<V>(unit.reserve, params, unit.prev, made_operand<Cell, T>(call, d, b, u, d_operand),
                                     d_prev, d_first, d_x, d_params);
  store_gradients<Cell, T, 0>(call, d, call.rows.row(t, b), u, d_first, d_x);
  if (Cell::kHiddenCarry && !call.rows.resets_at(t, b)) carry[0] = d_prev[0];
  if constexpr (Cell::kOperandHasState) carry[1] = d_prev[1];
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
