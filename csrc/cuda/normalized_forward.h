#pragma once
// A step of cells whose pre-activations are normalized. Statistics of a row need the sums of all units: one launch
// multiplies, and a second one has a block for each row, for the normalization and the cell. The input's part is
// normalized before the first step, for all rows at once.

#include "cells/normalized_gates.h"
#include "cuda/row_sums.h"
#include "cuda/step_parts.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

using cuda::kHiddenScale;
using cuda::kInputScale;
using cuda::kRowStatistics;
using cuda::kStateMean;
using cuda::kStateScale;

/// Where the values of a row lie, and the first of them where the input's part is.
template <class Cell, class T>
FASTRNN_DEVICE T* values_of_row(const Forward& call, int d, int64_t row) {
  using View = CellView<Cell>;
  return static_cast<T*>(call.direction[d].gates) + row * (call.saving ? View::kSlots : View::kWorking) * call.hidden;
}
template <class Cell>
FASTRNN_DEVICE int64_t input_column(const Forward& call) {
  return call.saving ? int64_t(CellView<Cell>::kInput) * call.hidden : 0;
}

/// The input's part of all rows, in place.
template <class Cell, class T>
FASTRNN_KERNEL(kRowThreads)
normalize_input(Forward call, int64_t rows) {
  using C = Compute<T>;
  using V = Value<T>;
  C* const shared = static_cast<C*>(shared_memory());
  const int64_t size = int64_t(Cell::kGates) * call.hidden;
  for (int64_t i = block_index(); i < rows * call.directions; i += num_blocks()) {
    const int d = int(i / rows);
    const int64_t row = i % rows;
    T* const x = values_of_row<Cell, T>(call, d, row) + input_column<Cell>(call);
    const RowStatistics<C> of =
        row_statistics(shared, size, C(Cell::kNormEpsilon), [&](int64_t k) { return load_number(x + k).v; });
    for (int64_t k = thread_index(); k < size; k += kRowThreads)
      store_number(x + k, normalized(load_number(x + k), V(of.mean), V(of.scale)));
    if (call.saving && thread_index() == 0)
      static_cast<C*>(call.direction[d].statistics)[row * kRowStatistics + kInputScale] = of.scale;
  }
}

/// Values of a unit in `raw`: products; from these, where the state must be normalized, the reserve and the state.
template <class Cell>
constexpr int kRaw = Cell::kGates + 1;

/// The recurrent product, to `raw`.
template <class Cell, class T>
FASTRNN_KERNEL(Tile<T>::kThreads)
multiply_step(Forward call, int64_t step, int rows) {
  const TilePlace<T> place(call.hidden, rows);
  const int64_t t = call.rows.time_of(step, place.direction), H = call.hidden;
  Pack<Value<T>, Cell::kGates> sums;
  multiply_operand<Cell, T, 0>(call, place, t, sums);
  if (!place.owns(call.hidden, call.rows.count(t))) return;
  Compute<T>* const raw = static_cast<Compute<T>*>(call.direction[place.direction].raw);
  store_values(sums, raw + place.row * kRaw<Cell> * H + place.unit, H);
}

template <class Cell, class T>
FASTRNN_DEVICE Pack<Value<T>, Cell::kStates> prev_states(const Forward& call, int d, int64_t t, int b, int u) {
  const ForwardDirection& own = call.direction[d];
  return states_before<Cell, T>(call, static_cast<const Compute<T>*>(own.cells),
                                static_cast<const Compute<T>*>(own.kept), !call.saving, t, b, u, d);
}

/// From the states that the cell has made to where the next step, the next layer and backward look for them.
template <class Cell, class T>
FASTRNN_DEVICE void finish_states(const Forward& call, int d, int64_t t, int b, int u,
                                  const Pack<Value<T>, Cell::kStates>& prev, Pack<Value<T>, Cell::kStates> next) {
  zone_out<Cell, T>(call, d, t, b, u, prev, next);
  const int64_t row = call.saving ? call.rows.row(t, b) : b;
  Compute<T>* const cells = static_cast<Compute<T>*>(call.direction[d].cells);
  keep_hidden<Cell, T>(call, d, b, u, next[0]);
  store_states<Cell, T>(call, d, t, b, u, cells + row * call.hidden + u, next);
}

