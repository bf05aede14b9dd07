// In place of the CUDA engine where it is not built: the same symbols, and an error that says what to do.

#include <stdexcept>

#include "cuda/device.h"
#include "cuda/engine.h"

namespace fastrnn {
namespace cuda {
namespace {

const char* const kNotBuilt =
    "fastrnn was built without CUDA: build it again where nvcc is found, or with -DFASTRNN_CUDA=ON to be told what is "
    "missing";

}  // namespace

bool is_built() { return false; }

std::vector<std::string> built_architectures() { return {}; }

int device_count(std::string* why) {
  if (why) *why = kNotBuilt;
  return 0;
}

DeviceCaps query_device(int) { throw std::runtime_error(kNotBuilt); }

const Engine& engine() {
  static const Engine table{
      [](int, int) { return kNotBuilt; },
      [](int, int, const Forward&, const Running&) { throw std::runtime_error(kNotBuilt); },
      [](int, int, const Backward&, const Running&) { throw std::runtime_error(kNotBuilt); },
      [](int) { return 0; },
      [](int, const uint32_t*, float*, int, void*) { throw std::runtime_error(kNotBuilt); },
      [](int, float*, int, void*) { throw std::runtime_error(kNotBuilt); },
  };
  return table;
}

}  // namespace cuda
}  // namespace fastrnn
