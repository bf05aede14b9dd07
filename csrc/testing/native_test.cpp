// The engine's test without Python: for cross-compiled builds under an emulator, and for sanitizers. Every supported
// instruction set, cell and number type, against the cells in plain loops (scalar_layer.h); with lengths and
// resets, too; activations against libm.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

#include "cells/traits.h"
#include "cpu/engine.h"
#include "cpu/isa.h"
#include "testing/layer_case.h"
#include "testing/scalar_layer.h"

namespace fastrnn {
namespace {

using namespace testing;

template <class T>
std::vector<Result> run_scalar(const Case& test) {
  return Call<T>(test).run([&](const ForwardArgs& args) { scalar_forward(test.cell, sizeof(T), args); },
                           [&](const BackwardArgs& args) { scalar_backward(test.cell, sizeof(T), args); },
                           scalar_reserve_bytes(test.cell, sizeof(T), test.shape));
}

/// `inference`: outputs are those of the call that saves nothing, else those of the one before backward.
template <class T>
std::vector<Result> run_engine(const Case& test, int isa, int threads, bool inference) {
  return Call<T>(test).run(
      [&](const ForwardArgs& args) {
        run_forward(test.cell, sizeof(T), isa, threads, args);
        if (!inference) return;
        ForwardArgs without = args;
        without.reserve = nullptr;
        run_forward(test.cell, sizeof(T), isa, threads, without);
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
/// multiply-add), six times where normalizing blows up the roundings of the activations (3 ulp against libm's half),
/// plus a few roundings of the largest value. `same` is what the plain loops gave in that precision.
/// Every number of threads gives the same bits.
template <class T>
void compare_with_scalar(const Case& test, const std::vector<Result>& exact, const std::vector<Result>& same,
                         std::initializer_list<int> threads_to_try) {
  for (size_t isa = 0; isa < built_isas().size(); ++isa) {
    if (!built_isas()[isa].supported) continue;
    const std::vector<Result> ours = run_engine<T>(test, int(isa), 1, true);
    const std::string name =
        std::string(built_isas()[isa].name) + (sizeof(T) == 4 ? " float " : " double ") + test.name();
    for (size_t k = 0; k < ours.size(); ++k) {
      double scale = 0;
      for (const double value : exact[k].values) scale = std::max(scale, fabs(value));
      const double budget = sizeof(T) == 8 ? 1e-12 * scale
                                           : (cell_traits(test.cell).normalizes_gates ? 6 : 3) *
                                                     largest_error(same[k].values, exact[k].values) +
                                                 4 * double(std::numeric_limits<T>::epsilon()) * scale;
      const double error = largest_error(ours[k].values, exact[k].values);
      check(error <= budget,
            name + " " + ours[k].name + ": error " + std::to_string(error / scale) + " of the largest value");
    }
    for (const int threads : threads_to_try) {
      const std::vector<Result> parallel = run_engine<T>(test, int(isa), threads, threads % 2 == 1);
      for (size_t k = 0; k < ours.size(); ++k) {
        const size_t bytes = ours[k].values.size() * sizeof(double);
        check(bytes == 0 || memcmp(ours[k].values.data(), parallel[k].values.data(), bytes) == 0,
              name + " " + ours[k].name + ": other bits with " + std::to_string(threads) + " threads");
      }
    }
  }
}

void test_case(const Case& test, std::initializer_list<int> threads_to_try) {
  const std::vector<Result> exact = run_scalar<double>(test);
  compare_with_scalar<float>(test, exact, run_scalar<float>(test), threads_to_try);
  compare_with_scalar<double>(test, exact, exact, threads_to_try);
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
      test_case(test, {3, 4});
    }
  }
}

/// Lengths (sorted or not, with empty sequences), resets and both, each from padded and packed to padded and packed.
void test_rows() {
  // The last two have enough rows for threads, split by rows, by units and by directions.
  const LayerShape shapes[] = {
      {1, 3, 2, 3, 1}, {6, 5, 3, 7, 2}, {9, 4, 5, 20, 1}, {20, 17, 33, 65, 1}, {16, 9, 24, 50, 2}};
  for (int cell = 0; cell < num_cells(); ++cell) {
    Random random(uint64_t(cell) + 1);
    int number = cell;
    for (const LayerShape& shape : shapes) {
      for (int kind = 0; kind < 5; ++kind) {  // lengths sorted, shuffled; the same with resets; resets alone
        for (int packing = 0; packing < (kind < 4 ? 4 : 1); ++packing) {
          if (shape.batch > 5 && packing != (kind + cell) % 4 && kind < 4) continue;
          Case test{cell, shape, number % 3 != 0, number % 4 != 1};
          ++number;
          if (kind < 4) {
            test.rows.draw_lengths(shape, kind % 2 == 1, random);
            test.shape.rows = test.rows.offsets.back();
          }
          if (kind >= 2) test.rows.draw_resets(test.shape.total_rows(), random);
          test.packed_x = packing & 1;
          test.packed_y = packing & 2;
          test_case(test, {2, 3});
        }
      }
    }
  }
}

/// Zoneout of h, c and both, by masks and by a rate, and dropout on h; some with lengths and resets, too.
void test_regularizers() {
  const LayerShape shapes[] = {
      {1, 1, 2, 3, 1}, {6, 5, 3, 7, 2}, {4, 11, 3, 47, 1}, {20, 17, 33, 65, 1}, {16, 4, 24, 50, 2}};
  using Z = Case;
  const Case::Zoneout kinds[][2] = {{Z::kNone, Z::kNone},  {Z::kMasks, Z::kNone}, {Z::kNone, Z::kMasks},
                                    {Z::kMasks, Z::kRate}, {Z::kRate, Z::kNone},  {Z::kRate, Z::kRate}};
  for (int cell = 0; cell < num_cells(); ++cell) {
    Random random(uint64_t(cell) + 100);
    int number = cell;
    for (const LayerShape& shape : shapes) {
      for (const auto& kind : kinds) {
        for (const bool dropout : {false, true}) {
          Case test{cell, shape, number % 3 != 0, number % 4 != 1};
          test.dropout = dropout;
          test.zoneout[0] = kind[0];
          if (cell_traits(cell).states > 1) test.zoneout[1] = kind[1];
          if (!dropout && !test.any_zoneout()) continue;
          test.shape.zoneout = test.any_zoneout();
          if (++number % 2 == 0) {
            test.rows.draw_lengths(shape, number % 4 == 0, random);
            test.shape.rows = test.rows.offsets.back();
            test.rows.draw_resets(test.shape.total_rows(), random);
            test.packed_x = number % 3 == 0;
            test.packed_y = number % 5 == 0;
          }
          test_case(test, {2, 3});
        }
      }
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
  const int before = testing::passed + testing::failed;
  test_rows();
  const int regular = testing::passed + testing::failed;
  test_regularizers();
  printf("of these %d with lengths or resets, %d with zoneout or dropout; ", regular - before,
         testing::passed + testing::failed - regular);
  printf("%d passed, %d failed\n", testing::passed, testing::failed);
  return testing::failed ? 1 : 0;
}
