// The engine on a GPU.

#include "cuda/engine.h"

#include <stdlib.h>

#include <mutex>
#include <vector>

#include "cuda/fragments.h"
#include "cuda/run_call.h"

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

/// A word that kernels of a device set where they give up: in the host's memory, so that looking needs no waiting. The
/// device must be current. Kept for the life of the process.
uint32_t* failure_word(int device) {
  static std::mutex mutex;
  static std::vector<uint32_t*> words;
  const std::lock_guard<std::mutex> lock(mutex);
  if (size_t(device) >= words.size()) words.resize(size_t(device) + 1, nullptr);
  uint32_t*& word = words[size_t(device)];
  if (!word) {
    void* memory = nullptr;
    need_success(cudaHostAlloc(&memory, sizeof(uint32_t), cudaHostAllocMapped | cudaHostAllocPortable));
    word = static_cast<uint32_t*>(memory);
    *word = 0;
  }
  return word;
}

/// Seconds that a block waits for others: FASTRNN_CUDA_PATIENCE, or 10.
uint64_t patience() {
  const char* const text = getenv("FASTRNN_CUDA_PATIENCE");
  const double seconds = text ? atof(text) : 0;
  return uint64_t((seconds > 0 ? seconds : 10) * 1e9);
}

template <class Call>
void run(int cell, int number, const Call& call, const Running& how) {
  const DeviceGuard guard(how.device);
  // Addresses of such memory are the same on the device (unified addressing, which all 64-bit systems have).
  uint32_t* const failed = how.placement.mode == Mode::kGrid ? failure_word(how.device) : nullptr;
  cuda_kernels::run_call(cell, number, call, how, failed, patience(), static_cast<cudaStream_t>(how.stream));
}

int failures(int device) {
  const DeviceGuard guard(device);
  volatile uint32_t* const word = failure_word(device);
  const uint32_t found = *word;
  if (found) *word = 0;
  return int(found);
}

void multiply_fragments(int kind, const uint32_t* words, float* sums, int device, void* stream) {
  const DeviceGuard guard(device);
  cuda_kernels::run_fragments(kind, words, sums, static_cast<cudaStream_t>(stream));
}
void round_to_tf32(int count, float* values, int device, void* stream) {
  const DeviceGuard guard(device);
  cuda_kernels::run_rounding(count, values, static_cast<cudaStream_t>(stream));
}

}  // namespace

const Engine& engine() {
  static const Engine table{cuda_kernels::refuses, run<Forward>, run<Backward>, failures,
                            multiply_fragments,    round_to_tf32};
  return table;
}

}  // namespace cuda
}  // namespace fastrnn
