#pragma once
// AVX2 + FMA: 32-byte registers, 16 of them.

#include <immintrin.h>

namespace fastrnn {
namespace FASTRNN_ISA {
constexpr int kVectorBytes = 32;
constexpr int kRegisters = 16;
}  // namespace FASTRNN_ISA
}  // namespace fastrnn

#include "cpu/vec_native.h"

namespace fastrnn {
namespace FASTRNN_ISA {

FASTRNN_INLINE F32 native_fma(F32 a, F32 b, F32 c) { return _mm256_fmadd_ps(a, b, c); }
FASTRNN_INLINE F64 native_fma(F64 a, F64 b, F64 c) { return _mm256_fmadd_pd(a, b, c); }
// x86 max and min return their second operand when either is NaN.
FASTRNN_INLINE F32 native_max(F32 bound, F32 x) { return _mm256_max_ps(bound, x); }
FASTRNN_INLINE F64 native_max(F64 bound, F64 x) { return _mm256_max_pd(bound, x); }
FASTRNN_INLINE F32 native_min(F32 bound, F32 x) { return _mm256_min_ps(bound, x); }
FASTRNN_INLINE F64 native_min(F64 bound, F64 x) { return _mm256_min_pd(bound, x); }

FASTRNN_INLINE __m256i first_lanes_32(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
FASTRNN_INLINE __m256i first_lanes_64(int n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
FASTRNN_INLINE F32 native_load_partial(const float* p, int n) { return _mm256_maskload_ps(p, first_lanes_32(n)); }
FASTRNN_INLINE F64 native_load_partial(const double* p, int n) { return _mm256_maskload_pd(p, first_lanes_64(n)); }
FASTRNN_INLINE void native_store_partial(float* p, F32 v, int n) { _mm256_maskstore_ps(p, first_lanes_32(n), v); }
FASTRNN_INLINE void native_store_partial(double* p, F64 v, int n) { _mm256_maskstore_pd(p, first_lanes_64(n), v); }

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
