#pragma once
// The register tile: all matrix products of the engine are this one loop.

#include "cpu/vec.h"

namespace fastrnn {
namespace FASTRNN_ISA {

/// Rows of a tile that is NV registers wide. Accumulators, one row of weights and one broadcast value must
/// stay in registers; more than 8 rows cost more streams than they save loads (12x32 lost 10 % at K = 1024).
template <int NV>
constexpr int kTileRows = kRegisters >= 32 ? (NV >= 4 ? 6 : 8) : (NV >= 4 ? 3 : NV == 3 ? 4 : 6);

/// acc[r][v] += sum over k of a[r][k] * b[k * b_stride + v * lanes]: one chain of fused multiply-adds in the order
/// of k for every element, whatever the tile's size, so the split into tiles and threads never changes a bit.
template <int MR, int NV, class T>
FASTRNN_INLINE void multiply_tile(Vec<T> (&acc)[MR][NV], const T* const (&a)[MR], const T* b, ptrdiff_t b_stride,
                                  ptrdiff_t depth) {
  using V = Vec<T>;
  for (ptrdiff_t k = 0; k < depth; ++k, b += b_stride) {
    V weights[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) weights[v] = V::load(b + v * V::kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
      const V value(a[r][k]);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) acc[r][v] = fma(value, weights[v], acc[r][v]);
    }
  }
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
