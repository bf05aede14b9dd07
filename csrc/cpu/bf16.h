#pragma once
// Products of bfloat16 numbers (AVX512-BF16): an element of an operand is a pair of them in the place of one float, and
// a multiply-add takes both: sum + x.low w.low + x.high w.high, in float32, denormals flushed. Pairs pass through float
// registers as mere bits: only moves may touch them, for arithmetic would change what looks like a NaN.

#include "cpu/pack.h"

namespace fastrnn {
namespace FASTRNN_ISA {

struct Bf16Pairs {
  static constexpr int kNumbers = 2;
  using V = Vec<float>;

  FASTRNN_INLINE static V broadcast(float pair) { return V(_mm512_set1_ps(pair)); }
  FASTRNN_INLINE static V add_product(V x, V w, V sum) {
    return V(_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(x.v), reinterpret_cast<__m512bh>(w.v)));
  }

  /// Rounds to nearest even, in half a register.
  FASTRNN_INLINE static __m256i round(V x) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x.v)); }
  FASTRNN_INLINE static void store(V x, float* to) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), round(x)); }
  /// Lane i is the pair of low[i] and high[i].
  FASTRNN_INLINE static V pair(__m256i low, __m256i high) {
    const __m512i shifted = _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16);
    return V(_mm512_castsi512_ps(_mm512_or_si512(_mm512_cvtepu16_epi32(low), shifted)));
  }
  FASTRNN_INLINE static V pair(V low, V high) { return pair(round(low), round(high)); }
  FASTRNN_INLINE static V load_pair(const uint16_t* low, const uint16_t* high, int n) {
    const __mmask16 mask = n >= 16 ? 0xffff : first_lanes_16(n);
    return pair(_mm256_maskz_loadu_epi16(low ? mask : 0, low), _mm256_maskz_loadu_epi16(high ? mask : 0, high));
  }
};

/// As pack_columns for bfloat16 weights [gates * hidden, columns]: a row of the panel holds two units' weights.
inline void pack_column_pairs(const uint16_t* weight, int gates, int64_t hidden, int64_t columns, Range column_blocks,
                              int widest, Range hidden_blocks, float* packed) {
  constexpr int W = Vec<float>::kLanes;
  const int64_t depth = (hidden + W - 1) / W * gates * W / 2;
  for (int64_t b = hidden_blocks.begin; b < hidden_blocks.end; ++b) {
    for (int gate = 0; gate < gates; ++gate) {
      for (int lane = 0; lane < W; lane += 2) {
        const int64_t unit = b * W + lane, k = ((b * gates + gate) * W + lane) / 2;
        const uint16_t* const low = unit < hidden ? weight + (gate * hidden + unit) * columns : nullptr;
        const uint16_t* const high = unit + 1 < hidden ? low + columns : nullptr;
        for_block_tiles(column_blocks, widest, [&](int64_t block, int count) {
          float* const target = packed + block * W * depth + k * count * W;
          for (int u = 0; u < count; ++u) {
            const int64_t column = (block + u) * W;
            Bf16Pairs::load_pair(low ? low + column : nullptr, high ? high + column : nullptr,
                                 clip_lanes(columns - column, W))
                .store(target + u * W);
          }
        });
      }
    }
  }
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
