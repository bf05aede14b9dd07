#pragma once
// One thread's part of back-propagation through time, for any cell: chunks of steps from the last to the first; in each
// chunk step by step the recurrent tile (d_h = d_gates W_hh) with the cell's backward equations on it, then the
// weight, bias and input gradients of the chunk while its gate gradients are in cache. Where products take pairs
// (cpu/bf16.h), only the weights come in another type; gate gradients are kept rounded besides. Where pre-activations
// are normalized, the equations wait for whole rows.

#include "cells/contract.h"
#include "cpu/direct.h"
#include "cpu/normalize.h"
#include "cpu/parallel.h"
#include "cpu/plan.h"
#include "cpu/regularize.h"
#include "cpu/weight_gradients.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class Cell, class T, class Product = Plain<T>>
class BackwardPass {
  using V = Vec<T>;
  static constexpr int W = V::kLanes;
  static constexpr bool kPairs = Product::kNumbers == 2;
  static constexpr int kLastPhase = Cell::kPhases - 1;
  static constexpr bool kNormalizes = Cell::kNormalizesGates, kStateOperand = Cell::kOperandHasState;
  static constexpr int kBlocks = blocks_per_tile(1);    // blocks of columns in a tile
  static constexpr int kParts = kStateOperand ? 2 : 1;  // of the products' operands
  static constexpr int kSaved = kSavedValues<Cell>;

 public:
  BackwardPass(const BackwardArgs& args, const BackwardPlan& plan, T* scratch, Barrier* barriers, int thread)
      : args_(args),
        plan_(plan),
        scratch_(scratch),
        steps_(args.shape, args.rows),
        previous_(args.shape, steps_, args.y, args.initial[0], scratch + plan.zeros),
        regularizers_(args.regularizers, args.shape, steps_),
        carries_(Cell::kHiddenCarry || regularizers_.zones_out(0)) {
    const int group = thread / plan.split.group();
    member_ = thread % plan.split.group();
    members_ = plan.split.group();
    barrier_ = barriers + group;
    panel_ = scratch + plan.panels + thread * plan.panel_size;
    rows_ = plan.split.rows > 1 ? share(args.shape.batch, member_, plan.split.rows) : Range{0, args.shape.batch};
    blocks_ =
        plan.split.units > 1 ? share(plan.layout.blocks, member_, plan.split.units) : Range{0, plan.layout.blocks};
    for (int d = group; d < args.shape.directions; d += plan.split.directions) {
      if (d > group) barrier_->wait();  // the scratch memory of the direction before is free from here on
      run_direction(d);
    }
    if (plan.d_x_second != kNone) {
      barriers[kMaxDirections].wait();
      add_second_direction(thread);
    }
  }

 private:
  void run_direction(int direction) {
    const LayerShape& s = args_.shape;
    direction_ = direction;
    steps_.set_direction(direction);
    regularizers_.set_direction(direction);
    base_ = scratch_ + (plan_.split.directions > 1 ? direction * plan_.direction_stride : 0);
    reserve_ = static_cast<const T*>(args_.reserve) + direction * plan_.layout.reserve_direction;
    pack();
    prepare_states();
    barrier_->wait();
    set_ = 0;
    for (int64_t stop = s.seq_len; stop > 0; stop = chunk_start_) {
      chunk_stop_ = stop;
      chunk_start_ = steps_.uneven()            ? steps_.chunk_start(stop, plan_.chunk_rows)
                     : stop > plan_.chunk_steps ? stop - plan_.chunk_steps
                                                : 0;
      chunk_row_ = steps_.first(first_time());
      if (shares_rows_anew()) rows_ = steps_.share_of(first_time(), last_time() + 1, member_, plan_.split.rows);
      for (int64_t step = stop - 1; step >= chunk_start_; --step) run_step(step);
      barrier_->wait();  // one is enough: the next chunk fills the other set of buffers
      accumulate_gradients();
      set_ ^= 1;
    }
    step_ = -1;
    write_initial_gradients({0, steps_.count_of_step(0)});
    write_gradients_of_empty_sequences();
    if (direction_ == 0) {
      zero_padding(args_.d_x, s.input);
      for (const Sequence& d_state : args_.d_states) zero_padding(d_state, s.hidden * s.directions);
    }
  }

