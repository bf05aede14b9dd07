#pragma once
// Numbers of 16 bits to float32 and back, as a GPU's conversion instructions do it: rounded to nearest, ties to even,
// too large ones to infinity, NaN kept. For the sides of cuda/ops.h that run on a CPU.

#include <math.h>
#include <string.h>

#include "cuda/numbers.h"

namespace fastrnn {
namespace testing {

inline uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

inline float widen(cuda::Bfloat16 half) { return float_of(uint32_t(half.bits) << 16); }
inline void narrow(float x, cuda::Bfloat16* half) {
  const uint32_t bits = bits_of(x);
  half->bits = isnan(x) ? 0x7fff : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float widen(cuda::Float16 half) {
  const uint32_t sign = uint32_t(half.bits & 0x8000) << 16, exponent = half.bits >> 10 & 31, digits = half.bits & 0x3ff;
  if (exponent == 0) return float_of(sign | bits_of(ldexpf(float(digits), -24)));
  return float_of(sign | (exponent == 31 ? 255 : exponent + 112) << 23 | digits << 13);
}
inline void narrow(float x, cuda::Float16* half) {
  const uint32_t sign = bits_of(x) >> 16 & 0x8000, magnitude = bits_of(x) & 0x7fffffff;
  uint32_t rounded;
  if (isnan(x))
    rounded = 0x7fff;
  else if (magnitude >= bits_of(65520.0f))  // halfway between the largest number and the next power of two
    rounded = 0x7c00;
  else if (magnitude < bits_of(0x1p-14f))  // a multiple of the smallest number
    rounded = uint32_t(nearbyintf(ldexpf(float_of(magnitude), 24)));
  else
    rounded = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  half->bits = uint16_t(sign | rounded);
}

}  // namespace testing
}  // namespace fastrnn
