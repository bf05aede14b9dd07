#pragma once
// Which rows a step has, where they lie, and where each finds the state before the step. Sequences are numbered from
// the longest to the shortest (core/layer.h), so a step's rows are the first few; in the reverse direction sequences
// join from step to step, each with its own initial state.

#include "core/layer.h"
#include "cpu/tiling.h"

namespace fastrnn {
namespace FASTRNN_ISA {

/// Rows of one direction's steps. Packed order: the rows of the first time, then those of the second, ...
class StepRows {
 public:
  StepRows(const LayerShape& shape, const RowMap& map) : shape_(shape), map_(map) {}
  void set_direction(int direction) { reverse_ = direction != 0; }

  bool uneven() const { return map_.offsets != nullptr; }
  int64_t time_of(int64_t step) const { return reverse_ ? shape_.seq_len - 1 - step : step; }
  /// The first row of a time, in packed order, and the number of its rows.
  int64_t first(int64_t time) const { return map_.offsets ? map_.offsets[time] : time * shape_.batch; }
  int64_t count(int64_t time) const {
    return map_.offsets ? map_.offsets[time + 1] - map_.offsets[time] : shape_.batch;
  }
  /// The same for a step, zero where there is no such step.
  int64_t count_of_step(int64_t step) const { return step >= 0 && step < shape_.seq_len ? count(time_of(step)) : 0; }
  /// Where a row lies in the states.
  int64_t place(int64_t row) const { return map_.order ? map_.order[row] : row; }
  bool in_order() const { return !map_.order; }

  template <class T>
  T* at(const Sequence& s, int64_t time, int64_t row) const {
    T* data = static_cast<T*>(s.data);
    return s.packed ? data + (first(time) + row) * s.stride_b : data + time * s.stride_t + place(row) * s.stride_b;
  }
  /// Whether the addresses of a time's rows are evenly spaced.
  bool even(const Sequence& s) const { return s.packed || !map_.order; }

  bool resets(int64_t time, int64_t row) const { return map_.resets && map_.resets[first(time) + row]; }
  bool any_resets(int64_t time) const {
    if (!map_.resets) return false;
    const uint8_t* flags = map_.resets + first(time);
    uint8_t any = 0;
    for (int64_t i = count(time); i > 0; --i) any |= *flags++;
    return any != 0;
  }

  /// The end of a chunk of steps from `start` on, or the start of one before `stop`, with at most `most` rows.
  int64_t chunk_stop(int64_t start, int64_t most) const {
    int64_t rows = count_of_step(start), stop = start + 1;
    while (stop < shape_.seq_len && (rows += count_of_step(stop)) <= most) ++stop;
    return stop;
  }
  int64_t chunk_start(int64_t stop, int64_t most) const {
    int64_t start = stop - 1, rows = count_of_step(start);
    while (start > 0 && (rows += count_of_step(start - 1)) <= most) --start;
    return start;
  }

  /// A part of the sequences with an even share of the rows of times [begin, end). The last part goes to the end.
  Range share_of(int64_t begin, int64_t end, int part, int parts) const {
    const int64_t total = first(end - 1) + count(end - 1) - first(begin);
    int64_t rows = 0, sequence = 0, times = end - begin;  // times: those that `sequence` has a row of
    Range range{0, shape_.batch};
    for (int boundary = part; boundary <= part + 1 && boundary < parts; ++boundary) {
      for (;; rows += times, ++sequence) {
        while (times > 0 && count(begin + times - 1) <= sequence) --times;
        if (times == 0 || (2 * rows + times) * parts > 2 * total * boundary) break;
      }
      (boundary == part ? range.begin : range.end) = sequence;
    }
    return range;
  }

  /// Steps through rows in packed order.
  struct Cursor {
    const StepRows* rows;
    int64_t time, row, count;
    Cursor(const StepRows& of, int64_t at_time, int64_t at_row)
        : rows(&of), time(at_time), row(at_row), count(of.count(at_time)) {}
    void next() {
      if (++row < count) return;
      row = 0;
      if (++time < rows->shape_.seq_len) count = rows->count(time);
    }
  };
  Cursor cursor(int64_t packed_row) const {
    if (!map_.offsets) return {*this, packed_row / shape_.batch, packed_row % shape_.batch};
    int64_t low = 0, high = shape_.seq_len;  // first(low) <= packed_row < first(high)
    while (high - low > 1) {
      const int64_t middle = low + (high - low) / 2;
      (map_.offsets[middle] <= packed_row ? low : high) = middle;
    }
    return {*this, low, packed_row - map_.offsets[low]};
  }

 private:
  const LayerShape& shape_;
  const RowMap& map_;
  bool reverse_ = false;
};

/// Where the rows of a step find the states before it. `zeros` has room for a padded row.
template <class T>
class PreviousStates {
 public:
  PreviousStates(const LayerShape& shape, const StepRows& rows, const Sequence& y, const void* initial, const T* zeros)
      : shape_(shape), rows_(rows), y_(y), initial_(static_cast<const T*>(initial)), zeros_(zeros) {}

  void enter(int64_t step, int direction) {
    direction_ = direction;
    time_ = rows_.time_of(step);
    before_ = rows_.count_of_step(step - 1);
    resets_ = rows_.any_resets(time_);
    if (before_ >= rows_.count(time_)) {
      time_before_ = rows_.time_of(step - 1);
      even_ = !resets_ && rows_.even(y_);
      hidden_ = rows_.template at<const T>(y_, time_before_, 0) + direction * shape_.hidden;
      stride_ = y_.stride_b;
    } else {
      time_before_ = before_ ? rows_.time_of(step - 1) : 0;
      even_ = !resets_ && before_ == 0 && (!initial_ || rows_.in_order());
      hidden_ = initial_ ? initial_ + direction * shape_.batch * shape_.hidden : zeros_;
      stride_ = initial_ ? shape_.hidden : 0;
    }
  }

  const T* hidden(int64_t row) const { return even_ ? hidden_ + row * stride_ : find(row); }
  /// A further state: [B, padded] after the step before, and initially.
  const T* state(int64_t row, const T* before, const T* initial, int64_t padded) const {
    if (resets_ && rows_.resets(time_, row)) return zeros_;
    return (row < before_ ? before : initial) + row * padded;
  }
  bool resets(int64_t row) const { return resets_ && rows_.resets(time_, row); }

 private:
  __attribute__((noinline)) const T* find(int64_t row) const {
    if (resets(row)) return zeros_;
    if (row < before_) return rows_.template at<const T>(y_, time_before_, row) + direction_ * shape_.hidden;
    return initial_ ? initial_ + (direction_ * shape_.batch + rows_.place(row)) * shape_.hidden : zeros_;
  }

  const LayerShape& shape_;
  const StepRows& rows_;
  const Sequence& y_;
  const T *initial_, *zeros_;
  int direction_ = 0;
  int64_t time_ = 0, time_before_ = 0, before_ = 0, stride_ = 0;
  const T* hidden_ = nullptr;
  bool even_ = true, resets_ = false;
};

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
