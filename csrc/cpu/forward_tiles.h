#pragma once
// Register tiles of the forward pass: products of a few rows with the weights of a few blocks of units, and what is
// added to them. They depend on a cell's numbers of gates only, so that cells share their code.

#include "cpu/direct.h"

namespace fastrnn {
namespace FASTRNN_ISA {

/// gates[r] [kCount, slots, W] = bias [kCount, kGates, W] + x[r] W_ih, with packed weights.
template <int kGates, int MR, int kCount, class T, class Product>
__attribute__((noinline)) void project_tile(const T* const (&x)[MR], const T* packed, int64_t depth, const T* bias,
                                            int slots, T* const (&gates)[MR]) {
  using V = Vec<T>;
  constexpr int NV = kCount * kGates, W = V::kLanes;
  V acc[MR][NV];
  multiply_tile<MR, NV, T, Product>(acc, x, packed, NV * W, depth);
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v)
      (V::load(bias + v * W) + acc[r][v]).store(gates[r] + (v / kGates * slots + v % kGates) * W);
  }
}

/// The same for one block with weights [gates * hidden, depth] as they lie in memory, of which `units` exist.
template <int MR, class T, class Product>
__attribute__((noinline)) void project_tile_directly(const T* const (&x)[MR], const T* weight, int64_t depth,
                                                     int64_t hidden, int units, int num_gates, const T* bias,
                                                     T* const (&gates)[MR]) {
  using V = Vec<T>;
  constexpr int W = V::kLanes;
  for (int gate = 0; gate < num_gates; ++gate) {
    V sums[MR];
    dot_tile<MR, T, Product>(x, weight + gate * hidden * depth, depth, units, sums);
#pragma GCC unroll 4
    for (int r = 0; r < MR; ++r) (V::load(bias + gate * W) + sums[r]).store(gates[r] + gate * W);
  }
}

/// What a step adds to its products: the input's part of joint gates [rows, kCount, slots, W], the bias of split ones
/// [kCount, splits, W].
template <class T>
struct Addends {
  const T* gates;
  int64_t gates_row;
  int slots;
  const T* split_bias;
};

/// sums [MR, kCount, kGates, W] = a[r] W_hh + addends. With b, the operand has a second part, whose weights follow
/// those of the first.
template <int kGates, int kSplit, bool kTwoParts, int MR, int kCount, class T, class Product>
__attribute__((noinline)) void recurrent_tile(const T* const (&a)[MR], const T* const (&b)[MR], const T* packed,
                                              int64_t depth, const Addends<T>& add, T* sums) {
  using V = Vec<T>;
  constexpr int kJoint = kGates - kSplit, NV = kCount * kGates, W = V::kLanes;
  V acc[MR][NV];
  if constexpr (kTwoParts) {
    multiply_tile<MR, NV, T, Product>(acc, b, packed + depth * NV * W, NV * W, depth);
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) acc[r][v].store(sums + (r * NV + v) * W);
    }
  }
  multiply_tile<MR, NV, T, Product>(acc, a, packed, NV * W, depth);
  // The input's part comes last: a chain of products that starts from it would round each addition at its size.
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      const int block = v / kGates, gate = v % kGates;
      const T* other = gate < kJoint ? add.gates + r * add.gates_row + (block * add.slots + gate) * W
                                     : add.split_bias + (block * kSplit + gate - kJoint) * W;
      V sum = acc[r][v];
      if constexpr (kTwoParts) sum = V::load(sums + (r * NV + v) * W) + sum;
      (V::load(other) + sum).store(sums + (r * NV + v) * W);
    }
  }
}

/// The same for one block with weights [gates * hidden, depth] as they lie in memory.
template <int MR, class T, class Product>
__attribute__((noinline)) void recurrent_tile_directly(const T* const (&a)[MR], const T* weight, int64_t depth,
                                                       int64_t hidden, int units, int num_gates, int num_split,
                                                       const Addends<T>& add, T* sums) {
  using V = Vec<T>;
  constexpr int W = V::kLanes;
  const int joint = num_gates - num_split;
  for (int gate = 0; gate < num_gates; ++gate) {
    V products[MR];
    dot_tile<MR, T, Product>(a, weight + gate * hidden * depth, depth, units, products);
    for (int r = 0; r < MR; ++r) {
      const T* other = gate < joint ? add.gates + r * add.gates_row + gate * W : add.split_bias + (gate - joint) * W;
      (V::load(other) + products[r]).store(sums + (r * num_gates + gate) * W);
    }
  }
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
