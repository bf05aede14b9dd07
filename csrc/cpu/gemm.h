#pragma once
// The register tile: all matrix products of the engine are this one loop.

#include "cpu/vec.h"

namespace fastrnn {
namespace FASTRNN_ISA {

/// Rows of a tile that is NV registers wide. Accumulators, one row of weights and one broadcast value must
/// stay in registers; more than 8 rows cost more streams than they save loads (12x32 lost 10 % at K = 1024).
template <int NV>
constexpr int kTileRows = kRegisters >= 32 ? (NV >= 4 ? 6 : 8)
                                           : (NV >= 4   ? 3
                                              : NV == 3 ? 4
                                                        : 6);

/// What one element of an operand holds and how two of them multiply: here one number of type T. cpu/bf16.h has pairs
/// of bfloat16 numbers in the place of one float.
template <class T>
struct Plain {
  static constexpr int kNumbers = 1;  // in an element
  FASTRNN_INLINE static Vec<T> broadcast(T x) { return Vec<T>(x); }
  FASTRNN_INLINE static Vec<T> add_product(Vec<T> x, Vec<T> w, Vec<T> sum) { return fma(x, w, sum); }
};

/// acc[r][v] += sum over k in [begin, end) of value(r, k) * b[(k - begin) * b_stride + v * lanes], in the order of k
/// whatever the tile's size, so the split into tiles and threads never changes a bit.
template <int MR, int NV, class T, class Product = Plain<T>, class Value>
FASTRNN_INLINE void accumulate_tile(Vec<T> (&acc)[MR][NV], const Value& value, const T* b, ptrdiff_t b_stride,
                                    ptrdiff_t begin, ptrdiff_t end) {
  using V = Vec<T>;
  for (ptrdiff_t k = begin; k < end; ++k, b += b_stride) {
    V weights[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) weights[v] = V::load(b + v * V::kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
      const V x = Product::broadcast(value(r, k));
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) acc[r][v] = Product::add_product(x, weights[v], acc[r][v]);
    }
  }
}

/// acc[r][v] = sum over k < depth of value(r, k) * b[k * b_stride + v * lanes]
///
/// Cut into pieces of at most `longest_chain` terms, each summed from zero: in one chain every addition would round at
/// the size of the whole sum, which cost gradients 3 to 7 times torch's error.
template <int MR, int NV, class T, class Product = Plain<T>, class Value>
FASTRNN_INLINE void multiply_pieces(Vec<T> (&acc)[MR][NV], const Value& value, const T* b, ptrdiff_t b_stride,
                                    ptrdiff_t depth, ptrdiff_t longest_chain) {
  using V = Vec<T>;
  alignas(64) T total[MR * NV * V::kLanes];
  const ptrdiff_t pieces = (depth + longest_chain - 1) / longest_chain, piece = (depth + pieces - 1) / pieces;
  for (ptrdiff_t k = 0;;) {
    const bool first = k == 0;
    const ptrdiff_t stop = depth - k > piece ? k + piece : depth;
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) acc[r][v] = V(T(0));
    }
    accumulate_tile<MR, NV, T, Product>(acc, value, b, b_stride, k, stop);
    b += (stop - k) * b_stride;
    k = stop;
    if (!first) {
#pragma GCC unroll 8
      for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) acc[r][v] = V::load(total + (r * NV + v) * V::kLanes) + acc[r][v];
      }
    }
    if (k == depth) return;
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) acc[r][v].store(total + (r * NV + v) * V::kLanes);
    }
  }
}

/// Terms between two cuts along features; along rows, where torch adds up in shorter pieces, it is kLongestRowChain.
constexpr ptrdiff_t kLongestChain = 256, kLongestRowChain = 128;

/// acc[r][v] = sum over k of a[r][k] * b[k * b_stride + v * lanes]
template <int MR, int NV, class T, class Product = Plain<T>>
FASTRNN_INLINE void multiply_tile(Vec<T> (&acc)[MR][NV], const T* const (&a)[MR], const T* b, ptrdiff_t b_stride,
                                  ptrdiff_t depth) {
  multiply_pieces<MR, NV, T, Product>(
      acc, [&](int r, ptrdiff_t k) { return a[r][k]; }, b, b_stride, depth, kLongestChain);
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
