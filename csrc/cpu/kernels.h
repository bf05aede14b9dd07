#pragma once
// What one build of kernels.cpp offers: everything for one instruction set and one number type.

#include <stdint.h>

#include "cells/cells.h"
#include "core/layer.h"
#include "cpu/parallel.h"
#include "cpu/plan.h"

namespace fastrnn {

/// Reads and writes `count` numbers that lie next to each other.
using Convert = void (*)(const void* from, void* to, int64_t count);

/// Between a 16-bit number type and float32.
struct Conversions {
  Convert widen, narrow, round;  // round: float32 to the values that the narrow type has
};

struct Kernels {
  int lanes;  // of a register

  // One thread's part of a call; barriers: one a direction, then one for all.
  using Forward = void (*)(const ForwardArgs&, const ForwardPlan&, void* scratch, Barrier* barriers, int thread);
  using Backward = void (*)(const BackwardArgs&, const BackwardPlan&, void* scratch, Barrier* barriers, int thread);
  Forward forward[kNumCells];
  Backward backward[kNumCells];

  Conversions halves[2];  // bfloat16, float16

  // For tests and the benchmark.
  bool (*activation)(const char* name, const void* in, void* out, int64_t count);        // false: no such function
  void (*gemm)(const void* a, const void* b, void* c, int64_t m, int64_t n, int64_t k);  // c [m,n] = a [m,k] b [n,k]^T
  double (*fma_burst)(int64_t rounds);  // runs nothing but multiply-adds; returns how many operations (2 a lane)
  double (*tile_burst)(int64_t depth, int gates, int64_t rounds);  // likewise, the register tile from cache
};

}  // namespace fastrnn
