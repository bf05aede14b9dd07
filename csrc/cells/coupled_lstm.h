#pragma once
#include "cells/contract.h"

namespace fastrnn {

/// LSTM with coupled input and forget gate (CIFG; Greff et al. 2017), gates in the order f g o, the input gate is 1 -
/// f:
///   f, o = sigmoid(.)   g = tanh(.)   c' = g + f (c - g)   h' = o tanh(c')
struct CoupledLstmCell : CellContract {
  static constexpr const char* kName = "coupled_lstm";
  static constexpr const char* kGateNames = "f g o";
  static constexpr int kGates = 3, kStates = 2, kReserve = 3;
  static constexpr int kPhaseGates[1] = {3}, kPhaseSplit[1] = {0};

  template <class V>
  FASTRNN_HD static void forward(const Pack<V, 3>& a, const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 2>& prev,
                                 Pack<V, 2>& next, Pack<V, 3>& reserve) {
    const V f = sigmoid(a[0]), g = tanh(a[1]), o = sigmoid(a[2]);
    next[1] = fma(f, prev[1] - g, g);
    next[0] = o * tanh(next[1]);
    reserve = {{f, g, o}};
  }

  template <class V>
  FASTRNN_HD static void backward(const Pack<V, 3>& reserve, const Pack<V, 0>&, const Pack<V, 2>& prev,
                                  const Pack<V, 2>& next, const Pack<V, 2>& d_next, Pack<V, 2>& d_prev, Pack<V, 3>& d_a,
                                  Pack<V, 0>&, Pack<V, 0>&) {
    const V f = reserve[0], g = reserve[1], o = reserve[2];
    const V one(typename V::Scalar(1));
    const V tanh_c = tanh(next[1]);
    const V d_c = fma(d_next[0] * o, one - tanh_c * tanh_c, d_next[1]);
    d_a[0] = d_c * (prev[1] - g) * (f * (one - f));
    d_a[1] = d_c * (one - f) * (one - g * g);
    d_a[2] = d_next[0] * tanh_c * (o * (one - o));
    d_prev[1] = d_c * f;
  }
};

}  // namespace fastrnn
