#pragma once
// What one call of the CUDA engine works on: the recurrent part of one layer, one or two directions. Its products over
// all steps (the input's with its weights, the gradients of all weights and of the input) are the caller's, through
// torch. All addresses are the device's unless they say otherwise; whoever fills it owns the memory.
//
// Arrays hold numbers of the call's type, of 16 bits for the halves, but for cells, kept, raw, statistics, made,
// d_states, d_unit_params, d_normalized, kept_state and regularizers: those are of the type that is computed in
// (storage.h).

#include <stdint.h>

#include <string_view>

#include "core/layer.h"

namespace fastrnn {
namespace cuda {

/// Which rows the steps have, and where they lie. Row b of a step belongs to sequence b; sequences of different
/// lengths are numbered from the longest to the shortest, so that a step has the first few, and everything that has
/// rows is packed: the rows of the first step, then those of the second, ...
struct StepRows {
  int64_t seq_len;
  int batch;
  const int64_t* offsets;          // [T + 1], sums of the steps' numbers of rows; null: every step has all
  const uint8_t* resets;           // one a row, in packed order: 1 zeroes the state before it; null: none
  int64_t row_step, row_sequence;  // with null offsets: row number = t * row_step + b * row_sequence

  FASTRNN_HD int64_t time_of(int64_t step, int direction) const { return direction ? seq_len - 1 - step : step; }
  FASTRNN_HD int count(int64_t t) const {
    if (t < 0 || t >= seq_len) return 0;
    return offsets ? int(offsets[t + 1] - offsets[t]) : batch;
  }
  FASTRNN_HD int64_t row(int64_t t, int b) const {
    return offsets ? offsets[t] + b : t * row_step + int64_t(b) * row_sequence;
  }
  FASTRNN_HD bool resets_at(int64_t t, int b) const {
    return resets && resets[offsets ? offsets[t] + b : t * batch + b];
  }
};

/// Features of the rows of all steps, contiguous in a row. Packed where sequences differ in length.
struct StepArray {
  void* data;
  int64_t stride_t, stride_b;  // in elements; stride_t counts for nothing where rows are packed

  FASTRNN_HD int64_t offset(const StepRows& rows, int64_t t, int b) const {
    return (rows.offsets ? rows.offsets[t] * stride_b : t * stride_t) + int64_t(b) * stride_b;
  }
};

/// What a row of a cell with normalized gates leaves for backward beside its values.
enum RowStatistic : int { kInputScale, kHiddenScale, kStateMean, kStateScale, kRowStatistics };

/// For slots, gradients and unit gradients see Columns (engine.h); a row's value k of unit u is at [row, k * H + u].
struct ForwardDirection {
  void* gates;  // [rows, slots * H]: x W_ih^T without bias; where the call saves, it leaves the cell's reserve there
  const void *weight_hh, *bias_ih, *bias_hh, *unit_params;  // both biases or none
  void* cells;    // saving: [rows, H], the cell state after each row; else scratch [B, H]; null for cells without
  void* operand;  // scratch [B, H], for cells of two phases
  void* kept;     // scratch [B, H], for the halves: h before rounding; then with two phases [reserve, B, H]
  void* raw;      // scratch [B, (gates + 1) * H], for cells with normalized gates: products, and what becomes of them
  void* statistics;        // for these, where the call saves: [rows, kRowStatistics]
  void* made[kMaxStates];  // with zoneout, where the call saves: [rows, H], the states before it
  const void* weight_hr;   // [P, H]: h' is its product with what the cell makes; null: h' is what the cell makes
  void* unprojected;       // with it, what the cell makes: saving [rows, H], else scratch [B, H]
};

/// Cells that may have a projection (projected.h): those for which torch has one.
constexpr bool has_projection(std::string_view cell) { return cell == "lstm"; }

struct Forward {
  StepRows rows;
  int hidden, directions;
  int width;  // features of h: P with a projection, else H
  bool saving;
  ForwardDirection direction[kMaxDirections];
  StepArray y;                      // [.., D * width]
  const void* initial[kMaxStates];  // [D, B, H] each, h [D, B, width]; null: zeros
  void* final_states[kMaxStates];   // as initial; rows of sequences without steps are left alone
  Regularizers regularizers;
};

struct BackwardDirection {
  const void *gates, *weight_hh, *unit_params, *cells;  // as forward left them
  void* d_gates;  // [rows, gradients * H], output: gradients of the input's part of all gates, then of the recurrent
                  // part of those gates that keep it apart; then, with normalized gates, of the recurrent products
  void* operands[kMaxPhases];  // [rows, width] each, output: what the weights of each phase were multiplied with
  void* d_states[kMaxStates];  // scratch [B, H]: gradients on the way from step to step
  void* d_unit_params;         // [B, unit gradients * H], zeros at first: sums of parts; null where the cell has none
  const void* statistics;      // as forward left them
  void* d_normalized;          // scratch [B, gates * H], for cells with normalized gates
  const void* made[kMaxStates];
  void* state_operand;  // [rows, H], output, where products are with a further state: it, as operands[0] is h
  void* kept_state;     // scratch [B, H], for these with zoneout
  const void* weight_hr;
  void* d_projected;  // with a projection, output: [rows, P], the gradients of its products
};

struct Backward {
  StepRows rows;
  int hidden, directions;
  int width;
  BackwardDirection direction[kMaxDirections];
  const void* initial[kMaxStates];
  StepArray y, d_y;                 // d_y.data may be null: zeros
  const void* d_final[kMaxStates];  // may be null: zeros
  void* d_initial[kMaxStates];      // null: not wanted; rows of sequences without steps are left alone
  Regularizers regularizers;
};

}  // namespace cuda
}  // namespace fastrnn
