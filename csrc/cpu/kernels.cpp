// Compiled once for every instruction set and number type (cmake/isa.cmake), with FASTRNN_ISA, FASTRNN_ISA_HEADER and
// FASTRNN_SCALAR given. Whatever is compiled here may use instructions that the machine lacks, so nothing of it may
// be visible elsewhere but the table at the end: see cpu/vec.h.

#include "cpu/kernels.h"

#include "cpu/backward_cell.h"
#include "cpu/backward_chunk.h"
#include "cpu/backward_finish.h"
#include "cpu/backward_normalized.h"
#include "cpu/backward_prepare.h"
#include "cpu/convert.h"
#include "cpu/denormals.h"
#include "cpu/forward_cell.h"
#include "cpu/forward_normalized.h"
#include "cpu/forward_prepare.h"
#include "cpu/forward_project.h"

namespace fastrnn {
namespace FASTRNN_ISA {
namespace {

using T = FASTRNN_SCALAR;
using V = Vec<T>;
constexpr int W = V::kLanes;

template <class Cell>
void forward(const ForwardArgs& args, const ForwardPlan& plan, void* scratch, Barrier* barriers, int thread) {
  const FlushDenormals scope;
  ForwardPass<Cell, T>(args, plan, static_cast<T*>(scratch), barriers, thread);
}

template <class Cell>
void backward(const BackwardArgs& args, const BackwardPlan& plan, void* scratch, Barrier* barriers, int thread) {
  const FlushDenormals scope;
  BackwardPass<Cell, T>(args, plan, static_cast<T*>(scratch), barriers, thread);
}

template <class F>
void map(const F& f, const T* in, T* out, int64_t count) {
  for (int64_t i = 0; i < count; i += W) {
    const int n = clip_lanes(count - i, W);
    f(V::load_partial(in + i, n)).store_partial(out + i, n);
  }
}

bool same(const char* a, const char* b) {
  while (*a && *a == *b) ++a, ++b;
  return *a == *b;
}

bool activation(const char* name, const void* in, void* out, int64_t count) {
  const FlushDenormals scope;
  const T* from = static_cast<const T*>(in);
  T* to = static_cast<T*>(out);
  if (same(name, "sigmoid"))
    map([](V x) { return sigmoid(x); }, from, to, count);
  else if (same(name, "tanh"))
    map([](V x) { return tanh(x); }, from, to, count);
  else if (same(name, "exp"))
    map([](V x) { return exp(x); }, from, to, count);
  else
    return false;
  return true;
}

void gemm(const void* a, const void* b, void* c, int64_t m, int64_t n, int64_t k) {
  constexpr int kBlocks = blocks_per_tile(1), kRows = kTileRows<kBlocks>;
  for_block_tiles({0, (n + W - 1) / W}, kBlocks, [&](int64_t block, int count) {
    // The panel is packed where it would lie in a whole matrix; a panel's worth of memory is enough to hold it.
    T* packed = static_cast<T*>(__builtin_malloc(size_t(count * W * k + 1) * sizeof(T)));
    pack_rows(static_cast<const T*>(b), 1, n, k, block, count, packed - block * W * k);
    for_row_tiles({0, m}, kRows, [&](int64_t row, int size) {
      T sums[kRows * kBlocks * W];
      multiply_rows<T>(static_cast<const T*>(a) + row * k, k, size, packed, count, k, sums);
      for (int r = 0; r < size; ++r) {
        for (int u = 0; u < count; ++u) {
          const int64_t column = (block + u) * W;
          V::load(sums + (r * count + u) * W)
              .store_partial(static_cast<T*>(c) + (row + r) * n + column, clip_lanes(n - column, W));
        }
      }
    });
    __builtin_free(packed);
  });
}

volatile float sink;

double fma_burst(int64_t rounds) {
  constexpr int kChains = 12;  // more than latency (4) times units (2), few enough for 16 registers
  V acc[kChains], a(T(0.999)), b(T(0.001));
#pragma GCC unroll 16
  for (int i = 0; i < kChains; ++i) acc[i] = V(T(i));
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) acc[i] = fma(acc[i], a, b);
    asm volatile("" : : : "memory");
  }
  V sum(T(0));
#pragma GCC unroll 16
  for (int i = 0; i < kChains; ++i) sum = sum + acc[i];
  T lanes[W];
  sum.store(lanes);
  sink = float(lanes[0]);
  return 2.0 * double(rounds) * kChains * W;
}

double tile_burst(int64_t depth, int gates, int64_t rounds) {
  constexpr int kMaxRows = 8, kMaxRegisters = 4;
  T* memory = static_cast<T*>(__builtin_malloc(size_t(depth) * (kMaxRows + kMaxRegisters * W) * sizeof(T)));
  for (int64_t i = 0; i < depth * (kMaxRows + kMaxRegisters * W); ++i) memory[i] = T(0.001);
  alignas(64) T sums[kMaxRows * kMaxRegisters * W];
  sums[0] = T(0);
  double work = 0;
  with_constant<kMaxRegisters>(gates == 1 ? blocks_per_tile(1) : gates, [&](auto n) {
    constexpr int NV = decltype(n)::value, MR = kTileRows<NV>;
    for (int64_t round = 0; round < rounds; ++round)
      multiply_to<T, MR, NV>(memory, depth, memory + depth * kMaxRows, depth, sums);
    work = 2.0 * double(rounds) * double(depth) * MR * NV * W;
  });
  sink = float(sums[0]);
  __builtin_free(memory);
  return work;
}

template <class Half>
constexpr Conversions kConversions = {widen_numbers<Half>, narrow_numbers<Half>, round_numbers<Half>};

#define FASTRNN_FORWARD(Cell) forward<Cell>,
#define FASTRNN_BACKWARD(Cell) backward<Cell>,

}  // namespace

extern const Kernels FASTRNN_TABLE;
const Kernels FASTRNN_TABLE = {W,
                               {FASTRNN_FOR_EACH_CELL(FASTRNN_FORWARD)},
                               {FASTRNN_FOR_EACH_CELL(FASTRNN_BACKWARD)},
                               {kConversions<Bfloat16>, kConversions<Float16>},
                               activation,
                               gemm,
                               fma_burst,
                               tile_burst};

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
