#pragma once
// What is known of the GPUs, as plain data: nothing here needs CUDA's headers, so that plans can be made and tested on
// machines without a GPU.

#include <stdint.h>

#include <string>
#include <vector>

namespace fastrnn {
namespace cuda {

/// What a launch depends on. Filled by query_device, or by hand in tests.
struct DeviceCaps {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;   // that this context may use
  int shared_per_block = 0;  // bytes, the most that a block may ask for
  int shared_per_sm = 0;     // bytes
  int registers_per_sm = 0;  // of 32 bits
  int threads_per_sm = 0;
  int max_cluster = 1;       // blocks, non-portable sizes included; 1: no clusters
  bool cooperative = false;  // whole grids can be launched so that all blocks run at once
};

/// Whether kernels are compiled in, and for which architectures ("80-real", ...).
bool is_built();
std::vector<std::string> built_architectures();

/// GPUs that the driver shows; with none, why.
int device_count(std::string* why);

/// Throws std::runtime_error with CUDA's own words, or where CUDA is not built in.
DeviceCaps query_device(int device);

}  // namespace cuda
}  // namespace fastrnn
