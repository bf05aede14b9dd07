#pragma once
// One thread's part of the forward pass of a layer, for any cell: for each chunk of steps the input projection of all
// its rows, then step by step the recurrent tile with the cell's equations on what it accumulated. Where an element of
// the products' operands holds two numbers (cpu/bf16.h), x and the weights come as such pairs, and h is kept so
// besides. A cell whose pre-activations are normalized takes whole rows of them instead of tiles.

#include "cells/contract.h"
#include "cpu/forward_tiles.h"
#include "cpu/normalize.h"
#include "cpu/parallel.h"
#include "cpu/plan.h"
#include "cpu/regularize.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class Cell, class T, class Product = Plain<T>>
class ForwardPass {
  using V = Vec<T>;
  static constexpr int W = V::kLanes;
  static constexpr bool kPairs = Product::kNumbers == 2;
  static constexpr bool kNormalizes = Cell::kNormalizesGates;
  static constexpr int kSaved = kSavedValues<Cell>;
  static_assert(kSaved == 0 || kSaved >= Cell::kGates, "the reserve doubles as the gate buffer");
  static_assert(!kNormalizes || Cell::kPhases == 1, "normalized gates come from one product");
  static_assert(!Cell::kOperandHasState || (Cell::kPhases == 2 && Cell::kStates == 2),
                "the operands are (h, c), (h, .)");

 public:
  ForwardPass(const ForwardArgs& args, const ForwardPlan& plan, T* scratch, Barrier* barriers, int thread)
      : args_(args),
        plan_(plan),
        scratch_(scratch),
        steps_(args.shape, args.rows),
        previous_(args.shape, steps_, args.y, args.initial[0], scratch + plan.zeros),
        regularizers_(args.regularizers, args.shape, steps_) {
    const int group = thread / plan.split.group();
    member_ = thread % plan.split.group();
    barrier_ = barriers + group;
    rows_ = plan.split.rows > 1 ? share(args.shape.batch, member_, plan.split.rows) : Range{0, args.shape.batch};
    blocks_ =
        plan.split.units > 1 ? share(plan.layout.blocks, member_, plan.split.units) : Range{0, plan.layout.blocks};
    for (int d = group; d < args.shape.directions; d += plan.split.directions) {
      if (d > group) barrier_->wait();  // the scratch memory of the direction before is free from here on
      run_direction(d);
    }
  }

 private:
  void run_direction(int direction) {
    const LayerShape& s = args_.shape;
    direction_ = direction;
    steps_.set_direction(direction);
    regularizers_.set_direction(direction);
    base_ = scratch_ + (plan_.split.directions > 1 ? direction * plan_.direction_stride : 0);
    saving_ = args_.reserve != nullptr;
    scaled_ = regularizers_.scales_hidden();
    zoneout_ = regularizers_.any_zoneout();
    input_slot_ = kNormalizes && saving_ ? Cell::kReserve : 0;
    reserve_ = saving_ ? static_cast<T*>(args_.reserve) + direction * plan_.layout.reserve_direction : nullptr;
    pack();
    prepare_states();
    barrier_->wait();
    for (int64_t start = 0; start < s.seq_len; start = chunk_stop_) {
      chunk_start_ = start;
      chunk_stop_ = steps_.uneven()                         ? steps_.chunk_stop(start, plan_.chunk_rows)
                    : start + plan_.chunk_steps < s.seq_len ? start + plan_.chunk_steps
                                                            : s.seq_len;
      chunk_row_ = steps_.first(first_time());
      if (shares_rows_anew()) {
        barrier_->wait();
        rows_ = steps_.share_of(first_time(), last_time() + 1, member_, plan_.split.rows);
      }
      project_input();
      if (shares_rows_anew()) barrier_->wait();
      if constexpr (kNormalizes) normalize_input();
      for (int64_t step = start; step < chunk_stop_; ++step) run_step(step);
    }
    if (shares_rows_anew()) barrier_->wait();
    write_final_states();
    if (steps_.uneven() && !args_.y.packed) zero_padding();
  }

  /// Threads that own rows share them anew for each chunk where sequences differ in length.
  bool shares_rows_anew() const { return steps_.uneven() && plan_.split.rows > 1; }

  /// Of the chunk.
  int64_t first_time() const { return steps_.time_of(direction_ ? chunk_stop_ - 1 : chunk_start_); }
  int64_t last_time() const { return steps_.time_of(direction_ ? chunk_start_ : chunk_stop_ - 1); }

  // -- before the first step --------------------------------------------------------------------------------------

  template <class F>
  void for_my_panels(int gates, const F& f) {
    int turn = 0;
    for_block_tiles(blocks_, blocks_per_tile(gates), [&](int64_t block, int count) {
      // Threads that split the rows share the panels; threads that split the units have panels of their own.
      if (plan_.split.rows == 1 || turn++ % plan_.split.rows == member_) f(block, count);
    });
  }

  void pack();

  void prepare_states();

  V initial_units(int state, int64_t row, int64_t block) const;
  void prepare_hidden();

  // -- where things are -------------------------------------------------------------------------------------------

