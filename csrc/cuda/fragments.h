#pragma once
// The tensor cores' instructions on their own, so that a GPU can be compared with the emulation of it.

#include "cuda/ops.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// One instruction of a warp: words [lane, 6], of a and then of b; sums [lane, 4], added to. kind: 0 TF32, 1 float16,
/// 2 bfloat16.
FASTRNN_KERNEL(32) multiply_fragments(int kind, const uint32_t* words, float* sums) {
  const int lane = thread_index();
  uint32_t a[4], b[2];
  float c[4];
  for (int i = 0; i < 4; ++i) a[i] = words[lane * 6 + i];
  for (int i = 0; i < 2; ++i) b[i] = words[lane * 6 + 4 + i];
  for (int i = 0; i < 4; ++i) c[i] = sums[lane * 4 + i];
  if (kind == 0) mma_m16n8k8_tf32(c, a, b);
  if (kind == 1) mma_m16n8k16_f16(c, a, b);
  if (kind == 2) mma_m16n8k16_bf16(c, a, b);
  for (int i = 0; i < 4; ++i) sums[lane * 4 + i] = c[i];
}

/// [count] floats, rounded to TF32 in place.
FASTRNN_KERNEL(32) round_to_tf32(int count, float* values) {
  for (int i = thread_index(); i < count; i += num_threads()) values[i] = float_of(to_tf32(values[i]));
}

inline void run_fragments(int kind, const uint32_t* words, float* sums, Stream stream) {
  launch(multiply_fragments, LaunchShape(), stream, kind, words, sums);
}
inline void run_rounding(int count, float* values, Stream stream) {
  launch(round_to_tf32, LaunchShape(), stream, count, values);
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
