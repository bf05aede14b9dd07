#pragma once
// Everything that a kernel asks of the machine. Kernels use nothing else of CUDA, so that their source also compiles
// as plain C++ and runs in the emulation (testing/cuda_emulation.h): cuda_kernels on a GPU, cuda_emulated there.

#include <stdint.h>

#if defined(__CUDACC__)
#include "cuda/mma_cuda.h"
#include "cuda/ops_cuda.h"
#elif defined(FASTRNN_THREADED_BLOCKS)
#include "testing/threaded_ops.h"
#else
#include "testing/cuda_emulated_ops.h"
#include "testing/emulated_mma.h"
#endif
