#pragma once
// Zoneout and variational dropout as both passes read them (core/layer.h).

#include "cells/zoneout.h"
#include "cpu/rows.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class T>
class RegularizerRows {
  using V = Vec<T>;

 public:
  RegularizerRows(const Regularizers& regularizers, const LayerShape& shape, const StepRows& rows)
      : regularizers_(regularizers), shape_(shape), rows_(rows) {}
  void set_direction(int direction) { direction_ = direction; }

  bool scales_hidden() const { return regularizers_.hidden_scale != nullptr; }
  /// What multiplies h wherever it enters a product.
  FASTRNN_INLINE V hidden_scale(int64_t row, int64_t unit, int units) const {
    const T* scale = static_cast<const T*>(regularizers_.hidden_scale);
    const int64_t place = direction_ * shape_.batch + rows_.place(row);
    return V::load_partial(scale + place * shape_.hidden + unit, units);
  }

  bool any_zoneout() const { return regularizers_.any_zoneout(); }
  bool zones_out(int state) const { return regularizers_.zones_out(state); }
  /// The part of a state that zoneout keeps.
  FASTRNN_INLINE V kept(int state, int64_t time, int64_t row, int64_t unit, int units) const {
    const Sequence& mask = regularizers_.zoneout[state];
    if (!mask.data) return V(T(regularizers_.zoneout_rate[state]));
    const T* parts = rows_.template at<const T>(mask, time, row) + direction_ * shape_.hidden;
    return V::load_partial(parts + unit, units);
  }

 private:
  const Regularizers& regularizers_;
  const LayerShape& shape_;
  const StepRows& rows_;
  int direction_ = 0;
};

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
