#pragma once
// ARM64 Advanced SIMD: 16-byte registers, 32 of them, fused multiply-add.

#include <arm_neon.h>

namespace fastrnn {
namespace FASTRNN_ISA {
constexpr int kVectorBytes = 16;
constexpr int kRegisters = 32;
}  // namespace FASTRNN_ISA
}  // namespace fastrnn

#include "cpu/vec_native.h"

namespace fastrnn {
namespace FASTRNN_ISA {

FASTRNN_INLINE F32 native_fma(F32 a, F32 b, F32 c) {
  return (F32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
FASTRNN_INLINE F64 native_fma(F64 a, F64 b, F64 c) {
  return (F64)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
// fmax and fmin return NaN when either operand is NaN.
FASTRNN_INLINE F32 native_max(F32 bound, F32 x) { return (F32)vmaxq_f32((float32x4_t)bound, (float32x4_t)x); }
FASTRNN_INLINE F64 native_max(F64 bound, F64 x) { return (F64)vmaxq_f64((float64x2_t)bound, (float64x2_t)x); }
FASTRNN_INLINE F32 native_min(F32 bound, F32 x) { return (F32)vminq_f32((float32x4_t)bound, (float32x4_t)x); }
FASTRNN_INLINE F64 native_min(F64 bound, F64 x) { return (F64)vminq_f64((float64x2_t)bound, (float64x2_t)x); }

template <class T>
FASTRNN_INLINE typename NativeOf<T>::type native_load_partial(const T* p, int n) {
  return lanewise_load_partial(p, n);
}
template <class T, class N>
FASTRNN_INLINE void native_store_partial(T* p, N v, int n) {
  lanewise_store_partial(p, v, n);
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
