#pragma once
// A cell whose h' is projected, h' = W_hr m, where m is what the cell's equations make of h and c: what happens to one
// unit, or to one feature of h, of one row; the same in every kernel. P features (call.width), H units.

#include "cuda/unit.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// Which cells have such kernels. Their backward may read neither h nor h', which here are not as wide as the cell.
template <class Cell>
constexpr bool kProjects = cuda::has_projection(Cell::kName);

/// Where a row's m lies.
template <class T>
FASTRNN_DEVICE T* unprojected_row(const Forward& call, int d, int64_t t, int b) {
  return static_cast<T*>(call.direction[d].unprojected) + (call.saving ? call.rows.row(t, b) : b) * call.hidden;
}

/// From the sums of the gates' products to m, which is returned and left for the projection; c goes on to c'.
template <class Cell, class T>
FASTRNN_DEVICE Value<T> forward_unprojected_unit(const Forward& call, int d, int64_t t, int b, int u,
                                                 const Pack<Value<T>, Cell::kGates>& gates,
                                                 const UnitBias<Cell, T, 0>& bias,
                                                 const Pack<Value<T>, Cell::kGates>& sums, Value<T>& cell) {
  using V = Value<T>;
  static_assert(Cell::kPhases == 1 && Cell::kStates == 2 && Cell::kUnitParams == 0 && !Cell::kHiddenCarry &&
                !Cell::kOperandHasState && !Cell::kNormalizesGates);
  const ForwardDirection& own = call.direction[d];
  const int64_t H = call.hidden, row = call.rows.row(t, b);
  Pack<V, 2> prev{}, next;
  prev[1] = cell;
  Pack<V, Cell::kReserve> reserve;
  forward_unit<Cell, T, 0>(gates, bias, {}, sums, prev, next, reserve);
  if (call.saving) store_reserve<Cell, T>(call, d, row, u, reserve);
  store_number(unprojected_row<T>(call, d, t, b) + u, next[0]);
  Compute<T>* const made = static_cast<Compute<T>*>(own.made[1]);
  cell = zoned_state<T>(call, 1, d, t, b, u, prev[1], next[1], call.saving && made ? made + row * H + u : nullptr);
  static_cast<Compute<T>*>(own.cells)[(call.saving ? row : b) * H + u] = cell.v;
  if (ends_after(call.rows, t, b, d))
    store_number(static_cast<T*>(call.final_states[1]) + (int64_t(d) * call.rows.batch + b) * H + u, cell);
  return next[0];
}

/// From the projection's sum to h', which goes on to where h was.
template <class T>
FASTRNN_DEVICE void forward_projected_feature(const Forward& call, int d, int64_t t, int b, int p, Value<T> sum,
                                              Value<T>& hidden) {
  const int P = call.width;
  hidden = zoned_state<T>(call, 0, d, t, b, p, hidden, sum, nullptr);
  store_number(static_cast<T*>(call.y.data) + call.y.offset(call.rows, t, b) + d * P + p, hidden);
  if (ends_after(call.rows, t, b, d))
    store_number(static_cast<T*>(call.final_states[0]) + (int64_t(d) * call.rows.batch + b) * P + p, hidden);
}

/// From the gradient of h' but for d_y to that of the projection's product, which is returned and kept, and the part of
/// it that zoneout hands on past the step. Also what met the weights of the gates.
template <class T>
FASTRNN_DEVICE Value<T> backward_projected_feature(const Backward& call, int d, int64_t t, int b, int p,
                                                   Value<T> gradient, Value<T>& kept) {
  const BackwardDirection& own = call.direction[d];
  const int P = call.width;
  const T* const d_y = static_cast<const T*>(call.d_y.data);
  if (d_y) gradient = gradient + load_number(d_y + call.d_y.offset(call.rows, t, b) + d * P + p);
  kept = take_kept_part<T>(call, 0, d, t, b, p, gradient);
  if (call.rows.resets_at(t, b)) kept = Value<T>(0);
  const int64_t at = call.rows.row(t, b) * P + p;
  store_number(static_cast<T*>(own.d_projected) + at, gradient);
  const T* const h = hidden_before<T>(call, t, b, d);
  store_number(static_cast<T*>(own.operands[0]) + at,
               h ? load_number(h + p) * hidden_scale<T>(call, d, b, p) : Value<T>(0));
  return gradient;
}

/// What backward reads of a unit.
template <class Cell, class T>
struct UnprojectedUnit {
  Pack<Value<T>, Cell::kReserve> reserve;
  Value<T> prev, next;  // c and what the cell has made of it

  FASTRNN_DEVICE void load(const Backward& call, int d, int64_t t, int b, int u) {
    const BackwardDirection& own = call.direction[d];
    const int64_t H = call.hidden, row = call.rows.row(t, b);
    const Compute<T>* const cells = static_cast<const Compute<T>*>(own.cells);
    reserve = load_values<Cell::kReserve>(static_cast<const T*>(own.gates) + row * CellView<Cell>::kSlots * H + u, H);
    prev = cell_state_before<T>(call, cells, false, t, b, u, d);
    const bool zoned_out = call.regularizers.any_zoneout();
    next = Value<T>((zoned_out ? static_cast<const Compute<T>*>(own.made[1]) : cells)[row * H + u]);
  }
};

/// From the gradients of m and of c' to those of the gates, which are returned and kept, and of c.
template <class Cell, class T>
FASTRNN_DEVICE Pack<Value<T>, Cell::kGates> backward_unprojected_unit(const Backward& call, int d, int64_t t, int b,
                                                                      int u, const UnprojectedUnit<Cell, T>& unit,
                                                                      Value<T> d_made, Value<T>& d_cell) {
  using V = Value<T>;
  const V kept = take_kept_part<T>(call, 1, d, t, b, u, d_cell);
  const Pack<V, 2> prev{{V(0), unit.prev}}, next{{V(0), unit.next}}, d_next{{d_made, d_cell}};
  Pack<V, 2> d_prev{};
  Pack<V, Cell::kGates> d_a;
  Pack<V, 0> d_x, d_params;
  Cell::template backward<V>(unit.reserve, {}, prev, next, d_next, d_prev, d_a, d_x, d_params);
  store_gradients<Cell, T, 0>(call, d, call.rows.row(t, b), u, d_a, d_x);
  d_cell = call.rows.resets_at(t, b) ? V(0) : d_prev[1] + kept;
  return d_a;
}

template <class T>
FASTRNN_DEVICE void store_initial_gradient(const Backward& call, int state, int d, int b, int u, int64_t features,
                                           Value<T> gradient) {
  if (call.d_initial[state])
    store_number(static_cast<T*>(call.d_initial[state]) + (int64_t(d) * call.rows.batch + b) * features + u, gradient);
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
