#include "testing/scalar_layer.h"

#include <math.h>
#include <stddef.h>

#include <vector>

#include "cells/cells.h"
#include "math/scalar.h"

namespace fastrnn {
namespace {

/// Both passes of one direction. Reserve: for every direction, row (time first) and unit the cell's reserve, then its
/// states, the same before zoneout, and the normalized parts of the gates; then for every row the statistics of the
/// latter and of the state. "Row b" is as in core/layer.h.
template <class Cell, class T>
class ScalarLayer {
  using V = ScalarValue<T>;
  static constexpr int kGates = Cell::kGates, kStates = Cell::kStates, kUnitParams = Cell::kUnitParams;
  static constexpr bool kNormalizes = Cell::kNormalizesGates, kStateOperand = Cell::kOperandHasState;
  static constexpr int kLast = Cell::kPhases - 1, kColumns = kStateOperand ? 2 : 1;
  static constexpr int kCandidates = Cell::kReserve + kStates, kNormalized = kCandidates + kStates;
  static constexpr int kSaved = kNormalized + (kNormalizes ? 2 * kGates : 0), kRowStatistics = 4;
  static constexpr int kFirstOfLast = kLast ? Cell::kPhaseGates[0] : 0;  // first gate of the last phase

 public:
  ScalarLayer(const LayerShape& shape, const RowMap& rows, const Sequence& x, const Parameters* params,
              const void* const* initial, const Regularizers& regularizers, T* reserve, int direction)
      : s_(shape),
        rows_(rows),
        x_(x),
        p_(params[direction]),
        initial_(initial),
        regularizers_(regularizers),
        reserve_(reserve),
        d_(direction) {}

  static int64_t reserve_size(const LayerShape& s) {
    return s.directions * s.total_rows() * (s.hidden * kSaved + kRowStatistics);
  }

  void forward(const ForwardArgs& args) {
    const int64_t H = s_.hidden;
    std::vector<T> x_gates(size_t(kGates * H)), h_gates(size_t(kGates * H)), operand(size_t(kColumns * H));
    for (int64_t row = 0; row < s_.batch; ++row) {  // of a sequence without steps: what it started from
      for (int k = 0; k < kStates; ++k)
        for (int64_t u = 0; u < H; ++u) *final_state(args, k, row, u) = initial(k, row, u);
    }
    for (int64_t step = 0; step < s_.seq_len; ++step) {
      const int64_t t = time_of(step);
      for (int64_t row = 0; row < count(t); ++row) {
        multiply(p_.weight_ih, p_.bias_ih, 0, kGates, at(x_, t, row), s_.input, x_gates.data());
        first_operand(t, row, operand);
        multiply(p_.weight_hh, p_.bias_hh, 0, Cell::kPhaseGates[0], operand.data(), kColumns * H, h_gates.data());
        if constexpr (kNormalizes) {
          normalize_gates(t, row, 0, p_.bias_ih, x_gates);
          normalize_gates(t, row, 1, p_.bias_hh, h_gates);
        }
        if constexpr (Cell::kPhases == 2) {
          for (int64_t u = 0; u < H; ++u) {
            Pack<V, Cell::kPhaseGates[0]> a;
            Pack<V, Cell::kPhaseSplit[0]> x;
            gather<0>(x_gates, h_gates, u, a, x);
            auto reserve = saved_reserve(t, row, u);
            const V made = Cell::template forward_operand<V>(a, x, unit_params(u), states_before(t, row, u), reserve);
            operand[size_t((kColumns - 1) * H + u)] = Cell::kOperandOfHidden ? made.v * scale(row, u) : made.v;
            save(t, row, u, reserve);
          }
          multiply(p_.weight_hh, p_.bias_hh, kFirstOfLast, Cell::kPhaseGates[kLast], operand.data(), kColumns * H,
                   h_gates.data());
        }
        for (int64_t u = 0; u < H; ++u) {
          Pack<V, Cell::kPhaseGates[kLast]> a;
          Pack<V, Cell::kPhaseSplit[kLast]> x;
          gather<kLast>(x_gates, h_gates, u, a, x);
          auto reserve = saved_reserve(t, row, u);
          Pack<V, kStates> next{};
          Cell::template forward<V>(a, x, unit_params(u), states_before(t, row, u), next, reserve);
          save(t, row, u, reserve);
          for (int k = 0; k < kStates; ++k) saved(t, row, u)[kCandidates + k] = next[k].v;
        }
        if constexpr (Cell::kNormalizesState) make_output(t, row);
        for (int64_t u = 0; u < H; ++u) {
          for (int k = 0; k < kStates; ++k) {
            const T kept = kept_part(k, t, row, u), candidate = saved(t, row, u)[kCandidates + k];
            const T next = kept * before(t, row, u, k) + (1 - kept) * candidate;
            saved(t, row, u)[Cell::kReserve + k] = next;
            *final_state(args, k, row, u) = next;  // of the last step in the end
          }
          at(args.y, t, row)[d_ * H + u] = saved(t, row, u)[Cell::kReserve];
        }
      }
    }
    clear_padding(args.y, d_ * H, H);
  }

