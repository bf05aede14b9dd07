// The engine's kernels on a GPU.

#include "cuda/drive_stepwise.h"
#include "cuda/engine.h"

namespace fastrnn {
namespace cuda {
namespace {

/// Makes a device current for a scope.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) {
    need_success(cudaGetDevice(&before_));
    if (device != before_) need_success(cudaSetDevice(device));
    changed_ = device != before_;
  }
  ~DeviceGuard() {
    if (changed_) cudaSetDevice(before_);
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
};

void forward(int cell, int number, const Forward& call, const int64_t* offsets, int device, void* stream) {
  const DeviceGuard guard(device);
  cuda_kernels::run_forward(cell, number, call, offsets, static_cast<cudaStream_t>(stream));
}

void backward(int cell, int number, const Backward& call, const int64_t* offsets, int device, void* stream) {
  const DeviceGuard guard(device);
  cuda_kernels::run_backward(cell, number, call, offsets, static_cast<cudaStream_t>(stream));
}

}  // namespace

const Engine& engine() {
  static const Engine table{cuda_kernels::refuses, forward, backward};
  return table;
}

}  // namespace cuda
}  // namespace fastrnn
