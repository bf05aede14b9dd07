#pragma once
// The engine's way in: plans a call, borrows scratch memory, runs the threads.

#include "core/layer.h"
#include "core/number.h"

namespace fastrnn {

/// number: one of core/number.h; isa: position in built_isas(); threads: the most to use, 0 for max_threads().
void run_forward(int cell, int number, int isa, int threads, const ForwardArgs& args);
void run_backward(int cell, int number, int isa, int threads, const BackwardArgs& args);

int64_t reserve_bytes(int cell, int number, int isa, const LayerShape& shape);

}  // namespace fastrnn