  void backward(const BackwardArgs& args) {
    const int64_t H = s_.hidden;
    const Parameters& d_params = args.d_params[d_];
    clear(d_params.weight_ih, kGates * H * s_.input);
    clear(d_params.weight_hh, kGates * H * kColumns * H);
    clear(d_params.bias_ih, kGates * H);
    clear(d_params.bias_hh, kGates * H);
    clear(d_params.unit_params, kUnitParams * H);
    std::vector<T> d_state(size_t(kStates * s_.batch * H));  // [state, row, unit]
    const auto d_at = [&](int k, int64_t row, int64_t u) -> T& {
      return d_state[size_t((k * s_.batch + row) * H + u)];
    };
    const auto each_state = [&](const auto& f) {
      for (int k = 0; k < kStates; ++k)
        for (int64_t row = 0; row < s_.batch; ++row)
          for (int64_t u = 0; u < H; ++u) f(k, d_at(k, row, u), (d_ * s_.batch + place(row)) * H + u);
    };
    each_state([&](int k, T& d, int64_t i) { d = args.d_final[k] ? static_cast<const T*>(args.d_final[k])[i] : T(0); });
    for (int64_t step = s_.seq_len - 1; step >= 0; --step) {
      const int64_t t = time_of(step);
      for (int64_t row = 0; row < count(t); ++row) {
        backward_row(args, t, row, d_at);
        for (int k = 0; resets(t, row) && k < kStates; ++k)
          for (int64_t u = 0; u < H; ++u) d_at(k, row, u) = T(0);
      }
    }
    each_state([&](int k, const T& d, int64_t i) {
      if (args.d_initial[k]) static_cast<T*>(args.d_initial[k])[i] = d;
    });
    if (args.d_x.data && d_ == 0) clear_padding(args.d_x, 0, s_.input);
    for (const Sequence& d_states : args.d_states)
      if (d_states.data) clear_padding(d_states, d_ * H, H);
  }

