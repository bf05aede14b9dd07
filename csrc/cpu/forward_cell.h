#pragma once
// The cell's equations on a tile of pre-activations that have just been summed.

#include "cpu/forward.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class Cell, class T, class Product>
template <int kPhase>
void ForwardPass<Cell, T, Product>::apply_cell(const T* sums, int rows, int count, int64_t row, int64_t block) {
  constexpr int kGates = Cell::kPhaseGates[kPhase], kSplit = Cell::kPhaseSplit[kPhase];
  const int64_t padded = plan_.layout.padded, hidden = args_.shape.hidden;
  const T* states_prev = states_after(step_ - 1);
  for (int r = 0; r < rows; ++r, ++row) {
    T* const gates_of_row = gates_row(time_, row);
    const T* const hidden_prev = previous_.hidden(row);
    const T* state_prev = nullptr;
    if constexpr (Cell::kStates > 1) state_prev = previous_.state(row, states_prev, base_ + plan_.state, padded);
    for (int u = 0; u < count; ++u, sums += kGates * W) {
      const int64_t unit = (block + u) * W;
      const int units = clip_lanes(hidden - unit, W);
      T* const gates = gates_of_row + (block + u) * plan_.slots * W;
      Pack<V, kGates> a;
#pragma GCC unroll 8
      for (int g = 0; g < kGates; ++g) a[g] = V::load(sums + g * W);
      Pack<V, kSplit> x;
#pragma GCC unroll 8
      for (int g = 0; g < kSplit; ++g) x[g] = V::load(gates + (first_gate<kPhase>() + kGates - kSplit + g) * W);
      Pack<V, Cell::kUnitParams> params;
#pragma GCC unroll 8
      for (int i = 0; i < Cell::kUnitParams; ++i)
        params[i] = V::load(base_ + plan_.unit_params + ((block + u) * Cell::kUnitParams + i) * W);
      Pack<V, Cell::kStates> prev;
      prev[0] = V::load_partial(hidden_prev + unit, units);
      if constexpr (Cell::kStates > 1) prev[1] = V::load(state_prev + unit);

      Pack<V, Cell::kReserve> reserve;
      if constexpr (Cell::kPhases == 2) {
#pragma GCC unroll 8
        for (int i = 0; i < Cell::kReserve; ++i) reserve[i] = V::load(gates + i * W);
      }
      if constexpr (kPhase + 1 < Cell::kPhases) {
        V operand = Cell::template forward_operand<V>(a, x, params, prev, reserve);
        if (Cell::kOperandOfHidden && scaled_) operand = operand * regularizers_.hidden_scale(row, unit, units);
        if constexpr (kPairs)
          Product::store(first_units(operand, units), base_ + plan_.operand + (row * padded + unit) / 2);
        else
          operand.store(base_ + plan_.operand + row * padded + unit);
#pragma GCC unroll 8
        for (int i = 0; i < Cell::kReserve; ++i)
          if (Cell::kOperandReserve >> i & 1) reserve[i].store(gates + i * W);
      } else {
        Pack<V, Cell::kStates> next;
        Cell::template forward<V>(a, x, params, prev, next, reserve);
        store_states(next, prev, row, unit, units);
        if (saving_) {
#pragma GCC unroll 8
          for (int i = 0; i < Cell::kReserve; ++i) reserve[i].store(gates + i * W);
        }
      }
    }
  }
}

template <class Cell, class T, class Product>
FASTRNN_INLINE void ForwardPass<Cell, T, Product>::store_states(Pack<V, Cell::kStates> next,
                                                                const Pack<V, Cell::kStates>& prev, int64_t row,
                                                                int64_t unit, int units) const {
  if (zoneout_) {
#pragma GCC unroll 2
    for (int k = 0; k < Cell::kStates; ++k) {
      if (saving_) next[k].store(candidates(k) + row * plan_.layout.padded + unit);
      if (!regularizers_.zones_out(k)) continue;
      const V kept = regularizers_.kept(k, time_, row, unit, units);
      next[k] = zoned(kept, prev[k], next[k]);
    }
  }
  next[0].store_partial(y_row(time_, row) + unit, units);
  if (kPairs || scaled_) store_operand(next[0], units, row, unit, step_ + 1);
  if constexpr (Cell::kStates > 1) next[1].store(states_after(step_) + row * plan_.layout.padded + unit);
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
