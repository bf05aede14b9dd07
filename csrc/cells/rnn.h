#pragma once
#include "cells/contract.h"

namespace fastrnn {

/// What the Elman cells share.
struct RnnCellShape : CellContract {
  static constexpr const char* kGateNames = "h";
  static constexpr int kGates = 1, kStates = 1, kReserve = 0;  // backward needs h' only: the output
  static constexpr int kPhaseGates[1] = {1}, kPhaseSplit[1] = {0};
};

/// Elman network (Elman 1990): h' = tanh(.)
struct RnnTanhCell : RnnCellShape {
  static constexpr const char* kName = "rnn_tanh";

  template <class V>
  FASTRNN_HD static void forward(const Pack<V, 1>& a, const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 1>&,
                                 Pack<V, 1>& next, Pack<V, 0>&) {
    next[0] = tanh(a[0]);
  }

  template <class V>
  FASTRNN_HD static void backward(const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 1>&, const Pack<V, 1>& next,
                                  const Pack<V, 1>& d_next, Pack<V, 1>&, Pack<V, 1>& d_a, Pack<V, 0>&, Pack<V, 0>&) {
    d_a[0] = d_next[0] * (V(typename V::Scalar(1)) - next[0] * next[0]);
  }
};

/// h' = max(0, .); NaN stays NaN, and the gradient is that of torch: zero where h' <= 0.
struct RnnReluCell : RnnCellShape {
  static constexpr const char* kName = "rnn_relu";

  template <class V>
  FASTRNN_HD static void forward(const Pack<V, 1>& a, const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 1>&,
                                 Pack<V, 1>& next, Pack<V, 0>&) {
    next[0] = at_least(V(typename V::Scalar(0)), a[0]);
  }

  template <class V>
  FASTRNN_HD static void backward(const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 1>&, const Pack<V, 1>& next,
                                  const Pack<V, 1>& d_next, Pack<V, 1>&, Pack<V, 1>& d_a, Pack<V, 0>&, Pack<V, 0>&) {
    const V zero(typename V::Scalar(0));
    d_a[0] = where_at_most(next[0], zero, zero, d_next[0]);
  }
};

/// h' = sigmoid(.), as some texts write the Elman network.
struct RnnSigmoidCell : RnnCellShape {
  static constexpr const char* kName = "rnn_sigmoid";

  template <class V>
  FASTRNN_HD static void forward(const Pack<V, 1>& a, const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 1>&,
                                 Pack<V, 1>& next, Pack<V, 0>&) {
    next[0] = sigmoid(a[0]);
  }

  template <class V>
  FASTRNN_HD static void backward(const Pack<V, 0>&, const Pack<V, 0>&, const Pack<V, 1>&, const Pack<V, 1>& next,
                                  const Pack<V, 1>& d_next, Pack<V, 1>&, Pack<V, 1>& d_a, Pack<V, 0>&, Pack<V, 0>&) {
    d_a[0] = d_next[0] * (next[0] * (V(typename V::Scalar(1)) - next[0]));
  }
};

}  // namespace fastrnn
