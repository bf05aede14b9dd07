#pragma once
// Between a cell's equations and the normalized parts of its pre-activations (kNormalizesGates): scaling and biases.

#include "cells/contract.h"

namespace fastrnn {

/// From both normalized parts to the pre-activations, and the input's part of the gates that keep it apart. Biases are
/// those of the input's part, or both together; `split_bias` of the recurrent part of split gates.
template <class Cell, class V>
FASTRNN_HD void scale_gates(const Pack<V, Cell::kUnitParams>& params, const Pack<V, Cell::kGates>& of_input,
                            const Pack<V, Cell::kGates>& of_hidden, const Pack<V, Cell::kGates>& bias,
                            const Pack<V, Cell::kPhaseSplit[0]>& split_bias, Pack<V, Cell::kGates>& a,
                            Pack<V, Cell::kPhaseSplit[0]>& x) {
  constexpr int kGates = Cell::kGates, kJoint = kGates - Cell::kPhaseSplit[0];
  FASTRNN_UNROLL
  for (int g = 0; g < kGates; ++g) {
    const V input = fma(params[g], of_input[g], bias[g]);
    if (g < kJoint) {
      a[g] = fma(params[kGates + g], of_hidden[g], input);
    } else {
      a[g] = fma(params[kGates + g], of_hidden[g], split_bias[g - kJoint]);
      x[g - kJoint] = input;
    }
  }
}

/// The gradients of the input's part of all gates after scaling; of the recurrent part it is d_a.
template <class Cell, class V>
FASTRNN_HD Pack<V, Cell::kGates> gradients_of_input(const Pack<V, Cell::kGates>& d_a,
                                                    const Pack<V, Cell::kPhaseSplit[0]>& d_x) {
  constexpr int kJoint = Cell::kGates - Cell::kPhaseSplit[0];
  Pack<V, Cell::kGates> d_input;
  FASTRNN_UNROLL
  for (int g = 0; g < Cell::kGates; ++g) d_input[g] = g < kJoint ? d_a[g] : d_x[g - kJoint];
  return d_input;
}

/// Gradients of a part's normalized values from those after scaling; their sums over the gates are added to `sum` and,
/// times n, to `product`. `part`: 0 for the input's, 1 for the recurrent one.
template <class Cell, int part, class V>
FASTRNN_HD Pack<V, Cell::kGates> unscale_gradients(const Pack<V, Cell::kUnitParams>& params,
                                                   const Pack<V, Cell::kGates>& d, const Pack<V, Cell::kGates>& n,
                                                   V& sum, V& product) {
  Pack<V, Cell::kGates> d_n;
  FASTRNN_UNROLL
  for (int g = 0; g < Cell::kGates; ++g) {
    d_n[g] = d[g] * params[part * Cell::kGates + g];
    sum = sum + d_n[g];
    product = fma(d_n[g], n[g], product);
  }
  return d_n;
}

}  // namespace fastrnn
