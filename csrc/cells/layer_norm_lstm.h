#pragma once
#include "cells/contract.h"

namespace fastrnn {

/// LSTM with layer normalization as in haste (after Ba et al. 2016), norm() over all gates, or over the units of c':
///   a = gamma_x norm(W_ih x) + gamma_h norm(W_hh h) + b    i, f, o = sigmoid(.)   g = tanh(.)
///   c' = f c + i g   h' = o tanh(gamma_c norm(c') + beta_c)
/// Per-unit parameters: gamma_x and gamma_h of i f g o each, gamma_c, beta_c.
struct LayerNormLstmCell : CellContract {
  static constexpr const char* kName = "layer_norm_lstm";
  static constexpr const char* kGateNames = "i f g o";
  static constexpr int kGates = 4, kStates = 2, kReserve = 4, kUnitParams = 10;
  static constexpr const char* kUnitParamsName = "norm";
  static constexpr int kPhaseGates[1] = {4}, kPhaseSplit[1] = {0};
  static constexpr bool kNormalizesGates = true, kNormalizesState = true;

  template <class V>
  FASTRNN_HD static void forward(const Pack<V, 4>& a, const Pack<V, 0>&, const Pack<V, 10>&, const Pack<V, 2>& prev,
                                 Pack<V, 2>& next, Pack<V, 4>& reserve) {
    const V i = sigmoid(a[0]), f = sigmoid(a[1]), g = tanh(a[2]), o = sigmoid(a[3]);
    next[1] = fma(f, prev[1], i * g);
    reserve = {{i, f, g, o}};
  }

  template <class V>
  FASTRNN_HD static V forward_output(const Pack<V, 4>& reserve, const Pack<V, 10>& p, const V& n) {
    return reserve[3] * tanh(fma(p[8], n, p[9]));
  }

  /// Returns the gradient of n.
  template <class V>
  FASTRNN_HD static V backward_output(const Pack<V, 4>& reserve, const Pack<V, 10>& p, const V& n, const V& d_h,
                                      Pack<V, 10>& d_p) {
    const V one(typename V::Scalar(1));
    const V t = tanh(fma(p[8], n, p[9]));
    d_p[9] = d_h * reserve[3] * (one - t * t);
    d_p[8] = d_p[9] * n;
    return d_p[9] * p[8];
  }

  template <class V>
  FASTRNN_HD static void backward(const Pack<V, 4>& reserve, const Pack<V, 10>& p, const Pack<V, 2>& prev,
                                  const Pack<V, 2>& next, const Pack<V, 2>& d_next, Pack<V, 2>& d_prev, Pack<V, 4>& d_a,
                                  Pack<V, 0>&, Pack<V, 10>&) {
    const V i = reserve[0], f = reserve[1], g = reserve[2], o = reserve[3];
    const V one(typename V::Scalar(1));
    const V t = tanh(fma(p[8], next[0], p[9]));
    d_a[0] = d_next[1] * g * (i * (one - i));
    d_a[1] = d_next[1] * prev[1] * (f * (one - f));
    d_a[2] = d_next[1] * i * (one - g * g);
    d_a[3] = d_next[0] * t * (o * (one - o));
    d_prev[1] = d_next[1] * f;
  }
};

}  // namespace fastrnn
