#pragma once
// What back-propagation does once the gate gradients of a chunk of steps are known: the gradients of weights, biases
// and the input.

#include "cpu/backward.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::accumulate_gradients() {
  const LayerShape& s = args_.shape;
  const Parameters& d = args_.d_params[direction_];
  const T* d_x_gates = base_ + plan_.d_x_gates[set_];
  if constexpr (kPairs) pair_rows();
  WeightGradients<T, Product> sums{
      member_, members_, 0, panel_, s.hidden, plan_.layout.blocks, chunk_size(), chunk_stop_ == s.seq_len};
  auto cursor = first_of_chunk();
  sums.vector({d_x_gates, plan_.d_x_row, 0, Cell::kGates}, static_cast<T*>(d.bias_ih));
  if constexpr (kNormalizes) {
    sums.vector({base_ + plan_.d_bias_h[set_], plan_.layout.padded * Cell::kGates, 0, Cell::kGates},
                static_cast<T*>(d.bias_hh));
    barrier_->wait();
    normalize_input_gradients();
    barrier_->wait();
  }
  const T* const x_factors = kPairs ? base_ + plan_.d_x_pairs : d_x_gates;
  sums.matrix({x_factors, plan_.d_x_row, 0, Cell::kGates}, static_cast<T*>(d.weight_ih), s.input, s.input,
              [&](int64_t chunk) {
                if (chunk == 0) cursor = first_of_chunk();
                const T* const x = steps_.template at<const T>(args_.x, cursor.time, cursor.row);
                cursor.next();
                return x;
              });
  int first_gate = 0;
  for (int phase = 0; phase < Cell::kPhases; ++phase) {
    const GateGradients<T> gates{base_ + plan_.d_h_gates[set_][phase], plan_.d_h_row[phase], first_gate,
                                 Cell::kPhaseGates[phase]};
    GateGradients<T> factors = gates;
    if (kPairs) factors.data = base_ + plan_.d_h_pairs[phase];
    T* const d_weight = static_cast<T*>(d.weight_hh);
    const bool second = phase == 1 && !kStateOperand;  // the operand is what the first phase has made
    sums.matrix(factors, d_weight, s.hidden, kParts * s.hidden,
                [&](int64_t chunk) { return second ? made_operand(chunk) : operand_of_hidden(chunk, cursor); });
    if constexpr (kStateOperand)
      sums.matrix(factors, d_weight ? d_weight + s.hidden : nullptr, s.hidden, kParts * s.hidden,
                  [&](int64_t chunk) { return phase ? made_operand(chunk) : operand_of_state(chunk, cursor); });
    if (!kNormalizes) sums.vector(gates, static_cast<T*>(d.bias_hh));
    first_gate += Cell::kPhaseGates[phase];
  }
  if (Cell::kUnitParams > 0)
    sums.vector({base_ + plan_.d_p[set_], plan_.d_p_row, 0, Cell::kUnitParams}, static_cast<T*>(d.unit_params));
  if (args_.d_x.data) input_gradients();
}

template <class Cell, class T, class Product>
auto BackwardPass<Cell, T, Product>::made_operand(int64_t chunk) const -> const T* {
  return base_ + plan_.operand[set_] + chunk * plan_.layout.padded;
}

template <class Cell, class T, class Product>
auto BackwardPass<Cell, T, Product>::operand_of_hidden(int64_t chunk, StepRows::Cursor& cursor) -> const T* {
  if (regularizers_.scales_hidden()) return base_ + plan_.scaled[set_] + chunk * plan_.layout.padded;
  enter_row(chunk, cursor);
  const T* const hidden = previous_.hidden(cursor.row);
  cursor.next();
  return hidden;
}

