#include "testing/emulated_engine.h"

#include "cuda/fragments.h"
#include "cuda/run_call.h"

namespace fastrnn {
namespace testing {
namespace {

template <class Call>
void run(int cell, int number, const Call& call, const cuda::Running& how) {
  uint32_t failed = 0;
  cuda_emulated::run_call(cell, number, call, how, &failed, 0, nullptr);
}

void multiply_fragments(int kind, const uint32_t* words, float* sums, int, void* stream) {
  cuda_emulated::run_fragments(kind, words, sums, stream);
}
void round_to_tf32(int count, float* values, int, void* stream) { cuda_emulated::run_rounding(count, values, stream); }

}  // namespace

const cuda::Engine& emulated_engine() {
  static const cuda::Engine table{cuda_emulated::refuses, run<cuda::Forward>, run<cuda::Backward>,
                                  [](int) { return 0; },  multiply_fragments, round_to_tf32};
  return table;
}

}  // namespace testing
}  // namespace fastrnn
