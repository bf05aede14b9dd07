#pragma once
#include "cells/gru.h"

namespace fastrnn {

/// GRU, reset after the product, with layer normalization as in haste (after Ba et al. 2016), norm() over all gates:
///   x = gamma_x norm(W_ih x) + b_ih   a = gamma_h norm(W_hh h) + b_hh, and from these the equations of GruCell.
/// Per-unit parameters: gamma_x and gamma_h of r z n each.
struct LayerNormGruCell : GruCell {
  static constexpr const char* kName = "layer_norm_gru";
  static constexpr int kUnitParams = 6;
  static constexpr const char* kUnitParamsName = "norm";
  static constexpr bool kNormalizesGates = true;

  template <class V>
  FASTRNN_HD static void forward(const Pack<V, 3>& a, const Pack<V, 1>& x, const Pack<V, 6>&, const Pack<V, 1>& prev,
                                 Pack<V, 1>& next, Pack<V, 4>& reserve) {
    GruCell::forward<V>(a, x, {}, prev, next, reserve);
  }

  template <class V>
  FASTRNN_HD static void backward(const Pack<V, 4>& reserve, const Pack<V, 6>&, const Pack<V, 1>& prev,
                                  const Pack<V, 1>& next, const Pack<V, 1>& d_next, Pack<V, 1>& d_prev, Pack<V, 3>& d_a,
                                  Pack<V, 1>& d_x, Pack<V, 6>&) {
    Pack<V, 0> none;
    GruCell::backward<V>(reserve, {}, prev, next, d_next, d_prev, d_a, d_x, none);
  }
};

}  // namespace fastrnn
