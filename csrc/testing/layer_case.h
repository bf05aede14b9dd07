#pragma once
// Cases for the engine's test, and one call of each: arguments, outputs, what to compare.

#include <math.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "cells/traits.h"
#include "core/layer.h"
#include "testing/check.h"

namespace fastrnn {
namespace testing {

/// Numbers in (-scale, scale), the same in float and double.
class Random {
 public:
  explicit Random(uint64_t seed = 1) : state_(seed) {}

  double next() {  // in [-1, 1)
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return double(state_ >> 11) * 0x1p-52 - 1.0;
  }
  template <class T>
  std::vector<T> draw(int64_t count, double scale) {
    std::vector<T> values(static_cast<size_t>(count));
    for (T& value : values) value = T(float(scale * next()));
    return values;
  }

 private:
  uint64_t state_;
};

/// Sequences of different lengths, and steps before which the state is zeroed.
struct Rows {
  std::vector<int64_t> lengths;  // [B], in the order of padded sequences and states; empty: all are the longest
  std::vector<int64_t> offsets, order;
  std::vector<uint8_t> resets;
  int64_t padded_steps = 0;

  /// Lengths up to seq_len, one of them that; `shuffled`: in any order, with some of zero.
  void draw_lengths(const LayerShape& s, bool shuffled, Random& random) {
    for (int64_t b = 0; b < s.batch; ++b) {
      const double part = (random.next() + 1) / 2;
      lengths.push_back(shuffled ? std::max<int64_t>(0, int64_t(part * double(s.seq_len + 2)) - 1)
                                 : 1 + int64_t(part * double(s.seq_len)));
    }
    lengths[size_t(s.batch / 2)] = s.seq_len;
    for (int64_t b = 0; b < s.batch; ++b) order.push_back(b);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
    if (!shuffled) {
      std::sort(lengths.rbegin(), lengths.rend());
      order.clear();
    }
    offsets.push_back(0);
    for (int64_t t = 0; t < s.seq_len; ++t)
      offsets.push_back(offsets.back() +
                        std::count_if(lengths.begin(), lengths.end(), [&](int64_t n) { return n > t; }));
    padded_steps = s.seq_len + (shuffled ? 2 : 0);
  }
  void draw_resets(int64_t rows, Random& random) {
    for (int64_t i = 0; i < rows; ++i) resets.push_back(random.next() > 0.5);
  }

  int64_t length(int64_t b) const { return lengths[size_t(b)]; }
  RowMap map() const {
    return {offsets.empty() ? nullptr : offsets.data(), order.empty() ? nullptr : order.data(),
            resets.empty() ? nullptr : resets.data(), padded_steps};
  }
};

struct Case {
  int cell;
  LayerShape shape;
  bool bias, initial;
  Rows rows{};
  bool packed_x = false, packed_y = false;
  bool dropout = false;  // on h
  /// Zoneout of a state: none, by masks, or by the same rate everywhere.
  enum Zoneout { kNone, kMasks, kRate } zoneout[kMaxStates] = {kNone, kNone};

  bool any_zoneout() const { return zoneout[0] != kNone || zoneout[1] != kNone; }

  std::string name() const {
    const char* const zoneouts[] = {"", " masks", " rate"};
    const LayerShape& s = shape;
    return std::string(cell_traits(cell).name) + " T" + std::to_string(s.seq_len) + " B" + std::to_string(s.batch) +
           " I" + std::to_string(s.input) + " H" + std::to_string(s.hidden) + " D" + std::to_string(s.directions) +
           (bias ? "" : " no bias") + (initial ? "" : " from zeros") + (rows.lengths.empty() ? "" : " lengths") +
           (rows.order.empty() ? "" : " in any order") + (rows.resets.empty() ? "" : " resets") +
           (packed_x ? " packed x" : "") + (packed_y ? " packed y" : "") + (dropout ? " dropout" : "") +
           (any_zoneout() ? " zoneout" : "") + zoneouts[zoneout[0]] + zoneouts[zoneout[1]];
  }
};

struct Result {
  std::string name;
  std::vector<double> values;
};

/// One case's arguments. Outputs have exactly the memory they need, so that a sanitizer sees a write past them; they
/// start as NaN, so that a value never written shows. Rows of sequences lie apart, and what lies between must stay.
/// What is past a sequence's end is NaN in the arguments, and so are the outputs that it gets into.
template <class T>
class Call {
  static constexpr int64_t kGap = 3;

