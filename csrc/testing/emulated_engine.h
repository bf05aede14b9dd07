#pragma once
// The CUDA engine on the emulated GPU (cuda_emulation.h): the kernels' own source on the CPU, for tests. Devices and
// streams count for nothing; addresses are the host's.

#include "cuda/engine.h"

namespace fastrnn {
namespace testing {

const cuda::Engine& emulated_engine();

}  // namespace testing
}  // namespace fastrnn
