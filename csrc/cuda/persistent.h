#pragma once
// One launch for the whole sequence: weights stay on the chip, and blocks exchange what each step's product needs. A
// thread has at most one pair of a unit and a row, whose states it keeps in registers, in float32 whatever the type of
// storage.

#include "cuda/exchange.h"
#include "cuda/resident.h"
#include "cuda/scatter.h"
#include "cuda/unit.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// A block's place among all, and a thread's pair in it. Rows are dealt to groups in turn, so that groups of sequences
/// of different lengths have alike.
struct Seat {
  int direction, group, slice, team, first_unit, row, unit, b, u;
  bool owns;

  FASTRNN_DEVICE Seat(const Placement& place, int hidden, int batch) {
    slice = block_index() % place.slices;
    team = block_index() / place.slices;
    group = team % place.groups;
    direction = team / place.groups;
    first_unit = slice * place.units;
    row = thread_index() / place.units;
    unit = thread_index() % place.units;
    b = group + row * place.groups;
    u = first_unit + unit;
    owns = row < place.group_rows && u < hidden && b < batch;
  }
  /// Rows of the group among the first `count` of the batch.
  FASTRNN_DEVICE int rows_of(const Placement& place, int count) const {
    return count > group ? (count - group + place.groups - 1) / place.groups : 0;
  }
};

/// How long before its step a line of memory is asked for: about a microsecond at the least.
constexpr int kStepsAhead = 4;

/// Rows of the step that do not follow on a row of the step before start from what the caller gave, or from zeros.
template <class T>
FASTRNN_DEVICE void fill_operand(const Forward& call, const Placement& place, const Seat& seat, int64_t t, int rows,
                                 T* operand) {
  const int H = call.width, d = seat.direction;
  for (int i = thread_index(); i < rows * H; i += num_threads()) {
    const int row = i / H, k = i % H, b = seat.group + row * place.groups;
    const Before from = before(call.rows, t, b, d);
    if (from.kind == Before::kRow) continue;
    const T* const initial = from.kind == Before::kInitial ? static_cast<const T*>(call.initial[0]) : nullptr;
    operand[int64_t(row) * place.operand_pitch + k] =
        initial ? scaled_number(initial + (int64_t(d) * call.rows.batch + b) * H + k, hidden_scale<T>(call, d, b, k))
                : T{};
  }
  sync_block();
}

