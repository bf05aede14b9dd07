#pragma once
// What one call of the engine works on: one layer, one or two directions. Plain data; whoever fills it owns the
// memory for the length of the call. T steps, B rows (sequences), I inputs, H units, D directions, G gates.

#include <stdint.h>

#include "core/host_device.h"

namespace fastrnn {

constexpr int kMaxDirections = 2, kMaxStates = 2, kMaxPhases = 2;

struct LayerShape {
  int64_t seq_len, batch, input, hidden;
  int directions;
  int64_t rows = 0;      // of all steps together, for sequences of different lengths; 0: seq_len * batch
  bool zoneout = false;  // the reserve has room for the states before zoneout, which backward needs

  FASTRNN_HD int64_t total_rows() const { return rows ? rows : seq_len * batch; }
};

/// [T, B, features], or packed: the rows of the first step, then those of the second, ... (stride_t counts for
/// nothing). Strides in elements, features contiguous.
struct Sequence {
  void* data;
  int64_t stride_t, stride_b;
  bool packed = false;
};

/// Which rows the steps have, where not all have all. The engine numbers sequences from the longest to the shortest, so
/// that a step has the first few; wherever it says "row b" of [T, B] or [B], it means this number.
struct RowMap {
  const int64_t* offsets;  // [T + 1], sums of the steps' numbers of rows, each at least 1; null: every step has B
  const int64_t* order;    // [B]: place of row b in padded sequences and in the states; null: b
  const uint8_t* resets;   // one a row, first those of the first step: 1 zeroes the state before it; null: none
  int64_t padded_steps;    // steps that a padded y or d_x has room for: what belongs to no row is set to zero
};

/// One direction's parameters or their gradients, C-contiguous, torch's layout and gate order.
struct Parameters {
  void* weight_ih;    // [G*H, I]
  void* weight_hh;    // [G*H, H], or [G*H, 2 H] where the operand has a further state (cells/contract.h)
  void* bias_ih;      // [G*H]; both biases or neither
  void* bias_hh;      // [G*H]
  void* unit_params;  // [P, H] or null
};

/// What is random inside the recurrence, or its expectation. All numbers are of the type that the engine computes in:
/// float32 for the halves.
struct Regularizers {
  /// Variational dropout: [D, B, H], multiplies h wherever it enters a product; null: none.
  const void* hidden_scale;
  /// Zoneout: [T, B, D*H] for each state, the part m of the old one that is kept, h' = m h + (1 - m) h~; where there is
  /// none (null), `rate` for all.
  Sequence zoneout[kMaxStates];
  double zoneout_rate[kMaxStates];

  FASTRNN_HD bool zones_out(int state) const { return zoneout[state].data || zoneout_rate[state] != 0; }
  FASTRNN_HD bool any_zoneout() const { return zones_out(0) || zones_out(1); }
};

struct ForwardArgs {
  LayerShape shape;
  Sequence x;
  Parameters params[kMaxDirections];
  const void* initial[kMaxStates];  // [D, B, H] each; null: zeros
  Sequence y;                       // [T, B, D*H]
  void* final_states[kMaxStates];   // [D, B, H] each; of a sequence without steps the initial ones
  void* reserve;                    // Plan::reserve_bytes of memory, or null where no backward will follow
  RowMap rows;
  Regularizers regularizers;
};

/// Outputs are overwritten; a null output is not computed. x, y, initial, params, reserve, rows and regularizers as in
/// the forward call.
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
  RowMap rows;
  Regularizers regularizers;
  // Gradients of the states after every step, [T, B, D*H], as they go into the step's own backward; never a half, but
  // float32 for halves, too. Data may be null: not wanted.
  Sequence d_states[kMaxStates];
};

}  // namespace fastrnn
