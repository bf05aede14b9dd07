#pragma once
// Before the first step of back-propagation: packed weights, and what is known of the states and their gradients.

#include "cpu/backward.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::pack() {
  const LayerShape& s = args_.shape;
  const Parameters& p = args_.params[direction_];
  const Range share_of_units = share(plan_.layout.blocks, member_, members_);
  const bool own_panels = plan_.split.units > 1;  // else the threads share them, and the work of packing
  int first_gate = 0;
  for (int phase = 0; phase < Cell::kPhases; ++phase) {
    const int gates = Cell::kPhaseGates[phase];
    for (int part = 0; part < kParts && plan_.packed_hh[phase] != kNone; ++part)
      pack_part(p.weight_hh, (first_gate * kParts * s.hidden + part) * s.hidden, gates, s.hidden, kParts * s.hidden,
                blocks_, own_panels ? Range{0, plan_.layout.blocks} : share_of_units, packed_hh(phase, part));
    first_gate += gates;
  }
  if (plan_.packed_ih != kNone)
    pack_part(p.weight_ih, 0, Cell::kGates, s.input, s.input, {0, plan_.padded_input / W}, share_of_units,
              base_ + plan_.packed_ih);
  if (Cell::kUnitParams > 0)
    pack_vector(static_cast<const T*>(p.unit_params), static_cast<const T*>(nullptr), 0, Cell::kUnitParams, s.hidden,
                blocks_, Cell::kUnitParams, base_ + plan_.unit_params);
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::pack_part(const void* weight, int64_t offset, int gates, int64_t columns,
                                               int64_t stride, Range column_blocks, Range hidden_blocks,
                                               T* packed) const {
  const int64_t hidden = args_.shape.hidden;
  if constexpr (kPairs)
    pack_column_pairs(static_cast<const uint16_t*>(weight) + offset, gates, hidden, columns, column_blocks, kBlocks,
                      hidden_blocks, packed);
  else
    pack_columns(static_cast<const T*>(weight) + offset, gates, hidden, columns, stride, column_blocks, kBlocks,
                 hidden_blocks, packed);
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::prepare_states() {
  const LayerShape& s = args_.shape;
  if ((!args_.initial[0] || args_.rows.resets) && member_ == 0) {
    for (int64_t i = 0; i < plan_.layout.padded; ++i) scratch_[plan_.zeros + i] = T(0);
  }
  for (int64_t row = rows_.begin; row < rows_.end; ++row) {
    const int64_t offset = (direction_ * s.batch + steps_.place(row)) * s.hidden;
    for (int64_t block = blocks_.begin; block < blocks_.end; ++block) {
      const int64_t unit = block * W, place = row * plan_.layout.padded + unit;
      const int units = clip_lanes(s.hidden - unit, W);
      if (carries_) V(T(0)).store(base_ + plan_.carry + place);
      if (Cell::kStates > 1) {
        load_or_zero(args_.d_final[1], offset + unit, units).store(base_ + plan_.d_state + place);
        load_or_zero(args_.initial[1], offset + unit, units).store(base_ + plan_.initial_state + place);
      }
    }
  }
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