template <class Cell, class Weights>
FASTRNN_KERNEL(Weights::kThreads)
forward_persistent(Forward call, Placement place, Workspace work) {
  using T = typename Weights::Number;
  using V = Value<T>;
  using View = CellView<Cell>;
  constexpr int kLast = View::kLast;
  float* const shared = static_cast<float*>(shared_memory());
  const Seat seat(place, call.hidden, call.rows.batch);
  const int d = seat.direction, H = call.hidden, b = seat.b;
  const int u = seat.owns ? seat.u : 0;
  const ForwardDirection& own = call.direction[d];
  Weights weights[Cell::kPhases];
  // Worked out where it is needed: it would cost registers.
  const auto streamed = [&] { return work.streamed + int64_t(block_index()) * place.streamed_floats; };
#pragma unroll
  for (int phase = 0; phase < Cell::kPhases; ++phase) {
    const int first_gate = phase ? Cell::kPhaseGates[0] : 0;
    weights[phase].load(place, shared, streamed(), phase, [&](int sum, int k) {
      const int gate = first_gate + sum / place.units, unit = seat.first_unit + sum % place.units;
      return unit < H ? static_cast<const T*>(own.weight_hh)[(int64_t(gate) * H + unit) * H + k] : T{};
    });
  }
  Exchange<T> exchange(place, work, shared, seat.team);
  exchange.start();
  const UnitBias<Cell, T, 0> bias(call, d, u);
  const UnitBias<Cell, T, kLast> bias_last(call, d, u);
  const auto params = load_unit_params<Cell, T>(own.unit_params, u, H);
  const V scale = hidden_scale<T>(call, d, seat.owns ? b : 0, u);
  Pack<V, Cell::kStates> states{};

  Pack<V, Cell::kPhaseGates[0]> gates{};
  Pack<V, Cell::kPhaseGates[kLast]> gates_last{};
  // Asked for before the exchange that ends the step before, to arrive during it and the product. The way from memory
  // to the second-level cache takes longer than that, and begins some steps earlier.
  // Kernels of two phases have no registers for that.
  const auto read_gates = [&](int64_t step) {
    if (kLast > 0 || !seat.owns || step >= call.rows.seq_len) return;
    const int64_t t = call.rows.time_of(step, d), ahead = d ? t - kStepsAhead : t + kStepsAhead;
    if (b < call.rows.count(ahead)) prefetch_gates<Cell, T>(call, d, call.rows.row(ahead, b), u);
    if (b < call.rows.count(t)) gates = load_gates<Cell, T, 0>(call, d, call.rows.row(t, b), u);
  };

  int round = 0;
  read_gates(0);
  for (int64_t step = 0; step < call.rows.seq_len; ++step) {
    const int64_t t = call.rows.time_of(step, d), neighbor = d ? t + 1 : t - 1;
    const int count = call.rows.count(t), rows = seat.rows_of(place, count);
    if (rows == 0) {
      read_gates(step + 1);
      continue;
    }
    const bool active = seat.owns && seat.row < rows;
    const int64_t row = active ? call.rows.row(t, b) : 0;
    if constexpr (kLast > 0) {
      if (active) {  // to arrive during the first product
        gates = load_gates<Cell, T, 0>(call, d, row, u);
        gates_last = load_gates<Cell, T, kLast>(call, d, row, u);
      }
    }
    if (step == 0 || call.rows.resets || count > call.rows.count(neighbor))
      fill_operand(call, place, seat, t, rows, exchange.operand(round));
    const bool ends = step + 1 == call.rows.seq_len;
    Pack<V, Cell::kStates> prev = states, next;
    Pack<V, Cell::kReserve> reserve{};
    if (active) {
      const Before from = before(call.rows, t, b, d);
      if (from.kind != Before::kRow) {
        prev =
            states_before<Cell, T>(call, static_cast<const Compute<T>*>(own.cells), nullptr, !call.saving, t, b, u, d);
      }
    }
    weights[0].multiply(place, shared, streamed(), 0, exchange.operand(round), rows);
    add_partials(place, shared, 0, rows);
    if constexpr (kLast > 0) {
      if (active) {
        const auto sums = sums_of<Cell::kPhaseGates[0]>(place, shared, 0, seat.row, seat.unit);
        const V value = forward_unit<Cell, T, 0>(gates, bias, params, sums, prev, next, reserve);
        exchange.publish(round + 1, seat.row, u, Cell::kOperandOfHidden ? (value * scale).v : value.v);
      }
      if (!exchange.finish(++round, rows, H)) return;
      weights[kLast].multiply(place, shared, streamed(), kLast, exchange.operand(round), rows);
      add_partials(place, shared, kLast, rows);
    } else {
      gates_last = gates;
    }
    if (active) {
      const auto sums = sums_of<Cell::kPhaseGates[kLast]>(place, shared, kLast, seat.row, seat.unit);
      forward_unit<Cell, T, kLast>(gates_last, bias_last, params, sums, prev, next, reserve);
      zone_out<Cell, T>(call, d, t, b, u, prev, next);
      if (!ends) exchange.publish(round + 1, seat.row, u, (next[0] * scale).v);
      if (call.saving) store_reserve<Cell, T>(call, d, row, u, reserve);
      Compute<T>* const cells = static_cast<Compute<T>*>(own.cells);
      store_states<Cell, T>(call, d, t, b, u, cells + (call.saving ? row : b) * H + u, next);
      states = next;
    }
    read_gates(step + 1);
    if (!ends && !exchange.finish(++round, rows, H)) return;
  }
}

