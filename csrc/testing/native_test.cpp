// The engine's test without Python: for cross-compiled builds under an emulator, and for sanitizers. Every supported
// instruction set, cell and number type, against the cells in plain loops (scalar_layer.h); activations against libm.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "cells/traits.h"
#include "cpu/engine.h"
#include "cpu/isa.h"
#include "testing/scalar_layer.h"

namespace fastrnn {
namespace {

int passed = 0, failed = 0;

void check(bool condition, const std::string& what) {
  ++(condition ? passed : failed);
  if (!condition) printf("FAILED %s\n", what.c_str());
}

struct Case {
  int cell;
  LayerShape shape;
  bool bias, initial;

  std::string name() const {
    const LayerShape& s = shape;
    return std::string(cell_traits(cell).name) + " T" + std::to_string(s.seq_len) + " B" + std::to_string(s.batch) +
           " I" + std::to_string(s.input) + " H" + std::to_string(s.hidden) + " D" + std::to_string(s.directions) +
           (bias ? "" : " no bias") + (initial ? "" : " from zeros");
  }
};

/// Numbers in (-scale, scale), the same in float and double.
class Random {
 public:
  template <class T>
  std::vector<T> draw(int64_t count, double scale) {
    std::vector<T> values(static_cast<size_t>(count));
    for (T& value : values) {
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;
      value = T(float(scale * (double(state_ >> 11) * 0x1p-52 - 1.0)));
    }
    return values;
  }

 private:
  uint64_t state_ = 1;
};

struct Result {
  std::string name;
  std::vector<double> values;
};

/// One case's arguments. Outputs have exactly the memory they need, so that a sanitizer sees a write past them; they
/// start as NaN, so that a value never written shows. Rows of sequences lie apart, and what lies between must stay.
template <class T>
class Call {
  static constexpr int64_t kGap = 3;

 public:
  explicit Call(const Case& test) : case_(test), cell_(cell_traits(test.cell)) {
    const LayerShape& s = test.shape;
    const int64_t rows = s.seq_len * s.batch, G = cell_.gates, H = s.hidden, I = s.input;
    Random random;
    x_ = random.draw<T>(rows * (I + kGap), 2);
    d_y_ = random.draw<T>(rows * (s.directions * H + kGap), 1);
    for (int d = 0; d < s.directions; ++d) {
      const int64_t sizes[] = {G * H * I, G * H * H, G * H, G * H, cell_.unit_params * H};
      const double scales[] = {1.5 / sqrt(double(I)), 1.5 / sqrt(double(H)), 0.5, 0.5, 1};
      for (int k = 0; k < 5; ++k) params_[d][k] = random.draw<T>(sizes[k], scales[k]);
    }
    for (int k = 0; k < cell_.states; ++k) {
      initial_[k] = random.draw<T>(s.directions * s.batch * H, 1);
      d_final_[k] = random.draw<T>(s.directions * s.batch * H, 1);
    }
  }

