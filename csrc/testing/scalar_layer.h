#pragma once
// The engine's calls done one number at a time: the cells' own equations on math/scalar.h, in plain loops. Slow on
// purpose; what the kernels are compared with where no Python is, and the proof that the equations are free of SIMD.

#include "core/layer.h"

namespace fastrnn {

/// As run_forward and run_backward, but `reserve` is always needed and has a layout of its own.
void scalar_forward(int cell, int itemsize, const ForwardArgs& args);
void scalar_backward(int cell, int itemsize, const BackwardArgs& args);

int64_t scalar_reserve_bytes(int cell, int itemsize, const LayerShape& shape);

}  // namespace fastrnn