/// For each phase the gates' gradients of all units meet the columns of weight_hh of the block's own; or (scatter.h)
/// those of the block's own units meet their rows of it.
template <class Cell, class Weights>
FASTRNN_KERNEL(Weights::kThreads)
backward_persistent(Backward call, Placement place, Workspace work) {
  using T = typename Weights::Number;
  using V = Value<T>;
  using View = CellView<Cell>;
  constexpr int kLast = View::kLast, kFirstGates = Cell::kPhaseGates[0], kLastGates = Cell::kPhaseGates[kLast];
  float* const shared = static_cast<float*>(shared_memory());
  const Seat seat(place, call.hidden, call.rows.batch);
  const int d = seat.direction, H = call.hidden, b = seat.b;
  const int u = seat.owns ? seat.u : 0;
  const BackwardDirection& own = call.direction[d];
  const bool scatters = place.scatters();
  Weights weights[Cell::kPhases];
  // Worked out where it is needed: it would cost registers.
  const auto streamed = [&] { return work.streamed + int64_t(block_index()) * place.streamed_floats; };
#pragma unroll
  for (int phase = 0; phase < Cell::kPhases; ++phase) {
    const int first_gate = phase ? kFirstGates : 0, width = scatters ? place.units : H;  // of a gate in the depth
    const int first_line = scatters ? seat.first_unit : 0, first_column = scatters ? 0 : seat.first_unit;
    weights[phase].load(place, shared, streamed(), phase, [&](int sum, int k) {
      const int gate = first_gate + k / width, line = first_line + k % width, column = first_column + sum;
      const int64_t at = (int64_t(gate) * H + line) * H + column;
      return line < H && column < H ? static_cast<const T*>(own.weight_hh)[at] : T{};
    });
  }
  Exchange<T> exchange(place, work, shared, seat.team);
  exchange.start();
  const auto params = load_unit_params<Cell, T>(own.unit_params, u, H);
  const int64_t at = (int64_t(d) * call.rows.batch + (seat.owns ? b : 0)) * H + u;
  const V scale = hidden_scale<T>(call, d, seat.owns ? b : 0, u);
  Carry<Cell, T> carry{};
  Pack<V, Cell::kUnitParams> d_units{};
  const Scatter scatter(place, work, shared, seat.team, seat.slice);
  int round = 0;
  const auto multiply = [&](int phase, int rows) {
    weights[phase].multiply(place, shared, streamed(), phase, exchange.operand(round), rows);
    add_partials(place, shared, phase, rows);
    return !scatters || scatter.exchange(exchange, phase, round, rows, H);
  };
  const auto sum_of = [&](int phase) {
    return scatters ? scatter.sum(round, seat.row, seat.unit)
                    : sums_of<1>(place, shared, phase, seat.row, seat.unit)[0];
  };
  const auto publish = [&](int gate, V value) {
    exchange.publish(round + 1, seat.row, scatters ? gate * place.units + seat.unit : gate * H + u, value.v);
  };
  UnitBefore<Cell, T> unit{};
  const auto read_unit = [&](int64_t step) {  // as forward's read_gates
    if (kLast > 0 || !seat.owns || step >= call.rows.seq_len) return;
    const int64_t t = call.rows.time_of(call.rows.seq_len - 1 - step, d), ahead = d ? t + kStepsAhead : t - kStepsAhead;
    if (b < call.rows.count(ahead)) prefetch_unit<Cell, T>(call, d, ahead, b, u);
    if (b < call.rows.count(t)) unit = load_unit<Cell, T>(call, d, t, b, u);
  };
  read_unit(0);
  for (int64_t step = 0; step <= call.rows.seq_len; ++step) {
    const int64_t t = call.rows.time_of(call.rows.seq_len - 1 - step, d), neighbor = d ? t - 1 : t + 1;
    const int rows = seat.rows_of(place, call.rows.count(t));
    const int rows_before = seat.rows_of(place, call.rows.count(neighbor));
    const bool active = seat.owns && seat.row < rows, was_active = seat.owns && seat.row < rows_before;
    if constexpr (kLast > 0) {
      if (active) unit = load_unit<Cell, T>(call, d, t, b, u);  // to arrive during the product
    }
    if (rows_before > 0 && !multiply(0, rows_before)) return;
    Pack<V, kLastGates> d_a{};
    Pack<V, kFirstGates> d_first{};
    if (was_active) {
      const V sum = sum_of(0);
      if (!call.rows.resets_at(neighbor, b)) carry[0] = sum * scale + carry[0];
    } else if (active) {
#pragma unroll
      for (int k = 0; k < Cell::kStates; ++k)
        carry[k] = call.d_final[k] ? load_number(static_cast<const T*>(call.d_final[k]) + at) : V(0);
    }
    if (active) {
      Pack<V, Cell::kUnitParams> d_params;
      backward_unit<Cell, T>(call, d, t, b, u, unit, params, carry, d_a, d_first, d_params);
#pragma unroll
      for (int k = 0; k < Cell::kUnitParams; ++k) d_units[k] = d_units[k] + d_params[k];
#pragma unroll
      for (int k = 0; k < kLastGates; ++k) publish(k, d_a[k]);
    } else if (was_active) {
#pragma unroll
      for (int k = 0; k < Cell::kStates; ++k)
        if (call.d_initial[k]) store_number(static_cast<T*>(call.d_initial[k]) + at, carry[k]);
    }
    read_unit(step + 1);
    if (rows == 0) continue;
    if (!exchange.finish(++round, rows, kLastGates * H)) return;
    if constexpr (kLast > 0) {
      if (!multiply(kLast, rows)) return;
      if (active) {
        const V d_operand = sum_of(kLast);
        backward_operand_unit<Cell, T>(call, d, t, b, u, unit, params, d_operand, carry, d_first);
#pragma unroll
        for (int k = 0; k < kFirstGates; ++k) publish(k, d_first[k]);
      }
      if (!exchange.finish(++round, rows, kFirstGates * H)) return;
    }
  }
  if constexpr (Cell::kUnitParams > 0) {
    if (seat.owns) {
      Compute<T>* const to = static_cast<Compute<T>*>(own.d_unit_params) + int64_t(b) * Cell::kUnitParams * H + u;
      store_values(d_units, to, int64_t(H));
    }
  }
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
