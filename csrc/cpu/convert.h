#pragma once
// bfloat16 and float16 to float32 and back, rounded to nearest, ties to even. Integer arithmetic that the compiler
// turns into vector instructions, and a conversion instruction where every processor of the instruction set has it.
// Independent of the denormal mode: float32 denormals that survive as bfloat16 survive.

#include "cpu/vec.h"

namespace fastrnn {
namespace FASTRNN_ISA {

FASTRNN_INLINE uint32_t bits_of(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}

FASTRNN_INLINE float float_of(uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

struct Bfloat16 {
  FASTRNN_INLINE static uint32_t widen(uint16_t half) { return uint32_t(half) << 16; }
  FASTRNN_INLINE static uint16_t narrow(uint32_t x) {
    const uint32_t rounded = x + 0x7fff + (x >> 16 & 1);
    const uint32_t quiet = x | 0x400000;  // a NaN stays one whichever of its bits are lost
    return uint16_t(((x & 0x7fffffff) > 0x7f800000 ? quiet : rounded) >> 16);
  }
};

struct Float16 {
  FASTRNN_INLINE static uint32_t widen(uint16_t half) {
    const uint32_t sign = uint32_t(half & 0x8000) << 16, magnitude = uint32_t(half & 0x7fff) << 13;
    const uint32_t normal = magnitude + (112u << 23);  // the exponents' biases differ by 112
    const uint32_t special = normal + (112u << 23);    // infinity and NaN
    // Below the smallest normal number: put 2^-14 in front and take it off again.
    const uint32_t tiny = bits_of(float_of(magnitude + (113u << 23)) - float_of(113u << 23));
    return sign | (magnitude >= 0x0f800000 ? special : magnitude < 0x00800000 ? tiny : normal);
  }
  FASTRNN_INLINE static uint16_t narrow(uint32_t x) {
    const uint32_t sign = x >> 16 & 0x8000, magnitude = x & 0x7fffffff;
    const uint32_t odd = magnitude >> 13 & 1;
    const uint32_t normal = (magnitude - (112u << 23) + 0xfff + odd) >> 13;
    // Adding 0.5 aligns a small number so that the float addition itself rounds it.
    const uint32_t tiny = bits_of(float_of(magnitude < 0x38800000 ? magnitude : 0) + 0.5f) - 0x3f000000;
    const uint32_t special = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;
    return uint16_t(sign | (magnitude >= 0x47800000 ? special : magnitude < 0x38800000 ? tiny : normal));
  }
};

template <class Half>
void widen_numbers(const void* from, void* to, int64_t count) {
  const uint16_t* in = static_cast<const uint16_t*>(from);
  uint32_t* out = static_cast<uint32_t*>(to);
  for (int64_t i = 0; i < count; ++i) out[i] = Half::widen(in[i]);
}

template <class Half>
void narrow_numbers(const void* from, void* to, int64_t count) {
  const uint32_t* in = static_cast<const uint32_t*>(from);
  uint16_t* out = static_cast<uint16_t*>(to);
  for (int64_t i = 0; i < count; ++i) out[i] = Half::narrow(in[i]);
}

/// To the half's precision, kept as float32.
template <class Half>
void round_numbers(const void* from, void* to, int64_t count) {
  const uint32_t* in = static_cast<const uint32_t*>(from);
  uint32_t* out = static_cast<uint32_t*>(to);
  for (int64_t i = 0; i < count; ++i) out[i] = Half::widen(Half::narrow(in[i]));
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
