#include <pybind11/numpy.h>

#include <atomic>
#include <chrono>
#include <vector>

#include "bindings/read_call.h"
#include "cpu/isa.h"
#include "testing/scalar_layer.h"

namespace fastrnn {
namespace {

const Kernels& kernels_of(int isa, py::ssize_t itemsize) {
  if (isa < 0 || size_t(isa) >= built_isas().size() || !built_isas()[size_t(isa)].supported)
    throw py::index_error("no such instruction set");
  const Isa& found = built_isas()[size_t(isa)];
  return itemsize == 4 ? *found.f32 : *found.f64;
}

template <class T>
py::array_t<T> activation(const std::string& name, const py::array_t<T, py::array::c_style>& values, int isa) {
  py::array_t<T> result(values.size());
  if (!kernels_of(isa, sizeof(T)).activation(name.c_str(), values.data(), result.mutable_data(), values.size()))
    throw py::value_error("no activation called " + name);
  return result;
}

template <class T>
py::array_t<T> gemm_tile(const py::array_t<T, py::array::c_style>& a, const py::array_t<T, py::array::c_style>& b,
                         int isa) {
  if (a.ndim() != 2 || b.ndim() != 2 || a.shape(1) != b.shape(1)) throw py::value_error("a [M, K] and b [N, K] needed");
  py::array_t<T> c({a.shape(0), b.shape(0)});
  kernels_of(isa, sizeof(T)).gemm(a.data(), b.data(), c.mutable_data(), a.shape(0), b.shape(0), a.shape(1));
  return c;
}

using Clock = std::chrono::steady_clock;

double elapsed(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Best rate of `burst`, which returns the operations it did, over runs of about a millisecond.
template <class Burst>
double best_rate(double seconds, const Burst& burst) {
  double best = 0;
  for (const Clock::time_point start = Clock::now(); elapsed(start) < seconds;) {
    const Clock::time_point begin = Clock::now();
    const double work = burst();
    best = std::max(best, work / elapsed(begin));
  }
  return best;
}

struct Peak {
  const Kernels* kernels;
  double seconds;
  std::vector<double> rates;
};

double fma_peak(int itemsize, int isa, int threads, double seconds) {
  Peak peak{&kernels_of(isa, itemsize), seconds, std::vector<double>(size_t(std::max(1, threads)))};
  const py::gil_scoped_release release;
  const bool ran = run_parallel(
      int(peak.rates.size()),
      [](void* context, int thread) {
        Peak& p = *static_cast<Peak*>(context);
        p.rates[size_t(thread)] = best_rate(p.seconds, [&] { return p.kernels->fma_burst(200000); });
      },
      &peak);
  double sum = 0;
  for (const double rate : peak.rates) sum += rate;
  return ran ? sum : 0;
}

double tile_rate(int itemsize, int isa, int64_t hidden, int gates, double seconds) {
  if (gates < 1 || gates > 4) throw py::value_error("gates must be 1 to 4");
  const Kernels& kernels = kernels_of(isa, itemsize);
  const py::gil_scoped_release release;
  return best_rate(seconds, [&] { return kernels.tile_burst(hidden, gates, 1 + 200000 / hidden); });
}

}  // namespace

void register_testing(py::module_& m) {
  py::module_ t = m.def_submodule("testing", "Native parts, for tests and the benchmark.");
  register_emulation(t);
  t.def("activation", &activation<float>);
  t.def("activation", &activation<double>);
  t.def("gemm_tile", &gemm_tile<float>);
  t.def("gemm_tile", &gemm_tile<double>);
  t.def("fma_peak", &fma_peak);
  t.def("tile_rate", &tile_rate);
  t.def("scalar_reserve_size", [](int cell, int itemsize, const py::tuple& sizes) {
    return scalar_reserve_bytes(cell, itemsize, read_shape(cell, itemsize, sizes));
  });
  t.def("scalar_forward", [](int cell, int itemsize, const py::tuple& sizes, const py::tuple& x,
                             const py::tuple& weights, const py::tuple& initial, const py::tuple& y,
                             const py::tuple& final_states, uintptr_t reserve) {
    need(reserve != 0, "reserve is needed");
    scalar_forward(cell, itemsize, read_forward(cell, itemsize, sizes, x, weights, initial, y, final_states, reserve));
  });
  t.def("scalar_backward", [](int cell, int itemsize, const py::tuple& sizes, const py::tuple& x,
                              const py::tuple& weights, const py::tuple& initial, const py::tuple& y, uintptr_t reserve,
                              const py::tuple& grad_y, const py::tuple& grad_final, const py::tuple& grad_x,
                              const py::tuple& grad_weights, const py::tuple& grad_initial) {
    need(reserve != 0, "reserve is needed");
    scalar_backward(cell, itemsize,
                    read_backward(cell, itemsize, sizes, x, weights, initial, y, reserve, grad_y, grad_final, grad_x,
                                  grad_weights, grad_initial));
  });
}

}  // namespace fastrnn