  /// Threads that own rows share them anew for each chunk where sequences differ in length.
  bool shares_rows_anew() const { return steps_.uneven() && plan_.split.rows > 1; }

  /// Of the chunk.
  int64_t first_time() const { return steps_.time_of(direction_ ? chunk_stop_ - 1 : chunk_start_); }
  int64_t last_time() const { return steps_.time_of(direction_ ? chunk_start_ : chunk_stop_ - 1); }
  int64_t chunk_size() const { return steps_.first(last_time()) + steps_.count(last_time()) - chunk_row_; }

  // -- before the first step --------------------------------------------------------------------------------------

  void pack();

  /// A part of the operand's weights: those of h, those of a further state.
  T* packed_hh(int phase, int part) const {
    const int64_t size = plan_.layout.padded * plan_.layout.padded * Cell::kPhaseGates[phase];
    return base_ + plan_.packed_hh[phase] + part * size;
  }

  void pack_part(const void* weight, int64_t offset, int gates, int64_t columns, int64_t stride, Range column_blocks,
                 Range hidden_blocks, T* packed) const;

  void prepare_states();

  static V load_or_zero(const void* data, int64_t offset, int units) {
    return data ? V::load_partial(static_cast<const T*>(data) + offset, units) : V(T(0));
  }

  // -- where things are -------------------------------------------------------------------------------------------

  /// Row of the chunk's buffers where a time begins.
  int64_t chunk_row(int64_t time) const { return steps_.first(time) - chunk_row_; }

  /// Where a piece of the gate gradients lies rounded, as pairs of neighbors.
  T* rounded(const T* gates) const { return base_ + plan_.rounded + (gates - (base_ + plan_.gates)) / 2; }

  /// State k before zoneout, after the step at hand: [B, padded].
  const T* candidates(int k) const {
    const int64_t rows = k * args_.shape.total_rows() + steps_.first(time_);
    return reserve_ + plan_.layout.candidates() + rows * plan_.layout.padded;
  }

  const T* y_row(int64_t time, int64_t row) const {
    return steps_.template at<const T>(args_.y, time, row) + direction_ * args_.shape.hidden;
  }

  /// States but h after `step`: [B, padded].
  const T* states_after(int64_t step) const {
    if (step < 0) return base_ + plan_.initial_state;
    return reserve_ + plan_.layout.reserve_gates + steps_.first(steps_.time_of(step)) * plan_.layout.padded;
  }

  // -- one step ---------------------------------------------------------------------------------------------------

  void run_step(int64_t step) {
    step_ = step;
    time_ = steps_.time_of(step);
    previous_.enter(step, direction_);
    // Rows that the later step has, too, get gradients from it. Others end here, or (in the reverse direction) begin
    // at the later step.
    const int64_t count = steps_.count(time_), later = steps_.count_of_step(step + 1);
    run_phase<kLastPhase>(later_gates_, plan_.d_h_row[0], own({0, later < count ? later : count}), true);
    run_phase<kLastPhase>(nullptr, 0, own({later, count}), false);
    if constexpr (kNormalizes) run_normalized(own({0, count}));
    if (later > count) write_initial_gradients({count, later});
    if constexpr (Cell::kPhases == 2) {
      if (plan_.split.units > 1) barrier_->wait();
      run_phase<0>(gate_gradients(1), plan_.d_h_row[1], own({0, count}), true);
    }
    if (plan_.split.units > 1) barrier_->wait();
    later_gates_ = gate_gradients(0);
  }

  /// Those of some rows that are this thread's.
  Range own(Range rows) const {
    if (rows.begin < rows_.begin) rows.begin = rows_.begin;
    if (rows.end > rows_.end) rows.end = rows_.end;
    return rows.begin < rows.end ? rows : Range{0, 0};
  }

  /// Gradients of a phase's pre-activations for the step at hand: [B, d_h_row].
  T* gate_gradients(int phase) const {
    return base_ + plan_.d_h_gates[set_][phase] + chunk_row(time_) * plan_.d_h_row[phase];
  }