 private:
  template <class DAt>
  void backward_row(const BackwardArgs& args, int64_t t, int64_t row, const DAt& d_at) {
    const int64_t H = s_.hidden, I = s_.input;
    const Parameters& d_params = args.d_params[d_];
    const T* d_y = args.d_y.data ? at(args.d_y, t, row) + d_ * H : nullptr;
    // d_prev: gradients of the states before the step, but what comes through the first product.
    std::vector<T> x_gates(size_t(kGates * H)), h_gates(size_t(kGates * H));
    std::vector<Pack<V, kStates>> d_next(static_cast<size_t>(H)), d_prev(static_cast<size_t>(H)),
        d_kept(static_cast<size_t>(H));
    std::vector<Pack<V, Cell::kPhaseGates[0]>> d_first(static_cast<size_t>(H));
    for (int64_t u = 0; u < H; ++u) {
      for (int k = 0; k < kStates; ++k) {
        const T d = d_at(k, row, u) + (k == 0 && d_y ? d_y[u] : T(0));
        if (args.d_states[k].data) at(args.d_states[k], t, row)[d_ * H + u] = d;
        d_kept[size_t(u)][k] = V(d * kept_part(k, t, row, u));
        d_next[size_t(u)][k] = V(d - d_kept[size_t(u)][k].v);
      }
    }
    if constexpr (Cell::kNormalizesState) output_gradients(t, row, d_next, d_params);
    for (int64_t u = 0; u < H; ++u) {
      Pack<V, kStates> next;
      for (int k = 0; k < kStates; ++k) next[k] = V(saved(t, row, u)[kCandidates + k]);
      if constexpr (Cell::kNormalizesState) next[0] = V(normalized_state(t, row, u));
      Pack<V, Cell::kPhaseGates[kLast]> d_a;
      Pack<V, Cell::kPhaseSplit[kLast]> d_x;
      Pack<V, kUnitParams> d_p;
      const auto reserve = saved_reserve(t, row, u);
      const auto prev = states_before(t, row, u);
      if constexpr (Cell::kPhases == 2)
        Cell::template backward<V>(reserve, unit_params(u), prev, next, d_next[size_t(u)], d_prev[size_t(u)], d_a,
                                   d_first[size_t(u)], d_x, d_p);
      else
        Cell::template backward<V>(reserve, unit_params(u), prev, next, d_next[size_t(u)], d_prev[size_t(u)], d_a, d_x,
                                   d_p);
      scatter<kLast>(d_a, d_x, u, x_gates, h_gates);
      for (int k = 0; !kNormalizes && k < kUnitParams; ++k) add(d_params.unit_params, k * H + u, d_p[k].v);
      if (!Cell::kHiddenCarry) d_prev[size_t(u)][0] = V(T(0));
    }
    std::vector<T> operand(size_t(kColumns * H)), d_operand(size_t(kColumns * H));
    first_operand(t, row, operand);
    if constexpr (Cell::kPhases == 2) {
      std::vector<T> second = operand;
      for (int64_t u = 0; u < H; ++u) {
        const V made = Cell::template operand<V>(saved_reserve(t, row, u), states_before(t, row, u));
        second[size_t((kColumns - 1) * H + u)] = Cell::kOperandOfHidden ? made.v * scale(row, u) : made.v;
      }
      multiply_back(kFirstOfLast, Cell::kPhaseGates[kLast], second, h_gates, d_operand, d_params);
      for (int64_t u = 0; u < H; ++u) {
        Pack<V, Cell::kPhaseSplit[0]> d_x;
        Pack<V, kUnitParams> d_p;
        if (kStateOperand) d_prev[size_t(u)][0] = d_prev[size_t(u)][0] + V(d_operand[size_t(u)] * scale(row, u));
        V d_made = V(d_operand[size_t((kColumns - 1) * H + u)]);
        if (Cell::kOperandOfHidden) d_made = d_made * V(scale(row, u));
        Cell::template backward_operand<V>(saved_reserve(t, row, u), unit_params(u), states_before(t, row, u), d_made,
                                           d_prev[size_t(u)], d_first[size_t(u)], d_x, d_p);
        scatter<0>(d_first[size_t(u)], d_x, u, x_gates, h_gates);
      }
    }
    if constexpr (kNormalizes) {
      normalized_gradients(t, row, 0, d_params.bias_ih, d_params, x_gates);
      normalized_gradients(t, row, 1, d_params.bias_hh, d_params, h_gates);
    }
    d_operand.assign(d_operand.size(), T(0));
    multiply_back(0, Cell::kPhaseGates[0], operand, h_gates, d_operand, d_params);
    for (int64_t u = 0; u < H; ++u) {
      d_at(0, row, u) = d_prev[size_t(u)][0].v + d_operand[size_t(u)] * scale(row, u) + d_kept[size_t(u)][0].v;
      for (int k = 1; k < kStates; ++k)
        d_at(k, row, u) =
            d_prev[size_t(u)][k].v + d_kept[size_t(u)][k].v + (kStateOperand ? d_operand[size_t(H + u)] : T(0));
    }

    const T* x = at(x_, t, row);
    const T* weight = static_cast<const T*>(p_.weight_ih);
    for (int64_t i = 0; i < I; ++i) {
      T sum = 0;
      for (int64_t g = 0; g < kGates * H; ++g) {
        sum += x_gates[size_t(g)] * weight[g * I + i];
        add(d_params.weight_ih, g * I + i, x_gates[size_t(g)] * x[i]);
      }
      if (!args.d_x.data) continue;
      T& d_x = at(args.d_x, t, row)[i];
      d_x = d_ ? d_x + sum : sum;
    }
    for (int64_t g = 0; !kNormalizes && g < kGates * H; ++g) {
      add(d_params.bias_ih, g, x_gates[size_t(g)]);
      add(d_params.bias_hh, g, h_gates[size_t(g)]);
    }
  }

