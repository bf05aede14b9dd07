#pragma once
#include "cells/contract.h"

namespace fastrnn {

/// Gated recurrent unit of Cho et al. 2014 (Keras reset_after=False): the reset gate acts before the matmul.
///   r, z = sigmoid(.)   n = tanh(x_n + W_hn (r h) + b_hn)   h' = n + z (h - n)
/// Two phases a step: the first makes the operand r h of the second phase's matmul.
struct GruResetBeforeCell : CellContract {
  static constexpr const char* kName = "gru_reset_before";
  static constexpr const char* kGateNames = "r z n";
  static constexpr int kGates = 3, kStates = 1, kReserve = 3;
  static constexpr int kPhases = 2, kPhaseGates[2] = {2, 1}, kPhaseSplit[2] = {0, 0};
  static constexpr unsigned kOperandReserve = 0b011;  // what the first phase leaves in the reserve: r, z
  static constexpr bool kHiddenCarry = true;

  template <class V>
  FASTRNN_HD static V forward_operand(const Pack<V, 2>& a, const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 1>& prev,
                                      Pack<V, 3>& reserve) {
    reserve[0] = sigmoid(a[0]);
    reserve[1] = sigmoid(a[1]);
    return reserve[0] * prev[0];
  }

  template <class V>
  FASTRNN_HD static void forward(const Pack<V, 1>& a, const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 1>& prev,
                                 Pack<V, 1>& next, Pack<V, 3>& reserve) {
    reserve[2] = tanh(a[0]);
    next[0] = fma(reserve[1], prev[0] - reserve[2], reserve[2]);
  }

  /// d_first: gradients of the first phase's gates that are already known here (z), completed by backward_operand.
  template <class V>
  FASTRNN_HD static void backward(const Pack<V, 3>& reserve, const Pack<V, 0>&, const Pack<V, 1>& prev,
                                  const Pack<V, 1>&, const Pack<V, 1>& d_next, Pack<V, 1>& d_prev, Pack<V, 1>& d_a,
                                  Pack<V, 2>& d_first, Pack<V, 0>&, Pack<V, 0>&) {
    const V z = reserve[1], n = reserve[2];
    const V one(typename V::Scalar(1));
    d_a[0] = d_next[0] * (one - z) * (one - n * n);
    d_first[0] = V(typename V::Scalar(0));
    d_first[1] = d_next[0] * (prev[0] - n) * (z * (one - z));
    d_prev[0] = d_next[0] * z;
  }

  /// The operand again, for the gradient of the second phase's weights.
  template <class V>
  FASTRNN_HD static V operand(const Pack<V, 3>& reserve, const Pack<V, 1>& prev) {
    return reserve[0] * prev[0];
  }

  template <class V>
  FASTRNN_HD static void backward_operand(const Pack<V, 3>& reserve, const Pack<V, 0>&, const Pack<V, 1>& prev,
                                          const V& d_operand, Pack<V, 1>& d_prev, Pack<V, 2>& d_first, Pack<V, 0>&,
                                          Pack<V, 0>&) {
    const V r = reserve[0];
    const V one(typename V::Scalar(1));
    d_first[0] = d_operand * prev[0] * (r * (one - r));
    d_prev[0] = fma(d_operand, r, d_prev[0]);
  }
};

}  // namespace fastrnn