/// A unit's part of what its row has of sums, up to the new states, or to the one that must be normalized first.
template <class Cell, class T>
FASTRNN_DEVICE void forward_normalized_unit(const Forward& call, int d, int64_t t, int b, int u,
                                            const RowStatistics<Compute<T>>& of) {
  using V = Value<T>;
  constexpr int kGates = Cell::kGates, kSplits = Cell::kPhaseSplit[0];
  const ForwardDirection& own = call.direction[d];
  const int64_t H = call.hidden;
  Compute<T>* const raw = static_cast<Compute<T>*>(own.raw) + b * kRaw<Cell> * H + u;
  T* const values = values_of_row<Cell, T>(call, d, call.rows.row(t, b)) + u;
  const auto params = load_unit_params<Cell, T>(own.unit_params, u, H);
  const auto prev = prev_states<Cell, T>(call, d, t, b, u);
  const auto of_input = load_values<kGates>(static_cast<const T*>(values) + input_column<Cell>(call), H);
  const UnitBias<Cell, T, 0> unit_bias(call, d, u);
  Pack<V, kGates> of_hidden, bias, a;
  Pack<V, kSplits> split_bias, x;
#pragma unroll
  for (int g = 0; g < kGates; ++g) {
    of_hidden[g] = normalized(V(raw[g * H]), V(of.mean), V(of.scale));
    bias[g] = unit_bias.x[g];
  }
#pragma unroll
  for (int g = 0; g < kSplits; ++g) split_bias[g] = unit_bias.h[g];
  scale_gates<Cell, V>(params, of_input, of_hidden, bias, split_bias, a, x);
  Pack<V, Cell::kStates> next;
  Pack<V, Cell::kReserve> reserve;
  Cell::template forward<V>(a, x, params, prev, next, reserve);
  if (call.saving) {
    store_values(reserve, values, H);
    store_values(of_hidden, values + (Cell::kReserve + kGates) * H, H);
  }
  if constexpr (Cell::kNormalizesState) {
    static_assert(Cell::kReserve < kRaw<Cell>, "the reserve and the state wait where the products were");
    store_values(reserve, raw, H);
    raw[Cell::kReserve * H] = next[1].v;
  } else {
    finish_states<Cell, T>(call, d, t, b, u, prev, next);
  }
}

/// The second launch of a step, with a block for each row.
template <class Cell, class T>
FASTRNN_KERNEL(kRowThreads)
forward_normalized_step(Forward call, int64_t step, int rows) {
  using C = Compute<T>;
  using V = Value<T>;
  C* const shared = static_cast<C*>(shared_memory());
  const int d = block_index() / rows, b = block_index() % rows;
  const int64_t t = call.rows.time_of(step, d), H = call.hidden, size = Cell::kGates * H;
  if (b >= call.rows.count(t)) return;
  const ForwardDirection& own = call.direction[d];
  const int64_t row = call.rows.row(t, b);
  const C* const raw = static_cast<const C*>(own.raw) + b * kRaw<Cell> * H;
  C* const statistics = static_cast<C*>(own.statistics) + row * kRowStatistics;
  const RowStatistics<C> of = row_statistics(shared, size, C(Cell::kNormEpsilon), [&](int64_t i) { return raw[i]; });
  if (call.saving && thread_index() == 0) statistics[kHiddenScale] = of.scale;
  for (int u = thread_index(); u < H; u += kRowThreads) forward_normalized_unit<Cell, T>(call, d, t, b, u, of);
  if constexpr (Cell::kNormalizesState) {
    // A thread has left there what it reads.
    const C* const states = raw + Cell::kReserve * H;
    const RowStatistics<C> state =
        row_statistics(shared, H, C(Cell::kNormEpsilon), [&](int64_t i) { return states[i]; });
    if (call.saving && thread_index() == 0) {
      statistics[kStateMean] = state.mean;
      statistics[kStateScale] = state.scale;
    }
    for (int u = thread_index(); u < H; u += kRowThreads) {
      const auto prev = prev_states<Cell, T>(call, d, t, b, u);
      const auto params = load_unit_params<Cell, T>(own.unit_params, u, H);
      const auto reserve = load_values<Cell::kReserve>(raw + u, H);
      Pack<V, Cell::kStates> next;
      next[1] = V(states[u]);
      next[0] = Cell::template forward_output<V>(reserve, params, normalized(next[1], V(state.mean), V(state.scale)));
      finish_states<Cell, T>(call, d, t, b, u, prev, next);
    }
  }
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
