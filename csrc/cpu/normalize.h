#pragma once
// Layer normalization of rows as the drivers keep them: `blocks` blocks, `stride` registers apart, of which the first
// kCount registers each belong to the row, and of the last block's lanes those of the units that exist.

#include "cpu/tiling.h"
#include "math/normalization.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class T, int kCount>
struct RowShape {
  int64_t hidden, blocks;
  int stride, last;  // last: units of the last block

  RowShape(int64_t num_hidden, int num_stride)
      : hidden(num_hidden),
        blocks((hidden + Vec<T>::kLanes - 1) / Vec<T>::kLanes),
        stride(num_stride),
        last(int(hidden - (blocks - 1) * Vec<T>::kLanes)) {}
  T size() const { return T(hidden * kCount); }
};

template <class T>
FASTRNN_INLINE T sum_of_lanes(Vec<T> x) {
  T lanes[Vec<T>::kLanes];
  x.store(lanes);
  for (int half = Vec<T>::kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

/// Adds up value(register) over a row, lanes of units that do not exist left out.
template <class T, int kCount, class Value>
FASTRNN_INLINE T sum_of_row(const T* row, const RowShape<T, kCount>& shape, const Value& value) {
  using V = Vec<T>;
  constexpr int W = V::kLanes;
  V sums[kCount];
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) sums[i] = V(T(0));
  const int64_t whole = shape.blocks - (shape.last < W ? 1 : 0);
  for (int64_t block = 0; block < whole; ++block, row += shape.stride * W) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) sums[i] = sums[i] + value(V::load(row + i * W));
  }
  if (whole < shape.blocks) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) sums[i] = sums[i] + keep_first(value(V::load(row + i * W)), shape.last);
  }
#pragma GCC unroll 8
  for (int i = 1; i < kCount; ++i) sums[0] = sums[0] + sums[i];
  return sum_of_lanes<T>(sums[0]);
}

template <class T>
struct RowStatistics {
  T mean, scale;  // scale: 1 / sqrt(variance + epsilon)
};

/// In two passes: the square of the mean may be many times the variance.
template <class T, int kCount>
__attribute__((noinline)) RowStatistics<T> row_statistics(const T* row, const RowShape<T, kCount>& shape, T epsilon) {
  using V = Vec<T>;
  const T mean = sum_of_row(row, shape, [](V x) { return x; }) / shape.size();
  const T squares = sum_of_row(row, shape, [=](V x) {
    const V centered = x - V(mean);
    return centered * centered;
  });
  return {mean, scale_of_row(squares, shape.size(), epsilon)};
}

/// In place: (x - mean) / deviation; returns 1 / deviation.
template <class T, int kCount>
__attribute__((noinline)) T normalize_row(T* row, const RowShape<T, kCount>& shape, T epsilon) {
  using V = Vec<T>;
  constexpr int W = V::kLanes;
  const RowStatistics<T> s = row_statistics(row, shape, epsilon);
  for (int64_t block = 0; block < shape.blocks; ++block) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      T* const at = row + (block * shape.stride + i) * W;
      normalized(V::load(at), V(s.mean), V(s.scale)).store(at);
    }
  }
  return s.scale;
}

/// normalization_gradient of a row.
template <class T>
struct NormGradient {
  T scale, mean, mean_product;
  FASTRNN_INLINE Vec<T> operator()(Vec<T> d_n, Vec<T> n) const {
    return normalization_gradient(d_n, n, Vec<T>(scale), Vec<T>(mean), Vec<T>(mean_product));
  }
};

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
