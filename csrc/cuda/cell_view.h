#pragma once
// A cell as kernels see it: constants of its phases, its states before a step, its values in memory.

#include "cells/cells.h"
#include "cuda/recurrent.h"
#include "cuda/storage.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

using cuda::Backward;
using cuda::BackwardDirection;
using cuda::Forward;
using cuda::ForwardDirection;
using cuda::StepArray;
using cuda::StepRows;

/// One of the phases of a step. Constants, because a function could not read the cell's arrays on a GPU.
template <class Cell, int kPhase>
struct PhaseView {
  static constexpr int kGates = Cell::kPhaseGates[kPhase], kSplits = Cell::kPhaseSplit[kPhase];
  static constexpr int kJoint = kGates - kSplits;
  /// Of the phase's gates among all, and of its split gates among all split ones.
  static constexpr int kFirstGate = kPhase ? Cell::kPhaseGates[0] : 0, kFirstSplit = kPhase ? Cell::kPhaseSplit[0] : 0;

  /// Where a row of d_gates has the gradient of the recurrent part of gate k / H, unit k % H.
  FASTRNN_DEVICE static int64_t hidden_column(int64_t k, int64_t hidden) {
    if (Cell::kNormalizesGates) return k + hidden * (Cell::kGates + kSplits);
    return k + hidden * (k < kJoint * hidden ? kFirstGate : Cell::kGates + kFirstSplit - kJoint);
  }
};

template <class Cell>
struct CellView {
  static constexpr int kLast = Cell::kPhases - 1;
  using First = PhaseView<Cell, 0>;
  using Last = PhaseView<Cell, kLast>;
  /// Values of a unit in `gates`, where the call saves and where not, and the first of the input's part. With
  /// normalized gates this stays beside the reserve.
  static constexpr int kWorking = Cell::kGates > Cell::kReserve ? Cell::kGates : Cell::kReserve;
  static constexpr int kSlots = Cell::kNormalizesGates ? kSavedValues<Cell> : kWorking;
  static constexpr int kInput = Cell::kNormalizesGates ? Cell::kReserve : 0;
  /// Of d_gates. With normalized gates those of the recurrent products come last.
  static constexpr int kSplits = First::kSplits + (kLast ? Last::kSplits : 0), kProducts = Cell::kGates + kSplits;
  static constexpr int kGradients = kProducts + (Cell::kNormalizesGates ? Cell::kGates : 0);
  /// Of d_unit_params: with normalized gates those of biases come after the parameters.
  static constexpr int kUnitGradients = Cell::kUnitParams + (Cell::kNormalizesGates ? kProducts : 0);
};

/// N values of one unit, H apart.
template <int N, class T>
FASTRNN_DEVICE Pack<Value<T>, N> load_values(const T* p, int64_t hidden) {
  Pack<Value<T>, N> values{};
#pragma unroll
  for (int k = 0; k < N; ++k) values[k] = load_number(p + k * hidden);
  return values;
}
template <class T, int N>
FASTRNN_DEVICE void store_values(const Pack<Value<T>, N>& values, T* p, int64_t hidden) {
#pragma unroll
  for (int k = 0; k < N; ++k) store_number(p + k * hidden, values[k]);
}

/// Where row b of time t finds the states before it: a row of an earlier step, of the initial states, or zeros.
struct Before {
  enum Kind { kZeros, kInitial, kRow } kind;
  int64_t time;
};
FASTRNN_DEVICE Before before(const StepRows& rows, int64_t t, int b, int direction) {
  if (rows.resets_at(t, b)) return {Before::kZeros, 0};
  const int64_t neighbor = direction ? t + 1 : t - 1;
  return b < rows.count(neighbor) ? Before{Before::kRow, neighbor} : Before{Before::kInitial, 0};
}

/// The row of h before row b of time t, or null for zeros.
template <class T, class Call>
FASTRNN_DEVICE const T* hidden_before(const Call& call, int64_t t, int b, int d) {
  const Before from = before(call.rows, t, b, d);
  if (from.kind == Before::kRow)
    return static_cast<const T*>(call.y.data) + call.y.offset(call.rows, from.time, b) + d * call.width;
  if (from.kind == Before::kZeros || !call.initial[0]) return nullptr;
  return static_cast<const T*>(call.initial[0]) + (int64_t(d) * call.rows.batch + b) * call.width;
}

/// Whether a step needs what h was before it was rounded.
template <class Cell, class T, class Call>
FASTRNN_DEVICE bool keeps_hidden(const Call& call) {
  return kRounds<T> && (Cell::kHiddenCarry || call.regularizers.zones_out(0));
}
template <class Cell, class T>
FASTRNN_DEVICE void keep_hidden(const Forward& call, int d, int b, int u, Value<T> hidden) {
  if (keeps_hidden<Cell, T>(call))
    static_cast<Compute<T>*>(call.direction[d].kept)[int64_t(b) * call.width + u] = hidden.v;
}

/// h of unit u before row b of time t. `hidden`: the latest h before rounding, or null.
template <class Cell, class T, class Call>
FASTRNN_DEVICE Value<T> hidden_state_before(const Call& call, const Compute<T>* hidden, int64_t t, int b, int u,
                                            int d) {
  if (keeps_hidden<Cell, T>(call) && hidden && before(call.rows, t, b, d).kind == Before::kRow)
    return load_number(hidden + int64_t(b) * call.width + u);
  const T* const h = hidden_before<T>(call, t, b, d);
  return h ? load_number(h + u) : Value<T>(0);
}

/// The cell state; `running` where only the latest ones are kept.
template <class T, class Call>
FASTRNN_DEVICE Value<T> cell_state_before(const Call& call, const Compute<T>* cells, bool running, int64_t t, int b,
                                          int u, int d) {
  const int64_t H = call.hidden;
  const Before from = before(call.rows, t, b, d);
  if (from.kind == Before::kRow) return load_number(cells + (running ? b : call.rows.row(from.time, b)) * H + u);
  if (from.kind == Before::kZeros || !call.initial[1]) return Value<T>(0);
  return load_number(static_cast<const T*>(call.initial[1]) + (int64_t(d) * call.rows.batch + b) * H + u);
}

/// All states.
template <class Cell, class T, class Call>
FASTRNN_DEVICE Pack<Value<T>, Cell::kStates> states_before(const Call& call, const Compute<T>* cells,
                                                           const Compute<T>* hidden, bool running, int64_t t, int b,
                                                           int u, int d) {
  Pack<Value<T>, Cell::kStates> states;
  states[0] = hidden_state_before<Cell, T>(call, hidden, t, b, u, d);
  if constexpr (Cell::kStates > 1) states[1] = cell_state_before<T>(call, cells, running, t, b, u, d);
  return states;
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
