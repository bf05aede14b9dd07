#pragma once
// A step of a cell whose h' is projected: h' = W_hr m, where m is what the cell's equations make of h and c. Two
// launches each way, because every feature of h' needs all units of m. P features (call.width), H units.

#include "cuda/step_parts.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// Which cells these kernels are for. Their backward may read neither h nor h', which here are not as wide as the cell.
template <class Cell>
constexpr bool kProjects = cuda::has_projection(Cell::kName);

/// Where a row's m lies.
template <class T>
FASTRNN_DEVICE T* unprojected_row(const Forward& call, int d, int64_t t, int b) {
  return static_cast<T*>(call.direction[d].unprojected) + (call.saving ? call.rows.row(t, b) : b) * call.hidden;
}

/// A row that a product reads; null: zeros.
template <class T>
struct PlainLine {
  const T* row = nullptr;
  FASTRNN_DEVICE Value<T> at(int k) const { return row ? load_number(row + k) : Value<T>(0); }
};

/// The first launch: m and c'.
template <class Cell, class T>
FASTRNN_KERNEL(Tile<T>::kThreads)
forward_unprojected_step(Forward call, int64_t step, int rows) {
  using V = Value<T>;
  static_assert(Cell::kPhases == 1 && Cell::kStates == 2 && Cell::kUnitParams == 0 && !Cell::kHiddenCarry &&
                !Cell::kOperandHasState && !Cell::kNormalizesGates);
  const TilePlace<T> place(call.hidden, rows);
  const int d = place.direction, H = call.hidden, b = place.row, u = place.unit;
  const ForwardDirection& own = call.direction[d];
  const int64_t t = call.rows.time_of(step, d);
  Pack<V, Cell::kGates> sums;
  multiply_operand<Cell, T, 0>(call, place, t, sums);

  if (!place.owns(H, call.rows.count(t))) return;
  const int64_t row = call.rows.row(t, b);
  Compute<T>* const cells = static_cast<Compute<T>*>(own.cells);
  Pack<V, 2> prev{}, next;
  prev[1] = cell_state_before<T>(call, cells, !call.saving, t, b, u, d);
  const UnitBias<Cell, T, 0> bias(call, d, u);
  Pack<V, Cell::kReserve> reserve;
  forward_unit<Cell, T, 0>(load_gates<Cell, T, 0>(call, d, row, u), bias, {}, sums, prev, next, reserve);
  if (call.saving) store_reserve<Cell, T>(call, d, row, u, reserve);
  store_number(unprojected_row<T>(call, d, t, b) + u, next[0]);
  Compute<T>* const made = static_cast<Compute<T>*>(own.made[1]);
  const V cell = zoned_state<T>(call, 1, d, t, b, u, prev[1], next[1], call.saving && made ? made + row * H + u : made);
  cells[(call.saving ? row : b) * H + u] = cell.v;
  if (ends_after(call.rows, t, b, d))
    store_number(static_cast<T*>(call.final_states[1]) + (int64_t(d) * call.rows.batch + b) * H + u, cell);
}

/// The second one: h'.
template <class Cell, class T>
FASTRNN_KERNEL(Tile<T>::kThreads)
forward_project_step(Forward call, int64_t step, int rows) {
  using V = Value<T>;
  const TilePlace<T> place(call.width, rows);
  const int d = place.direction, H = call.hidden, P = call.width, b = place.row, p = place.unit;
  const ForwardDirection& own = call.direction[d];
  const int64_t t = call.rows.time_of(step, d);
  const int count = call.rows.count(t);
  const T* const weight_hr = static_cast<const T*>(own.weight_hr);
  const auto weight = [&](int, int unit, int k) {
    const int at = place.first_unit + unit;
    return at < P ? load_number(weight_hr + int64_t(at) * H + k) : V(0);
  };
  const auto line = [&](int row) {
    const int of = place.first_row + row;
    return PlainLine<T>{of < count ? unprojected_row<T>(call, d, t, of) : nullptr};
  };
  Pack<V, 1> sums;
  multiply_tile<T, 1, true>(shared_memory(), H, weight, line, sums);

  if (!place.owns(P, count)) return;
  const V prev = hidden_state_before<Cell, T>(call, static_cast<const Compute<T>*>(own.kept), t, b, p, d);
  const V hidden = zoned_state<T>(call, 0, d, t, b, p, prev, sums[0], nullptr);
  keep_hidden<Cell, T>(call, d, b, p, hidden);
  store_number(static_cast<T*>(call.y.data) + call.y.offset(call.rows, t, b) + d * P + p, hidden);
  if (ends_after(call.rows, t, b, d))
    store_number(static_cast<T*>(call.final_states[0]) + (int64_t(d) * call.rows.batch + b) * P + p, hidden);
}