  // -- normalized parts and states --

  struct Statistics {
    T mean, scale;
  };
  template <class At>
  static Statistics statistics(int64_t count, const At& value) {
    T mean = 0, variance = 0;
    for (int64_t i = 0; i < count; ++i) mean += value(i);
    mean /= T(count);
    for (int64_t i = 0; i < count; ++i) variance += (value(i) - mean) * (value(i) - mean);
    return {mean, 1 / T(sqrt(double(variance / T(count) + T(Cell::kNormEpsilon))))};
  }
  /// d_n to d_x in place, where n(i) is the normalized value.
  template <class At>
  static void normalization_gradient(int64_t count, T scale, const At& n, std::vector<T>& d) {
    T sum = 0, product = 0;
    for (int64_t i = 0; i < count; ++i) {
      sum += d[size_t(i)];
      product += d[size_t(i)] * n(i);
    }
    for (int64_t i = 0; i < count; ++i)
      d[size_t(i)] = scale * (d[size_t(i)] - sum / T(count) - n(i) * product / T(count));
  }

  T gate_scale(int part, int64_t g) const {
    return static_cast<const T*>(p_.unit_params)[part * kGates * s_.hidden + g];
  }
  T& normalized(int64_t t, int64_t row, int part, int64_t g) const {
    return saved(t, row, g % s_.hidden)[kNormalized + part * kGates + g / s_.hidden];
  }
  T* row_statistics(int64_t t, int64_t row) const {
    return reserve_ + s_.directions * s_.total_rows() * s_.hidden * kSaved +
           (d_ * s_.total_rows() + number(t, row)) * kRowStatistics;
  }
  T normalized_state(int64_t t, int64_t row, int64_t u) const {
    const T* const of = row_statistics(t, row);
    return (saved(t, row, u)[kCandidates + kStates - 1] - of[2]) * of[3];
  }

  void normalize_gates(int64_t t, int64_t row, int part, const void* bias, std::vector<T>& gates) const {
    const int64_t count = kGates * s_.hidden;
    const T* b = static_cast<const T*>(bias);
    for (int64_t g = 0; b && g < count; ++g) gates[size_t(g)] -= b[g];  // they come after
    const Statistics of = statistics(count, [&](int64_t i) { return gates[size_t(i)]; });
    row_statistics(t, row)[part] = of.scale;
    for (int64_t g = 0; g < count; ++g) {
      const T n = (gates[size_t(g)] - of.mean) * of.scale;
      normalized(t, row, part, g) = n;
      gates[size_t(g)] = gate_scale(part, g) * n + (b ? b[g] : T(0));
    }
  }
  void normalized_gradients(int64_t t, int64_t row, int part, void* d_bias, const Parameters& d_params,
                            std::vector<T>& d_gates) const {
    const int64_t count = kGates * s_.hidden;
    for (int64_t g = 0; g < count; ++g) {
      add(d_bias, g, d_gates[size_t(g)]);
      add(d_params.unit_params, part * count + g, d_gates[size_t(g)] * normalized(t, row, part, g));
      d_gates[size_t(g)] *= gate_scale(part, g);
    }
    normalization_gradient(
        count, row_statistics(t, row)[part], [&](int64_t i) { return normalized(t, row, part, i); }, d_gates);
  }

