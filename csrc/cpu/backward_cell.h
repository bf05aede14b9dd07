#pragma once
// The cell's backward equations on a tile of d_h that has just been summed.

#include "cpu/backward.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class Cell, class T, class Product>
FASTRNN_INLINE void BackwardPass<Cell, T, Product>::load_unit(Unit& out, int64_t row, int64_t block,
                                                              const T* hidden_prev, const T* state_prev) const {
  const int64_t unit = block * W;
  const T* reserve = saved_values(steps_.first(time_) + row, block);
#pragma GCC unroll 8
  for (int i = 0; i < Cell::kReserve; ++i) out.reserve[i] = V::load(reserve + i * W);
#pragma GCC unroll 8
  for (int i = 0; i < Cell::kUnitParams; ++i)
    out.params[i] = V::load(base_ + plan_.unit_params + (block * Cell::kUnitParams + i) * W);
  out.prev[0] = V::load_partial(hidden_prev + unit, clip_lanes(args_.shape.hidden - unit, W));
  if constexpr (Cell::kStates > 1) out.prev[1] = V::load(state_prev + unit);
}

template <class Cell, class T, class Product>
template <int N>
FASTRNN_INLINE void BackwardPass<Cell, T, Product>::store_gates(Pack<V, N> d, int units, T* out) const {
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) {
    const V kept = units < W ? keep_first(d[i], units) : d[i];
    kept.store(out + i * W);
    if constexpr (kPairs) Product::store(kept, rounded(out + i * W));
  }
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::apply_cell(const T* sums, int rows, int count, int64_t row, int64_t block) {
  constexpr int kGates = Cell::kPhaseGates[kLastPhase], kSplit = Cell::kPhaseSplit[kLastPhase];
  constexpr int kFirst = kLastPhase ? Cell::kPhaseGates[0] : 0;
  for (int r = 0; r < rows; ++r, ++row) {
    const int64_t chunk = chunk_row(time_) + row;
    const T* const y = y_row(time_, row);
    const T* const hidden_prev = previous_.hidden(row);
    const T* const state_prev = state_before(row);
    const bool reset = previous_.resets(row);
    for (int u = 0; u < count; ++u, sums += W) {
      const int64_t unit = (block + u) * W;
      const int units = clip_lanes(args_.shape.hidden - unit, W);
      Unit it;
      load_unit(it, row, block + u, hidden_prev, state_prev);
      Pack<V, Cell::kStates> next, d_next, d_prev, d_kept;
      d_next[0] = V::load(sums);
      load_results(row, y, unit, units, next, d_next, d_kept);
      Pack<V, kGates> d_a;
      Pack<V, kSplit> d_x;
      Pack<V, Cell::kUnitParams> d_p;
      T* const d_x_gates = base_ + plan_.d_x_gates[set_] + chunk * plan_.d_x_row + (block + u) * Cell::kGates * W;
      if constexpr (Cell::kPhases == 2) {
        Pack<V, Cell::kPhaseGates[0]> d_first;
        Cell::template backward<V>(it.reserve, it.params, it.prev, next, d_next, d_prev, d_a, d_first, d_x, d_p);
        store_gates<Cell::kPhaseGates[0]>(d_first, units, d_x_gates);
      } else {
        Cell::template backward<V>(it.reserve, it.params, it.prev, next, d_next, d_prev, d_a, d_x, d_p);
      }
      store_gates<kGates>(
          d_a, units,
          base_ + plan_.d_h_gates[set_][kLastPhase] + chunk * plan_.d_h_row[kLastPhase] + (block + u) * kGates * W);
      if constexpr (Cell::kPhases == 2 || kSplit > 0) {
#pragma GCC unroll 8
        for (int g = 0; g < kSplit; ++g) d_a[kGates - kSplit + g] = d_x[g];
        store_gates<kGates>(d_a, units, d_x_gates + kFirst * W);
      }
      if constexpr (Cell::kUnitParams > 0)
        store_gates<Cell::kUnitParams>(
            d_p, units, base_ + plan_.d_p[set_] + chunk * plan_.d_p_row + (block + u) * Cell::kUnitParams * W);
      if (!Cell::kHiddenCarry) d_prev[0] = V(T(0));
      store_previous(row, unit, d_prev, d_kept, reset);
      store_scaled(it.prev[0], row, unit, units);
    }
  }
}

template <class Cell, class T, class Product>
FASTRNN_INLINE void BackwardPass<Cell, T, Product>::load_results(int64_t row, const T* y, int64_t unit, int units,
                                                                 Pack<V, Cell::kStates>& next,
                                                                 Pack<V, Cell::kStates>& d_next,
                                                                 Pack<V, Cell::kStates>& d_kept) const {
  const int64_t place = row * plan_.layout.padded + unit;
  if constexpr (Cell::kStates > 1) d_next[1] = V::load(base_ + plan_.d_state + place);
  if (!regularizers_.any_zoneout()) {
    next[0] = V::load_partial(y + unit, units);
    if constexpr (Cell::kStates > 1) next[1] = V::load(states_after(step_) + place);
    return;
  }
#pragma GCC unroll 2
  for (int k = 0; k < Cell::kStates; ++k) {
    next[k] = V::load(candidates(k) + place);
    d_kept[k] = regularizers_.zones_out(k) ? d_next[k] * regularizers_.kept(k, time_, row, unit, units) : V(T(0));
    d_next[k] = d_next[k] - d_kept[k];
  }
}

