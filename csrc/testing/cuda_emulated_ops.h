#pragma once
// Of cuda/ops.h, the side that runs on a CPU.

#include "testing/cuda_emulation.h"

#define FASTRNN_BACKEND cuda_emulated
#define FASTRNN_DEVICE inline
#define FASTRNN_KERNEL(threads) void

namespace fastrnn {
namespace cuda_emulated {

using emulation::block_index;
using emulation::LaunchShape;
using emulation::num_blocks;
using emulation::num_threads;
using emulation::shared_memory;
using emulation::sync_block;
using emulation::thread_index;

using Stream = void*;

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, Stream, const Arguments&... arguments) {
  emulation::launch(shape, [&] { kernel(arguments...); });
}

}  // namespace cuda_emulated
}  // namespace fastrnn