  void make_output(int64_t t, int64_t row) const {
    const Statistics of = statistics(s_.hidden, [&](int64_t u) { return saved(t, row, u)[kCandidates + 1]; });
    row_statistics(t, row)[2] = of.mean;
    row_statistics(t, row)[3] = of.scale;
    for (int64_t u = 0; u < s_.hidden; ++u)
      saved(t, row, u)[kCandidates] =
          Cell::template forward_output<V>(saved_reserve(t, row, u), unit_params(u), V(normalized_state(t, row, u))).v;
  }
  /// Adds what comes through the output to the gradient of the second state.
  void output_gradients(int64_t t, int64_t row, std::vector<Pack<V, kStates>>& d_next,
                        const Parameters& d_params) const {
    std::vector<T> d(static_cast<size_t>(s_.hidden));
    for (int64_t u = 0; u < s_.hidden; ++u) {
      Pack<V, kUnitParams> d_p{};
      d[size_t(u)] = Cell::template backward_output<V>(saved_reserve(t, row, u), unit_params(u),
                                                       V(normalized_state(t, row, u)), d_next[size_t(u)][0], d_p)
                         .v;
      for (int k = 2 * kGates; k < kUnitParams; ++k) add(d_params.unit_params, k * s_.hidden + u, d_p[k].v);
    }
    normalization_gradient(
        s_.hidden, row_statistics(t, row)[3], [&](int64_t u) { return normalized_state(t, row, u); }, d);
    for (int64_t u = 0; u < s_.hidden; ++u) d_next[size_t(u)][1] = d_next[size_t(u)][1] + V(d[size_t(u)]);
  }

  // -- regularizers --

  T scale(int64_t row, int64_t u) const {
    const T* values = static_cast<const T*>(regularizers_.hidden_scale);
    return values ? values[(d_ * s_.batch + place(row)) * s_.hidden + u] : T(1);
  }
  T kept_part(int k, int64_t t, int64_t row, int64_t u) const {
    const Sequence& mask = regularizers_.zoneout[k];
    return mask.data ? at(mask, t, row)[d_ * s_.hidden + u] : T(regularizers_.zoneout_rate[k]);
  }

  // -- products --

  /// h after dropout, and where the operand has one, the further state.
  void first_operand(int64_t t, int64_t row, std::vector<T>& operand) const {
    for (int64_t u = 0; u < s_.hidden; ++u) {
      operand[size_t(u)] = before(t, row, u, 0) * scale(row, u);
      if (kStateOperand) operand[size_t(s_.hidden + u)] = before(t, row, u, 1);
    }
  }

  /// Rows of gates [first, first + count) of W v + b.
  void multiply(const void* weight, const void* bias, int first, int count, const T* v, int64_t size, T* out) const {
    const T* w = static_cast<const T*>(weight);
    const T* b = static_cast<const T*>(bias);
    for (int64_t g = first * s_.hidden; g < (first + count) * s_.hidden; ++g) {
      T sum = 0;
      for (int64_t k = 0; k < size; ++k) sum += w[g * size + k] * v[k];
      out[g] = b ? sum + b[g] : sum;
    }
  }

