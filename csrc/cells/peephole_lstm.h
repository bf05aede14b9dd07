#pragma once
#include "cells/contract.h"

namespace fastrnn {

/// LSTM with diagonal peepholes (Gers & Schmidhuber 2000): the input and forget gates see c, the output gate c'.
///   i = sigmoid(. + p_i c)   f = sigmoid(. + p_f c)   c' = f c + i g   o = sigmoid(. + p_o c')   h' = o tanh(c')
/// Per-unit parameters p_i, p_f, p_o.
struct PeepholeLstmCell : CellContract {
  static constexpr const char* kName = "peephole_lstm";
  static constexpr const char* kGateNames = "i f g o";
  static constexpr int kGates = 4, kStates = 2, kReserve = 4, kUnitParams = 3;
  static constexpr const char* kUnitParamsName = "peephole";
  static constexpr int kPhaseGates[1] = {4}, kPhaseSplit[1] = {0};

  template <class V>
  FASTRNN_HD static void forward(const Pack<V, 4>& a, const Pack<V, 0>&, const Pack<V, 3>& p, const Pack<V, 2>& prev,
                                 Pack<V, 2>& next, Pack<V, 4>& reserve) {
    const V i = sigmoid(fma(p[0], prev[1], a[0])), f = sigmoid(fma(p[1], prev[1], a[1])), g = tanh(a[2]);
    next[1] = fma(f, prev[1], i * g);
    const V o = sigmoid(fma(p[2], next[1], a[3]));
    next[0] = o * tanh(next[1]);
    reserve = {{i, f, g, o}};
  }

  template <class V>
  FASTRNN_HD static void backward(const Pack<V, 4>& reserve, const Pack<V, 3>& p, const Pack<V, 2>& prev,
                                  const Pack<V, 2>& next, const Pack<V, 2>& d_next, Pack<V, 2>& d_prev, Pack<V, 4>& d_a,
                                  Pack<V, 0>&, Pack<V, 3>& d_p) {
    const V i = reserve[0], f = reserve[1], g = reserve[2], o = reserve[3];
    const V one(typename V::Scalar(1));
    const V tanh_c = tanh(next[1]);
    d_a[3] = d_next[0] * tanh_c * (o * (one - o));
    const V d_c = fma(d_a[3], p[2], fma(d_next[0] * o, one - tanh_c * tanh_c, d_next[1]));
    d_a[0] = d_c * g * (i * (one - i));
    d_a[1] = d_c * prev[1] * (f * (one - f));
    d_a[2] = d_c * i * (one - g * g);
    d_prev[1] = fma(d_a[0], p[0], fma(d_a[1], p[1], d_c * f));
    d_p = {{d_a[0] * prev[1], d_a[1] * prev[1], d_a[3] * next[1]}};
  }
};

}  // namespace fastrnn
