#pragma once
// What one call of the engine works on: one layer, one or two directions. Plain data; whoever fills it owns the
// memory for the length of the call. T steps, B rows (sequences), I inputs, H units, D directions, G gates.

#include <stdint.h>

namespace fastrnn {

constexpr int kMaxDirections = 2, kMaxStates = 2, kMaxPhases = 2;

struct LayerShape {
  int64_t seq_len, batch, input, hidden;
  int directions;
};

/// [T, B, features]; strides in elements, features contiguous.
struct Sequence {
  void* data;
  int64_t stride_t, stride_b;
};

/// One direction's parameters or their gradients, C-contiguous, torch's layout and gate order.
struct Parameters {
  void* weight_ih;    // [G*H, I]
  void* weight_hh;    // [G*H, H]
  void* bias_ih;      // [G*H]; both biases or neither
  void* bias_hh;      // [G*H]
  void* unit_params;  // [P, H] or null
};

struct ForwardArgs {
  LayerShape shape;
  Sequence x;
  Parameters params[kMaxDirections];
  const void* initial[kMaxStates];  // [D, B, H] each; null: zeros
  Sequence y;                       // [T, B, D*H]
  void* final_states[kMaxStates];   // [D, B, H] each
  void* reserve;                    // Plan::reserve_bytes of memory, or null where no backward will follow
};

/// Outputs are overwritten; a null output is not computed. x, y, initial, params and reserve as in the forward call.
struct BackwardArgs {
  LayerShape shape;
  Sequence x, y;
  Parameters params[kMaxDirections];
  const void* initial[kMaxStates];
  const void* reserve;
  Sequence d_y;                     // data may be null: zeros
  const void* d_final[kMaxStates];  // may be null: zeros
  Sequence d_x;                     // data may be null: not wanted
  Parameters d_params[kMaxDirections];
  void* d_initial[kMaxStates];
};

}  // namespace fastrnn
