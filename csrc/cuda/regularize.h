#pragma once
// Zoneout and variational dropout on h (core/layer.h), as kernels read them.

#include "cells/zoneout.h"
#include "cuda/cell_view.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// What multiplies h wherever it enters a product; 1 where nothing does.
template <class T, class Call>
FASTRNN_DEVICE Value<T> hidden_scale(const Call& call, int d, int b, int u) {
  const Compute<T>* const scale = static_cast<const Compute<T>*>(call.regularizers.hidden_scale);
  return Value<T>(scale ? scale[(int64_t(d) * call.rows.batch + b) * call.width + u] : 1);
}

template <class T>
FASTRNN_DEVICE T scaled_number(const T* p, Value<T> scale) {
  return Storage<T>::store((load_number(p) * scale).v);
}

/// What the first phase has made, or its gradient, after dropout.
template <class Cell, class T, class Call>
FASTRNN_DEVICE Value<T> made_operand(const Call& call, int d, int b, int u, Value<T> operand) {
  return Cell::kOperandOfHidden ? operand * hidden_scale<T>(call, d, b, u) : operand;
}

/// The part of a state that zoneout keeps; the mask of h has call.width features a direction.
template <class T, class Call>
FASTRNN_DEVICE Value<T> kept_part(const Call& call, int state, int d, int64_t t, int b, int u) {
  const Sequence& mask = call.regularizers.zoneout[state];
  if (!mask.data) return Value<T>(Compute<T>(call.regularizers.zoneout_rate[state]));
  const StepArray parts{mask.data, mask.stride_t, mask.stride_b};
  const int features = state == 0 ? call.width : call.hidden;
  return Value<T>(static_cast<const Compute<T>*>(mask.data)[parts.offset(call.rows, t, b) + d * features + u]);
}

/// From the state that a step has made to the one after it; `made` keeps the former for backward where it is not null.
template <class T>
FASTRNN_DEVICE Value<T> zoned_state(const Forward& call, int state, int d, int64_t t, int b, int u, Value<T> prev,
                                    Value<T> next, Compute<T>* made) {
  if (!call.regularizers.any_zoneout()) return next;
  if (made) *made = next.v;
  return call.regularizers.zones_out(state) ? zoned(kept_part<T>(call, state, d, t, b, u), prev, next) : next;
}

/// All states.
template <class Cell, class T>
FASTRNN_DEVICE void zone_out(const Forward& call, int d, int64_t t, int b, int u,
                             const Pack<Value<T>, Cell::kStates>& prev, Pack<Value<T>, Cell::kStates>& next) {
  if (!call.regularizers.any_zoneout()) return;
#pragma unroll
  for (int k = 0; k < Cell::kStates; ++k) {
    Compute<T>* const made = static_cast<Compute<T>*>(call.direction[d].made[k]);
    next[k] = zoned_state<T>(call, k, d, t, b, u, prev[k], next[k],
                             call.saving ? made + call.rows.row(t, b) * call.hidden + u : nullptr);
  }
}

/// Backward: what of the gradient of a state after a row goes past the cell to the one before it, no longer part of
/// d_next.
template <class T>
FASTRNN_DEVICE Value<T> take_kept_part(const Backward& call, int state, int d, int64_t t, int b, int u,
                                       Value<T>& d_next) {
  if (!call.regularizers.zones_out(state)) return Value<T>(0);
  const Value<T> kept = d_next * kept_part<T>(call, state, d, t, b, u);
  d_next = d_next - kept;
  return kept;
}

/// Of all states.
template <class Cell, class T>
FASTRNN_DEVICE Pack<Value<T>, Cell::kStates> take_kept(const Backward& call, int d, int64_t t, int b, int u,
                                                       Pack<Value<T>, Cell::kStates>& d_next) {
  Pack<Value<T>, Cell::kStates> d_kept{};
  if (!call.regularizers.any_zoneout()) return d_kept;
#pragma unroll
  for (int k = 0; k < Cell::kStates; ++k) d_kept[k] = take_kept_part<T>(call, k, d, t, b, u, d_next[k]);
  return d_kept;
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