template <class Cell, class T, class Product>
FASTRNN_INLINE void BackwardPass<Cell, T, Product>::store_previous(int64_t row, int64_t unit,
                                                                   Pack<V, Cell::kStates> d_prev,
                                                                   const Pack<V, Cell::kStates>& d_kept,
                                                                   bool reset) const {
  const int64_t place = row * plan_.layout.padded + unit;
  if (regularizers_.any_zoneout()) {
    d_prev[0] = d_prev[0] + d_kept[0];
    if constexpr (Cell::kStates > 1 && !kStateOperand) d_prev[1] = d_prev[1] + d_kept[1];
    if constexpr (kStateOperand) d_kept[1].store(base_ + plan_.kept_state + place);
  }
  if (carries_) (reset ? V(T(0)) : d_prev[0]).store(base_ + plan_.carry + place);
  // Where the operand has a state, the first phase goes on from here.
  if constexpr (Cell::kStates > 1) (reset && !kStateOperand ? V(T(0)) : d_prev[1]).store(base_ + plan_.d_state + place);
}

template <class Cell, class T, class Product>
FASTRNN_INLINE void BackwardPass<Cell, T, Product>::store_scaled(V hidden, int64_t row, int64_t unit, int units) const {
  if (!regularizers_.scales_hidden()) return;
  (hidden * regularizers_.hidden_scale(row, unit, units))
      .store(base_ + plan_.scaled[set_] + (chunk_row(time_) + row) * plan_.layout.padded + unit);
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::apply_operand(const T* sums, const T* d_state, int rows, int count, int64_t row,
                                                   int64_t block) {
  if constexpr (Cell::kPhases == 2) {
    constexpr int kGates = Cell::kPhaseGates[0], kSplit = Cell::kPhaseSplit[0];
    const int64_t padded = plan_.layout.padded;
    for (int r = 0; r < rows; ++r, ++row) {
      const int64_t chunk = chunk_row(time_) + row;
      const T* const hidden_prev = previous_.hidden(row);
      const T* const state_prev = state_before(row);
      const bool reset = previous_.resets(row);
      for (int u = 0; u < count; ++u, sums += W, d_state += kStateOperand ? W : 0) {
        const int64_t unit = (block + u) * W;
        const int units = clip_lanes(args_.shape.hidden - unit, W);
        Unit it;
        load_unit(it, row, block + u, hidden_prev, state_prev);
        V operand = Cell::template operand<V>(it.reserve, it.prev);
        if (Cell::kOperandOfHidden && regularizers_.scales_hidden())
          operand = operand * regularizers_.hidden_scale(row, unit, units);
        operand.store(base_ + plan_.operand[set_] + chunk * padded + unit);
        T* const d_x_gates = base_ + plan_.d_x_gates[set_] + chunk * plan_.d_x_row + (block + u) * Cell::kGates * W;
        T* const carry = Cell::kHiddenCarry ? base_ + plan_.carry + row * padded + unit : nullptr;
        Pack<V, kGates> d_first;
#pragma GCC unroll 8
        for (int g = 0; g < kGates; ++g) d_first[g] = V::load(d_x_gates + g * W);
        Pack<V, Cell::kStates> d_prev;
        if constexpr (Cell::kHiddenCarry) d_prev[0] = V::load(carry);
        Pack<V, kSplit> d_x;
        Pack<V, Cell::kUnitParams> d_p;
        V d_operand = V::load(sums);
        T* const d_further = base_ + plan_.d_state + row * padded + unit;
        if constexpr (kStateOperand) {
          d_prev[0] = d_prev[0] + d_operand;
          d_prev[1] = V::load(d_further);
          d_operand = V::load(d_state);
        }
        Cell::template backward_operand<V>(it.reserve, it.params, it.prev, d_operand, d_prev, d_first, d_x, d_p);
        if constexpr (kStateOperand) {
          if (regularizers_.any_zoneout())
            d_prev[1] = d_prev[1] + V::load(base_ + plan_.kept_state + row * padded + unit);
          (reset ? V(T(0)) : d_prev[1]).store(d_further);
        }
        store_gates<kGates>(d_first, units,
                            base_ + plan_.d_h_gates[set_][0] + chunk * plan_.d_h_row[0] + (block + u) * kGates * W);
#pragma GCC unroll 8
        for (int g = 0; g < kSplit; ++g) d_first[kGates - kSplit + g] = d_x[g];
        store_gates<kGates>(d_first, units, d_x_gates);
        if constexpr (Cell::kHiddenCarry) (reset ? V(T(0)) : d_prev[0]).store(carry);
      }
    }
  }
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
