#pragma once
// What tensor cores make of each type of storage: how its numbers are packed into words, and a tile of 16 sums and 8
// rows gets a piece of the depth added.

#include <type_traits>

#include "core/host_device.h"
#include "cuda/numbers.h"
#include "cuda/ops.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// A lane's 16 bytes of a piece.
struct Words {
  uint32_t v[4];
};

/// What a lane has of a tile of 16 sums and 8 rows: of sums lane / 4 and that + 8, rows 2 * (lane % 4) and the next.
/// Where registers allow, in two chains of additions, since an instruction waits for the one before it in its chain.
template <int kChains>
struct TileSums {
  float chain[kChains][4];
};

/// A lane's part of a tile's weights in a piece: of sum lane / 4, and of the one 8 further.
struct TileWeights {
  Words top, bottom;
};

template <class T>
struct TensorNumber;

/// TF32, or a float as the sum of two of them: with the product of the two small ones left out that is as exact as
/// float32.
template <>
struct TensorNumber<float> {
  static constexpr int kInWord = 1;
  static constexpr bool kSplits = true;

  template <class Weight>
  FASTRNN_DEVICE static uint32_t pack(bool split, const Weight& weight) {
    return split ? bits_of(weight(0)) : to_tf32(weight(0));
  }

  /// What `word` lacks after rounding; and rounds it.
  FASTRNN_DEVICE static uint32_t split_word(uint32_t& word) {
    const float value = float_of(word);
    word = to_tf32(value);
    return bits_of(value - float_of(word));  // 12 bits of mantissa, of which the instruction reads the first 10
  }

  FASTRNN_DEVICE static void multiply(float (&sums)[4], const TileWeights& w, const Words& x, int half) {
    const uint32_t a[4] = {w.top.v[half * 2], w.bottom.v[half * 2], w.top.v[half * 2 + 1], w.bottom.v[half * 2 + 1]};
    const uint32_t b[2] = {x.v[half * 2], x.v[half * 2 + 1]};
    mma_m16n8k8_tf32(sums, a, b);
  }

  /// x as it is in memory.
  template <int kChains>
  FASTRNN_DEVICE static void add(TileSums<kChains>& sums, const TileWeights& w, const Words& x) {
    Words rounded;
#pragma unroll
    for (int i = 0; i < 4; ++i) rounded.v[i] = to_tf32(float_of(x.v[i]));
    multiply(sums.chain[0], w, rounded, 0);
    multiply(sums.chain[kChains - 1], w, rounded, 1);
  }

  /// Tensor cores cut off what exceeds float32 in a sum, always towards zero: over a piece that is little, and pieces
  /// are added up by ordinary additions. What is small comes first, or in a chain of its own.
  template <int kChains>
  FASTRNN_DEVICE static void add_split(TileSums<kChains>& sums, const TileWeights& large, const TileWeights& small,
                                       const Words& x) {
    Words x_large = x, x_small;
#pragma unroll
    for (int i = 0; i < 4; ++i) x_small.v[i] = split_word(x_large.v[i]);
    float piece[4] = {};
    float (&rest)[4] = kChains > 1 ? sums.chain[kChains - 1] : piece;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      multiply(rest, small, x_large, half);
      multiply(rest, large, x_small, half);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) multiply(piece, large, x_large, half);
#pragma unroll
    for (int i = 0; i < 4; ++i) sums.chain[0][i] = sums.chain[0][i] + piece[i];
  }
};

/// The halves, as they are.
template <class T>
struct TensorHalf {
  static constexpr int kInWord = 2;
  static constexpr bool kSplits = false;

  template <class Weight>
  FASTRNN_DEVICE static uint32_t pack(bool, const Weight& weight) {
    return weight(0).bits | uint32_t(weight(1).bits) << 16;
  }

  template <int kChains>
  FASTRNN_DEVICE static void add(TileSums<kChains>& sums, const TileWeights& w, const Words& x) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float (&to)[4] = sums.chain[half * (kChains - 1)];
      const uint32_t a[4] = {w.top.v[half * 2], w.bottom.v[half * 2], w.top.v[half * 2 + 1], w.bottom.v[half * 2 + 1]};
      const uint32_t b[2] = {x.v[half * 2], x.v[half * 2 + 1]};
      if constexpr (std::is_same_v<T, cuda::Float16>)
        mma_m16n8k16_f16(to, a, b);
      else
        mma_m16n8k16_bf16(to, a, b);
    }
  }
};
template <>
struct TensorNumber<cuda::Float16> : TensorHalf<cuda::Float16> {};
template <>
struct TensorNumber<cuda::Bfloat16> : TensorHalf<cuda::Bfloat16> {};

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