  /// The last phase starts from d_h, which the first phase's gates of the later step contribute to; the phase before
  /// it starts from the gradient of its operand. So the matmul in front of a phase is over the *other* phase's gates.
  /// Rows that no later step has start from zero: nothing to multiply.
  template <int kPhase>
  void run_phase(const T* gates, int64_t gates_stride, Range rows, bool multiply) {
    constexpr int kMatmul = kPhase == kLastPhase ? 0 : 1;
    if (rows.size() == 0) return;
    for_block_tiles(blocks_, kBlocks, [&](int64_t block, int count) {
      for_row_tiles(rows, kTileRows<kBlocks>, [&](int64_t row, int size) {
        alignas(64) T sums[kTileRows<kBlocks> * kBlocks * W];
        if (multiply)
          multiply_recurrent<kMatmul>(gates + row * gates_stride, size, count, block, 0, sums);
        else
          for (int i = 0; i < size * count * W; ++i) sums[i] = T(0);
        if (kPhase == kLastPhase || Cell::kOperandOfHidden || kStateOperand)
          scale_hidden(sums, size, count, row, block);
        if constexpr (kPhase == kLastPhase) {
          if (multiply) stop_at_resets(sums, size, count, row);
          if constexpr (kStateOperand) {
            if (multiply) add_state_gradients(gates + row * gates_stride, size, count, row, block);
          }
          add_other_gradients(sums, size, count, row, block, !multiply);
          if (args_.d_states[0].data || args_.d_states[1].data) store_state_gradients(sums, size, count, row, block);
          if constexpr (kNormalizes)
            store_tile(sums, size, count, row, block, base_ + plan_.d_hidden);
          else
            apply_cell(sums, size, count, row, block);
        } else {
          alignas(64) T d_state[kStateOperand ? kTileRows<kBlocks> * kBlocks * W : 1];
          if constexpr (kStateOperand)
            multiply_recurrent<kMatmul>(gates + row * gates_stride, size, count, block, 1, d_state);
          apply_operand(sums, d_state, size, count, row, block);
        }
      });
    });
  }

  /// sums [rows, count, W] = gates [rows, d_h_row] * W_hh, for `count` blocks of columns from `block` on.
  /// part: of the operand.
  template <int kPhase>
  void multiply_recurrent(const T* gates, int rows, int count, int64_t block, int part, T* sums) const {
    constexpr int kGates = Cell::kPhaseGates[kPhase], kFirst = kPhase ? Cell::kPhaseGates[0] : 0;
    const int64_t hidden = args_.shape.hidden, depth = plan_.layout.padded * kGates, stride = kParts * hidden;
    if constexpr (kPairs)
      multiply_rows<T, Product>(rounded(gates), plan_.d_h_row[kPhase] / 2, rows,
                                base_ + plan_.packed_hh[kPhase] + block * W * (depth / 2), count, depth / 2, sums);
    else if (plan_.packed_hh[kPhase] != kNone)
      multiply_rows<T>(gates, plan_.d_h_row[kPhase], rows, packed_hh(kPhase, part) + block * W * depth, count, depth,
                       sums);
    else
      multiply_rows_unpacked<T>(gates, plan_.d_h_row[kPhase], rows,
                                static_cast<const T*>(args_.params[direction_].weight_hh) + kFirst * hidden * stride +
                                    part * hidden + block * W,
                                stride, kGates, hidden, count, sums);
  }

  /// From the gradient of what entered the product to that of h.
  void scale_hidden(T* sums, int rows, int count, int64_t row, int64_t block) const {
    if (!regularizers_.scales_hidden()) return;
    for (int r = 0; r < rows; ++r) {
      for (int u = 0; u < count; ++u, sums += W) {
        const int64_t unit = (block + u) * W;
        const V scale = regularizers_.hidden_scale(row + r, unit, clip_lanes(args_.shape.hidden - unit, W));
        (V::load(sums) * scale).store(sums);
      }
    }
  }

  /// What the later step's product passes on to the further state of its operand.
  void add_state_gradients(const T* gates, int rows, int count, int64_t row, int64_t block) const {
    alignas(64) T sums[kTileRows<kBlocks> * kBlocks * W];
    multiply_recurrent<0>(gates, rows, count, block, 1, sums);
    stop_at_resets(sums, rows, count, row);
    for (int r = 0; r < rows; ++r) {
      T* const d_state = base_ + plan_.d_state + (row + r) * plan_.layout.padded + block * W;
      for (int u = 0; u < count; ++u)
        (V::load(d_state + u * W) + V::load(sums + (r * count + u) * W)).store(d_state + u * W);
    }
  }

