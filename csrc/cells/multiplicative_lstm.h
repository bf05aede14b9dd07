#pragma once
#include "cells/contract.h"

namespace fastrnn {

/// Multiplicative LSTM (Krause et al. 2016): an LSTM whose recurrent products are not with h but with m, which mixes
/// the hidden state with the input. Gates in the order m i f g o:
///   m = (W_xm x + b_xm) (W_hm h + b_hm)   i, f, o = sigmoid(W x + W_m m + b)   g = tanh(W x + W_m m + b)
///   c' = f c + i g   h' = o tanh(c')
/// Two phases a step: the first makes the operand m of the second phase's matmul from the split gate m, whose two
/// factors stay in the reserve on either side of i f g o, the places of the second phase's input parts.
struct MultiplicativeLstmCell : CellContract {
  static constexpr const char* kName = "multiplicative_lstm";
  static constexpr const char* kGateNames = "m i f g o";
  static constexpr int kGates = 5, kStates = 2, kReserve = 6;
  static constexpr int kPhases = 2, kPhaseGates[2] = {1, 4}, kPhaseSplit[2] = {1, 0};
  static constexpr unsigned kOperandReserve = 0b100001;  // what the first phase leaves in the reserve: m's factors
  static constexpr bool kOperandOfHidden = false;

  template <class V>
  FASTRNN_HD static V forward_operand(const Pack<V, 1>& a, const Pack<V, 1>& x, const Pack<V, 0>&, const Pack<V, 2>&,
                                      Pack<V, 6>& reserve) {
    reserve[0] = x[0];
    reserve[5] = a[0];
    return x[0] * a[0];
  }

  template <class V>
  FASTRNN_HD static void forward(const Pack<V, 4>& a, const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 2>& prev,
                                 Pack<V, 2>& next, Pack<V, 6>& reserve) {
    const V i = sigmoid(a[0]), f = sigmoid(a[1]), g = tanh(a[2]), o = sigmoid(a[3]);
    next[1] = fma(f, prev[1], i * g);
    next[0] = o * tanh(next[1]);
    reserve = {{reserve[0], i, f, g, o, reserve[5]}};
  }

  /// Nothing is known of d_first here: m acts through the operand alone.
  template <class V>
  FASTRNN_HD static void backward(const Pack<V, 6>& reserve, const Pack<V, 0>&, const Pack<V, 2>& prev,
                                  const Pack<V, 2>& next, const Pack<V, 2>& d_next, Pack<V, 2>& d_prev, Pack<V, 4>& d_a,
                                  Pack<V, 1>& d_first, Pack<V, 0>&, Pack<V, 0>&) {
    const V i = reserve[1], f = reserve[2], g = reserve[3], o = reserve[4];
    const V one(typename V::Scalar(1));
    const V tanh_c = tanh(next[1]);
    const V d_c = fma(d_next[0] * o, one - tanh_c * tanh_c, d_next[1]);
    d_a[0] = d_c * g * (i * (one - i));
    d_a[1] = d_c * prev[1] * (f * (one - f));
    d_a[2] = d_c * i * (one - g * g);
    d_a[3] = d_next[0] * tanh_c * (o * (one - o));
    d_first[0] = V(typename V::Scalar(0));
    d_prev[1] = d_c * f;
  }

  /// The operand again, for the gradient of the second phase's weights.
  template <class V>
  FASTRNN_HD static V operand(const Pack<V, 6>& reserve, const Pack<V, 2>&) {
    return reserve[0] * reserve[5];
  }

  template <class V>
  FASTRNN_HD static void backward_operand(const Pack<V, 6>& reserve, const Pack<V, 0>&, const Pack<V, 2>&,
                                          const V& d_operand, Pack<V, 2>&, Pack<V, 1>& d_first, Pack<V, 1>& d_x,
                                          Pack<V, 0>&) {
    d_first[0] = d_operand * reserve[0];
    d_x[0] = d_operand * reserve[5];
  }
};

}  // namespace fastrnn
