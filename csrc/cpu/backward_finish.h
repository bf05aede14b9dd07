#pragma once
// After the last step of back-propagation, and for sequences that end it early: gradients of the initial states.

#include "cpu/backward.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::write_initial_gradients(Range rows) {
  T* d_hidden = static_cast<T*>(args_.d_initial[0]);
  for_block_tiles(blocks_, kBlocks, [&](int64_t block, int count) {
    for_row_tiles(own(rows), kTileRows<kBlocks>, [&](int64_t row, int size) {
      alignas(64) T sums[kTileRows<kBlocks> * kBlocks * W] = {};
      if (d_hidden) {
        // NOLINTNEXTLINE(clang-analyzer-core.NullPointerArithm): there is a later step
        multiply_recurrent<0>(later_gates_ + row * plan_.d_h_row[0], size, count, block, 0, sums);
        scale_hidden(sums, size, count, row, block);
        stop_at_resets(sums, size, count, row);
      }
      if constexpr (kStateOperand) {
        if (args_.d_initial[1]) add_state_gradients(later_gates_ + row * plan_.d_h_row[0], size, count, row, block);
      }
      for (int r = 0; r < size; ++r) {
        for (int u = 0; u < count; ++u) {
          const int64_t unit = (block + u) * W;
          V sum = V::load(sums + (r * count + u) * W);
          if (carries_) sum = V::load(base_ + plan_.carry + (row + r) * plan_.layout.padded + unit) + sum;
          store_initial_gradient(row + r, unit, sum);
        }
      }
    });
  });
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::store_initial_gradient(int64_t row, int64_t unit, V d_hidden) {
  const LayerShape& s = args_.shape;
  const int64_t out = (direction_ * s.batch + steps_.place(row)) * s.hidden + unit;
  const int units = clip_lanes(s.hidden - unit, W);
  if (args_.d_initial[0]) d_hidden.store_partial(static_cast<T*>(args_.d_initial[0]) + out, units);
  if (Cell::kStates > 1 && args_.d_initial[1])
    V::load(base_ + plan_.d_state + row * plan_.layout.padded + unit)
        .store_partial(static_cast<T*>(args_.d_initial[1]) + out, units);
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::write_gradients_of_empty_sequences() {
  const LayerShape& s = args_.shape;
  const Range rows = own({steps_.count(0), s.batch});
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const int64_t offset = (direction_ * s.batch + steps_.place(row)) * s.hidden;
    for (int64_t block = blocks_.begin; block < blocks_.end; ++block)
      store_initial_gradient(row, block * W,
                             load_or_zero(args_.d_final[0], offset + block * W, clip_lanes(s.hidden - block * W, W)));
  }
}

template <class Cell, class T, class Product>
void BackwardPass<Cell, T, Product>::zero_padding(const Sequence& result, int64_t columns) const {
  const LayerShape& s = args_.shape;
  if (!steps_.uneven() || !result.data || result.packed) return;
  const Range times = share(args_.rows.padded_steps, member_, members_);
  for (int64_t time = times.begin; time < times.end; ++time) {
    for (int64_t row = time < s.seq_len ? steps_.count(time) : 0; row < s.batch; ++row) {
      T* const out = steps_.template at<T>(result, time, row);
      for (int64_t i = 0; i < columns; ++i) out[i] = T(0);
    }
  }
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
