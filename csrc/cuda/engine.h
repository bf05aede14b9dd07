#pragma once
// The CUDA engine's way in, without CUDA's headers. The same table of functions exists for the GPU and, in tests, for
// the emulation.

#include <stdexcept>
#include <string>

#include "cuda/plan.h"
#include "cuda/recurrent.h"

namespace fastrnn {
namespace cuda {

/// A launch that does not fit what this context grants (fewer multiprocessors than the GPU has, for one). Nothing ran.
class LaunchRefused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// How a call runs: the plan's placement, and the memory that it needs.
struct Running {
  Placement placement;
  void* scratch;           // scratch_bytes of it, on the device; null where that is 0
  const int64_t* offsets;  // where sequences differ in length, the host's copy of rows.offsets
  int device;
  void* stream;  // a cudaStream_t, as torch gives it
};

/// Calls return before they have run. They throw std::runtime_error with CUDA's words. Where a persistent launch is
/// refused they run step by step.
struct Engine {
  /// Why a cell does not run here, or null. number: any of core/number.h without kMixed.
  const char* (*refuses)(int cell, int number);
  void (*forward)(int cell, int number, const Forward& call, const Running& how);
  void (*backward)(int cell, int number, const Backward& call, const Running& how);
  /// How often kernels have given up waiting for others since the last time; results are wrong then.
  int (*failures)(int device);
  /// For tests, see fragments.h.
  void (*multiply_fragments)(int kind, const uint32_t* words, float* sums, int device, void* stream);
  void (*round_to_tf32)(int count, float* values, int device, void* stream);
};

const Engine& engine();

/// Gates whose recurrent part has its gradients in neighboring columns of d_gates: rows [gate, gate + count) of
/// weight_hh (times H) go with columns [column, column + count), and with what that phase's weights met.
struct Segment {
  int column, gate, count, phase;
};

/// How the arrays of a call are laid out, in units of H; it follows from the cell's constants.
struct Columns {
  int slots, working;  // columns of gates, where the call saves and where not
  int input;           // where it saves, the first of the input's part; else that is 0
  int gradients;       // of d_gates
  int unit_gradients;  // of d_unit_params; after those of the parameters, where biases are not summed by torch, theirs:
                       // of the input's part of all gates, then of the recurrent part of split gates
  int num_segments;
  Segment segments[2 * kMaxPhases];
};
Columns columns_of(int cell);

}  // namespace cuda
}  // namespace fastrnn
