#pragma once
// CUDA's error codes as exceptions. Only for files that nvcc compiles.

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace fastrnn {
namespace cuda {

/// torch prints "CUDA error: " before the same words.
inline void need_success(cudaError_t error) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // it would stay for the next call
  throw std::runtime_error(std::string("CUDA error: ") + cudaGetErrorString(error));
}

}  // namespace cuda
}  // namespace fastrnn
