#pragma once
// Cutting work into tiles and shares.

#include "cpu/gemm.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <int N>
struct IntConstant {
  static constexpr int value = N;
};

/// f(IntConstant<n>()) for 1 <= n <= Max, the largest tested first.
template <int Max, class F>
FASTRNN_INLINE void with_constant(int n, const F& f) {
  if constexpr (Max > 1) {
    if (n < Max) return with_constant<Max - 1>(n, f);
  }
  f(IntConstant<Max>{});
}

struct Range {
  int64_t begin, end;
  FASTRNN_INLINE int64_t size() const { return end - begin; }
};

/// The share of part `index` of `parts` in [0, count), as even as can be.
FASTRNN_INLINE Range share(int64_t count, int index, int parts) {
  return {count * index / parts, count * (index + 1) / parts};
}

/// f(first row, rows) for tiles of at most `max` rows, as even as can be: 16 rows make 6 5 5, not 6 6 4.
template <class F>
FASTRNN_INLINE void for_row_tiles(Range rows, int max, const F& f) {
  const int64_t tiles = (rows.size() + max - 1) / max;
  int64_t row = rows.begin;
  for (int64_t i = 0; i < tiles; ++i) {
    const int size = int((rows.end - row + tiles - i - 1) / (tiles - i));
    f(row, size);
    row += size;
  }
}

/// Blocks (registers of units) that one tile takes side by side when each unit has `gates` accumulators.
constexpr int blocks_per_tile(int gates) {
  return kRegisters >= 32 ? (gates == 1 ? 4 : gates == 2 ? 2 : 1) : (gates == 1 ? 2 : 1);
}

/// f(first block, blocks) over a range, in tiles of `max` blocks with one narrower tile at the end.
template <class F>
FASTRNN_INLINE void for_block_tiles(Range blocks, int max, const F& f) {
  for (int64_t block = blocks.begin; block < blocks.end; block += max) {
    const int64_t left = blocks.end - block;
    f(block, int(left < max ? left : max));
  }
}

FASTRNN_INLINE int clip_lanes(int64_t left, int lanes) { return left < lanes ? int(left) : lanes; }

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
