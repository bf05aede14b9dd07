#pragma once
// Sums over a row that a whole block works on, and its normalization. Each thread adds up what it has, then 16 threads
// what 16 threads have, then all of them these: always in the same order.

#include "core/host_device.h"
#include "cuda/ops.h"
#include "math/normalization.h"
#include "math/scalar.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

constexpr int kRowThreads = 256, kRowGroups = 16;

template <class T>
constexpr int row_shared_bytes() {
  return int(sizeof(T)) * 2 * (kRowThreads + kRowGroups);
}

/// Of one or two values a thread, the same in all threads. All threads come here.
template <int N, class T>
FASTRNN_DEVICE Pack<T, N> sum_over_block(T* shared, const Pack<T, N>& mine) {
  static_assert(N <= 2, "the place of the groups' sums does not depend on N: slow threads still read the last ones");
  T* const groups = shared + 2 * kRowThreads;
  const int me = thread_index();
#pragma unroll
  for (int k = 0; k < N; ++k) shared[k * kRowThreads + me] = mine[k];
  sync_block();
  if (me < kRowGroups) {
#pragma unroll
    for (int k = 0; k < N; ++k) {
      T sum = shared[k * kRowThreads + me];
#pragma unroll
      for (int i = 1; i < kRowThreads / kRowGroups; ++i) sum += shared[k * kRowThreads + i * kRowGroups + me];
      groups[k * kRowGroups + me] = sum;
    }
  }
  sync_block();
  Pack<T, N> sums;
#pragma unroll
  for (int k = 0; k < N; ++k) {
    sums[k] = groups[k * kRowGroups];
#pragma unroll
    for (int i = 1; i < kRowGroups; ++i) sums[k] += groups[k * kRowGroups + i];
  }
  return sums;
}

template <class T>
struct RowStatistics {
  T mean, scale;
};

/// Of value(0), value(1), ... In two passes: the square of the mean may be many times the variance.
template <class T, class Value>
FASTRNN_DEVICE RowStatistics<T> row_statistics(T* shared, int64_t size, T epsilon, const Value& value) {
  Pack<T, 1> sum{}, squares{};
  for (int64_t i = thread_index(); i < size; i += kRowThreads) sum[0] += value(i);
  const T mean = sum_over_block(shared, sum)[0] / T(size);
  for (int64_t i = thread_index(); i < size; i += kRowThreads) {
    const T centered = value(i) - mean;
    squares[0] += centered * centered;
  }
  return {mean, scale_of_row(sum_over_block(shared, squares)[0], T(size), epsilon)};
}

/// normalization_gradient of a row.
template <class T>
struct NormGradient {
  T scale, mean, mean_product;

  /// sums: over the row, of d_n and of d_n n.
  FASTRNN_DEVICE NormGradient(const Pack<T, 2>& sums, T row_scale, int64_t size)
      : scale(row_scale), mean(sums[0] / T(size)), mean_product(sums[1] / T(size)) {}
  FASTRNN_DEVICE ScalarValue<T> operator()(ScalarValue<T> d_n, ScalarValue<T> n) const {
    using V = ScalarValue<T>;
    return normalization_gradient(d_n, n, V(scale), V(mean), V(mean_product));
  }
};

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
