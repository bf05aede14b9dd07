#pragma once
#include "cells/contract.h"

namespace fastrnn {

/// Gated recurrent unit as in torch, Keras reset_after=True and cuDNN: the reset gate acts after the matmul.
///   r, z = sigmoid(.)   n = tanh(x_n + r (W_hn h + b_hn))   h' = n + z (h - n)
/// The gate n is split: its input part x[0] and its recurrent part a[2] stay apart.
struct GruCell : CellContract {
  static constexpr const char* kName = "gru";
  static constexpr const char* kGateNames = "r z n";
  static constexpr int kGates = 3, kStates = 1, kReserve = 4;
  static constexpr int kPhaseGates[1] = {3}, kPhaseSplit[1] = {1};
  static constexpr bool kHiddenCarry = true;

  template <class V>
  FASTRNN_HD static void forward(const Pack<V, 3>& a, const Pack<V, 1>& x, const Pack<V, 0>&, const Pack<V, 1>& prev,
                                 Pack<V, 1>& next, Pack<V, 4>& reserve) {
    const V r = sigmoid(a[0]), z = sigmoid(a[1]), n = tanh(fma(r, a[2], x[0]));
    next[0] = fma(z, prev[0] - n, n);
    reserve = {{r, z, n, a[2]}};
  }

  template <class V>
  FASTRNN_HD static void backward(const Pack<V, 4>& reserve, const Pack<V, 0>&, const Pack<V, 1>& prev,
                                  const Pack<V, 1>&, const Pack<V, 1>& d_next, Pack<V, 1>& d_prev, Pack<V, 3>& d_a,
                                  Pack<V, 1>& d_x, Pack<V, 0>&) {
    const V r = reserve[0], z = reserve[1], n = reserve[2], h_n = reserve[3];
    const V one(typename V::Scalar(1));
    d_x[0] = d_next[0] * (one - z) * (one - n * n);
    d_a[0] = d_x[0] * h_n * (r * (one - r));
    d_a[1] = d_next[0] * (prev[0] - n) * (z * (one - z));
    d_a[2] = d_x[0] * r;
    d_prev[0] = d_next[0] * z;
  }
};

}  // namespace fastrnn
