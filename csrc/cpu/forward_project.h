#pragma once
// The products of a chunk of the input with its weights, for all its steps at once.

#include "cpu/forward.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class Cell, class T, class Product>
auto ForwardPass<Cell, T, Product>::projected_rows() const -> Range {
  if (!steps_.uneven()) return {0, (chunk_stop_ - chunk_start_) * rows_.size()};
  const Range all{0, steps_.first(last_time()) + steps_.count(last_time()) - chunk_row_};
  return shares_rows_anew() ? share(all.size(), member_, plan_.split.rows) : all;
}

template <class Cell, class T, class Product>
template <int MR>
FASTRNN_INLINE void ForwardPass<Cell, T, Product>::find_projected_rows(int64_t row, const T* (&x)[MR], T* (&gates)[MR],
                                                                       int64_t block) const {
  const int64_t offset = (block * plan_.slots + input_slot_) * W;
  if (steps_.uneven()) {
    auto cursor = steps_.cursor(chunk_row_ + row);
    for (int r = 0; r < MR; ++r, cursor.next()) {
      x[r] = steps_.template at<const T>(args_.x, cursor.time, cursor.row);
      gates[r] = packed_gates_row(chunk_row_ + row + r) + offset;
    }
    return;
  }
  int64_t time = first_time() + row / rows_.size(), b = rows_.begin + row % rows_.size();
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
    x[r] = static_cast<const T*>(args_.x.data) + time * args_.x.stride_t + b * args_.x.stride_b;
    gates[r] = gates_row(time, b) + offset;
    if (++b == rows_.end) b = rows_.begin, ++time;
  }
}

template <class Cell, class T, class Product>
void ForwardPass<Cell, T, Product>::project_input() {
  if (plan_.packed_ih == kNone) return project_input_directly();
  constexpr int kBlocks = blocks_per_tile(Cell::kGates);
  for_block_tiles(blocks_, kBlocks, [&](int64_t block, int count) {
    with_constant<kBlocks>(count, [&](auto c) {
      constexpr int NV = decltype(c)::value * Cell::kGates;
      for_row_tiles(projected_rows(), kTileRows<NV>, [&](int64_t row, int size) {
        with_constant<kTileRows<NV>>(size, [&](auto r) {
          constexpr int MR = decltype(r)::value;
          const T* x[MR];
          T* gates[MR];
          find_projected_rows<MR>(row, x, gates, block);
          project_tile<Cell::kGates, MR, decltype(c)::value, T, Product>(
              x, base_ + plan_.packed_ih + block * Cell::kGates * W * plan_.input_depth, plan_.input_depth,
              base_ + plan_.bias + block * Cell::kGates * W, plan_.slots, gates);
        });
      });
    });
  });
}

template <class Cell, class T, class Product>
void ForwardPass<Cell, T, Product>::project_input_directly() {
  const LayerShape& s = args_.shape;
  for (int64_t block = blocks_.begin; block < blocks_.end; ++block) {
    for_row_tiles(projected_rows(), kDirectRows, [&](int64_t row, int size) {
      with_constant<kDirectRows>(size, [&](auto r) {
        constexpr int MR = decltype(r)::value;
        const T* x[MR];
        T* gates[MR];
        find_projected_rows<MR>(row, x, gates, block);
        const T* weight = static_cast<const T*>(args_.params[direction_].weight_ih) + block * W * plan_.input_depth;
        project_tile_directly<MR, T, Product>(x, weight, plan_.input_depth, s.hidden,
                                              clip_lanes(s.hidden - block * W, W), Cell::kGates,
                                              base_ + plan_.bias + block * Cell::kGates * W, gates);
      });
    });
  }
}

template <class Cell, class T, class Product>
void ForwardPass<Cell, T, Product>::normalize_input() {
  barrier_->wait();
  const int64_t rows = steps_.first(last_time()) + steps_.count(last_time()) - chunk_row_;
  const Range mine = share(rows, member_, plan_.split.group());
  const RowShape<T, Cell::kGates> shape(args_.shape.hidden, plan_.slots);
  for (int64_t row = chunk_row_ + mine.begin; row < chunk_row_ + mine.end; ++row) {
    const T scale = normalize_row(packed_gates_row(row) + input_slot_ * W, shape, T(Cell::kNormEpsilon));
    if (saving_) statistics(row)[0] = scale;
  }
  barrier_->wait();
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
