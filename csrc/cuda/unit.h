#pragma once
// A cell's equations on one unit of one row, with what they read and leave behind: the same in every kernel, which
// only differ in how they come by the sums of the recurrent product.

#include "cuda/cell_view.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// A unit's biases in one phase: what is added to the input's part of each gate, and to the recurrent part of those
/// gates that keep it apart.
template <class Cell, class T, int kPhase>
struct UnitBias {
  using Phase = PhaseView<Cell, kPhase>;
  T x[Phase::kGates], h[Phase::kSplits > 0 ? Phase::kSplits : 1];

  FASTRNN_DEVICE UnitBias(const Forward& call, int d, int u) {
    const T* const ih = static_cast<const T*>(call.direction[d].bias_ih);
    const T* const hh = static_cast<const T*>(call.direction[d].bias_hh);
    const int64_t H = call.hidden;
#pragma unroll
    for (int k = 0; k < Phase::kGates; ++k) {
      const int64_t at = (Phase::kFirstGate + k) * H + u;
      const bool joint = k < Phase::kJoint;
      x[k] = ih ? (joint ? ih[at] + hh[at] : ih[at]) : T(0);
      if (!joint) h[k - Phase::kJoint] = hh ? hh[at] : T(0);
    }
  }
};

/// From the recurrent sums of a phase to h', or to the operand of the second phase. The input's part is added last: a
/// chain of sums that starts from it would round each addition at its size.
template <class Cell, class T, int kPhase>
FASTRNN_DEVICE ScalarValue<T> forward_unit(const Forward& call, int d, int64_t row, int u,
                                           const UnitBias<Cell, T, kPhase>& bias,
                                           const Pack<ScalarValue<T>, Cell::kPhaseGates[kPhase]>& sums,
                                           const Pack<ScalarValue<T>, Cell::kStates>& prev,
                                           Pack<ScalarValue<T>, Cell::kStates>& next) {
  using V = ScalarValue<T>;
  using Phase = PhaseView<Cell, kPhase>;
  constexpr int kGates = Phase::kGates, kSplits = Phase::kSplits, kJoint = Phase::kJoint;
  const int64_t H = call.hidden;
  T* const gates = static_cast<T*>(call.direction[d].gates) + row * CellView<Cell>::kSlots * H + u;
  Pack<V, kGates> a;
  Pack<V, kSplits> x;
#pragma unroll
  for (int k = 0; k < kGates; ++k) {
    const V part = V(gates[(Phase::kFirstGate + k) * H]) + V(bias.x[k]);
    if (k < kJoint) {
      a[k] = part + sums[k];
    } else {
      a[k] = sums[k] + V(bias.h[k - kJoint]);
      x[k - kJoint] = part;
    }
  }
  const auto params = load_values<Cell::kUnitParams>(static_cast<const T*>(call.direction[d].unit_params) + u, H);
  Pack<V, Cell::kReserve> reserve;
  if constexpr (Cell::kPhases == 2) reserve = load_values<Cell::kReserve>(gates, H);
  if constexpr (kPhase + 1 < Cell::kPhases) {
    const V operand = Cell::template forward_operand<V>(a, x, params, prev, reserve);
#pragma unroll
    for (int k = 0; k < Cell::kReserve; ++k)
      if (Cell::kOperandReserve >> k & 1) gates[k * H] = reserve[k].v;
    return operand;
  } else {
    Cell::template forward<V>(a, x, params, prev, next, reserve);
    if (call.saving) store_values(reserve, gates, H);
    return next[0];
  }
}

/// Where h' and c' of row b go, and the final states with them. `cells` is where c' goes.
template <class Cell, class T>
FASTRNN_DEVICE void store_states(const Forward& call, int d, int64_t t, int b, int u, T* cell,
                                 const Pack<ScalarValue<T>, Cell::kStates>& next) {
  static_cast<T*>(call.y.data)[call.y.offset(call.rows, t, b) + d * call.hidden + u] = next[0].v;
  if constexpr (Cell::kStates > 1) *cell = next[1].v;
  const bool last = d ? t == 0 : b >= call.rows.count(t + 1);
  if (!last) return;
  const int64_t at = (int64_t(d) * call.rows.batch + b) * call.hidden + u;
#pragma unroll
  for (int k = 0; k < Cell::kStates; ++k) static_cast<T*>(call.final_states[k])[at] = next[k].v;
}

/// What of a unit's gradients goes from step to step beside the recurrent product.
template <class Cell, class T>
using Carry = Pack<ScalarValue<T>, Cell::kStates>;

