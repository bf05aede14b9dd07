#pragma once
// One call of an engine: which of its parts runs it, and with what memory.

#include "core/number.h"
#include "cuda/drive.h"
#include "cuda/engine.h"
#include "cuda/exchange.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

#define FASTRNN_REFUSAL(Cell) refusal_of<Cell>(),
constexpr const char* kRefusals[] = {FASTRNN_FOR_EACH_CELL(FASTRNN_REFUSAL)};
#undef FASTRNN_REFUSAL

inline const char* refuses(int cell, int number) {
  if (number != kFloat32 && number != kFloat64) return "the CUDA engine has no half-precision kernels yet";
  return kRefusals[cell];
}

/// `failed` and `patience` as in Workspace.
template <class Call>
void run_call(int cell, int number, const Call& call, const cuda::Running& how, uint32_t* failed, uint64_t patience,
              Stream stream) {
  const Placement& place = how.placement;
  if (place.mode == Mode::kStepwise) return run_stepwise(cell, number, call, how.offsets, stream);
  Workspace work{};
  work.failed = failed;
  work.patience = patience;
  if (place.mode == Mode::kGrid) {
    const int64_t counters = cuda::counter_bytes(place, call.directions);
    clear(how.scratch, counters, stream);
    work.counters = static_cast<uint32_t*>(how.scratch);
    work.ring = reinterpret_cast<float*>(static_cast<char*>(how.scratch) + counters);
  }
  try {
    run_persistent(cell, call, place, work, stream);
  } catch (const cuda::LaunchRefused&) {
    run_stepwise(cell, number, call, how.offsets, stream);
  }
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
