#pragma once
// Calls in bfloat16 and float16: widened to float32, run there and rounded on the way back.

#include "core/layer.h"
#include "core/number.h"

namespace fastrnn {

/// As run_forward and run_backward of cpu/engine.h, for the numbers that is_half() names; the batch is not empty.
void run_forward_half(int cell, int number, int isa, int threads, const ForwardArgs& args);
void run_backward_half(int cell, int number, int isa, int threads, const BackwardArgs& args);

/// The reserve of the float32 call, and behind it y in float32, of which the caller's y is a rounded copy.
int64_t reserve_bytes_half(int cell, int isa, const LayerShape& shape);

}  // namespace fastrnn
