#pragma once
// A step backward where pre-activations are normalized: from d_h of whole rows to the gradients of the products. Each
// of the two normalizations needs sums over a row before it can go on; threads that own units add up those of each
// other's blocks, always in the same order.

#include "cells/normalized_gates.h"
#include "cpu/backward.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::run_normalized(Range rows) {
  const bool shared = plan_.split.units > 1;
  if constexpr (Cell::kNormalizesState) {
    for (int64_t row = rows.begin; row < rows.end; ++row) output_gradients(row);
    if (shared) barrier_->wait();
  }
  for (int64_t row = rows.begin; row < rows.end; ++row) normalized_gate_gradients(row);
  if (shared) barrier_->wait();
  for (int64_t row = rows.begin; row < rows.end; ++row) product_gradients(row);
}

template <class Cell, class T, class Product>
auto BackwardPass<Cell, T, Product>::statistics(int64_t row) const -> const T* {
  return reserve_ + plan_.layout.statistics() + row * kRowStatistics;
}

template <class Cell, class T, class Product>
auto BackwardPass<Cell, T, Product>::sums_of_row(int which, int64_t row) const -> T* {
  return base_ + plan_.sums + (which * args_.shape.batch + row) * plan_.layout.padded * 2;
}

template <class Cell, class T, class Product>
auto BackwardPass<Cell, T, Product>::norm_gradient(int which, int64_t row, T scale, T size) const -> NormGradient<T> {
  const T* sums = sums_of_row(which, row);
  V d(T(0)), product(T(0));
  for (int64_t block = 0; block < plan_.layout.blocks; ++block, sums += 2 * W) {
    d = d + V::load(sums);
    product = product + V::load(sums + W);
  }
  return {scale, sum_of_lanes(d) / size, sum_of_lanes(product) / size};
}

template <class Cell, class T, class Product>
auto BackwardPass<Cell, T, Product>::d_unit_params(int64_t chunk, int64_t block) const -> T* {
  return base_ + plan_.d_p[set_] + chunk * plan_.d_p_row + block * Cell::kUnitParams * W;
}

