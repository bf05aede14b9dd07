// Asks CUDA's runtime about the GPUs.

#include <cuda_runtime.h>

#include <sstream>

#include "cuda/device.h"
#include "cuda/errors.h"

namespace fastrnn {
namespace cuda {
namespace {

int attribute(cudaDeviceAttr what, int device) {
  int value = 0;
  need_success(cudaDeviceGetAttribute(&value, what, device));
  return value;
}

/// The largest cluster that a kernel could be launched in: 8 is portable, 16 works where the hardware allows it.
int largest_cluster(int major, int device) {
  if (major < 9 || attribute(cudaDevAttrClusterLaunch, device) == 0) return 1;
  return major == 9 || major == 10 ? 16 : 8;
}

}  // namespace

bool is_built() { return true; }

std::vector<std::string> built_architectures() {
  std::vector<std::string> names;
  std::istringstream list(FASTRNN_CUDA_ARCHITECTURES);
  for (std::string name; std::getline(list, name, ',');) names.push_back(name);
  return names;
}

int device_count(std::string* why) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    cudaGetLastError();  // it would stay for the next call
    count = 0;
  }
  if (why && count == 0) *why = error == cudaSuccess ? "no GPU is visible" : cudaGetErrorString(error);
  return count;
}

DeviceCaps query_device(int device) {
  cudaDeviceProp properties;
  need_success(cudaGetDeviceProperties(&properties, device));
  DeviceCaps caps;
  caps.name = properties.name;
  caps.major = properties.major;
  caps.minor = properties.minor;
  caps.multiprocessors = properties.multiProcessorCount;
  caps.shared_per_block = int(properties.sharedMemPerBlockOptin);
  caps.shared_per_sm = int(properties.sharedMemPerMultiprocessor);
  caps.registers_per_sm = properties.regsPerMultiprocessor;
  caps.threads_per_sm = properties.maxThreadsPerMultiProcessor;
  caps.max_cluster = largest_cluster(properties.major, device);
  caps.cooperative = attribute(cudaDevAttrCooperativeLaunch, device) != 0;
  return caps;
}

}  // namespace cuda
}  // namespace fastrnn