  /// forward(args) and backward(args), with the reserve they need.
  template <class Forward, class Backward>
  std::vector<Result> run(const Forward& forward, const Backward& backward, int64_t reserve_bytes) {
    const LayerShape& s = case_.shape;
    const int64_t states = s.directions * s.batch * s.hidden;
    std::vector<T> reserve = nans(reserve_bytes / int64_t(sizeof(T))), y = nans(int64_t(d_y_.size())),
                   d_x = nans(int64_t(x_.size()));
    std::vector<T> final_states[kMaxStates], d_initial[kMaxStates], d_params[kMaxDirections][5];

    ForwardArgs f{};
    f.shape = s;
    f.x = sequence(x_, s.input);
    f.y = sequence(y, s.directions * s.hidden);
    f.reserve = reserve.data();
    BackwardArgs b{};
    b.d_y = sequence(d_y_, s.directions * s.hidden);
    b.d_x = sequence(d_x, s.input);
    for (int d = 0; d < s.directions; ++d) {
      for (int k = 0; k < 5; ++k) d_params[d][k] = nans(int64_t(params_[d][k].size()));
      f.params[d] = parameters(params_[d]);
      b.d_params[d] = parameters(d_params[d]);
    }
    for (int k = 0; k < cell_.states; ++k) {
      final_states[k] = nans(states);
      d_initial[k] = nans(states);
      f.initial[k] = case_.initial ? initial_[k].data() : nullptr;
      f.final_states[k] = final_states[k].data();
      b.d_final[k] = d_final_[k].data();
      b.d_initial[k] = d_initial[k].data();
    }
    forward(f);
    b.shape = s;
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

  Sequence sequence(std::vector<T>& values, int64_t features) const {
    return {values.data(), case_.shape.batch * (features + kGap), features + kGap};
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
  std::vector<T> x_, d_y_, initial_[kMaxStates], d_final_[kMaxStates], params_[kMaxDirections][5];
};

template <class T>
std::vector<Result> run_scalar(const Case& test) {
  return Call<T>(test).run([&](const ForwardArgs& args) { scalar_forward(test.cell, sizeof(T), args); },
                           [&](const BackwardArgs& args) { scalar_backward(test.cell, sizeof(T), args); },
                           scalar_reserve_bytes(test.cell, sizeof(T), test.shape));
}

template <class T>
std::vector<Result> run_engine(const Case& test, int isa, int threads) {
  return Call<T>(test).run(
      [&](const ForwardArgs& args) {
        run_forward(test.cell, sizeof(T), isa, threads, args);
        ForwardArgs inference = args;  // overwrites the outputs, which are what is compared
        inference.reserve = nullptr;
        run_forward(test.cell, sizeof(T), isa, threads, inference);
      },
      [&](const BackwardArgs& args) { run_backward(test.cell, sizeof(T), isa, threads, args); },
      reserve_bytes(test.cell, sizeof(T), isa, test.shape));
}

/// Infinity for a NaN.
double largest_error(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double error = fabs(a[i] - b[i]);
    largest = error <= largest ? largest : isnan(error) ? INFINITY : error;
  }
  return largest;
}

/// The engine's error may be three times that of the plain loops in the same precision (generic code has no fused
/// multiply-add), plus a few roundings of the largest value. `same` is what the plain loops gave in that precision.
template <class T>
void compare_with_scalar(const Case& test, const std::vector<Result>& exact, const std::vector<Result>& same) {
  for (size_t isa = 0; isa < built_isas().size(); ++isa) {
    if (!built_isas()[isa].supported) continue;
    const std::vector<Result> ours = run_engine<T>(test, int(isa), 1);
    const std::string name =
        std::string(built_isas()[isa].name) + (sizeof(T) == 4 ? " float " : " double ") + test.name();
    for (size_t k = 0; k < ours.size(); ++k) {
      double scale = 0;
      for (const double value : exact[k].values) scale = std::max(scale, fabs(value));
      const double budget = sizeof(T) == 8 ? 1e-12 * scale
                                           : 3 * largest_error(same[k].values, exact[k].values) +
                                                 4 * double(std::numeric_limits<T>::epsilon()) * scale;
      const double error = largest_error(ours[k].values, exact[k].values);
      check(error <= budget,
            name + " " + ours[k].name + ": error " + std::to_string(error / scale) + " of the largest value");
    }
    for (const int threads : {3, 4}) {
      const std::vector<Result> parallel = run_engine<T>(test, int(isa), threads);
      for (size_t k = 0; k < ours.size(); ++k) {
        const size_t bytes = ours[k].values.size() * sizeof(double);
        check(bytes == 0 || memcmp(ours[k].values.data(), parallel[k].values.data(), bytes) == 0,
              name + " " + ours[k].name + ": other bits with " + std::to_string(threads) + " threads");
      }
    }
  }
}

void test_cells() {
  // seq_len, batch, input, hidden, directions: sizes around those of registers and tiles; weights are packed from 8 to
  // 40 rows (seq_len * batch) on, and threads used only in the last ones, which split units and rows.
  const LayerShape shapes[] = {{1, 1, 1, 1, 1},   {3, 2, 5, 7, 2},    {2, 3, 17, 33, 1},  {1, 7, 16, 64, 1},
                               {2, 3, 32, 48, 2}, {7, 3, 5, 7, 1},    {5, 9, 16, 32, 2},  {3, 7, 65, 19, 1},
                               {4, 11, 3, 47, 1}, {12, 1, 24, 31, 2}, {20, 6, 40, 66, 2}, {20, 17, 33, 65, 1}};
  for (int cell = 0; cell < num_cells(); ++cell) {
    int number = cell;
    for (const LayerShape& shape : shapes) {
      const Case test{cell, shape, number % 3 != 0, number % 4 != 1};
      ++number;
      const std::vector<Result> exact = run_scalar<double>(test);
      compare_with_scalar<float>(test, exact, run_scalar<float>(test));
      compare_with_scalar<double>(test, exact, exact);
    }
  }
}

struct Activation {
  const char* name;
  long double (*exact)(long double);
  double low, high;
};

/// Largest error in units of the last place of the exact value.
template <class T>
void test_activation(const Activation& activation, const Isa& isa, const Kernels& kernels, double limit) {
  constexpr int kCount = 20001;
  std::vector<T> in, out(2 * kCount);
  for (int i = 0; i < kCount; ++i)
    in.push_back(T(activation.low + (activation.high - activation.low) * i / (kCount - 1)));
  for (int i = 0; i < kCount; ++i) {  // every magnitude
    const double size = std::max(-activation.low, activation.high) * pow(2.0, -double(i) / kCount * 100);
    in.push_back(T(i % 2 && -size >= activation.low ? -size : std::min(size, activation.high)));
  }
  check(kernels.activation(activation.name, in.data(), out.data(), int64_t(in.size())), activation.name);
  double worst = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const long double exact = activation.exact((long double)(in[i]));
    const int exponent = std::max(exact == 0 ? -10000 : ilogbl(exact), std::numeric_limits<T>::min_exponent - 1);
    const double error = double(fabsl(out[i] - exact) / ldexpl(1.0L, exponent - std::numeric_limits<T>::digits + 1));
    worst = error <= worst ? worst : isnan(error) ? INFINITY : error;
  }
  check(worst <= limit, std::string(isa.name) + " " + activation.name + (sizeof(T) == 4 ? " float" : " double") +
                            ": error of " + std::to_string(worst) + " ulp");