  T* gates_row(int64_t time, int64_t row) const { return packed_gates_row(steps_.first(time) + row); }

  T* packed_gates_row(int64_t row) const {
    return plan_.gates == kNone ? reserve_ + row * plan_.gates_row
                                : base_ + plan_.gates + (row - chunk_row_) * plan_.gates_row;
  }

  T* y_row(int64_t time, int64_t row) const {
    return steps_.template at<T>(args_.y, time, row) + direction_ * args_.shape.hidden;
  }

  /// h before `step` as the products take it, after dropout and as pairs: [B, padded / numbers].
  T* hidden_operand(int64_t step) const {
    return base_ + plan_.hidden + (step & 1) * (args_.shape.batch * plan_.layout.padded / Product::kNumbers);
  }

  FASTRNN_INLINE void store_operand(V hidden, int units, int64_t row, int64_t unit, int64_t step) const {
    if (scaled_) hidden = hidden * regularizers_.hidden_scale(row, unit, units);
    T* const out = hidden_operand(step) + (row * plan_.layout.padded + unit) / Product::kNumbers;
    if constexpr (kPairs)
      Product::store(first_units(hidden, units), out);
    else
      hidden.store(out);
  }

  /// States but h after `step`: [B, padded].
  T* states_after(int64_t step) const {
    if (!saving_ || step < 0) return base_ + plan_.state;
    return reserve_ + plan_.layout.reserve_gates + steps_.first(steps_.time_of(step)) * plan_.layout.padded;
  }

  /// State k before zoneout, after the step at hand: [B, padded].
  T* candidates(int k) const {
    const int64_t rows = k * args_.shape.total_rows() + steps_.first(time_);
    return reserve_ + plan_.layout.candidates() + rows * plan_.layout.padded;
  }

  T* statistics(int64_t row) const { return reserve_ + plan_.layout.statistics() + row * kRowStatistics; }

  // -- input projection -------------------------------------------------------------------------------------------

  /// Rows of the chunk that this thread projects. They count time first, through the thread's own rows of every time,
  /// or through all rows of the chunk where it owns other rows in each chunk.
  Range projected_rows() const;

  template <int MR>
  FASTRNN_INLINE void find_projected_rows(int64_t row, const T* (&x)[MR], T* (&gates)[MR], int64_t block) const;

  void project_input();

  void project_input_directly();

  /// The input's parts of the chunk, whole rows of them.
  void normalize_input();

  // -- one step ---------------------------------------------------------------------------------------------------

  void run_step(int64_t step) {
    step_ = step;
    time_ = steps_.time_of(step);
    previous_.enter(step, direction_);
    if constexpr (kNormalizes) {
      run_normalized();
    } else {
      run_phase<0>();
      if constexpr (Cell::kPhases == 2) {
        if (plan_.split.units > 1) barrier_->wait();
        run_phase<1>();
      }
    }
    if (plan_.split.units > 1) barrier_->wait();
  }

  /// This thread's rows of the step at hand.
  Range step_rows() const {
    const int64_t count = steps_.count(time_);
    return {rows_.begin < count ? rows_.begin : count, rows_.end < count ? rows_.end : count};
  }

  /// What a phase multiplies with its weights: h, or the operand that the first phase has made.
  template <int kPhase>
  FASTRNN_INLINE const T* operand_row(int64_t row) const {
    if (kPhase && !Cell::kOperandHasState)
      return base_ + plan_.operand + row * (plan_.layout.padded / Product::kNumbers);
    if (!kPairs && !scaled_) return previous_.hidden(row);
    return previous_.resets(row) ? scratch_ + plan_.zeros
                                 : hidden_operand(step_) + row * (plan_.layout.padded / Product::kNumbers);
  }

  /// The operand's second part, where it has one.
  template <int kPhase>
  FASTRNN_INLINE const T* second_operand_row(int64_t row) const {
    if (kPhase) return base_ + plan_.operand + row * plan_.layout.padded;
    return previous_.state(row, states_after(step_ - 1), base_ + plan_.state, plan_.layout.padded);
  }

  template <int kPhase>
  void run_phase() {
    for_my_tiles<kPhase>([&](int64_t row, int64_t block, auto size, auto count) {
      phase_tile<kPhase, decltype(size)::value, decltype(count)::value>(row, block);
    });
  }

  template <int kPhase, int MR, int kCount>
  FASTRNN_INLINE void phase_tile(int64_t row, int64_t block) {
    constexpr int kGates = Cell::kPhaseGates[kPhase], kSplit = Cell::kPhaseSplit[kPhase];
    alignas(64) T sums[MR * kCount * kGates * W];
    const Addends<T> add{gates_row(time_, row) + (block * plan_.slots + first_gate<kPhase>()) * W, plan_.gates_row,
                         plan_.slots, base_ + plan_.split_bias[kPhase] + block * kSplit * W};
    multiply_operand<kPhase, kSplit, MR, kCount>(row, block, add, sums);
    apply_cell<kPhase>(sums, MR, kCount, row, block);
  }