  /// [rows, count, W] to rows of [B, padded].
  void store_tile(const T* sums, int rows, int count, int64_t row, int64_t block, T* out) const {
    for (int r = 0; r < rows; ++r)
      __builtin_memcpy(out + (row + r) * plan_.layout.padded + block * W, sums + r * count * W,
                       size_t(count) * W * sizeof(T));
  }

  /// Nothing flows back through the state that the later step has zeroed.
  void stop_at_resets(T* sums, int rows, int count, int64_t row) const {
    if (!args_.rows.resets) return;
    const int64_t later = steps_.time_of(step_ + 1);
    for (int r = 0; r < rows; ++r) {
      if (!steps_.resets(later, row + r)) continue;
      for (int i = 0; i < count * W; ++i) sums[r * count * W + i] = T(0);
    }
  }

  /// Completes d_h: the output's gradient and what the later step passes on without a matmul. Added after the matmul:
  /// as the start of its long chain of additions they would cost accuracy.
  __attribute__((noinline)) void add_other_gradients(T* sums, int rows, int count, int64_t row, int64_t block,
                                                     bool last) const {
    const LayerShape& s = args_.shape;
    for (int r = 0; r < rows; ++r, ++row) {
      const T* d_y = nullptr;
      if (args_.d_y.data) d_y = steps_.template at<const T>(args_.d_y, time_, row) + direction_ * s.hidden;
      const T* d_final = last ? static_cast<const T*>(args_.d_final[0]) : nullptr;
      if (d_final) d_final += (direction_ * s.batch + steps_.place(row)) * s.hidden;
      for (int u = 0; u < count; ++u, sums += W) {
        const int64_t unit = (block + u) * W;
        const int units = clip_lanes(s.hidden - unit, W);
        V sum = V::load(sums);
        if (d_y) sum = sum + V::load_partial(d_y + unit, units);
        if (d_final) sum = sum + V::load_partial(d_final + unit, units);
        if (carries_) sum = sum + V::load(base_ + plan_.carry + row * plan_.layout.padded + unit);
        sum.store(sums);
      }
    }
  }

  /// What a caller wants to see of the gradients that go through time: of h in `sums`, of c from the later step.
  __attribute__((noinline)) void store_state_gradients(const T* sums, int rows, int count, int64_t row,
                                                       int64_t block) const {
    const LayerShape& s = args_.shape;
    for (int r = 0; r < rows; ++r, ++row) {
      for (int u = 0; u < count; ++u, sums += W) {
        const int64_t unit = (block + u) * W;
        const T* const d_state = base_ + plan_.d_state + row * plan_.layout.padded + unit;
        for (int k = 0; k < Cell::kStates; ++k) {
          if (!args_.d_states[k].data) continue;
          T* const out = steps_.template at<T>(args_.d_states[k], time_, row) + direction_ * s.hidden + unit;
          V::load(k == 0 ? sums : d_state).store_partial(out, clip_lanes(s.hidden - unit, W));
        }
      }
    }
  }

  /// What the equations of a unit block need, wherever it lies.
  struct Unit {
    Pack<V, Cell::kReserve> reserve;
    Pack<V, Cell::kUnitParams> params;
    Pack<V, Cell::kStates> prev;
  };

  FASTRNN_INLINE void load_unit(Unit& out, int64_t row, int64_t block, const T* hidden_prev, const T* state_prev) const;

  /// Of a row in packed order and a block: the cell's reserve, of normalized cells the normalized parts besides.
  FASTRNN_INLINE const T* saved_values(int64_t row, int64_t block) const {
    return reserve_ + (row * plan_.layout.blocks + block) * kSaved * W;
  }

  const T* state_before(int64_t row) const {
    if constexpr (Cell::kStates == 1) return nullptr;
    return previous_.state(row, states_after(step_ - 1), base_ + plan_.initial_state, plan_.layout.padded);
  }

  /// Lanes past the last unit hold rubbish that must not meet other lanes in a matmul: 0 * NaN is NaN.
  template <int N>
  FASTRNN_INLINE void store_gates(Pack<V, N> d, int units, T* out) const;

