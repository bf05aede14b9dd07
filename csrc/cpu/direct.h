#pragma once
// Products with weights as they lie in memory, for calls with so few rows that packing would cost more than it saves.

#include "cpu/shuffle.h"
#include "cpu/tiling.h"

namespace fastrnn {
namespace FASTRNN_ISA {

/// Rows of a product that share one reading of the weights.
constexpr int kDirectRows = 4;

/// Weight rows whose sums are kept in registers at a time, for MR rows of the other operand. Four chains are enough to
/// keep up with the second-level cache, and few streams suit the prefetchers better than many.
template <int MR>
constexpr int kDotWeights = kRegisters >= 32 || MR < 4 ? 4 : 2;

/// Lane i of the result is the sum of the lanes of rows[i]: each round adds neighboring rows while interleaving them.
template <class T>
FASTRNN_INLINE Vec<T> sum_lanes(Vec<T> (&rows)[Vec<T>::kLanes]) {
  using All = typename MakeIndices<Vec<T>::kLanes>::type;
#pragma GCC unroll 4
  for (int half = Vec<T>::kLanes / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) {
      rows[i] = Vec<T>(interleave_low(rows[i].v, rows[i + half].v, All{})) +
                Vec<T>(interleave_high(rows[i].v, rows[i + half].v, All{}));
    }
  }
  return rows[0];
}

/// out[r][unit] = sum over k of a[r][k] * weight[unit * depth + k] for the W units from `weight` on, of which `units`
/// exist; zero for the others. Each sum runs over the lanes first, then over k in steps of a register.
template <int MR, class T, class Product = Plain<T>>
FASTRNN_INLINE void dot_tile(const T* const (&a)[MR], const T* weight, int64_t depth, int units, Vec<T> (&out)[MR]) {
  using V = Vec<T>;
  constexpr int W = V::kLanes, kWeights = kDotWeights<MR> < W ? kDotWeights<MR> : W;
  V partial[MR][W];
#pragma GCC unroll 16
  for (int first = 0; first < W; first += kWeights) {
    const T* w[kWeights];
    V acc[MR][kWeights];
#pragma GCC unroll 16
    for (int i = 0; i < kWeights; ++i) {
      w[i] = weight + (first + i < units ? first + i : 0) * depth;  // a row that exists; its sum is dropped below
#pragma GCC unroll 4
      for (int r = 0; r < MR; ++r) acc[r][i] = V(T(0));
    }
    int64_t k = 0;
    for (; k + W <= depth; k += W) {
      V x[MR];
#pragma GCC unroll 4
      for (int r = 0; r < MR; ++r) x[r] = V::load(a[r] + k);
#pragma GCC unroll 16
      for (int i = 0; i < kWeights; ++i) {
        const V value = V::load(w[i] + k);
#pragma GCC unroll 4
        for (int r = 0; r < MR; ++r) acc[r][i] = Product::add_product(value, x[r], acc[r][i]);
      }
    }
    if (k < depth) {
      const int left = int(depth - k);
#pragma GCC unroll 16
      for (int i = 0; i < kWeights; ++i) {
        const V value = V::load_partial(w[i] + k, left);
#pragma GCC unroll 4
        for (int r = 0; r < MR; ++r)
          acc[r][i] = Product::add_product(value, V::load_partial(a[r] + k, left), acc[r][i]);
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < kWeights; ++i) {
#pragma GCC unroll 4
      for (int r = 0; r < MR; ++r) partial[r][first + i] = acc[r][i];
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < MR; ++r) {
    out[r] = sum_lanes<T>(partial[r]);
    if (units < W) out[r] = keep_first(out[r], units);
  }
}

/// sums [MR, NV, W] = a [MR, depth] * weight, where depth runs over [hidden blocks][gates][W] as in a row of gate
/// gradients, and weight is [gates * hidden, stride] from the wanted column on. Whole registers only: hidden and the
/// columns must be multiples of W.
template <class T, int MR, int NV>
__attribute__((noinline)) void multiply_unpacked(const T* a, int64_t a_stride, const T* weight, int64_t stride,
                                                 int gates, int64_t hidden, T* sums) {
  using V = Vec<T>;
  constexpr int W = V::kLanes;
  const T* rows[MR];
  V acc[MR][NV];
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
    rows[r] = a + r * a_stride;
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) acc[r][v] = V(T(0));
  }
  int64_t chain = 0;
  bool first = true;
  for (int64_t unit = 0; unit < hidden; unit += W) {
    for (int gate = 0; gate < gates; ++gate) {
      accumulate_tile<MR, NV, T>(
          acc, [&](int r, int64_t k) { return rows[r][k]; }, weight + (gate * hidden + unit) * stride, stride, 0, W);
#pragma GCC unroll 8
      for (int r = 0; r < MR; ++r) rows[r] += W;
    }
    chain += int64_t(gates) * W;
    if (chain < kLongestChain && unit + W < hidden) continue;
    chain = 0;
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        T* place = sums + (r * NV + v) * W;
        (first ? acc[r][v] : V::load(place) + acc[r][v]).store(place);
        acc[r][v] = V(T(0));
      }
    }
    first = false;
  }
}

template <class T>
void multiply_rows_unpacked(const T* a, int64_t a_stride, int rows, const T* weight, int64_t stride, int gates,
                            int64_t hidden, int count, T* sums) {
  constexpr int kBlocks = blocks_per_tile(1);
  with_constant<kBlocks>(count, [&](auto c) {
    with_constant<kTileRows<kBlocks>>(rows, [&](auto r) {
      multiply_unpacked<T, decltype(r)::value, decltype(c)::value>(a, a_stride, weight, stride, gates, hidden, sums);
    });
  });
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
