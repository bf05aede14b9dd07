#pragma once
// Before the first step of the forward pass: packed weights and biases, initial states, and after the last one the
// final states.

#include "cpu/forward.h"
#include "cpu/pack.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class Cell, class T, class Product>
void ForwardPass<Cell, T, Product>::pack() {
  const LayerShape& s = args_.shape;
  const Parameters& p = args_.params[direction_];
  if (plan_.packed_ih != kNone) {
    for_my_panels(Cell::kGates, [&](int64_t block, int count) {
      pack_rows(static_cast<const T*>(p.weight_ih), Cell::kGates, s.hidden, plan_.input_depth, block, count,
                base_ + plan_.packed_ih);
    });
  }
  int first_gate = 0;
  for (int phase = 0; phase < Cell::kPhases; ++phase) {
    const int gates = Cell::kPhaseGates[phase], split = Cell::kPhaseSplit[phase];
    const T* weight = static_cast<const T*>(p.weight_hh) + first_gate * s.hidden * plan_.hidden_depth;
    if (plan_.packed_hh[phase] != kNone) {
      for_my_panels(gates, [&](int64_t block, int count) {
        pack_rows(weight, gates, s.hidden, plan_.hidden_depth, block, count, base_ + plan_.packed_hh[phase]);
      });
    }
    // A joint gate starts from both biases; a split one keeps them with their parts.
    const T* bias_ih = static_cast<const T*>(p.bias_ih);
    const T* bias_hh = static_cast<const T*>(p.bias_hh);
    const Range mine = plan_.split.rows == 1 || member_ == 0 ? blocks_ : Range{0, 0};
    const T* const none = nullptr;
    T* bias = base_ + (kNormalizes ? plan_.norm_bias : plan_.bias) + first_gate * W;
    pack_vector(bias_ih, bias_hh, first_gate, gates - split, s.hidden, mine, Cell::kGates, bias);
    pack_vector(bias_ih, none, first_gate + gates - split, split, s.hidden, mine, Cell::kGates,
                bias + (gates - split) * W);
    pack_vector(bias_hh, none, first_gate + gates - split, split, s.hidden, mine, split,
                base_ + (kNormalizes ? plan_.norm_split_bias : plan_.split_bias[phase]));
    if (kNormalizes) pack_vector(none, none, 0, gates, s.hidden, mine, Cell::kGates, base_ + plan_.bias);
    first_gate += gates;
  }
  if (Cell::kUnitParams > 0)
    pack_vector(static_cast<const T*>(p.unit_params), static_cast<const T*>(nullptr), 0, Cell::kUnitParams, s.hidden,
                blocks_, Cell::kUnitParams, base_ + plan_.unit_params);
}

/// Of a state that the caller gave, or zeros.
template <class Cell, class T, class Product>
auto ForwardPass<Cell, T, Product>::initial_units(int state, int64_t row, int64_t block) const -> V {
  const LayerShape& s = args_.shape;
  const T* const initial = static_cast<const T*>(args_.initial[state]);
  if (!initial) return V(T(0));
  const int64_t offset = (direction_ * s.batch + steps_.place(row)) * s.hidden + block * W;
  return V::load_partial(initial + offset, clip_lanes(s.hidden - block * W, W));
}

template <class Cell, class T, class Product>
void ForwardPass<Cell, T, Product>::prepare_states() {
  if ((!args_.initial[0] || args_.rows.resets) && (plan_.split.rows == 1 || member_ == 0)) {
    for (int64_t i = 0; i < plan_.layout.padded; ++i) scratch_[plan_.zeros + i] = T(0);
  }
  if (kPairs || scaled_) prepare_hidden();
  if (Cell::kStates == 1) return;
  for (int64_t row = rows_.begin; row < rows_.end; ++row) {
    for (int64_t block = blocks_.begin; block < blocks_.end; ++block) {
      initial_units(1, row, block).store(base_ + plan_.state + row * plan_.layout.padded + block * W);
    }
  }
}

template <class Cell, class T, class Product>
void ForwardPass<Cell, T, Product>::prepare_hidden() {
  const LayerShape& s = args_.shape;
  for (int64_t row = rows_.begin; row < rows_.end; ++row) {
    for (int64_t block = blocks_.begin; block < blocks_.end; ++block) {
      const V value = initial_units(0, row, block);
      const int units = clip_lanes(s.hidden - block * W, W);
      for (int step = 0; step < 2; ++step)  // a sequence may join at any step
        store_operand(value, units, row, block * W, step);
    }
  }
}

template <class Cell, class T, class Product>
void ForwardPass<Cell, T, Product>::write_final_states() {
  const LayerShape& s = args_.shape;
  const Range rows = plan_.split.rows > 1 ? share(s.batch, member_, plan_.split.rows) : rows_;
  // The last step is that of time 0, or of the last time that has the row.
  int64_t time = steps_.uneven() || direction_ ? 0 : s.seq_len - 1;
  for (int64_t row = rows.end - 1; row >= rows.begin; --row) {
    if (direction_ == 0)
      while (time + 1 < s.seq_len && steps_.count(time + 1) > row) ++time;
    const bool any = steps_.count(time) > row;
    const int64_t offset = (direction_ * s.batch + steps_.place(row)) * s.hidden;
    T* const hidden = static_cast<T*>(args_.final_states[0]) + offset;
    if (any)
      copy_units(y_row(time, row), hidden);
    else
      copy_units(args_.initial[0] ? static_cast<const T*>(args_.initial[0]) + offset : nullptr, hidden);
    if (Cell::kStates > 1)
      copy_units((any ? states_after(steps_.time_of(time)) : base_ + plan_.state) + row * plan_.layout.padded,
                 static_cast<T*>(args_.final_states[1]) + offset);
  }
}

template <class Cell, class T, class Product>
void ForwardPass<Cell, T, Product>::zero_padding() {
  const LayerShape& s = args_.shape;
  const Range times = share(args_.rows.padded_steps, member_, plan_.split.group());
  for (int64_t time = times.begin; time < times.end; ++time) {
    for (int64_t row = time < s.seq_len ? steps_.count(time) : 0; row < s.batch; ++row) {
      T* const y = y_row(time, row);
      for (int64_t i = 0; i < s.hidden; ++i) y[i] = T(0);
    }
  }
}

template <class Cell, class T, class Product>
void ForwardPass<Cell, T, Product>::copy_units(const T* from, T* to) const {
  const int64_t end = blocks_.end * W < args_.shape.hidden ? blocks_.end * W : args_.shape.hidden;
  for (int64_t unit = blocks_.begin * W; unit < end; ++unit) to[unit] = from ? from[unit] : T(0);
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
