#pragma once
#include "cells/contract.h"

namespace fastrnn {

/// LSTM with full peepholes (Gers & Schmidhuber 2000 before they restricted them to diagonals): the input and forget
/// gates see all of c, the output gate all of c'.
///   i, f = sigmoid(. + V c)   g = tanh(.)   c' = f c + i g   o = sigmoid(. + V_o c')   h' = o tanh(c')
/// The columns of weight_hh are those of W_hh, then those of V, which are zero in the rows of g.
struct PeepholeLstmFullCell : CellContract {
  static constexpr const char* kName = "peephole_lstm_full";
  static constexpr const char* kGateNames = "i f g o";
  static constexpr int kGates = 4, kStates = 2, kReserve = 4;
  static constexpr int kPhases = 2, kPhaseGates[2] = {3, 1}, kPhaseSplit[2] = {0, 0};
  static constexpr unsigned kOperandReserve = 0b0111;
  static constexpr bool kOperandHasState = true, kOperandOfHidden = false, kHiddenCarry = true;

  /// c', which the output gate sees.
  template <class V>
  FASTRNN_HD static V operand(const Pack<V, 4>& reserve, const Pack<V, 2>& prev) {
    return fma(reserve[1], prev[1], reserve[0] * reserve[2]);
  }

  template <class V>
  FASTRNN_HD static V forward_operand(const Pack<V, 3>& a, const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 2>& prev,
                                      Pack<V, 4>& reserve) {
    reserve[0] = sigmoid(a[0]);
    reserve[1] = sigmoid(a[1]);
    reserve[2] = tanh(a[2]);
    return operand(reserve, prev);
  }

  template <class V>
  FASTRNN_HD static void forward(const Pack<V, 1>& a, const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 2>& prev,
                                 Pack<V, 2>& next, Pack<V, 4>& reserve) {
    reserve[3] = sigmoid(a[0]);
    next[1] = operand(reserve, prev);
    next[0] = reserve[3] * tanh(next[1]);
  }

  /// d_prev[1] is the gradient of c' as far as it is known here, which backward_operand completes.
  template <class V>
  FASTRNN_HD static void backward(const Pack<V, 4>& reserve, const Pack<V, 0>&, const Pack<V, 2>&,
                                  const Pack<V, 2>& next, const Pack<V, 2>& d_next, Pack<V, 2>& d_prev, Pack<V, 1>& d_a,
                                  Pack<V, 3>& d_first, Pack<V, 0>&, Pack<V, 0>&) {
    const V o = reserve[3], zero(typename V::Scalar(0)), one(typename V::Scalar(1));
    const V tanh_c = tanh(next[1]);
    d_a[0] = d_next[0] * tanh_c * (o * (one - o));
    d_prev[1] = fma(d_next[0] * o, one - tanh_c * tanh_c, d_next[1]);
    d_prev[0] = zero;
    d_first = {{zero, zero, zero}};
  }

  template <class V>
  FASTRNN_HD static void backward_operand(const Pack<V, 4>& reserve, const Pack<V, 0>&, const Pack<V, 2>& prev,
                                          const V& d_operand, Pack<V, 2>& d_prev, Pack<V, 3>& d_first, Pack<V, 0>&,
                                          Pack<V, 0>&) {
    const V i = reserve[0], f = reserve[1], g = reserve[2], one(typename V::Scalar(1));
    const V d_c = d_prev[1] + d_operand;
    d_first = {{d_c * g * (i * (one - i)), d_c * prev[1] * (f * (one - f)), d_c * i * (one - g * g)}};
    d_prev[1] = d_c * f;
  }
};

}  // namespace fastrnn