 public:
  explicit Call(const Case& test) : case_(test), cell_(cell_traits(test.cell)) {
    const LayerShape& s = test.shape;
    const int64_t G = cell_.gates, H = s.hidden, I = s.input;
    Random random;
    x_ = random.draw<T>(rows(test.packed_x) * (I + kGap), 2);
    d_y_ = random.draw<T>(rows(test.packed_y) * (s.directions * H + kGap), 1);
    if (!test.packed_x) poison_padding(x_, I + kGap);
    if (!test.packed_y) poison_padding(d_y_, s.directions * H + kGap);
    for (int d = 0; d < s.directions; ++d) {
      const int64_t sizes[] = {G * H * I, G * H * H * cell_.operand_states(), G * H, G * H, cell_.unit_params * H};
      const double scales[] = {1.5 / sqrt(double(I)), 1.5 / sqrt(double(H)), 0.5, 0.5, 1};
      for (int k = 0; k < 5; ++k) params_[d][k] = random.draw<T>(sizes[k], scales[k]);
    }
    for (int k = 0; k < cell_.states; ++k) {
      initial_[k] = random.draw<T>(s.directions * s.batch * H, 1);
      d_final_[k] = random.draw<T>(s.directions * s.batch * H, 1);
      masks_[k] = random.draw<T>(rows(test.packed_y) * (s.directions * H + kGap), 1);
      for (T& value : masks_[k]) value = T(value > 0.3);
    }
    scale_ = random.draw<T>(s.directions * s.batch * H, 1);
    for (T& value : scale_) value = value > 0 ? T(1.5) : T(0);
  }

