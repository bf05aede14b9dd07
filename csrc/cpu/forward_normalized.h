#pragma once
// A step of the forward pass where pre-activations are normalized: from whole rows of products to the new states.

#include "cells/normalized_gates.h"
#include "cpu/forward.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class Cell, class T, class Product>
void ForwardPass<Cell, T, Product>::run_normalized() {
  for_my_tiles<0>([&](int64_t row, int64_t block, auto size, auto count) {
    raw_tile<decltype(size)::value, decltype(count)::value>(row, block);
  });
  if (plan_.split.units > 1) barrier_->wait();
  const bool at_once = plan_.split.units == 1;  // else the state's statistics must wait for all threads
  const Range rows = step_rows();
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    apply_normalized(row);
    if (Cell::kNormalizesState && at_once) apply_output(row);
  }
  if (!Cell::kNormalizesState || at_once) return;
  barrier_->wait();
  for (int64_t row = rows.begin; row < rows.end; ++row) apply_output(row);
}

template <class Cell, class T, class Product>
template <int MR, int kCount>
void ForwardPass<Cell, T, Product>::raw_tile(int64_t row, int64_t block) {
  constexpr int kSize = kCount * Cell::kGates * W;
  alignas(64) T sums[MR * kSize];
  const T* zeros = base_ + plan_.bias + block * Cell::kGates * W;
  multiply_operand<0, 0, MR, kCount>(row, block, {zeros, 0, Cell::kGates, nullptr}, sums);
  for (int r = 0; r < MR; ++r)
    __builtin_memcpy(raw_row(row + r) + block * Cell::kGates * W, sums + r * kSize, kSize * sizeof(T));
}

template <class Cell, class T, class Product>
auto ForwardPass<Cell, T, Product>::raw_row(int64_t row) const -> T* {
  return base_ + plan_.raw + row * plan_.layout.padded * Cell::kGates;
}

template <class Cell, class T, class Product>
auto ForwardPass<Cell, T, Product>::candidate_row(int64_t row) const -> T* {
  return base_ + plan_.candidate + row * plan_.layout.padded;
}

template <class Cell, class T, class Product>
auto ForwardPass<Cell, T, Product>::unit_params(int64_t block) const -> Pack<V, Cell::kUnitParams> {
  Pack<V, Cell::kUnitParams> params;
#pragma GCC unroll 16
  for (int i = 0; i < Cell::kUnitParams; ++i)
    params[i] = V::load(base_ + plan_.unit_params + (block * Cell::kUnitParams + i) * W);
  return params;
}

template <class Cell, class T, class Product>
auto ForwardPass<Cell, T, Product>::states_before(int64_t row, int64_t unit, int units) const
    -> Pack<V, Cell::kStates> {
  Pack<V, Cell::kStates> prev;
  prev[0] = V::load_partial(previous_.hidden(row) + unit, units);
  if constexpr (Cell::kStates > 1)
    prev[1] = V::load(previous_.state(row, states_after(step_ - 1), base_ + plan_.state, plan_.layout.padded) + unit);
  return prev;
}

template <class Cell, class T, class Product>
void ForwardPass<Cell, T, Product>::apply_normalized(int64_t row) {
  constexpr int kGates = Cell::kGates, kSplit = Cell::kPhaseSplit[0];
  const LayerShape& s = args_.shape;
  const T* const raw = raw_row(row);
  const RowStatistics<T> of = row_statistics(raw, RowShape<T, kGates>(s.hidden, kGates), T(Cell::kNormEpsilon));
  if (saving_ && blocks_.begin == 0) {
    T* const saved = statistics(steps_.first(time_) + row);
    saved[1] = of.scale;
    saved[2] = saved[3] = T(0);  // for the state, where it is normalized
  }
  for (int64_t block = blocks_.begin; block < blocks_.end; ++block) {
    const int64_t unit = block * W;
    const int units = clip_lanes(s.hidden - unit, W);
    T* const gates = gates_row(time_, row) + block * plan_.slots * W;
    const Pack<V, Cell::kUnitParams> params = unit_params(block);
    const Pack<V, Cell::kStates> prev = states_before(row, unit, units);
    Pack<V, kGates> of_input, of_hidden, bias, a;
    Pack<V, kSplit> split_bias, x;
#pragma GCC unroll 8
    for (int g = 0; g < kGates; ++g) {
      of_hidden[g] = normalized(V::load(raw + (block * kGates + g) * W), V(of.mean), V(of.scale));
      if (saving_) of_hidden[g].store(gates + (Cell::kReserve + kGates + g) * W);
      of_input[g] = V::load(gates + (input_slot_ + g) * W);
      bias[g] = V::load(base_ + plan_.norm_bias + (block * kGates + g) * W);
    }
#pragma GCC unroll 8
    for (int g = 0; g < kSplit; ++g) split_bias[g] = V::load(base_ + plan_.norm_split_bias + (block * kSplit + g) * W);
    scale_gates<Cell, V>(params, of_input, of_hidden, bias, split_bias, a, x);
    Pack<V, Cell::kStates> next;
    Pack<V, Cell::kReserve> reserve;
    Cell::template forward<V>(a, x, params, prev, next, reserve);
    if constexpr (Cell::kNormalizesState) {
      next[1].store(candidate_row(row) + unit);
      // What forward_output needs; where nothing is saved, in the place of the input's part, which has been used.
#pragma GCC unroll 8
      for (int i = 0; i < Cell::kReserve; ++i) reserve[i].store(gates + i * W);
    } else {
      if (saving_) {
#pragma GCC unroll 8
        for (int i = 0; i < Cell::kReserve; ++i) reserve[i].store(gates + i * W);
      }
      store_states(next, prev, row, unit, units);
    }
  }
}

template <class Cell, class T, class Product>
void ForwardPass<Cell, T, Product>::apply_output(int64_t row) {
  if constexpr (Cell::kNormalizesState) {
    static_assert(Cell::kReserve <= Cell::kGates, "the reserve waits where the gates were");
    const LayerShape& s = args_.shape;
    const RowStatistics<T> of = row_statistics(candidate_row(row), RowShape<T, 1>(s.hidden, 1), T(Cell::kNormEpsilon));
    if (saving_ && blocks_.begin == 0) {
      T* const saved = statistics(steps_.first(time_) + row);
      saved[2] = of.mean;
      saved[3] = of.scale;
    }
    for (int64_t block = blocks_.begin; block < blocks_.end; ++block) {
      const int64_t unit = block * W;
      const int units = clip_lanes(s.hidden - unit, W);
      const T* const gates = gates_row(time_, row) + block * plan_.slots * W;
      Pack<V, Cell::kReserve> reserve;
#pragma GCC unroll 8
      for (int i = 0; i < Cell::kReserve; ++i) reserve[i] = V::load(gates + i * W);
      Pack<V, Cell::kStates> next;
      next[1] = V::load(candidate_row(row) + unit);
      next[0] =
          Cell::template forward_output<V>(reserve, unit_params(block), normalized(next[1], V(of.mean), V(of.scale)));
      store_states(next, states_before(row, unit, units), row, unit, units);
    }
  }
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