  __attribute__((noinline)) void apply_cell(const T* sums, int rows, int count, int64_t row, int64_t block);

  /// The states after the step, before zoneout, and their gradients; d_next[0] is given. What zoneout hands on to the
  /// states before the step goes to d_kept.
  FASTRNN_INLINE void load_results(int64_t row, const T* y, int64_t unit, int units, Pack<V, Cell::kStates>& next,
                                   Pack<V, Cell::kStates>& d_next, Pack<V, Cell::kStates>& d_kept) const;

  /// Gradients of the states before the step, as far as no product passes them on.
  FASTRNN_INLINE void store_previous(int64_t row, int64_t unit, Pack<V, Cell::kStates> d_prev,
                                     const Pack<V, Cell::kStates>& d_kept, bool reset) const;

  /// h as it has entered the product, for the gradient of the weights.
  FASTRNN_INLINE void store_scaled(V hidden, int64_t row, int64_t unit, int units) const;

  /// sums: gradients of the operand; d_state: of its second part, where it has one.
  __attribute__((noinline)) void apply_operand(const T* sums, const T* d_state, int rows, int count, int64_t row,
                                               int64_t block);

  // -- one step with normalized pre-activations ---------------------------------------------------------------------

  /// From d_h of whole rows to the gradients of the products. Each of the two normalizations needs sums over a row
  /// before it can go on; threads that own units add up those of each other's blocks, always in the same order.
  void run_normalized(Range rows);
  const T* statistics(int64_t row) const;
  /// Of one row: `which` is 0 for the state's sums, 1 for those of the gates.
  T* sums_of_row(int which, int64_t row) const;
  NormGradient<T> norm_gradient(int which, int64_t row, T scale, T size) const;
  T* d_unit_params(int64_t chunk, int64_t block) const;
  /// The state before zoneout, normalized.
  FASTRNN_INLINE V normalized_state(int64_t row, int64_t unit) const;
  __attribute__((noinline)) void output_gradients(int64_t row);
  __attribute__((noinline)) void normalized_gate_gradients(int64_t row);
  /// The recurrent part: from the gradients of its normalized values to those of the products.
  __attribute__((noinline)) void product_gradients(int64_t row);
  /// The same for the input's part, for a whole chunk; in d_x_gates.
  __attribute__((noinline)) void normalize_input_gradients();

  // -- after a chunk ----------------------------------------------------------------------------------------------

  void accumulate_gradients();
  const T* made_operand(int64_t chunk) const;
  /// h before the steps of the chunk's rows, which must be asked for in order.
  const T* operand_of_hidden(int64_t chunk, StepRows::Cursor& cursor);
  /// Likewise c.
  const T* operand_of_state(int64_t chunk, StepRows::Cursor& cursor);
  void enter_row(int64_t chunk, StepRows::Cursor& cursor);
  StepRows::Cursor first_of_chunk() const;
  /// The chunk's gate gradients with two rows in one, for products along the rows.
  void pair_rows();
  __attribute__((noinline)) void pair_rows_of(const T* gates, int64_t stride, T* pairs) const;
  void input_gradients();
  __attribute__((noinline)) void store_input_gradients(const T* sums, int rows, int count, int64_t row, int64_t block);
  void add_second_direction(int thread);

  /// For rows whose first step is the one after the step at hand.
  void write_initial_gradients(Range rows);

  void store_initial_gradient(int64_t row, int64_t unit, V d_hidden);

  /// Their final states are the initial ones.
  void write_gradients_of_empty_sequences();

  /// Zeroes what belongs to no row of a padded result.
  void zero_padding(const Sequence& result, int64_t columns) const;

  const BackwardArgs& args_;
  const BackwardPlan& plan_;
  T* scratch_;
  Barrier* barrier_;
  int member_, members_;
  T* panel_;
  StepRows steps_;
  PreviousStates<T> previous_;
  RegularizerRows<T> regularizers_;
  const bool carries_;  // something of h's gradient goes past the products
  Range rows_, blocks_;
  // Of the direction at hand:
  int direction_, set_;
  T* base_;
  const T* reserve_;
  // Of the chunk and the step at hand:
  int64_t chunk_start_, chunk_stop_, chunk_row_, step_, time_;
  const T* later_gates_ = nullptr;
};

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
