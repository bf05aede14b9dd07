#pragma once
// Of cuda/ops.h, the tensor cores' part on a CPU. Which lane holds what is written from the PTX ISA ("Matrix Fragments
// for mma.m16n8k8" and "... mma.m16n8k16"). Products are exact; sums are those of a pessimist, see sum_products.

#include <stdint.h>

#include "testing/cuda_emulated_ops.h"

namespace fastrnn {
namespace cuda_emulated {

uint32_t to_tf32(float value);
uint32_t bits_of(float value);
float float_of(uint32_t bits);
void sync_warp();
inline void pin(uint32_t&) {}

void mma_m16n8k8_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void mma_m16n8k16_f16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void mma_m16n8k16_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

}  // namespace cuda_emulated
}  // namespace fastrnn
