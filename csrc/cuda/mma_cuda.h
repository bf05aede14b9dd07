#pragma once
// Of cuda/ops.h, the tensor cores' part for nvcc. A warp multiplies a tile of 16 rows with one of 8 columns and adds
// the product to c; what each lane holds of the three is said in the PTX ISA, "Matrix Fragments for mma.m16n8k8" and
// "... for mma.m16n8k16".

#include "cuda/ops_cuda.h"

namespace fastrnn {
namespace cuda_kernels {

/// The nearest number with 10 bits of mantissa, halves away from zero.
FASTRNN_DEVICE uint32_t to_tf32(float value) {
  uint32_t rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(value));
  return rounded;
}
FASTRNN_DEVICE uint32_t bits_of(float value) { return __float_as_uint(value); }
FASTRNN_DEVICE float float_of(uint32_t bits) { return __uint_as_float(bits); }

/// Waits for all lanes of the warp, which then see what each has written.
FASTRNN_DEVICE void sync_warp() { __syncwarp(); }

/// What is computed of the value is computed here and not earlier, where it would need registers for longer.
FASTRNN_DEVICE void pin(uint32_t& value) { asm volatile("" : "+r"(value)); }

#define FASTRNN_MMA(name, shape, type)                                                      \
  FASTRNN_DEVICE void name(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { \
    asm volatile("mma.sync.aligned." shape ".row.col.f32." type "." type                    \
                 ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"               \
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                           \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));       \
  }
/// Of the operands, which are float32, the last 13 bits are ignored.
FASTRNN_MMA(mma_m16n8k8_tf32, "m16n8k8", "tf32")
FASTRNN_MMA(mma_m16n8k16_f16, "m16n8k16", "f16")
FASTRNN_MMA(mma_m16n8k16_bf16, "m16n8k16", "bf16")
#undef FASTRNN_MMA

}  // namespace cuda_kernels
}  // namespace fastrnn
