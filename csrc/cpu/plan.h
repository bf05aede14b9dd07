#pragma once
// Decisions about a call that depend on its shape only: how threads share it, how long a chunk of steps is, where
// everything lies in scratch memory and in the reserve. Made outside the per-instruction-set code.

#include "cells/traits.h"
#include "core/host_device.h"
#include "core/layer.h"

namespace fastrnn {

/// Threads = directions * rows * units, and at most one of rows and units is above 1.
/// rows: a thread owns batch rows for all steps, and needs no barrier; units: it owns hidden units, and all meet
/// after every step.
struct ThreadSplit {
  int directions = 1, rows = 1, units = 1;
  FASTRNN_HD int total() const { return directions * rows * units; }
  FASTRNN_HD int group() const { return rows * units; }  // threads that work on one direction together
};

/// Layouts that forward and backward agree on; W = lanes of a register, a block = W units.
/// Reserve, one part a direction: gates [rows, blocks, slots, W], then states [rows, blocks * W] for each state but h,
/// then (with zoneout) all states before it, then (of normalized cells) kRowStatistics numbers a row; rows are those of
/// the first step, then those of the second, ...
struct Layout {
  int lanes;
  int64_t blocks, padded;  // ceil(H / W), blocks * W
  int64_t reserve_gates, reserve_states, reserve_candidates, reserve_statistics, reserve_direction, reserve_bytes;

  // Where the parts begin.
  FASTRNN_HD int64_t states() const { return reserve_gates; }
  FASTRNN_HD int64_t candidates() const { return reserve_gates + reserve_states; }
  FASTRNN_HD int64_t statistics() const { return candidates() + reserve_candidates; }
};

/// Of a row: 1 / deviation of the input's and of the recurrent part, then mean and 1 / deviation of the state.
constexpr int kRowStatistics = 4;

constexpr int64_t kNone = -1;

/// Offsets are in elements from the start of scratch memory, for direction 0; direction 1 lies direction_stride
/// further where both are worked on at once, and in the same place otherwise.
struct ForwardPlan {
  int64_t input_depth, hidden_depth;  // elements of a row of x and h as products read it
  ThreadSplit split;
  Layout layout;
  int slots;            // registers a block has in a row of gates: x_gates before the step, saved values after it
  int64_t gates_row;    // elements of such a row
  int64_t chunk_steps;  // input projections are made this many steps at a time,
  int64_t chunk_rows;   // or where sequences differ in length as many steps as have no more rows than this
  int64_t zeros;        // [padded], stands for a missing h0 and for states that are reset
  int64_t packed_ih, packed_hh[kMaxPhases], bias, split_bias[kMaxPhases], unit_params;
  int64_t gates;    // [chunk_rows, gates_row], kNone where the reserve takes them
  int64_t state;    // [B, padded]: c, or its initial value where the reserve takes the others
  int64_t operand;  // [B, padded]: operand of the second phase
  int64_t hidden;   // with pairs or dropout: [2, B, padded / numbers], h before steps of even and of odd number
  // Of normalized cells: recurrent parts of a step [B, padded * gates], biases that come after, c' before zoneout.
  int64_t raw, norm_bias, norm_split_bias, candidate;
  int64_t direction_stride, scratch_bytes;
};

struct BackwardPlan {
  ThreadSplit split;
  Layout layout;
  int64_t chunk_steps;  // weight gradients are summed this many steps at a time,
  int64_t chunk_rows;   // or as many as have no more rows than this
  int64_t padded_input;
  int64_t zeros, panels, panel_size;  // per thread: [chunk rows, 4 W], a strip of x or h for the weight gradients
  int64_t packed_ih, packed_hh[kMaxPhases], unit_params;
  int64_t carry, d_state, initial_state;  // [B, padded] each
  int64_t kept_state;                     // likewise: what zoneout hands on of d_state past the equations
  // Of normalized cells: [B, padded] gradients of h and of the normalized state; parts of the sums that
  // normalizing needs, [2, B, blocks, 2 W]: of the state, of the gates.
  int64_t d_hidden, d_norm, sums;
  // Rows of gradients of the pre-activations, for the chunk; two sets, used in turn.
  int64_t d_x_row, d_h_row[kMaxPhases], d_p_row;
  int64_t d_x_gates[2], d_h_gates[2][kMaxPhases], d_p[2], operand[2];
  int64_t scaled[2];    // [rows, padded], h after dropout
  int64_t d_bias_h[2];  // of normalized cells: [rows, padded * gates], what goes into bias_hh
  // With pairs: what lies from `gates` on, rounded, at half the distance from `rounded` on; and the chunk's gradients
  // once more, two rows in one.
  int64_t gates, rounded, d_x_pairs, d_h_pairs[kMaxPhases];
  int64_t d_x_second;  // [total rows, I]: the second direction's d_x where both run at once
  int64_t direction_stride, scratch_bytes;
};

/// numbers: how many an element of the products' operands holds, 2 for pairs of bfloat16 (cpu/bf16.h).
Layout make_layout(const CellTraits& cell, const LayerShape& shape, int lanes, int itemsize);
ForwardPlan plan_forward(const CellTraits& cell, const ForwardArgs& args, int lanes, int itemsize, int max_threads,
                         int numbers = 1);
BackwardPlan plan_backward(const CellTraits& cell, const BackwardArgs& args, int lanes, int itemsize, int max_threads,
                           int numbers = 1);

}  // namespace fastrnn
