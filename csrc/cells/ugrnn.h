#pragma once
#include "cells/contract.h"

namespace fastrnn {

/// Update-gate recurrent network (Collins et al. 2016), a GRU without a reset gate:
///   u = sigmoid(.)   n = tanh(.)   h' = h + u (n - h)
/// Here u lets the new value in. In Collins et al. and TensorFlow the gate keeps the old one: theirs is 1 - u.
struct UgrnnCell : CellContract {
  static constexpr const char* kName = "ugrnn";
  static constexpr const char* kGateNames = "u n";
  static constexpr int kGates = 2, kStates = 1, kReserve = 2;
  static constexpr int kPhaseGates[1] = {2}, kPhaseSplit[1] = {0};
  static constexpr bool kHiddenCarry = true;

  template <class V>
  FASTRNN_HD static void forward(const Pack<V, 2>& a, const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 1>& prev,
                                 Pack<V, 1>& next, Pack<V, 2>& reserve) {
    const V u = sigmoid(a[0]), n = tanh(a[1]);
    next[0] = fma(u, n - prev[0], prev[0]);
    reserve = {{u, n}};
  }

  template <class V>
  FASTRNN_HD static void backward(const Pack<V, 2>& reserve, const Pack<V, 0>&, const Pack<V, 1>& prev,
                                  const Pack<V, 1>&, const Pack<V, 1>& d_next, Pack<V, 1>& d_prev, Pack<V, 2>& d_a,
                                  Pack<V, 0>&, Pack<V, 0>&) {
    const V u = reserve[0], n = reserve[1];
    const V one(typename V::Scalar(1));
    d_a[0] = d_next[0] * (n - prev[0]) * (u * (one - u));
    d_a[1] = d_next[0] * u * (one - n * n);
    d_prev[0] = d_next[0] * (one - u);
  }
};

}  // namespace fastrnn
