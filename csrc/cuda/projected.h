#pragma once
// The stepwise path of cells with a projection: two launches a step each way, because every feature of h' needs all
// units of what is projected.

#include "cuda/projected_unit.h"
#include "cuda/step_parts.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

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
  const TilePlace<T> place(call.hidden, rows);
  const int d = place.direction, b = place.row, u = place.unit;
  const int64_t t = call.rows.time_of(step, d);
  Pack<Value<T>, Cell::kGates> sums;
  multiply_operand<Cell, T, 0>(call, place, t, sums);

  if (!place.owns(call.hidden, call.rows.count(t))) return;
  const auto gates = load_gates<Cell, T, 0>(call, d, call.rows.row(t, b), u);
  const Compute<T>* const cells = static_cast<const Compute<T>*>(call.direction[d].cells);
  Value<T> cell = cell_state_before<T>(call, cells, !call.saving, t, b, u, d);
  forward_unprojected_unit<Cell, T>(call, d, t, b, u, gates, UnitBias<Cell, T, 0>(call, d, u), sums, cell);
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
  V hidden = hidden_state_before<Cell, T>(call, static_cast<const Compute<T>*>(own.kept), t, b, p, d);
  forward_projected_feature<T>(call, d, t, b, p, sums[0], hidden);
  keep_hidden<Cell, T>(call, d, b, p, hidden);
}

/// The gradient of h', from those of the later step's gates; steps are numbered as for backward_step.
template <class Cell, class T>
FASTRNN_KERNEL(Tile<T>::kThreads)
backward_projected_step(Backward call, int64_t step, int rows) {
  using V = Value<T>;
  const TilePlace<T> place(call.width, rows);
  const int d = place.direction, P = call.width, b = place.row, p = place.unit;
  const BackwardStep now(call.rows, step, d);
  Pack<V, 1> sums;
  multiply_gradients<Cell, T, 0>(
      call, place, now.later, now.count_later, [&](int row) { return !call.rows.resets_at(now.later, row); }, sums);

  if (!place.owns(P, now.count > now.count_later ? now.count : now.count_later)) return;
  V gradient = sums[0] * hidden_scale<T>(call, d, b, p), kept;
  // Past the product goes what zoneout keeps, and nothing else.
  if (b >= now.count_later || call.regularizers.zones_out(0))
    gradient = gradient + passed_gradient<T>(call, now, 0, d, b, p, P);
  if (b >= now.count) return store_initial_gradient<T>(call, 0, d, b, p, P, gradient);
  backward_projected_feature<T>(call, d, now.t, b, p, gradient, kept);
  if (call.regularizers.zones_out(0))
    static_cast<Compute<T>*>(call.direction[d].d_states[0])[int64_t(b) * P + p] = kept.v;
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
  V d_cell = passed_gradient<T>(call, now, 1, d, b, u, H);
  if (b >= now.count) return store_initial_gradient<T>(call, 1, d, b, u, H, d_cell);
  UnprojectedUnit<Cell, T> unit;
  unit.load(call, d, now.t, b, u);
  backward_unprojected_unit<Cell, T>(call, d, now.t, b, u, unit, sums[0], d_cell);
  static_cast<Compute<T>*>(own.d_states[1])[int64_t(b) * H + u] = d_cell.v;
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
