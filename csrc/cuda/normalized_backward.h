#pragma once
// Backward through a step of cells whose pre-activations are normalized: the product of the later step's gradients,
// then a block for each row. After the last step, in one launch each for all rows: gradients of parameters, and the
// normalization of the input's part.

#include "cuda/normalized_forward.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// The gradients of the states after the step at hand, but d_y, to d_states; of the states before a sequence's first
/// step to d_initial.
template <class Cell, class T>
FASTRNN_KERNEL(Tile<T>::kThreads)
backward_multiply_step(Backward call, int64_t step, int rows) {
  const TilePlace<T> place(call.hidden, rows);
  const int d = place.direction;
  const BackwardStep now(call.rows, step, d);
  Pack<Value<T>, 1> sums;
  multiply_gradients<Cell, T, 0>(
      call, place, now.later, now.count_later, [&](int row) { return !call.rows.resets_at(now.later, row); }, sums);

  if (!place.owns(call.hidden, now.count > now.count_later ? now.count : now.count_later)) return;
  const Carry<Cell, T> carry = later_gradients<Cell, T>(call, now, d, place.row, place.unit, sums);
  if (place.row < now.count)
    store_carry<Cell, T>(call, d, place.row, place.unit, carry);
  else
    store_initial_gradients<Cell, T>(call, d, place.row, place.unit, carry);
}

/// One unit with the gradients of what the cell has made of it.
template <class Cell, class T>
struct NormalizedUnit {
  using V = Value<T>;
  UnitBefore<Cell, T> unit;
  Pack<V, Cell::kUnitParams> params;
  Pack<V, Cell::kStates> d_next, d_kept;

  FASTRNN_DEVICE NormalizedUnit(const Backward& call, int d, int64_t t, int b, int u, const Compute<T>* statistics)
      : unit(load_unit<Cell, T>(call, d, t, b, u)),
        params(load_unit_params<Cell, T>(call.direction[d].unit_params, u, call.hidden)) {
#pragma unroll
    for (int k = 0; k < Cell::kStates; ++k)
      d_next[k] = V(static_cast<const Compute<T>*>(call.direction[d].d_states[k])[int64_t(b) * call.hidden + u]);
    d_next[0] = d_next[0] + unit.d_y;
    d_kept = take_kept<Cell, T>(call, d, t, b, u, d_next);
    if constexpr (Cell::kNormalizesState)
      unit.next[0] = normalized(unit.next[1], V(statistics[kStateMean]), V(statistics[kStateScale]));
  }
};

/// The gradient of the normalized state, to `d_state`; returns its sum and that of it times the state.
template <class Cell, class T>
FASTRNN_DEVICE Pack<Compute<T>, 2> state_gradients(const Backward& call, int d, int64_t t, int b,
                                                   const Compute<T>* statistics, Compute<T>* d_state) {
  using C = Compute<T>;
  using V = Value<T>;
  const int H = call.hidden;
  const int64_t columns = CellView<Cell>::kUnitGradients;
  Pack<C, 2> sums{};
  for (int u = thread_index(); u < H; u += kRowThreads) {
    const NormalizedUnit<Cell, T> it(call, d, t, b, u, statistics);
    Pack<V, Cell::kUnitParams> d_params{};
    const V n = it.unit.next[0];
    const V d_n = Cell::template backward_output<V>(it.unit.reserve, it.params, n, it.d_next[0], d_params);
    d_state[u] = d_n.v;
    sums[0] += d_n.v;
    sums[1] += d_n.v * n.v;
    C* const d_units = static_cast<C*>(call.direction[d].d_unit_params) + b * columns * H + u;
#pragma unroll
    for (int k = 2 * Cell::kGates; k < Cell::kUnitParams; ++k) d_units[int64_t(k) * H] += d_params[k].v;
  }
  return sums;
}

