#pragma once
// Of cuda/ops.h, the side that nvcc compiles.

#include <cuda_runtime.h>

#include "cuda/errors.h"

#define FASTRNN_BACKEND cuda_kernels
#define FASTRNN_DEVICE __device__ __forceinline__
#define FASTRNN_KERNEL(threads) __global__ void __launch_bounds__(threads, 1)

namespace fastrnn {
namespace cuda_kernels {

FASTRNN_DEVICE int thread_index() { return int(threadIdx.x); }
FASTRNN_DEVICE int num_threads() { return int(blockDim.x); }
FASTRNN_DEVICE int block_index() { return int(blockIdx.x); }
FASTRNN_DEVICE int num_blocks() { return int(gridDim.x); }

/// All shared memory is asked for at launch.
FASTRNN_DEVICE void* shared_memory() {
  extern __shared__ __align__(16) unsigned char fastrnn_shared[];
  return fastrnn_shared;
}

FASTRNN_DEVICE void sync_block() { __syncthreads(); }

using cuda::need_success;
using Stream = cudaStream_t;

/// How a kernel is launched, as in the emulation.
struct LaunchShape {
  int blocks = 1, threads = 32, shared_bytes = 0, cluster = 1;
  bool cooperative = false;
};

/// Throws where the launch is refused; what happens later shows in later calls of CUDA, as everywhere.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, Stream stream, const Arguments&... arguments) {
  constexpr int kWithoutAsking = 48 << 10;
  const void* const address = reinterpret_cast<const void*>(kernel);
  if (shape.shared_bytes > kWithoutAsking)
    need_success(cudaFuncSetAttribute(address, cudaFuncAttributeMaxDynamicSharedMemorySize, shape.shared_bytes));
  if (shape.cluster > 8) need_success(cudaFuncSetAttribute(address, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
  cudaLaunchAttribute attributes[2];
  unsigned count = 0;
  if (shape.cluster > 1) {
    attributes[count].id = cudaLaunchAttributeClusterDimension;
    attributes[count].val.clusterDim.x = unsigned(shape.cluster);
    attributes[count].val.clusterDim.y = attributes[count].val.clusterDim.z = 1;
    ++count;
  }
  if (shape.cooperative) {
    attributes[count].id = cudaLaunchAttributeCooperative;
    attributes[count].val.cooperative = 1;
    ++count;
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(unsigned(shape.blocks));
  config.blockDim = dim3(unsigned(shape.threads));
  config.dynamicSmemBytes = size_t(shape.shared_bytes);
  config.stream = stream;
  config.attrs = attributes;
  config.numAttrs = count;
  need_success(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...));
}

}  // namespace cuda_kernels
}  // namespace fastrnn
