#pragma once
// One launch for the whole sequence, as in persistent.h, where h' is projected: two products a step, of which one makes
// as many sums as h has features. A block has place.units of the units, and place.features of the features.

#include "cuda/persistent.h"
#include "cuda/projected_unit.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// A thread's pair of a feature of h and a row, beside that of a unit (Seat).
struct FeatureSeat {
  int first, row, feature, b, p;
  bool owns;

  FASTRNN_DEVICE FeatureSeat(const Placement& place, const Seat& seat, int width, int batch) {
    first = seat.slice * place.features;
    row = thread_index() / place.features;
    feature = thread_index() % place.features;
    b = seat.group + row * place.groups;
    p = first + feature;
    owns = row < place.group_rows && p < width && b < batch;
  }
};

template <class Cell, class Weights>
FASTRNN_KERNEL(Weights::kThreads)
forward_projected_persistent(Forward call, Placement place, Workspace work) {
  using T = typename Weights::Number;
  using V = Value<T>;
  float* const shared = static_cast<float*>(shared_memory());
  const Seat seat(place, call.hidden, call.rows.batch);
  const int d = seat.direction, H = call.hidden, P = call.width, b = seat.b;
  const int u = seat.owns ? seat.u : 0;
  const ForwardDirection& own = call.direction[d];
  const auto streamed = [&] { return work.streamed + int64_t(block_index()) * place.streamed_floats; };
  Weights weights[2];
  weights[0].load(place, shared, streamed(), 0, [&](int sum, int k) {
    const int gate = sum / place.units, unit = seat.first_unit + sum % place.units;
    return unit < H ? static_cast<const T*>(own.weight_hh)[(int64_t(gate) * H + unit) * P + k] : T{};
  });
  weights[1].load(place, shared, streamed(), 1, [&](int sum, int k) {
    const int feature = seat.slice * place.features + sum;
    return feature < P ? static_cast<const T*>(own.weight_hr)[int64_t(feature) * H + k] : T{};
  });
  Exchange<T> exchange(place, work, shared, seat.team);
  exchange.start();
  const UnitBias<Cell, T, 0> bias(call, d, u);
  V cell(0);

  int round = 0;
  for (int64_t step = 0; step < call.rows.seq_len; ++step) {
    const int64_t t = call.rows.time_of(step, d), neighbor = d ? t + 1 : t - 1;
    const int count = call.rows.count(t), rows = seat.rows_of(place, count);
    if (rows == 0) continue;
    const bool active = seat.owns && seat.row < rows;
    Pack<V, Cell::kGates> gates{};
    if (active) gates = load_gates<Cell, T, 0>(call, d, call.rows.row(t, b), u);  // to arrive during the product
    if (step == 0 || call.rows.resets || count > call.rows.count(neighbor))
      fill_operand(call, place, seat, t, rows, exchange.operand(round));
    if (active && before(call.rows, t, b, d).kind != Before::kRow)
      cell = cell_state_before<T>(call, static_cast<const Compute<T>*>(own.cells), !call.saving, t, b, u, d);
    weights[0].multiply(place, shared, streamed(), 0, exchange.operand(round), rows);
    add_partials(place, shared, 0, rows);
    if (active) {
      const auto sums = sums_of<Cell::kGates>(place, shared, 0, seat.row, seat.unit);
      const V made = forward_unprojected_unit<Cell, T>(call, d, t, b, u, gates, bias, sums, cell);
      exchange.publish(round + 1, seat.row, u, made.v);
    }
    if (!exchange.finish(++round, rows, H)) return;
    weights[1].multiply(place, shared, streamed(), 1, exchange.operand(round), rows);
    add_partials(place, shared, 1, rows);
    const bool ends = step + 1 == call.rows.seq_len;
    const FeatureSeat out(place, seat, P, call.rows.batch);  // worked out in every step: it would cost registers
    if (out.owns && out.row < rows) {
      const int p = out.p;
      const V sum = sums_of<1>(place, shared, 1, out.row, out.feature)[0];
      V hidden(0);  // read here and for zoneout only: it would cost a register
      if (call.regularizers.zones_out(0))
        hidden = hidden_state_before<Cell, T>(call, static_cast<const Compute<T>*>(own.kept), t, out.b, p, d);
      forward_projected_feature<T>(call, d, t, out.b, p, sum, hidden);
      keep_hidden<Cell, T>(call, d, out.b, p, hidden);
      if (!ends) exchange.publish(round + 1, out.row, p, (hidden * hidden_scale<T>(call, d, out.b, p)).v);
    }
    if (!ends && !exchange.finish(++round, rows, P)) return;
  }
}

