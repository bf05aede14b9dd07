#include "cpu/engine.h"

#include <string.h>

#include <algorithm>

#include "cpu/half.h"
#include "cpu/isa.h"
#include "cpu/scratch.h"

namespace fastrnn {
namespace {

const Kernels& kernels_of(int isa, int number) {
  const Isa& found = built_isas()[size_t(isa)];
  return number == kPairs ? *found.bf16 : number == kFloat32 ? *found.f32 : *found.f64;
}

int bytes_of(int number) { return number == kFloat64 ? 8 : 4; }

/// Everything that the threads of one call share.
template <class Kernel, class Args, class Plan>
struct Call {
  Kernel kernel;
  const Args& args;
  const Plan& plan;
  void* scratch;
  Barrier barriers[kMaxDirections + 1];

  static void run_thread(void* context, int thread) {
    Call& call = *static_cast<Call*>(context);
    call.kernel(call.args, call.plan, call.scratch, call.barriers, thread);
  }
};

/// Plans for the threads there may be; where the runtime grants fewer, plans again for one.
template <class Kernel, class Args, class MakePlan>
void run(Kernel kernel, const Args& args, int threads, const MakePlan& make_plan) {
  const int available = threads > 0 ? std::min(threads, thread_limit()) : max_threads();
  for (int count = available;; count = 1) {
    const auto plan = make_plan(std::max(1, count));
    const Scratch scratch(size_t(plan.scratch_bytes));
    Call<Kernel, Args, decltype(plan)> call{kernel, args, plan, scratch.data(), {}};
    for (int d = 0; d < kMaxDirections; ++d) call.barriers[d].reset(plan.split.group());
    call.barriers[kMaxDirections].reset(plan.split.total());
    if (run_parallel(plan.split.total(), call.run_thread, &call)) return;
  }
}

/// With no rows there is nothing to run, but the gradients of the parameters are zeros all the same.
void zero_gradients(const CellTraits& cell, int number, const BackwardArgs& args) {
  const int itemsize = number & kMixed ? 4 : is_half(number) ? 2 : number;
  const LayerShape& s = args.shape;
  const size_t gates = size_t(cell.gates * s.hidden) * size_t(itemsize);
  const auto zero = [](void* data, size_t bytes) {
    if (data) memset(data, 0, bytes);
  };
  for (int d = 0; d < s.directions; ++d) {
    zero(args.d_params[d].weight_ih, gates * size_t(s.input));
    zero(args.d_params[d].weight_hh, gates * size_t(s.hidden * cell.operand_states()));
    zero(args.d_params[d].bias_ih, gates);
    zero(args.d_params[d].bias_hh, gates);
    zero(args.d_params[d].unit_params, size_t(cell.unit_params * s.hidden) * size_t(itemsize));
  }
}

}  // namespace

void run_forward(int cell, int number, int isa, int threads, const ForwardArgs& args) {
  if (args.shape.batch == 0) return;
  if (is_half(number)) return run_forward_half(cell, number, isa, threads, args);
  const Kernels& kernels = kernels_of(isa, number);
  run(kernels.forward[cell], args, threads, [&](int count) {
    return plan_forward(cell_traits(cell), args, kernels.lanes, bytes_of(number), count, number == kPairs ? 2 : 1);
  });
}

void run_backward(int cell, int number, int isa, int threads, const BackwardArgs& args) {
  if (args.shape.batch == 0) return zero_gradients(cell_traits(cell), number, args);
  if (is_half(number)) return run_backward_half(cell, number, isa, threads, args);
  const Kernels& kernels = kernels_of(isa, number);
  run(kernels.backward[cell], args, threads, [&](int count) {
    return plan_backward(cell_traits(cell), args, kernels.lanes, bytes_of(number), count, number == kPairs ? 2 : 1);
  });
}

int64_t reserve_bytes(int cell, int number, int isa, const LayerShape& shape) {
  if (is_half(number)) return reserve_bytes_half(cell, isa, shape);
  return make_layout(cell_traits(cell), shape, kernels_of(isa, number).lanes, bytes_of(number)).reserve_bytes;
}

}  // namespace fastrnn