  /// Of those gates' recurrent matmul: adds to the operand's gradient and to that of the weights.
  void multiply_back(int first, int count, const std::vector<T>& operand, const std::vector<T>& d_gates,
                     std::vector<T>& d_operand, const Parameters& d_params) const {
    const int64_t H = s_.hidden, columns = kColumns * H;
    for (int64_t u = 0; u < columns; ++u) {
      T sum = 0;
      for (int64_t g = first * H; g < (first + count) * H; ++g) {
        sum += d_gates[size_t(g)] * static_cast<const T*>(p_.weight_hh)[g * columns + u];
        add(d_params.weight_hh, g * columns + u, d_gates[size_t(g)] * operand[size_t(u)]);
      }
      d_operand[size_t(u)] += sum;
    }
  }

  /// A phase's gates of one unit: joint ones add up both matmuls, split ones keep them apart.
  template <int kPhase, int N, int S>
  void gather(const std::vector<T>& x_gates, const std::vector<T>& h_gates, int64_t u, Pack<V, N>& a,
              Pack<V, S>& x) const {
    for (int k = 0; k < N; ++k) {
      const size_t g = size_t(((kPhase ? Cell::kPhaseGates[0] : 0) + k) * s_.hidden + u);
      a[k] = V(k < N - S ? x_gates[g] + h_gates[g] : h_gates[g]);
      if (k >= N - S) x[k - (N - S)] = V(x_gates[g]);
    }
  }
  template <int kPhase, int N, int S>
  void scatter(const Pack<V, N>& d_a, const Pack<V, S>& d_x, int64_t u, std::vector<T>& x_gates,
               std::vector<T>& h_gates) const {
    for (int k = 0; k < N; ++k) {
      const size_t g = size_t(((kPhase ? Cell::kPhaseGates[0] : 0) + k) * s_.hidden + u);
      h_gates[g] = d_a[k].v;
      x_gates[g] = k < N - S ? d_a[k].v : d_x[k - (N - S)].v;
    }
  }

  // -- where things are --

  int64_t time_of(int64_t step) const { return d_ ? s_.seq_len - 1 - step : step; }
  /// Rows of a time, the row's number among those of all times, and its place in what the caller gave.
  int64_t count(int64_t t) const { return rows_.offsets ? rows_.offsets[t + 1] - rows_.offsets[t] : s_.batch; }
  int64_t number(int64_t t, int64_t row) const { return (rows_.offsets ? rows_.offsets[t] : t * s_.batch) + row; }
  int64_t place(int64_t row) const { return rows_.order ? rows_.order[row] : row; }
  bool resets(int64_t t, int64_t row) const { return rows_.resets && rows_.resets[number(t, row)]; }

  T* at(const Sequence& sequence, int64_t t, int64_t row) const {
    return static_cast<T*>(sequence.data) + (sequence.packed ? number(t, row) * sequence.stride_b
                                                             : t * sequence.stride_t + place(row) * sequence.stride_b);
  }
  void clear_padding(const Sequence& sequence, int64_t first, int64_t size) const {
    if (!rows_.offsets || sequence.packed) return;
    for (int64_t t = 0; t < rows_.padded_steps; ++t)
      for (int64_t row = t < s_.seq_len ? count(t) : 0; row < s_.batch; ++row)
        for (int64_t i = first; i < first + size; ++i) at(sequence, t, row)[i] = T(0);
  }

