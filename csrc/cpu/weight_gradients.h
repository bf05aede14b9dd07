#pragma once
// Sums over the rows of a chunk: dW += d_gates^T [x or h], db += column sums of d_gates; and the product of rows with
// packed weights that both directions of the input gradient share.

#include "cpu/pack.h"

namespace fastrnn {
namespace FASTRNN_ISA {

/// sums [rows, count, W] = a [rows, depth] * packed [depth, count * W]
template <class T, int MR, int NV, class Product = Plain<T>>
__attribute__((noinline)) void multiply_to(const T* a, int64_t stride, const T* packed, int64_t depth, T* sums) {
  using V = Vec<T>;
  constexpr int W = V::kLanes;
  const T* rows[MR];
  V acc[MR][NV];
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) rows[r] = a + r * stride;
  multiply_tile<MR, NV, T, Product>(acc, rows, packed, NV * W, depth);
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) acc[r][v].store(sums + (r * NV + v) * W);
  }
}

template <class T, class Product = Plain<T>>
void multiply_rows(const T* a, int64_t stride, int rows, const T* packed, int count, int64_t depth, T* sums) {
  constexpr int kBlocks = blocks_per_tile(1);
  with_constant<kBlocks>(count, [&](auto c) {
    with_constant<kTileRows<kBlocks>>(rows, [&](auto r) {
      multiply_to<T, decltype(r)::value, decltype(c)::value, Product>(a, stride, packed, depth, sums);
    });
  });
}

/// Gradients of pre-activations: rows of [blocks][gates][W], the gates being [first, first + gates) of the cell's.
template <class T>
struct GateGradients {
  const T* data;
  int64_t stride;
  int first, gates;
};

/// A thread's share of the sums over one chunk. Every thread must make the same calls: tasks are dealt out in turn.
/// An output element belongs to one task and sums its rows in order, so the number of threads never changes a bit. A
/// chunk is summed from zero and then added to those before it, for accuracy (gemm.h).
/// Where an element holds two numbers, they are those of two rows: gates and operand are [rows / 2, ...] then.
template <class T, class Product = Plain<T>>
struct WeightGradients {
  using V = Vec<T>;
  static constexpr int W = V::kLanes;
  static constexpr int kStrip = blocks_per_tile(1);  // registers of columns in a tile

  int member, members, turn;
  T* panel;  // [rows, kStrip * W]
  int64_t hidden, blocks, rows;
  bool first;  // of the chunks: overwrite the output instead of adding

  /// out [G * hidden, columns] += gates^T * operand, where row_of(i) is row i of the operand; rows of out lie
  /// out_stride apart.
  template <class RowOf>
  void matrix(const GateGradients<T>& gates, T* out, int64_t columns, int64_t out_stride, const RowOf& row_of) {
    if (!out) return;
    const int64_t width = blocks * gates.gates * W, strips = (columns + kStrip * W - 1) / (kStrip * W);
    const int parts = strips < 4 * members ? members : 1;  // few strips: share each one
    for (int64_t column = 0; column < columns; column += kStrip * W) {
      const int taken = clip_lanes(columns - column, kStrip * W), registers = (taken + W - 1) / W;
      bool gathered = false;
      for (int part = 0; part < parts; ++part) {
        if (turn++ % members != member) continue;
        if (!gathered) gather(row_of, column, taken, registers);
        gathered = true;
        const Range mine = share(width, part, parts);
        with_constant<kStrip>(registers, [&](auto n) {
          constexpr int NV = decltype(n)::value;
          for_row_tiles(mine, kTileRows<NV>, [&](int64_t i, int size) {
            with_constant<kTileRows<NV>>(
                size, [&](auto m) { outer_tile<decltype(m)::value, NV>(gates, i, out + column, out_stride, taken); });
          });
        });
      }
    }
  }

  /// The strip's columns of every row, next to each other, zero past the last column.
  template <class RowOf>
  void gather(const RowOf& row_of, int64_t column, int taken, int registers) const {
    T* to = panel;
    if constexpr (Product::kNumbers == 2) {
      for (int64_t i = 0; i < rows; i += 2) {
        const T* const from = row_of(i) + column;
        const T* const next = i + 1 < rows ? row_of(i + 1) + column : nullptr;
        for (int v = 0; v < registers; ++v, to += W) {
          const int n = clip_lanes(taken - v * W, W);
          Product::pair(V::load_partial(from + v * W, n), next ? V::load_partial(next + v * W, n) : V(T(0))).store(to);
        }
      }
      return;
    }
    for (int64_t i = 0; i < rows; ++i) {
      const T* from = row_of(i) + column;
      for (int v = 0; v < registers; ++v, to += W)
        V::load_partial(from + v * W, clip_lanes(taken - v * W, W)).store(to);
    }
  }

  /// MR gates from place i of a row on, times NV registers of columns.
  template <int MR, int NV>
  __attribute__((noinline)) void outer_tile(const GateGradients<T>& gates, int64_t i, T* out, int64_t out_stride,
                                            int taken) const {
    T* target[MR];
    V acc[MR][NV];
    const int last = taken - (NV - 1) * W;
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
      const int64_t place = i + r, unit = place / (gates.gates * W) * W + place % W;
      const int64_t gate = gates.first + place / W % gates.gates;
      target[r] = unit < hidden ? out + (gate * hidden + unit) * out_stride : nullptr;
    }
    const T* a = gates.data + i;
    const int64_t stride = gates.stride;
    multiply_pieces<MR, NV, T, Product>(
        acc, [=](int r, int64_t k) { return a[k * stride + r]; }, panel, NV * W,
        (rows + Product::kNumbers - 1) / Product::kNumbers, kLongestRowChain);
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
      if (!target[r]) continue;
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        const int n = v < NV - 1 ? W : last;
        if (!first) acc[r][v] = V::load_partial(target[r] + v * W, n) + acc[r][v];
        acc[r][v].store_partial(target[r] + v * W, n);
      }
    }
  }

  /// out [G * hidden] += column sums of gates.
  void vector(const GateGradients<T>& gates, T* out) {
    if (!out) return;
    const Range mine = share(blocks * gates.gates, member, members);
    for (int64_t place = mine.begin; place < mine.end; ++place) {
      const int64_t unit = place / gates.gates * W;
      T* target = out + (gates.first + place % gates.gates) * hidden + unit;
      const int units = clip_lanes(hidden - unit, W);
      const T* column = gates.data + place * W;
      V part[4] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};  // four chains: faster than one, and more accurate
      int64_t k = 0;
      for (; k + 4 <= rows; k += 4, column += 4 * gates.stride) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) part[i] = part[i] + V::load(column + i * gates.stride);
      }
      for (; k < rows; ++k, column += gates.stride) part[0] = part[0] + V::load(column);
      V sum = (part[0] + part[1]) + (part[2] + part[3]);
      if (!first) sum = sum + V::load_partial(target, units);
      sum.store_partial(target, units);
    }
  }
};

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
