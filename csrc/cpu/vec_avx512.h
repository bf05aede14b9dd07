#pragma once
// AVX-512 (F, BW, DQ, VL): 64-byte registers, 32 of them, masked loads and stores.

#include <immintrin.h>

namespace fastrnn {
namespace FASTRNN_ISA {
constexpr int kVectorBytes = 64;
constexpr int kRegisters = 32;
}  // namespace FASTRNN_ISA
}  // namespace fastrnn

#include "cpu/vec_native.h"

namespace fastrnn {
namespace FASTRNN_ISA {

FASTRNN_INLINE F32 native_fma(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }
FASTRNN_INLINE F64 native_fma(F64 a, F64 b, F64 c) { return _mm512_fmadd_pd(a, b, c); }
// x86 max and min return their second operand when either is NaN.
FASTRNN_INLINE F32 native_max(F32 bound, F32 x) { return _mm512_max_ps(bound, x); }
FASTRNN_INLINE F64 native_max(F64 bound, F64 x) { return _mm512_max_pd(bound, x); }
FASTRNN_INLINE F32 native_min(F32 bound, F32 x) { return _mm512_min_ps(bound, x); }
FASTRNN_INLINE F64 native_min(F64 bound, F64 x) { return _mm512_min_pd(bound, x); }

FASTRNN_INLINE __mmask16 first_lanes_16(int n) { return __mmask16((1u << n) - 1u); }
FASTRNN_INLINE __mmask8 first_lanes_8(int n) { return __mmask8((1u << n) - 1u); }
FASTRNN_INLINE F32 native_load_partial(const float* p, int n) { return _mm512_maskz_loadu_ps(first_lanes_16(n), p); }
FASTRNN_INLINE F64 native_load_partial(const double* p, int n) { return _mm512_maskz_loadu_pd(first_lanes_8(n), p); }
FASTRNN_INLINE void native_store_partial(float* p, F32 v, int n) { _mm512_mask_storeu_ps(p, first_lanes_16(n), v); }
FASTRNN_INLINE void native_store_partial(double* p, F64 v, int n) { _mm512_mask_storeu_pd(p, first_lanes_8(n), v); }

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
