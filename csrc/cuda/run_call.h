#pragma once
// One call of an engine: which of its parts runs it, and with what memory.

#include "core/number.h"
#include "cuda/drive.h"
#include "cuda/engine.h"
#include "cuda/exchange.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

inline const char* refuses(int, int number) {
  if (!is_number(number) || number & kMixed) return "the CUDA engine has no such numbers";
  return nullptr;
}

/// `failed` and `patience` as in Workspace.
template <class T, class Call>
void run_call_of(int cell, const Call& call, const cuda::Running& how, uint32_t* failed, uint64_t patience,
                 Stream stream) {
  constexpr bool kDouble = sizeof(T) == sizeof(double);
  const Placement& place = how.placement;
  // Persistent kernels count their rounds, two a step at the most, in an int.
  if (place.mode == Mode::kStepwise || call.rows.seq_len > INT32_MAX / 2 - 1)
    return run_stepwise<T>(cell, call, how.offsets, stream);
  Workspace work{};
  work.failed = failed;
  work.patience = patience;
  if (place.mode == Mode::kGrid) {
    clear(how.scratch, cuda::cleared_bytes(place, call.directions), stream);
    work.counters = static_cast<uint32_t*>(how.scratch);
    work.ring = static_cast<char*>(how.scratch) + cuda::counter_bytes(place, call.directions);
    work.streamed = reinterpret_cast<float*>(static_cast<char*>(work.ring) + place.ring_bytes(call.directions));
  }
  try {
    if constexpr (kDouble)
      throw std::invalid_argument("float64 has no persistent kernels");
    else
      run_persistent<T>(cell, call, place, work, stream);
  } catch (const cuda::LaunchRefused&) {
    run_stepwise<T>(cell, call, how.offsets, stream);
  }
}

template <class Call>
void run_call(int cell, int number, const Call& call, const cuda::Running& how, uint32_t* failed, uint64_t patience,
              Stream stream) {
  switch (number) {
    case kFloat16:
      return run_call_of<Float16>(cell, call, how, failed, patience, stream);
    case kBfloat16:
      return run_call_of<Bfloat16>(cell, call, how, failed, patience, stream);
    case kFloat64:
      return run_call_of<double>(cell, call, how, failed, patience, stream);
    default:
      return run_call_of<float>(cell, call, how, failed, patience, stream);
  }
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
