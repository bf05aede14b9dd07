#pragma once
// Weights in the order in which tiles read them. Done anew on every call: it costs 0.07 to 0.12 ns a weight with a
// register transpose, and a cached copy could outlive an edit of the weights that leaves no trace.

#include "cpu/shuffle.h"
#include "cpu/tiling.h"

namespace fastrnn {
namespace FASTRNN_ISA {

/// Panel for products with W^T (the forward direction). weight [gates * hidden, depth]; the panel of `count` blocks of
/// units from `block` on is [depth][count][gates][W], zero beyond the last unit. Its place in `packed` follows from
/// `block`, so any cut into panels fits the same buffer.
template <class T>
void pack_rows(const T* weight, int gates, int64_t hidden, int64_t depth, int64_t block, int count, T* packed) {
  using V = Vec<T>;
  constexpr int W = V::kLanes;
  const int64_t width = int64_t(count) * gates * W;
  T* panel = packed + block * gates * W * depth;
  for (int u = 0; u < count; ++u) {
    const int units = clip_lanes(hidden - (block + u) * W, W);
    for (int gate = 0; gate < gates; ++gate) {
      const T* source = weight + (gate * hidden + (block + u) * W) * depth;
      T* column = panel + (int64_t(u) * gates + gate) * W;
      for (int64_t k = 0; k < depth; k += W) {
        const int taken = clip_lanes(depth - k, W);
        V rows[W];
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) rows[i] = i < units ? V::load_partial(source + i * depth + k, taken) : V(T(0));
        transpose<T>(rows);
        if (taken == W) {
#pragma GCC unroll 16
          for (int i = 0; i < W; ++i) rows[i].store(column + (k + i) * width);
        } else {
          T lanes[W * W];
#pragma GCC unroll 16
          for (int i = 0; i < W; ++i) rows[i].store(lanes + i * W);
          for (int i = 0; i < taken; ++i) V::load(lanes + i * W).store(column + (k + i) * width);
        }
      }
    }
  }
}

/// Panels for products with W (the backward direction), side by side. weight [gates * hidden, columns], rows `stride`
/// apart; the panel of
/// `count` blocks of columns from a block on is [hidden blocks][gates][W][count * W]: depth in the order of a row of
/// gate gradients, zero for units and columns that do not exist. Does the given columns, in panels of at most `widest`
/// blocks, and of these the part that belongs to the units of `hidden_blocks`.
template <class T>
void pack_columns(const T* weight, int gates, int64_t hidden, int64_t columns, int64_t stride, Range column_blocks,
                  int widest, Range hidden_blocks, T* packed) {
  using V = Vec<T>;
  constexpr int W = V::kLanes;
  const int64_t depth = (hidden + W - 1) / W * gates * W;
  for (int64_t b = hidden_blocks.begin; b < hidden_blocks.end; ++b) {
    for (int gate = 0; gate < gates; ++gate) {
      for (int lane = 0; lane < W; ++lane) {
        const int64_t unit = b * W + lane, k = (b * gates + gate) * W + lane;
        const T* source = weight + (gate * hidden + unit) * stride;  // one row of weights, read in order
        for_block_tiles(column_blocks, widest, [&](int64_t block, int count) {
          T* target = packed + block * W * depth + k * count * W;
          for (int u = 0; u < count; ++u) {
            const int64_t column = (block + u) * W;
            (unit < hidden ? V::load_partial(source + column, clip_lanes(columns - column, W)) : V(T(0)))
                .store(target + u * W);
          }
        });
      }
    }
  }
}

/// vector [gates * hidden] as [blocks][gates][W], zero beyond the last unit, for gates [first, first + taken) of it;
/// a second vector, where given, is added. Null vectors count as zeros.
template <class T>
void pack_vector(const T* vector, const T* added, int first, int taken, int64_t hidden, Range blocks, int stride,
                 T* packed) {
  using V = Vec<T>;
  constexpr int W = V::kLanes;
  for (int64_t block = blocks.begin; block < blocks.end; ++block) {
    const int units = clip_lanes(hidden - block * W, W);
    for (int gate = 0; gate < taken; ++gate) {
      const int64_t offset = (first + gate) * hidden + block * W;
      V sum = vector ? V::load_partial(vector + offset, units) : V(T(0));
      if (added) sum = sum + V::load_partial(added + offset, units);
      sum.store(packed + (block * stride + gate) * W);
    }
  }
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