/// The gradient of h', from those of the later step's gates; steps are numbered as for backward_step. Also what met the
/// weights of the gates, and the gradients of initial states.
template <class Cell, class T>
FASTRNN_KERNEL(Tile<T>::kThreads)
backward_projected_step(Backward call, int64_t step, int rows) {
  using V = Value<T>;
  const TilePlace<T> place(call.width, rows);
  const int d = place.direction, P = call.width, b = place.row, p = place.unit;
  const BackwardDirection& own = call.direction[d];
  const BackwardStep now(call.rows, step, d);
  Pack<V, 1> sums;
  multiply_gradients<Cell, T, 0>(
      call, place, now.later, now.count_later, [&](int row) { return !call.rows.resets_at(now.later, row); }, sums);

  if (!place.owns(P, now.count > now.count_later ? now.count : now.count_later)) return;
  V gradient = sums[0] * hidden_scale<T>(call, d, b, p);
  // Past the product goes what zoneout keeps, and nothing else.
  if (b >= now.count_later || call.regularizers.zones_out(0))
    gradient = gradient + passed_gradient<T>(call, now, 0, d, b, p, P);
  if (b >= now.count) {
    if (call.d_initial[0])
      store_number(static_cast<T*>(call.d_initial[0]) + (int64_t(d) * call.rows.batch + b) * P + p, gradient);
    return;
  }
  const T* const d_y = static_cast<const T*>(call.d_y.data);
  if (d_y) gradient = gradient + load_number(d_y + call.d_y.offset(call.rows, now.t, b) + d * P + p);
  const V kept = take_kept_part<T>(call, 0, d, now.t, b, p, gradient);
  if (call.regularizers.zones_out(0))
    static_cast<Compute<T>*>(own.d_states[0])[int64_t(b) * P + p] = call.rows.resets_at(now.t, b) ? 0 : kept.v;
  const int64_t at = call.rows.row(now.t, b) * P + p;
  store_number(static_cast<T*>(own.d_projected) + at, gradient);
  const T* const h = hidden_before<T>(call, now.t, b, d);
  store_number(static_cast<T*>(own.operands[0]) + at, h ? load_number(h + p) * hidden_scale<T>(call, d, b, p) : V(0));
}

/// From there the gradient of m, and those of the gates.
template <class Cell, class T>
FASTRNN_KERNEL(Tile<T>::kThreads)
backward_unprojected_step(Backward call, int64_t step, int rows) {
  using V = Value<T>;
  const TilePlace<T> place(call.hidden, rows);
  const int d = place.direction, H = call.hidden, P = call.width, b = place.row, u = place.unit;
  const BackwardDirection& own = call.direction[d];
  const BackwardStep now(call.rows, step, d);
  const T* const weight_hr = static_cast<const T*>(own.weight_hr);
  const T* const d_projected = static_cast<const T*>(own.d_projected);
  const auto weight = [&](int, int unit, int k) {
    const int at = place.first_unit + unit;
    return at < H ? load_number(weight_hr + int64_t(k) * H + at) : V(0);
  };
  const auto line = [&](int row) {
    const int of = place.first_row + row;
    return PlainLine<T>{of < now.count ? d_projected + call.rows.row(now.t, of) * P : nullptr};
  };
  Pack<V, 1> sums;
  multiply_tile<T, 1, false>(shared_memory(), P, weight, line, sums);

  if (!place.owns(H, now.count > now.count_later ? now.count : now.count_later)) return;
  Pack<V, 2> d_next{{sums[0], passed_gradient<T>(call, now, 1, d, b, u, H)}}, d_prev{};
  if (b >= now.count) {
    if (call.d_initial[1])
      store_number(static_cast<T*>(call.d_initial[1]) + (int64_t(d) * call.rows.batch + b) * H + u, d_next[1]);
    return;
  }
  const V kept = take_kept_part<T>(call, 1, d, now.t, b, u, d_next[1]);
  const int64_t row = call.rows.row(now.t, b);
  const Compute<T>* const cells = static_cast<const Compute<T>*>(own.cells);
  const auto reserve =
      load_values<Cell::kReserve>(static_cast<const T*>(own.gates) + row * CellView<Cell>::kSlots * H + u, int64_t(H));
  Pack<V, 2> prev{}, next{};
  prev[1] = cell_state_before<T>(call, cells, false, now.t, b, u, d);
  next[1] = V((call.regularizers.any_zoneout() ? static_cast<const Compute<T>*>(own.made[1]) : cells)[row * H + u]);
  Pack<V, Cell::kGates> d_a;
  Pack<V, 0> d_x, d_params;
  Cell::template backward<V>(reserve, {}, prev, next, d_next, d_prev, d_a, d_x, d_params);
  store_gradients<Cell, T, 0>(call, d, row, u, d_a, d_x);
  static_cast<Compute<T>*>(own.d_states[1])[int64_t(b) * H + u] =
      call.rows.resets_at(now.t, b) ? 0 : (d_prev[1] + kept).v;
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