template <class Cell, class T, class Product>
auto BackwardPass<Cell, T, Product>::normalized_state(int64_t row, int64_t unit) const -> V {
  const T* const state = regularizers_.any_zoneout() ? candidates(1) : states_after(step_);
  const T* const of = statistics(steps_.first(time_) + row);
  return normalized(V::load(state + row * plan_.layout.padded + unit), V(of[2]), V(of[3]));
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::output_gradients(int64_t row) {
  if constexpr (Cell::kNormalizesState) {
    const int64_t padded = plan_.layout.padded;
    for (int64_t block = blocks_.begin; block < blocks_.end; ++block) {
      const int64_t unit = block * W;
      const int units = clip_lanes(args_.shape.hidden - unit, W);
      Unit it;
      load_unit(it, row, block, previous_.hidden(row), state_before(row));
      V d_h = V::load(base_ + plan_.d_hidden + row * padded + unit);
      if (regularizers_.zones_out(0)) d_h = d_h - d_h * regularizers_.kept(0, time_, row, unit, units);
      const V n = normalized_state(row, unit);
      Pack<V, Cell::kUnitParams> d_p;
      V d_n = Cell::template backward_output<V>(it.reserve, it.params, n, d_h, d_p);
      if (units < W) d_n = keep_first(d_n, units);
      d_n.store(base_ + plan_.d_norm + row * padded + unit);
      T* const sums = sums_of_row(0, row) + block * 2 * W;
      d_n.store(sums);
      (units < W ? keep_first(d_n * n, units) : d_n * n).store(sums + W);
      T* const out = d_unit_params(chunk_row(time_) + row, block);
#pragma GCC unroll 8
      for (int i = 2 * Cell::kGates; i < Cell::kUnitParams; ++i) d_p[i].store(out + i * W);
    }
  }
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::normalized_gate_gradients(int64_t row) {
  if constexpr (kNormalizes) {
    constexpr int kGates = Cell::kGates, kSplit = Cell::kPhaseSplit[0];
    const LayerShape& s = args_.shape;
    const int64_t padded = plan_.layout.padded, chunk = chunk_row(time_) + row, saved = steps_.first(time_) + row;
    const bool reset = previous_.resets(row);
    NormGradient<T> of_state{};
    if constexpr (Cell::kNormalizesState) of_state = norm_gradient(0, row, statistics(saved)[3], T(s.hidden));
    for (int64_t block = blocks_.begin; block < blocks_.end; ++block) {
      const int64_t unit = block * W;
      const int units = clip_lanes(s.hidden - unit, W);
      Unit it;
      load_unit(it, row, block, previous_.hidden(row), state_before(row));
      Pack<V, Cell::kStates> next, d_next, d_prev, d_kept;
      d_next[0] = V::load(base_ + plan_.d_hidden + row * padded + unit);
      load_results(row, y_row(time_, row), unit, units, next, d_next, d_kept);
      if constexpr (Cell::kNormalizesState) {
        next[0] = normalized_state(row, unit);
        d_next[1] = d_next[1] + of_state(V::load(base_ + plan_.d_norm + row * padded + unit), next[0]);
      }
      Pack<V, kGates> d_a;
      Pack<V, kSplit> d_x;
      Pack<V, Cell::kUnitParams> unused;
      Cell::template backward<V>(it.reserve, it.params, it.prev, next, d_next, d_prev, d_a, d_x, unused);
      if (!Cell::kHiddenCarry) d_prev[0] = V(T(0));
      store_previous(row, unit, d_prev, d_kept, reset);
      store_scaled(it.prev[0], row, unit, units);

      const T* const values = saved_values(saved, block) + Cell::kReserve * W;
      T* const d_params = d_unit_params(chunk, block);
      if (units < W) {
#pragma GCC unroll 8
        for (int g = 0; g < kGates; ++g) d_a[g] = keep_first(d_a[g], units);
      }
      const Pack<V, kGates> d_input = gradients_of_input<Cell, V>(d_a, d_x);
      Pack<V, kGates> of_hidden;
#pragma GCC unroll 8
      for (int g = 0; g < kGates; ++g) {
        of_hidden[g] = V::load(values + (kGates + g) * W);
        (d_input[g] * V::load(values + g * W)).store(d_params + g * W);
        (d_a[g] * of_hidden[g]).store(d_params + (kGates + g) * W);
      }
      V sum(T(0)), product(T(0));
      const Pack<V, kGates> d_n = unscale_gradients<Cell, 1, V>(it.params, d_a, of_hidden, sum, product);
      store_gates<kGates>(d_a, units, base_ + plan_.d_bias_h[set_] + (chunk * padded + unit) * kGates);
      store_gates<kGates>(d_input, units, base_ + plan_.d_x_gates[set_] + chunk * plan_.d_x_row + unit * kGates);
      store_gates<kGates>(d_n, units, base_ + plan_.d_h_gates[set_][0] + chunk * plan_.d_h_row[0] + unit * kGates);
      T* const sums = sums_of_row(1, row) + block * 2 * W;
      (units < W ? keep_first(sum, units) : sum).store(sums);
      (units < W ? keep_first(product, units) : product).store(sums + W);
    }
  }
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::product_gradients(int64_t row) {
  constexpr int kGates = Cell::kGates;
  const int64_t chunk = chunk_row(time_) + row, saved = steps_.first(time_) + row;
  const NormGradient<T> of = norm_gradient(1, row, statistics(saved)[1], T(args_.shape.hidden) * T(kGates));
  for (int64_t block = blocks_.begin; block < blocks_.end; ++block) {
    const T* const n = saved_values(saved, block) + (Cell::kReserve + kGates) * W;
    T* const d = base_ + plan_.d_h_gates[set_][0] + chunk * plan_.d_h_row[0] + block * kGates * W;
    Pack<V, kGates> result;
#pragma GCC unroll 8
    for (int g = 0; g < kGates; ++g) result[g] = of(V::load(d + g * W), V::load(n + g * W));
    store_gates<kGates>(result, clip_lanes(args_.shape.hidden - block * W, W), d);
  }
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::normalize_input_gradients() {
  constexpr int kGates = Cell::kGates;
  const LayerShape& s = args_.shape;
  const Range mine = share(chunk_size(), member_, members_);
  for (int64_t chunk = mine.begin; chunk < mine.end; ++chunk) {
    const int64_t saved = chunk_row_ + chunk;
    T* const row = base_ + plan_.d_x_gates[set_] + chunk * plan_.d_x_row;
    V sums[2] = {V(T(0)), V(T(0))};
    for (int64_t block = 0; block < plan_.layout.blocks; ++block) {
      const int units = clip_lanes(s.hidden - block * W, W);
      const T* const params = base_ + plan_.unit_params + block * Cell::kUnitParams * W;
      const T* const values = saved_values(saved, block) + Cell::kReserve * W;
      Pack<V, Cell::kUnitParams> scales;
      Pack<V, kGates> d, n;
#pragma GCC unroll 8
      for (int g = 0; g < kGates; ++g) {
        scales[g] = V::load(params + g * W);
        d[g] = V::load(row + (block * kGates + g) * W);
        n[g] = V::load(values + g * W);
      }
      V sum(T(0)), product(T(0));
      d = unscale_gradients<Cell, 0, V>(scales, d, n, sum, product);
#pragma GCC unroll 8
      for (int g = 0; g < kGates; ++g) d[g].store(row + (block * kGates + g) * W);
      sums[0] = sums[0] + (units < W ? keep_first(sum, units) : sum);
      sums[1] = sums[1] + (units < W ? keep_first(product, units) : product);
    }
    const T size = T(s.hidden) * T(kGates);
    const NormGradient<T> of{statistics(saved)[0], sum_of_lanes(sums[0]) / size, sum_of_lanes(sums[1]) / size};
    for (int64_t block = 0; block < plan_.layout.blocks; ++block) {
      const T* const values = saved_values(saved, block) + Cell::kReserve * W;
      T* const at = row + block * kGates * W;
      Pack<V, kGates> result;
#pragma GCC unroll 8
      for (int g = 0; g < kGates; ++g) result[g] = of(V::load(at + g * W), V::load(values + g * W));
      store_gates<kGates>(result, clip_lanes(s.hidden - block * W, W), at);
    }
  }
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