/// A row, from the gradients of its states to those of its products.
template <class Cell, class T>
FASTRNN_KERNEL(kRowThreads)
backward_normalized_step(Backward call, int64_t step, int rows) {
  using C = Compute<T>;
  using V = Value<T>;
  using View = CellView<Cell>;
  constexpr int kGates = Cell::kGates, kSplits = Cell::kPhaseSplit[0], kOfHidden = Cell::kReserve + kGates;
  C* const shared = static_cast<C*>(shared_memory());
  const int d = block_index() / rows, b = block_index() % rows;
  const int64_t t = call.rows.time_of(call.rows.seq_len - 1 - step, d), H = call.hidden;
  if (b >= call.rows.count(t)) return;
  const BackwardDirection& own = call.direction[d];
  const int64_t row = call.rows.row(t, b);
  const C* const statistics = static_cast<const C*>(own.statistics) + row * kRowStatistics;
  const T* const saved = static_cast<const T*>(own.gates) + row * View::kSlots * H;
  T* const d_gates = static_cast<T*>(own.d_gates) + row * View::kGradients * H;
  C* const d_normalized = static_cast<C*>(own.d_normalized) + b * kGates * H;
  Pack<C, 2> sums{};
  if constexpr (Cell::kNormalizesState)
    sums = sum_over_block(shared, state_gradients<Cell, T>(call, d, t, b, statistics, d_normalized));
  const NormGradient<C> of_state(sums, Cell::kNormalizesState ? statistics[kStateScale] : C(0), H);

  V sum(0), product(0);
  for (int u = thread_index(); u < H; u += kRowThreads) {
    NormalizedUnit<Cell, T> it(call, d, t, b, u, statistics);
    if constexpr (Cell::kNormalizesState) it.d_next[1] = it.d_next[1] + of_state(V(d_normalized[u]), it.unit.next[0]);
    Pack<V, kGates> d_a;
    Pack<V, kSplits> d_x;
    Pack<V, Cell::kStates> d_prev{};
    Pack<V, Cell::kUnitParams> unused;
    Cell::template backward<V>(it.unit.reserve, it.params, it.unit.prev, it.unit.next, it.d_next, d_prev, d_a, d_x,
                               unused);
    store_carry<Cell, T>(call, d, b, u, carry_before<Cell, T>(call, t, b, d_prev, it.d_kept));
    store_operand<Cell, T>(call, d, row, b, u, it.unit.prev);
    store_values(gradients_of_input<Cell, V>(d_a, d_x), d_gates + u, H);
#pragma unroll
    for (int g = 0; g < kSplits; ++g) store_number(d_gates + (kGates + g) * H + u, d_a[kGates - kSplits + g]);
    const auto of_hidden = load_values<kGates>(saved + kOfHidden * H + u, H);
    store_values(unscale_gradients<Cell, 1, V>(it.params, d_a, of_hidden, sum, product), d_normalized + u, H);
  }
  sums = sum_over_block(shared, Pack<C, 2>{{sum.v, product.v}});
  const NormGradient<C> of_hidden(sums, statistics[kHiddenScale], kGates * H);
  // A thread has left there what it reads.
  for (int u = thread_index(); u < H; u += kRowThreads)
#pragma unroll
    for (int g = 0; g < kGates; ++g)
      store_number(d_gates + (View::kProducts + g) * H + u,
                   of_hidden(V(d_normalized[g * H + u]), load_number(saved + (kOfHidden + g) * H + u)));
}

constexpr int kColumnUnits = 32, kColumnRows = kRowThreads / kColumnUnits;

template <class Cell, class T>
constexpr int parameter_shared_bytes() {
  return int(sizeof(Compute<T>)) * (2 * Cell::kGates + CellView<Cell>::kProducts) * kRowThreads;
}