  /// f(row, block, rows, blocks) for the tiles of a phase, rows and blocks as constants.
  template <int kPhase, class F>
  FASTRNN_INLINE void for_my_tiles(const F& f) {
    constexpr int kGates = Cell::kPhaseGates[kPhase], kBlocks = blocks_per_tile(kGates);
    const Range rows = step_rows();
    if (plan_.packed_hh[kPhase] == kNone) {
      for (int64_t block = blocks_.begin; block < blocks_.end; ++block) {
        for_row_tiles(rows, kDirectRows, [&](int64_t row, int size) {
          with_constant<kDirectRows>(size, [&](auto r) { f(row, block, r, IntConstant<1>{}); });
        });
      }
      return;
    }
    for_block_tiles(blocks_, kBlocks, [&](int64_t block, int count) {
      with_constant<kBlocks>(count, [&](auto c) {
        constexpr int NV = decltype(c)::value * kGates;
        for_row_tiles(rows, kTileRows<NV>, [&](int64_t row, int size) {
          with_constant<kTileRows<NV>>(size, [&](auto r) { f(row, block, r, c); });
        });
      });
    });
  }

  /// sums [MR, kCount, gates, W] = operand W_hh + addends
  template <int kPhase, int kSplit, int MR, int kCount>
  FASTRNN_INLINE void multiply_operand(int64_t row, int64_t block, const Addends<T>& add, T* sums) const {
    constexpr int kGates = Cell::kPhaseGates[kPhase];
    const LayerShape& s = args_.shape;
    const int64_t depth = plan_.hidden_depth;
    const T *a[MR], *b[MR];
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) a[r] = operand_row<kPhase>(row + r);
    if constexpr (Cell::kOperandHasState) {
      for (int r = 0; r < MR; ++r) b[r] = second_operand_row<kPhase>(row + r);
      recurrent_tile<kGates, kSplit, true, MR, kCount, T, Product>(
          a, b, base_ + plan_.packed_hh[kPhase] + block * kGates * W * depth, s.hidden, add, sums);
    } else if (plan_.packed_hh[kPhase] != kNone) {
      recurrent_tile<kGates, kSplit, false, MR, kCount, T, Product>(
          a, a, base_ + plan_.packed_hh[kPhase] + block * kGates * W * depth, depth, add, sums);
    } else if constexpr (kCount == 1 && MR <= kDirectRows) {
      const T* weight = static_cast<const T*>(args_.params[direction_].weight_hh) +
                        (first_gate<kPhase>() * s.hidden + block * W) * depth;
      recurrent_tile_directly<MR, T, Product>(a, weight, depth, s.hidden, clip_lanes(s.hidden - block * W, W), kGates,
                                              kSplit, add, sums);
    }
  }

  template <int kPhase>
  static constexpr int first_gate() {
    return kPhase ? Cell::kPhaseGates[0] : 0;
  }

  /// The cell's equations on a tile whose pre-activations have just been summed; they come from the first-level cache.
  template <int kPhase>
  __attribute__((noinline)) void apply_cell(const T* sums, int rows, int count, int64_t row, int64_t block);

  /// Zoneout, and the new states where the next step, the next layer and backward look for them.
  FASTRNN_INLINE void store_states(Pack<V, Cell::kStates> next, const Pack<V, Cell::kStates>& prev, int64_t row,
                                   int64_t unit, int units) const;

  // -- one step with normalized pre-activations ---------------------------------------------------------------------

  void run_normalized();
  template <int MR, int kCount>
  FASTRNN_INLINE void raw_tile(int64_t row, int64_t block);
  T* raw_row(int64_t row) const;
  T* candidate_row(int64_t row) const;
  FASTRNN_INLINE Pack<V, Cell::kUnitParams> unit_params(int64_t block) const;
  FASTRNN_INLINE Pack<V, Cell::kStates> states_before(int64_t row, int64_t unit, int units) const;
  /// The equations on a row, up to what needs the normalized state.
  __attribute__((noinline)) void apply_normalized(int64_t row);
  __attribute__((noinline)) void apply_output(int64_t row);

  /// What lies past the last unit must not meet a weight, were it only the zero of an odd row's end: 0 * NaN is NaN.
  FASTRNN_INLINE static V first_units(V x, int units) { return units < W ? keep_first(x, units) : x; }

  // -- after the last step ----------------------------------------------------------------------------------------

  void write_final_states();

  /// Zeroes what belongs to no row of a padded y.
  void zero_padding();

  void copy_units(const T* from, T* to) const;

  const ForwardArgs& args_;
  const ForwardPlan& plan_;
  T* scratch_;
  Barrier* barrier_;
  int member_;
  StepRows steps_;
  PreviousStates<T> previous_;
  RegularizerRows<T> regularizers_;
  Range rows_, blocks_;
  // Of the direction at hand:
  int direction_;
  T *base_, *reserve_;
  bool saving_, scaled_, zoneout_;
  int input_slot_;  // where in a block of a row of gates the input's part begins
  // Of the chunk and the step at hand:
  int64_t chunk_start_, chunk_stop_, chunk_row_, step_, time_;
};

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