  const T nan = std::numeric_limits<T>::quiet_NaN(), infinity = std::numeric_limits<T>::infinity();
  const T special[] = {nan, infinity, -infinity, T(0)};
  T results[4];
  kernels.activation(activation.name, special, results, 4);
  check(isnan(results[0]), std::string(isa.name) + " " + activation.name + " of NaN");
  if (activation.exact(1) < 1) {  // exp keeps its value at the ends of its range
    for (int i = 1; i < 4; ++i)
      check(results[i] == T(activation.exact((long double)(special[i]))),
            std::string(isa.name) + " " + activation.name + " of " + std::to_string(double(special[i])));
  }
}

void test_activations() {
  const auto sigmoid = [](long double x) { return 1 / (1 + expl(-x)); };
  for (const Isa& isa : built_isas()) {
    if (!isa.supported) continue;
    for (const Activation& a : {Activation{"tanh", tanhl, -25, 25}, Activation{"sigmoid", sigmoid, -87, 87},
                                Activation{"exp", expl, -60, 88.3}})
      test_activation<float>(a, isa, *isa.f32, 3);
    for (const Activation& a : {Activation{"tanh", tanhl, -25, 25}, Activation{"sigmoid", sigmoid, -399, 708},
                                Activation{"exp", expl, -399, 709.4}})
      test_activation<double>(a, isa, *isa.f64, 4);
  }
}

}  // namespace
}  // namespace fastrnn

int main() {
  using namespace fastrnn;
  printf("instruction sets:");
  for (const Isa& isa : built_isas()) printf(" %s%s", isa.name, isa.supported ? "" : " (not supported here)");
  printf("; threads: %s\n", has_openmp() ? "OpenMP" : "none");
  test_activations();
  test_cells();
  printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}