template <class Cell, class T, class Product>
auto BackwardPass<Cell, T, Product>::operand_of_state(int64_t chunk, StepRows::Cursor& cursor) -> const T* {
  enter_row(chunk, cursor);
  const T* const state = previous_.state(cursor.row, states_after(steps_.time_of(cursor.time) - 1),
                                         base_ + plan_.initial_state, plan_.layout.padded);
  cursor.next();
  return state;
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::enter_row(int64_t chunk, StepRows::Cursor& cursor) {
  if (chunk == 0) cursor = first_of_chunk();
  if (cursor.row == 0) previous_.enter(steps_.time_of(cursor.time), direction_);  // time_of is its own inverse
}

template <class Cell, class T, class Product>
auto BackwardPass<Cell, T, Product>::first_of_chunk() const -> StepRows::Cursor {
  return {steps_, first_time(), 0};
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::pair_rows() {
  pair_rows_of(base_ + plan_.d_x_gates[set_], plan_.d_x_row, base_ + plan_.d_x_pairs);
  for (int phase = 0; phase < Cell::kPhases; ++phase) {
    if (plan_.d_h_pairs[phase] != plan_.d_x_pairs)
      pair_rows_of(base_ + plan_.d_h_gates[set_][phase], plan_.d_h_row[phase], base_ + plan_.d_h_pairs[phase]);
  }
  barrier_->wait();
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::pair_rows_of(const T* gates, int64_t stride, T* pairs) const {
  if constexpr (kPairs) {
    const int64_t rows = chunk_size(), width = stride - W;  // no gates at the end
    const Range mine = share((rows + 1) / 2, member_, members_);
    for (int64_t pair = mine.begin; pair < mine.end; ++pair) {
      const bool whole = 2 * pair + 1 < rows;
      const uint16_t* low = reinterpret_cast<const uint16_t*>(rounded(gates + 2 * pair * stride));
      const uint16_t* high =
          whole ? reinterpret_cast<const uint16_t*>(rounded(gates + (2 * pair + 1) * stride)) : nullptr;
      for (int64_t i = 0; i < width; i += W)
        Product::load_pair(low + i, whole ? high + i : nullptr, W).store(pairs + pair * stride + i);
    }
  }
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::input_gradients() {
  const LayerShape& s = args_.shape;
  const int64_t depth = plan_.layout.padded * Cell::kGates;
  const Range mine = share(chunk_size(), member_, members_);
  for_block_tiles({0, plan_.padded_input / W}, kBlocks, [&](int64_t block, int count) {
    for_row_tiles(mine, kTileRows<kBlocks>, [&](int64_t row, int size) {
      alignas(64) T sums[kTileRows<kBlocks> * kBlocks * W];
      const T* gates = base_ + plan_.d_x_gates[set_] + row * plan_.d_x_row;
      if constexpr (kPairs)
        multiply_rows<T, Product>(rounded(gates), plan_.d_x_row / 2, size,
                                  base_ + plan_.packed_ih + block * W * (depth / 2), count, depth / 2, sums);
      else if (plan_.packed_ih != kNone)
        multiply_rows<T>(gates, plan_.d_x_row, size, base_ + plan_.packed_ih + block * W * depth, count, depth, sums);
      else
        multiply_rows_unpacked<T>(gates, plan_.d_x_row, size,
                                  static_cast<const T*>(args_.params[direction_].weight_ih) + block * W, s.input,
                                  Cell::kGates, s.hidden, count, sums);
      store_input_gradients(sums, size, count, row, block);
    });
  });
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::store_input_gradients(const T* sums, int rows, int count, int64_t row,
                                                           int64_t block) {
  const LayerShape& s = args_.shape;
  const bool apart = direction_ && plan_.d_x_second != kNone;
  auto cursor = steps_.cursor(chunk_row_ + row);
  for (int r = 0; r < rows; ++r, ++row, cursor.next()) {
    T* out = apart ? scratch_ + plan_.d_x_second + (chunk_row_ + row) * s.input
                   : steps_.template at<T>(args_.d_x, cursor.time, cursor.row);
    for (int u = 0; u < count; ++u, sums += W) {
      const int64_t column = (block + u) * W;
      const int columns = clip_lanes(s.input - column, W);
      V value = V::load(sums);
      if (direction_ && !apart) value = V::load_partial(out + column, columns) + value;
      value.store_partial(out + column, columns);
    }
  }
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::add_second_direction(int thread) {
  const LayerShape& s = args_.shape;
  const Range mine = share(s.total_rows(), thread, plan_.split.total());
  auto cursor = steps_.cursor(mine.begin);
  for (int64_t row = mine.begin; row < mine.end; ++row, cursor.next()) {
    T* out = steps_.template at<T>(args_.d_x, cursor.time, cursor.row);
    const T* second = scratch_ + plan_.d_x_second + row * s.input;
    for (int64_t i = 0; i < s.input; ++i) out[i] += second[i];
  }
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