/// From the gradient of h' (but d_y) and of c' to those of the last phase's gates. `carry` comes with the gradient of
/// the states after the row and leaves with those before it, as far as they do not go through the product.
template <class Cell, class T>
FASTRNN_DEVICE void backward_unit(const Backward& call, int d, int64_t t, int b, int u, Carry<Cell, T>& carry) {
  using V = ScalarValue<T>;
  using View = CellView<Cell>;
  using Phase = typename View::Last;
  constexpr int kGates = Phase::kGates, kSplits = Phase::kSplits;
  const BackwardDirection& own = call.direction[d];
  const int64_t H = call.hidden, row = call.rows.row(t, b);
  const T* const cells = static_cast<const T*>(own.cells);
  const auto reserve = load_values<Cell::kReserve>(static_cast<const T*>(own.gates) + row * View::kSlots * H + u, H);
  const auto params = load_values<Cell::kUnitParams>(static_cast<const T*>(own.unit_params) + u, H);
  const auto prev = states_before<Cell, T>(call, cells, false, t, b, u, d);
  Pack<V, Cell::kStates> next, d_next = carry, d_prev{};
  next[0] = V(static_cast<const T*>(call.y.data)[call.y.offset(call.rows, t, b) + d * H + u]);
  if constexpr (Cell::kStates > 1) next[1] = V(cells[row * H + u]);
  if (call.d_y.data)
    d_next[0] = d_next[0] + V(static_cast<const T*>(call.d_y.data)[call.d_y.offset(call.rows, t, b) + d * H + u]);
  Pack<V, kGates> d_a;
  Pack<V, kSplits> d_x;
  Pack<V, Cell::kUnitParams> d_params;
  T* const d_gates = static_cast<T*>(own.d_gates) + row * View::kGradients * H + u;
  if constexpr (Cell::kPhases == 2) {
    Pack<V, View::First::kGates> d_first;
    Cell::template backward<V>(reserve, params, prev, next, d_next, d_prev, d_a, d_first, d_x, d_params);
    store_values(d_first, d_gates, H);
    static_cast<T*>(own.operands[1])[row * H + u] = Cell::template operand<V>(reserve, prev).v;
  } else {
    Cell::template backward<V>(reserve, params, prev, next, d_next, d_prev, d_a, d_x, d_params);
  }
#pragma unroll
  for (int k = 0; k < kGates; ++k) {
    const bool joint = k < Phase::kJoint;
    d_gates[(Phase::kFirstGate + k) * H] = joint ? d_a[k].v : d_x[k - Phase::kJoint].v;
    if (!joint) d_gates[Phase::hidden_column(k * H, H)] = d_a[k].v;
  }
  static_cast<T*>(own.operands[0])[row * H + u] = prev[0].v;
  if constexpr (Cell::kUnitParams > 0) {
    T* const sums = static_cast<T*>(own.d_unit_params) + int64_t(b) * Cell::kUnitParams * H + u;
#pragma unroll
    for (int k = 0; k < Cell::kUnitParams; ++k) sums[k * H] += d_params[k].v;
  }
  const bool reset = call.rows.resets_at(t, b);
#pragma unroll
  for (int k = 0; k < Cell::kStates; ++k) {
    const bool goes_on = !reset && (k > 0 || Cell::kHiddenCarry);
    carry[k] = goes_on ? d_prev[k] : V(T(0));
  }
}

/// With two phases, from the gradient of the operand to those of the first phase's gates; h's carry changes.
template <class Cell, class T>
FASTRNN_DEVICE void backward_operand_unit(const Backward& call, int d, int64_t t, int b, int u,
                                          ScalarValue<T> d_operand, Carry<Cell, T>& carry) {
  using V = ScalarValue<T>;
  using View = CellView<Cell>;
  using Phase = typename View::First;
  constexpr int kGates = Phase::kGates, kSplits = Phase::kSplits;
  const BackwardDirection& own = call.direction[d];
  const int64_t H = call.hidden, row = call.rows.row(t, b);
  const auto reserve = load_values<Cell::kReserve>(static_cast<const T*>(own.gates) + row * View::kSlots * H + u, H);
  const auto params = load_values<Cell::kUnitParams>(static_cast<const T*>(own.unit_params) + u, H);
  const auto prev = states_before<Cell, T>(call, static_cast<const T*>(own.cells), false, t, b, u, d);
  T* const d_gates = static_cast<T*>(own.d_gates) + row * View::kGradients * H + u;
  auto d_first = load_values<kGates>(d_gates, H);
  Pack<V, kSplits> d_x;
  Pack<V, Cell::kUnitParams> d_params;
  Pack<V, Cell::kStates> d_prev = carry;
  Cell::template backward_operand<V>(reserve, params, prev, d_operand, d_prev, d_first, d_x, d_params);
#pragma unroll
  for (int k = 0; k < kGates; ++k) {
    const bool joint = k < Phase::kJoint;
    d_gates[k * H] = joint ? d_first[k].v : d_x[k - Phase::kJoint].v;
    if (!joint) d_gates[Phase::hidden_column(k * H, H)] = d_first[k].v;
  }
  if (Cell::kHiddenCarry && !call.rows.resets_at(t, b)) carry[0] = d_prev[0];
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