  T* final_state(const ForwardArgs& args, int k, int64_t row, int64_t u) const {
    return static_cast<T*>(args.final_states[k]) + (d_ * s_.batch + place(row)) * s_.hidden + u;
  }
  T* saved(int64_t t, int64_t row, int64_t u) const {
    return reserve_ + ((d_ * s_.total_rows() + number(t, row)) * s_.hidden + u) * kSaved;
  }
  Pack<V, Cell::kReserve> saved_reserve(int64_t t, int64_t row, int64_t u) const {
    Pack<V, Cell::kReserve> reserve;
    for (int k = 0; k < Cell::kReserve; ++k) reserve[k] = V(saved(t, row, u)[k]);
    return reserve;
  }
  void save(int64_t t, int64_t row, int64_t u, const Pack<V, Cell::kReserve>& reserve) const {
    for (int k = 0; k < Cell::kReserve; ++k) saved(t, row, u)[k] = reserve[k].v;
  }
  T initial(int state, int64_t row, int64_t u) const {
    const T* values = static_cast<const T*>(initial_[state]);
    return values ? values[(d_ * s_.batch + place(row)) * s_.hidden + u] : T(0);
  }
  /// A state before a time, which for the reverse direction is that of the later one.
  T before(int64_t t, int64_t row, int64_t u, int state) const {
    if (resets(t, row)) return T(0);
    const int64_t neighbor = d_ ? t + 1 : t - 1;
    const bool first = neighbor < 0 || neighbor == s_.seq_len || row >= count(neighbor);
    return first ? initial(state, row, u) : saved(neighbor, row, u)[Cell::kReserve + state];
  }
  Pack<V, kStates> states_before(int64_t t, int64_t row, int64_t u) const {
    Pack<V, kStates> states;
    for (int k = 0; k < kStates; ++k) states[k] = V(before(t, row, u, k));
    return states;
  }
  Pack<V, kUnitParams> unit_params(int64_t u) const {
    Pack<V, kUnitParams> params;
    for (int k = 0; k < kUnitParams; ++k) params[k] = V(static_cast<const T*>(p_.unit_params)[k * s_.hidden + u]);
    return params;
  }

  static void clear(void* data, int64_t count) {
    for (int64_t i = 0; data && i < count; ++i) static_cast<T*>(data)[i] = T(0);
  }
  static void add(void* data, int64_t i, T value) {
    if (data) static_cast<T*>(data)[i] += value;
  }

  const LayerShape s_;
  const RowMap rows_;
  const Sequence x_;
  const Parameters p_;
  const void* const* initial_;
  const Regularizers regularizers_;
  T* reserve_;
  const int64_t d_;
};

template <class Cell, class T>
void forward(const ForwardArgs& args) {
  for (int d = 0; d < args.shape.directions; ++d)
    ScalarLayer<Cell, T>(args.shape, args.rows, args.x, args.params, args.initial, args.regularizers,
                         static_cast<T*>(args.reserve), d)
        .forward(args);
}

template <class Cell, class T>
void backward(const BackwardArgs& args) {
  T* reserve = static_cast<T*>(const_cast<void*>(args.reserve));  // only read
  for (int d = 0; d < args.shape.directions; ++d)
    ScalarLayer<Cell, T>(args.shape, args.rows, args.x, args.params, args.initial, args.regularizers, reserve, d)
        .backward(args);
}

struct ScalarCell {
  void (*forward[2])(const ForwardArgs&);
  void (*backward[2])(const BackwardArgs&);
  int64_t (*reserve_size)(const LayerShape&);
};

#define FASTRNN_SCALAR_CELL(Cell)                   \
  {{forward<Cell, float>, forward<Cell, double>},   \
   {backward<Cell, float>, backward<Cell, double>}, \
   ScalarLayer<Cell, float>::reserve_size},
constexpr ScalarCell kCells[] = {FASTRNN_FOR_EACH_CELL(FASTRNN_SCALAR_CELL)};
#undef FASTRNN_SCALAR_CELL

}  // namespace

void scalar_forward(int cell, int itemsize, const ForwardArgs& args) { kCells[cell].forward[itemsize == 8](args); }

void scalar_backward(int cell, int itemsize, const BackwardArgs& args) { kCells[cell].backward[itemsize == 8](args); }

int64_t scalar_reserve_bytes(int cell, int itemsize, const LayerShape& shape) {
  return kCells[cell].reserve_size(shape) * itemsize;
}

}  // namespace fastrnn
