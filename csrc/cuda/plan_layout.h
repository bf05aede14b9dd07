#pragma once
// The geometry of a persistent block: how products are dealt to its threads, and what lies where in its shared memory.

#include "cells/traits.h"
#include "cuda/plan.h"

namespace fastrnn {
namespace cuda {

inline int divide_up(int64_t a, int64_t b) { return int((a + b - 1) / b); }
inline int round_up(int64_t a, int64_t b) { return divide_up(a, b) * int(b); }

/// Bytes of a number in memory.
int itemsize_of(int number);

/// Sums and depth of the phases' products, for the placement's units.
void set_products(const CellTraits& cell, const Problem& problem, Placement& place);

/// Threads and shared memory; false where the geometry does not fit the device.
bool lay_out(int64_t shared_bytes, Placement& place);

/// Of a phase's weights, in shared memory.
int64_t kept_floats(const Placement& place, int phase);

}  // namespace cuda
}  // namespace fastrnn
