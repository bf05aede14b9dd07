// A compile check, never run and no part of the package: the equations of all cells, forward and backward, inside CUDA
// kernels. Shows that they stay free of SIMD, and (`nox -s cuda`) that no kernel spills registers.

#include "cells/cells.h"
#include "math/scalar.h"

namespace fastrnn {
namespace {

using V = ScalarValue<float>;

/// A unit's values lie `stride` apart.
template <int N>
__device__ Pack<V, N> load(const float* p, int stride) {
  Pack<V, N> values;
#pragma unroll
  for (int k = 0; k < N; ++k) values[k] = V(p[k * stride]);
  return values;
}
template <int N>
__device__ void store(const Pack<V, N>& values, float* p, int stride) {
#pragma unroll
  for (int k = 0; k < N; ++k) p[k * stride] = values[k].v;
}

struct Arrays {
  float *a, *x, *params, *prev, *next, *reserve, *d_next, *d_prev, *d_a, *d_x, *d_params, *d_first, *operand;
  int units;
};

template <class Cell>
__global__ void forward(Arrays m) {
  constexpr int kLast = Cell::kPhases - 1;
  const int u = blockIdx.x * blockDim.x + threadIdx.x, n = m.units;
  if (u >= n) return;
  auto reserve = load<Cell::kReserve>(m.reserve + u, n);
  Pack<V, Cell::kStates> next;
  Cell::template forward<V>(load<Cell::kPhaseGates[kLast]>(m.a + u, n), load<Cell::kPhaseSplit[kLast]>(m.x + u, n),
                            load<Cell::kUnitParams>(m.params + u, n), load<Cell::kStates>(m.prev + u, n), next,
                            reserve);
  store(next, m.next + u, n);
  store(reserve, m.reserve + u, n);
}

template <class Cell>
__global__ void backward(Arrays m) {
  constexpr int kLast = Cell::kPhases - 1;
  const int u = blockIdx.x * blockDim.x + threadIdx.x, n = m.units;
  if (u >= n) return;
  const auto reserve = load<Cell::kReserve>(m.reserve + u, n);
  const auto params = load<Cell::kUnitParams>(m.params + u, n);
  const auto prev = load<Cell::kStates>(m.prev + u, n), next = load<Cell::kStates>(m.next + u, n);
  const auto d_next = load<Cell::kStates>(m.d_next + u, n);
  auto d_prev = load<Cell::kStates>(m.d_prev + u, n);
  Pack<V, Cell::kPhaseGates[kLast]> d_a;
  Pack<V, Cell::kPhaseSplit[kLast]> d_x;
  Pack<V, Cell::kUnitParams> d_params;
  if constexpr (Cell::kPhases == 2) {
    Pack<V, Cell::kPhaseGates[0]> d_first;
    Cell::template backward<V>(reserve, params, prev, next, d_next, d_prev, d_a, d_first, d_x, d_params);
    store(d_first, m.d_first + u, n);
  } else {
    Cell::template backward<V>(reserve, params, prev, next, d_next, d_prev, d_a, d_x, d_params);
  }
  store(d_prev, m.d_prev + u, n);
  store(d_a, m.d_a + u, n);
  store(d_x, m.d_x + u, n);
  store(d_params, m.d_params + u, n);
}

#define FASTRNN_INSTANTIATE(Cell)                 \
  template __global__ void forward<Cell>(Arrays); \
  template __global__ void backward<Cell>(Arrays);
FASTRNN_FOR_EACH_CELL(FASTRNN_INSTANTIATE)
#undef FASTRNN_INSTANTIATE

/// The first phase of the cells that have two.
template <class Cell>
__global__ void forward_operand(Arrays m) {
  const int u = blockIdx.x * blockDim.x + threadIdx.x, n = m.units;
  if (u >= n) return;
  auto reserve = load<Cell::kReserve>(m.reserve + u, n);
  const V operand = Cell::template forward_operand<V>(
      load<Cell::kPhaseGates[0]>(m.a + u, n), load<Cell::kPhaseSplit[0]>(m.x + u, n),
      load<Cell::kUnitParams>(m.params + u, n), load<Cell::kStates>(m.prev + u, n), reserve);
  m.operand[u] = operand.v;
  store(reserve, m.reserve + u, n);
}

template <class Cell>
__global__ void backward_operand(Arrays m) {
  const int u = blockIdx.x * blockDim.x + threadIdx.x, n = m.units;
  if (u >= n) return;
  const auto reserve = load<Cell::kReserve>(m.reserve + u, n);
  const auto prev = load<Cell::kStates>(m.prev + u, n);
  auto d_prev = load<Cell::kStates>(m.d_prev + u, n);
  auto d_first = load<Cell::kPhaseGates[0]>(m.d_first + u, n);
  Pack<V, Cell::kPhaseSplit[0]> d_x;
  Pack<V, Cell::kUnitParams> d_params;
  const V d_operand(m.operand[u]);
  m.operand[u] = Cell::template operand<V>(reserve, prev).v;
  Cell::template backward_operand<V>(reserve, load<Cell::kUnitParams>(m.params + u, n), prev, d_operand, d_prev,
                                     d_first, d_x, d_params);
  store(d_prev, m.d_prev + u, n);
  store(d_first, m.d_first + u, n);
}

template __global__ void forward_operand<GruResetBeforeCell>(Arrays);
template __global__ void backward_operand<GruResetBeforeCell>(Arrays);

}  // namespace
}  // namespace fastrnn
