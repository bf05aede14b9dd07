#pragma once
#include "cells/contract.h"

namespace fastrnn {

/// Long short-term memory (Hochreiter & Schmidhuber 1997, with forget gate), gates in torch's order i f g o:
///   i, f, o = sigmoid(.)   g = tanh(.)   c' = f c + i g   h' = o tanh(c')
struct LstmCell : CellContract {
  static constexpr const char* kName = "lstm";
  static constexpr const char* kGateNames = "i f g o";
  static constexpr int kGates = 4, kStates = 2, kReserve = 4;
  static constexpr int kPhaseGates[1] = {4}, kPhaseSplit[1] = {0};

  template <class V>
  FASTRNN_HD static void forward(const Pack<V, 4>& a, const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 2>& prev,
                                 Pack<V, 2>& next, Pack<V, 4>& reserve) {
    const V i = sigmoid(a[0]), f = sigmoid(a[1]), g = tanh(a[2]), o = sigmoid(a[3]);
    next[1] = fma(f, prev[1], i * g);
    next[0] = o * tanh(next[1]);
    reserve = {{i, f, g, o}};
  }

  template <class V>
  FASTRNN_HD static void backward(const Pack<V, 4>& reserve, const Pack<V, 0>&, const Pack<V, 2>& prev,
                                  const Pack<V, 2>& next, const Pack<V, 2>& d_next, Pack<V, 2>& d_prev, Pack<V, 4>& d_a,
                                  Pack<V, 0>&, Pack<V, 0>&) {
    const V i = reserve[0], f = reserve[1], g = reserve[2], o = reserve[3];
    const V one(typename V::Scalar(1));
    const V tanh_c = tanh(next[1]);  // recomputed: 14 cycles a register, less than saving and reading it back
    const V d_c = fma(d_next[0] * o, one - tanh_c * tanh_c, d_next[1]);
    d_a[0] = d_c * g * (i * (one - i));
    d_a[1] = d_c * prev[1] * (f * (one - f));
    d_a[2] = d_c * i * (one - g * g);
    d_a[3] = d_next[0] * tanh_c * (o * (one - o));
    d_prev[1] = d_c * f;
  }
};

}  // namespace fastrnn