/// Sums over rows of the gradients of scales and biases. A block has some units and one of `batch` equal parts of the
/// rows.
template <class Cell, class T>
FASTRNN_KERNEL(kRowThreads)
gate_parameter_gradients(Backward call, int64_t rows) {
  using C = Compute<T>;
  using V = Value<T>;
  using View = CellView<Cell>;
  constexpr int kGates = Cell::kGates, kSplits = View::kSplits, kSums = 2 * kGates + View::kProducts;
  C* const shared = static_cast<C*>(shared_memory());
  const int64_t H = call.hidden, batch = call.rows.batch;
  const int tiles = int((H + kColumnUnits - 1) / kColumnUnits), me = thread_index(), lane = me / kColumnUnits;
  const int64_t part = block_index() / tiles % batch, end = rows * (part + 1) / batch;
  const BackwardDirection& own = call.direction[block_index() / tiles / batch];
  const int64_t u = block_index() % tiles * int64_t(kColumnUnits) + me % kColumnUnits;
  Pack<V, kSums> sums{};
  for (int64_t row = rows * part / batch + lane; row < end && u < H; row += kColumnRows) {
    const T* const saved = static_cast<const T*>(own.gates) + row * View::kSlots * H + u;
    const T* const d_gates = static_cast<const T*>(own.d_gates) + row * View::kGradients * H + u;
    const auto n = load_values<2 * kGates>(saved + Cell::kReserve * H, H);
    const auto d = load_values<View::kProducts>(d_gates, H);
#pragma unroll
    for (int g = 0; g < kGates; ++g) {
      sums[g] = fma(d[g], n[g], sums[g]);
      sums[kGates + g] = fma(d[g < kGates - kSplits ? g : g + kSplits], n[kGates + g], sums[kGates + g]);
    }
#pragma unroll
    for (int k = 0; k < View::kProducts; ++k) sums[2 * kGates + k] = sums[2 * kGates + k] + d[k];
  }
#pragma unroll
  for (int k = 0; k < kSums; ++k) shared[k * kRowThreads + me] = sums[k].v;
  sync_block();
  if (lane > 0 || u >= H) return;
  C* const to = static_cast<C*>(own.d_unit_params) + part * View::kUnitGradients * H + u;
#pragma unroll
  for (int k = 0; k < kSums; ++k) {
    C sum = sums[k].v;
#pragma unroll
    for (int i = 1; i < kColumnRows; ++i) sum += shared[k * kRowThreads + i * kColumnUnits + me];
    to[(k < 2 * kGates ? k : Cell::kUnitParams + k - 2 * kGates) * H] = sum;
  }
}

/// Of all rows, in place: from the gradients of the scaled input's part to those of its products.
template <class Cell, class T>
FASTRNN_KERNEL(kRowThreads)
normalize_input_gradients(Backward call, int64_t rows) {
  using C = Compute<T>;
  using V = Value<T>;
  using View = CellView<Cell>;
  constexpr int kGates = Cell::kGates;
  C* const shared = static_cast<C*>(shared_memory());
  const int64_t H = call.hidden;
  for (int64_t i = block_index(); i < rows * call.directions; i += num_blocks()) {
    const BackwardDirection& own = call.direction[i / rows];
    const int64_t row = i % rows;
    const T* const saved = static_cast<const T*>(own.gates) + (row * View::kSlots + View::kInput) * H;
    T* const d_gates = static_cast<T*>(own.d_gates) + row * View::kGradients * H;
    V sum(0), product(0);
    const auto gradients = [&](int u, V& d_sum, V& d_product) {
      const auto params = load_unit_params<Cell, T>(own.unit_params, u, H);
      const auto d = load_values<kGates>(static_cast<const T*>(d_gates + u), H);
      return unscale_gradients<Cell, 0, V>(params, d, load_values<kGates>(saved + u, H), d_sum, d_product);
    };
    for (int u = thread_index(); u < H; u += kRowThreads) gradients(u, sum, product);
    const Pack<C, 2> sums = sum_over_block(shared, Pack<C, 2>{{sum.v, product.v}});
    const C scale = static_cast<const C*>(own.statistics)[row * kRowStatistics + kInputScale];
    const NormGradient<C> of(sums, scale, kGates * H);
    for (int u = thread_index(); u < H; u += kRowThreads) {
      const auto d = gradients(u, sum, product);
#pragma unroll
      for (int g = 0; g < kGates; ++g) store_number(d_gates + g * H + u, of(d[g], load_number(saved + g * H + u)));
    }
  }
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