  /// forward(args) and backward(args), with the reserve they need.
  template <class Forward, class Backward>
  std::vector<Result> run(const Forward& forward, const Backward& backward, int64_t reserve_bytes) {
    const LayerShape& s = case_.shape;
    const int64_t states = s.directions * s.batch * s.hidden;
    std::vector<T> reserve = nans(reserve_bytes / int64_t(sizeof(T))), y = nans(int64_t(d_y_.size())),
                   d_x = nans(int64_t(x_.size()));
    std::vector<T> final_states[kMaxStates], d_initial[kMaxStates], d_states[kMaxStates];
    std::vector<T> d_params[kMaxDirections][5];

    ForwardArgs f{};
    f.shape = s;
    f.rows = case_.rows.map();
    f.x = sequence(x_, s.input, case_.packed_x);
    f.y = sequence(y, s.directions * s.hidden, case_.packed_y);
    f.reserve = reserve.data();
    BackwardArgs b{};
    b.d_y = sequence(d_y_, s.directions * s.hidden, case_.packed_y);
    b.d_x = sequence(d_x, s.input, case_.packed_x);
    for (int d = 0; d < s.directions; ++d) {
      for (int k = 0; k < 5; ++k) d_params[d][k] = nans(int64_t(params_[d][k].size()));
      f.params[d] = parameters(params_[d]);
      b.d_params[d] = parameters(d_params[d]);
    }
    for (int k = 0; k < cell_.states; ++k) {
      final_states[k] = nans(states);
      d_initial[k] = nans(states);
      d_states[k] = nans(int64_t(d_y_.size()));
      f.initial[k] = case_.initial ? initial_[k].data() : nullptr;
      f.final_states[k] = final_states[k].data();
      b.d_final[k] = d_final_[k].data();
      b.d_initial[k] = d_initial[k].data();
      b.d_states[k] = sequence(d_states[k], s.directions * s.hidden, case_.packed_y);
    }
    if (case_.dropout) f.regularizers.hidden_scale = scale_.data();
    for (int k = 0; k < cell_.states; ++k) {
      if (case_.zoneout[k] == Case::kMasks)
        f.regularizers.zoneout[k] = sequence(masks_[k], s.directions * s.hidden, case_.packed_y);
      if (case_.zoneout[k] == Case::kRate) f.regularizers.zoneout_rate[k] = 0.25;
    }
    b.regularizers = f.regularizers;
    forward(f);
    b.shape = s;
    b.rows = f.rows;
    b.x = f.x;
    b.y = f.y;
    b.reserve = f.reserve;
    std::copy(f.params, f.params + kMaxDirections, b.params);
    std::copy(f.initial, f.initial + kMaxStates, b.initial);
    backward(b);

    std::vector<Result> results{{"y", rows_of(y, s.directions * s.hidden)}, {"d_x", rows_of(d_x, s.input)}};
    const char* const names[] = {"d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh", "d_unit_params"};
    for (int k = 0; k < cell_.states; ++k) {
      results.push_back({"final " + std::to_string(k), widened(final_states[k])});
      results.push_back({"d_initial " + std::to_string(k), widened(d_initial[k])});
      results.push_back({"d_states " + std::to_string(k), rows_of(d_states[k], s.directions * s.hidden)});
    }
    for (int d = 0; d < s.directions; ++d) {
      for (int k = 0; k < 5; ++k) {
        if (k < 2 || k == 4 || case_.bias) results.push_back({names[k] + std::to_string(d), widened(d_params[d][k])});
      }
    }
    return results;
  }

 private:
  static std::vector<T> nans(int64_t count) {
    return std::vector<T>(static_cast<size_t>(count), std::numeric_limits<T>::quiet_NaN());
  }
  static std::vector<double> widened(const std::vector<T>& values) { return {values.begin(), values.end()}; }

  int64_t rows(bool packed) const {
    const LayerShape& s = case_.shape;
    return packed ? s.total_rows() : std::max(s.seq_len, case_.rows.padded_steps) * s.batch;
  }
  void poison_padding(std::vector<T>& values, int64_t size) const {
    const int64_t batch = case_.shape.batch;
    for (int64_t row = 0; !case_.rows.lengths.empty() && row < rows(false); ++row) {
      if (row / batch < case_.rows.length(row % batch)) continue;
      std::fill_n(values.begin() + row * size, size, std::numeric_limits<T>::quiet_NaN());
    }
  }
  Sequence sequence(std::vector<T>& values, int64_t features, bool packed) const {
    return {values.data(), case_.shape.batch * (features + kGap), features + kGap, packed};
  }
  Parameters parameters(std::vector<T> (&p)[5]) const {
    const bool bias = case_.bias;
    return {p[0].data(), p[1].data(), bias ? p[2].data() : nullptr, bias ? p[3].data() : nullptr,
            cell_.unit_params ? p[4].data() : nullptr};
  }
  std::vector<double> rows_of(const std::vector<T>& values, int64_t features) const {
    std::vector<double> rows;
    bool untouched = true;
    for (size_t i = 0; i < values.size(); ++i) {
      if (int64_t(i) % (features + kGap) < features)
        rows.push_back(double(values[i]));
      else
        untouched = untouched && isnan(values[i]);
    }
    check(untouched, case_.name() + ": memory between rows");
    return rows;
  }

  const Case case_;
  const CellTraits& cell_;
  std::vector<T> scale_, masks_[kMaxStates];
  std::vector<T> x_, d_y_, initial_[kMaxStates], d_final_[kMaxStates], params_[kMaxDirections][5];
};

}  // namespace testing
}  // namespace fastrnn
