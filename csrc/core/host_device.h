#pragma once
// What cell equations need to compile for a SIMD register, a plain float and a CUDA thread.

#if defined(__CUDACC__)
#define FASTRNN_HD __host__ __device__ __forceinline__
#define FASTRNN_UNROLL _Pragma("unroll")
#elif defined(__GNUC__) || defined(__clang__)
#define FASTRNN_HD inline __attribute__((always_inline))
#define FASTRNN_UNROLL _Pragma("GCC unroll 16")
#else
#error "fastrnn needs GCC or Clang: the kernels use their vector extensions"
#endif

namespace fastrnn {

/// N values of one kind: the gates, the states or the saved values of one unit (or of a register of units).
/// Pack<V, 0> holds one unused element, so that a cell without split gates needs no special case.
template <class V, int N>
struct Pack {
  V v[N > 0 ? N : 1];
  FASTRNN_HD V& operator[](int k) { return v[k]; }
  FASTRNN_HD const V& operator[](int k) const { return v[k]; }
};

}  // namespace fastrnn