/// The first product of a step is that of the later step's gates' gradients with weight_hh, the second that of the
/// gradients of h' with weight_hr.
template <class Cell, class Weights>
FASTRNN_KERNEL(Weights::kThreads)
backward_projected_persistent(Backward call, Placement place, Workspace work) {
  using T = typename Weights::Number;
  using V = Value<T>;
  constexpr int kGates = Cell::kGates;
  float* const shared = static_cast<float*>(shared_memory());
  const Seat seat(place, call.hidden, call.rows.batch);
  const FeatureSeat out(place, seat, call.width, call.rows.batch);
  const int d = seat.direction, H = call.hidden, P = call.width, b = seat.b;
  const int u = seat.owns ? seat.u : 0, p = out.owns ? out.p : 0;
  const BackwardDirection& own = call.direction[d];
  const auto streamed = [&] { return work.streamed + int64_t(block_index()) * place.streamed_floats; };
  Weights weights[2];
  weights[0].load(place, shared, streamed(), 0, [&](int sum, int k) {
    const int feature = out.first + sum;
    return feature < P ? static_cast<const T*>(own.weight_hh)[int64_t(k) * P + feature] : T{};
  });
  weights[1].load(place, shared, streamed(), 1, [&](int sum, int k) {
    const int unit = seat.first_unit + sum;
    return unit < H ? static_cast<const T*>(own.weight_hr)[int64_t(k) * H + unit] : T{};
  });
  Exchange<T> exchange(place, work, shared, seat.team);
  exchange.start();
  const V scale = hidden_scale<T>(call, d, out.owns ? out.b : 0, p);
  const auto final_gradient = [&](int state, int row, int feature, int features) {
    const T* const d_final = static_cast<const T*>(call.d_final[state]);
    return d_final ? load_number(d_final + (int64_t(d) * call.rows.batch + row) * features + feature) : V(0);
  };
  V d_cell(0), kept(0);

  int round = 0;
  for (int64_t step = 0; step <= call.rows.seq_len; ++step) {
    const int64_t t = call.rows.time_of(call.rows.seq_len - 1 - step, d), neighbor = d ? t - 1 : t + 1;
    const int rows = seat.rows_of(place, call.rows.count(t));
    const int rows_before = seat.rows_of(place, call.rows.count(neighbor));
    const bool active = seat.owns && seat.row < rows, was_active = seat.owns && seat.row < rows_before;
    UnprojectedUnit<Cell, T> unit{};
    if (active) unit.load(call, d, t, b, u);  // to arrive during the products
    if (rows_before > 0) {
      weights[0].multiply(place, shared, streamed(), 0, exchange.operand(round), rows_before);
      add_partials(place, shared, 0, rows_before);
    }
    if (out.owns && (out.row < rows || out.row < rows_before)) {
      V gradient = kept;
      if (out.row >= rows_before)
        gradient = final_gradient(0, out.b, p, P);
      else if (!call.rows.resets_at(neighbor, out.b))
        gradient = gradient + sums_of<1>(place, shared, 0, out.row, out.feature)[0] * scale;
      if (out.row < rows) {
        gradient = backward_projected_feature<T>(call, d, t, out.b, p, gradient, kept);
        exchange.publish(round + 1, out.row, p, gradient.v);
      } else {
        store_initial_gradient<T>(call, 0, d, out.b, p, P, gradient);
      }
    }
    if (active && !was_active) d_cell = final_gradient(1, b, u, H);
    if (was_active && !active) store_initial_gradient<T>(call, 1, d, b, u, H, d_cell);
    if (rows == 0) continue;
    if (!exchange.finish(++round, rows, P)) return;
    weights[1].multiply(place, shared, streamed(), 1, exchange.operand(round), rows);
    add_partials(place, shared, 1, rows);
    if (active) {
      const V d_made = sums_of<1>(place, shared, 1, seat.row, seat.unit)[0];
      const auto d_a = backward_unprojected_unit<Cell, T>(call, d, t, b, u, unit, d_made, d_cell);
#pragma unroll
      for (int k = 0; k < kGates; ++k) exchange.publish(round + 1, seat.row, k * H + u, d_a[k].v);
    }
    if (!exchange.finish(++round, rows, kGates * H)) return;
  }
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
