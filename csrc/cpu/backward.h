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

  void pack() {
    const LayerShape& s = args_.shape;
    const Parameters& p = args_.params[direction_];
    const Range share_of_units = share(plan_.layout.blocks, member_, members_);
    const bool own_panels = plan_.split.units > 1;  // else the threads share them, and the work of packing
    int first_gate = 0;
    for (int phase = 0; phase < Cell::kPhases; ++phase) {
      const int gates = Cell::kPhaseGates[phase];
      for (int part = 0; part < kParts && plan_.packed_hh[phase] != kNone; ++part)
        pack_part(p.weight_hh, (first_gate * kParts * s.hidden + part) * s.hidden, gates, s.hidden, kParts * s.hidden,
                  blocks_, own_panels ? Range{0, plan_.layout.blocks} : share_of_units, packed_hh(phase, part));
      first_gate += gates;
    }
    if (plan_.packed_ih != kNone)
      pack_part(p.weight_ih, 0, Cell::kGates, s.input, s.input, {0, plan_.padded_input / W}, share_of_units,
                base_ + plan_.packed_ih);
    if (Cell::kUnitParams > 0)
      pack_vector(static_cast<const T*>(p.unit_params), static_cast<const T*>(nullptr), 0, Cell::kUnitParams, s.hidden,
                  blocks_, Cell::kUnitParams, base_ + plan_.unit_params);
  }

  /// A part of the operand's weights: those of h, those of a further state.
  T* packed_hh(int phase, int part) const {
    const int64_t size = plan_.layout.padded * plan_.layout.padded * Cell::kPhaseGates[phase];
    return base_ + plan_.packed_hh[phase] + part * size;
  }

  void pack_part(const void* weight, int64_t offset, int gates, int64_t columns, int64_t stride, Range column_blocks,
                 Range hidden_blocks, T* packed) const {
    const int64_t hidden = args_.shape.hidden;
    if constexpr (kPairs)
      pack_column_pairs(static_cast<const uint16_t*>(weight) + offset, gates, hidden, columns, column_blocks, kBlocks,
                        hidden_blocks, packed);
    else
      pack_columns(static_cast<const T*>(weight) + offset, gates, hidden, columns, stride, column_blocks, kBlocks,
                   hidden_blocks, packed);
  }

  void prepare_states() {
    const LayerShape& s = args_.shape;
    if ((!args_.initial[0] || args_.rows.resets) && member_ == 0) {
      for (int64_t i = 0; i < plan_.layout.padded; ++i) scratch_[plan_.zeros + i] = T(0);
    }
    for (int64_t row = rows_.begin; row < rows_.end; ++row) {
      const int64_t offset = (direction_ * s.batch + steps_.place(row)) * s.hidden;
      for (int64_t block = blocks_.begin; block < blocks_.end; ++block) {
        const int64_t unit = block * W, place = row * plan_.layout.padded + unit;
        const int units = clip_lanes(s.hidden - unit, W);
        if (carries_) V(T(0)).store(base_ + plan_.carry + place);
        if (Cell::kStates > 1) {
          load_or_zero(args_.d_final[1], offset + unit, units).store(base_ + plan_.d_state + place);
          load_or_zero(args_.initial[1], offset + unit, units).store(base_ + plan_.initial_state + place);
        }
      }
    }
  }

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

  FASTRNN_INLINE void load_unit(Unit& out, int64_t row, int64_t block, const T* hidden_prev,
                                const T* state_prev) const {
    const int64_t unit = block * W;
    const T* reserve = saved_values(steps_.first(time_) + row, block);
#pragma GCC unroll 8
    for (int i = 0; i < Cell::kReserve; ++i) out.reserve[i] = V::load(reserve + i * W);
#pragma GCC unroll 8
    for (int i = 0; i < Cell::kUnitParams; ++i)
      out.params[i] = V::load(base_ + plan_.unit_params + (block * Cell::kUnitParams + i) * W);
    out.prev[0] = V::load_partial(hidden_prev + unit, clip_lanes(args_.shape.hidden - unit, W));
    if constexpr (Cell::kStates > 1) out.prev[1] = V::load(state_prev + unit);
  }

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
  FASTRNN_INLINE void store_gates(Pack<V, N> d, int units, T* out) const {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
      const V kept = units < W ? keep_first(d[i], units) : d[i];
      kept.store(out + i * W);
      if constexpr (kPairs) Product::store(kept, rounded(out + i * W));
    }
  }

  __attribute__((noinline)) void apply_cell(const T* sums, int rows, int count, int64_t row, int64_t block) {
    constexpr int kGates = Cell::kPhaseGates[kLastPhase], kSplit = Cell::kPhaseSplit[kLastPhase];
    constexpr int kFirst = kLastPhase ? Cell::kPhaseGates[0] : 0;
    for (int r = 0; r < rows; ++r, ++row) {
      const int64_t chunk = chunk_row(time_) + row;
      const T* const y = y_row(time_, row);
      const T* const hidden_prev = previous_.hidden(row);
      const T* const state_prev = state_before(row);
      const bool reset = previous_.resets(row);
      for (int u = 0; u < count; ++u, sums += W) {
        const int64_t unit = (block + u) * W;
        const int units = clip_lanes(args_.shape.hidden - unit, W);
        Unit it;
        load_unit(it, row, block + u, hidden_prev, state_prev);
        Pack<V, Cell::kStates> next, d_next, d_prev, d_kept;
        d_next[0] = V::load(sums);
        load_results(row, y, unit, units, next, d_next, d_kept);
        Pack<V, kGates> d_a;
        Pack<V, kSplit> d_x;
        Pack<V, Cell::kUnitParams> d_p;
        T* const d_x_gates = base_ + plan_.d_x_gates[set_] + chunk * plan_.d_x_row + (block + u) * Cell::kGates * W;
        if constexpr (Cell::kPhases == 2) {
          Pack<V, Cell::kPhaseGates[0]> d_first;
          Cell::template backward<V>(it.reserve, it.params, it.prev, next, d_next, d_prev, d_a, d_first, d_x, d_p);
          store_gates<Cell::kPhaseGates[0]>(d_first, units, d_x_gates);
        } else {
          Cell::template backward<V>(it.reserve, it.params, it.prev, next, d_next, d_prev, d_a, d_x, d_p);
        }
        store_gates<kGates>(
            d_a, units,
            base_ + plan_.d_h_gates[set_][kLastPhase] + chunk * plan_.d_h_row[kLastPhase] + (block + u) * kGates * W);
        if constexpr (Cell::kPhases == 2 || kSplit > 0) {
#pragma GCC unroll 8
          for (int g = 0; g < kSplit; ++g) d_a[kGates - kSplit + g] = d_x[g];
          store_gates<kGates>(d_a, units, d_x_gates + kFirst * W);
        }
        if constexpr (Cell::kUnitParams > 0)
          store_gates<Cell::kUnitParams>(
              d_p, units, base_ + plan_.d_p[set_] + chunk * plan_.d_p_row + (block + u) * Cell::kUnitParams * W);
        if (!Cell::kHiddenCarry) d_prev[0] = V(T(0));
        store_previous(row, unit, d_prev, d_kept, reset);
        store_scaled(it.prev[0], row, unit, units);
      }
    }
  }

  /// The states after the step, before zoneout, and their gradients; d_next[0] is given. What zoneout hands on to the
  /// states before the step goes to d_kept.
  FASTRNN_INLINE void load_results(int64_t row, const T* y, int64_t unit, int units, Pack<V, Cell::kStates>& next,
                                   Pack<V, Cell::kStates>& d_next, Pack<V, Cell::kStates>& d_kept) const {
    const int64_t place = row * plan_.layout.padded + unit;
    if constexpr (Cell::kStates > 1) d_next[1] = V::load(base_ + plan_.d_state + place);
    if (!regularizers_.any_zoneout()) {
      next[0] = V::load_partial(y + unit, units);
      if constexpr (Cell::kStates > 1) next[1] = V::load(states_after(step_) + place);
      return;
    }
#pragma GCC unroll 2
    for (int k = 0; k < Cell::kStates; ++k) {
      next[k] = V::load(candidates(k) + place);
      d_kept[k] = regularizers_.zones_out(k) ? d_next[k] * regularizers_.kept(k, time_, row, unit, units) : V(T(0));
      d_next[k] = d_next[k] - d_kept[k];
    }
  }

  /// Gradients of the states before the step, as far as no product passes them on.
  FASTRNN_INLINE void store_previous(int64_t row, int64_t unit, Pack<V, Cell::kStates> d_prev,
                                     const Pack<V, Cell::kStates>& d_kept, bool reset) const {
    const int64_t place = row * plan_.layout.padded + unit;
    if (regularizers_.any_zoneout()) {
      d_prev[0] = d_prev[0] + d_kept[0];
      if constexpr (Cell::kStates > 1 && !kStateOperand) d_prev[1] = d_prev[1] + d_kept[1];
      if constexpr (kStateOperand) d_kept[1].store(base_ + plan_.kept_state + place);
    }
    if (carries_) (reset ? V(T(0)) : d_prev[0]).store(base_ + plan_.carry + place);
    // Where the operand has a state, the first phase goes on from here.
    if constexpr (Cell::kStates > 1)
      (reset && !kStateOperand ? V(T(0)) : d_prev[1]).store(base_ + plan_.d_state + place);
  }

  /// h as it has entered the product, for the gradient of the weights.
  FASTRNN_INLINE void store_scaled(V hidden, int64_t row, int64_t unit, int units) const {
    if (!regularizers_.scales_hidden()) return;
    (hidden * regularizers_.hidden_scale(row, unit, units))
        .store(base_ + plan_.scaled[set_] + (chunk_row(time_) + row) * plan_.layout.padded + unit);
  }

  /// sums: gradients of the operand; d_state: of its second part, where it has one.
  __attribute__((noinline)) void apply_operand(const T* sums, const T* d_state, int rows, int count, int64_t row,
                                               int64_t block) {
    if constexpr (Cell::kPhases == 2) {
      constexpr int kGates = Cell::kPhaseGates[0], kSplit = Cell::kPhaseSplit[0];
      const int64_t padded = plan_.layout.padded;
      for (int r = 0; r < rows; ++r, ++row) {
        const int64_t chunk = chunk_row(time_) + row;
        const T* const hidden_prev = previous_.hidden(row);
        const T* const state_prev = state_before(row);
        const bool reset = previous_.resets(row);
        for (int u = 0; u < count; ++u, sums += W, d_state += kStateOperand ? W : 0) {
          const int64_t unit = (block + u) * W;
          const int units = clip_lanes(args_.shape.hidden - unit, W);
          Unit it;
          load_unit(it, row, block + u, hidden_prev, state_prev);
          V operand = Cell::template operand<V>(it.reserve, it.prev);
          if (Cell::kOperandOfHidden && regularizers_.scales_hidden())
            operand = operand * regularizers_.hidden_scale(row, unit, units);
          operand.store(base_ + plan_.operand[set_] + chunk * padded + unit);
          T* const d_x_gates = base_ + plan_.d_x_gates[set_] + chunk * plan_.d_x_row + (block + u) * Cell::kGates * W;
          T* const carry = Cell::kHiddenCarry ? base_ + plan_.carry + row * padded + unit : nullptr;
          Pack<V, kGates> d_first;
#pragma GCC unroll 8
          for (int g = 0; g < kGates; ++g) d_first[g] = V::load(d_x_gates + g * W);
          Pack<V, Cell::kStates> d_prev;
          if constexpr (Cell::kHiddenCarry) d_prev[0] = V::load(carry);
          Pack<V, kSplit> d_x;
          Pack<V, Cell::kUnitParams> d_p;
          V d_operand = V::load(sums);
          T* const d_further = base_ + plan_.d_state + row * padded + unit;
          if constexpr (kStateOperand) {
            d_prev[0] = d_prev[0] + d_operand;
            d_prev[1] = V::load(d_further);
            d_operand = V::load(d_state);
          }
          Cell::template backward_operand<V>(it.reserve, it.params, it.prev, d_operand, d_prev, d_first, d_x, d_p);
          if constexpr (kStateOperand) {
            if (regularizers_.any_zoneout())
              d_prev[1] = d_prev[1] + V::load(base_ + plan_.kept_state + row * padded + unit);
            (reset ? V(T(0)) : d_prev[1]).store(d_further);
          }
          store_gates<kGates>(d_first, units,
                              base_ + plan_.d_h_gates[set_][0] + chunk * plan_.d_h_row[0] + (block + u) * kGates * W);
#pragma GCC unroll 8
          for (int g = 0; g < kSplit; ++g) d_first[kGates - kSplit + g] = d_x[g];
          store_gates<kGates>(d_first, units, d_x_gates);
          if constexpr (Cell::kHiddenCarry) (reset ? V(T(0)) : d_prev[0]).store(carry);
        }
      }
    }
  }

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
  void write_initial_gradients(Range rows) {
    T* d_hidden = static_cast<T*>(args_.d_initial[0]);
    for_block_tiles(blocks_, kBlocks, [&](int64_t block, int count) {
      for_row_tiles(own(rows), kTileRows<kBlocks>, [&](int64_t row, int size) {
        alignas(64) T sums[kTileRows<kBlocks> * kBlocks * W] = {};
        if (d_hidden) {
          // NOLINTNEXTLINE(clang-analyzer-core.NullPointerArithm): there is a later step
          multiply_recurrent<0>(later_gates_ + row * plan_.d_h_row[0], size, count, block, 0, sums);
          scale_hidden(sums, size, count, row, block);
          stop_at_resets(sums, size, count, row);
        }
        if constexpr (kStateOperand) {
          if (args_.d_initial[1]) add_state_gradients(later_gates_ + row * plan_.d_h_row[0], size, count, row, block);
        }
        for (int r = 0; r < size; ++r) {
          for (int u = 0; u < count; ++u) {
            const int64_t unit = (block + u) * W;
            V sum = V::load(sums + (r * count + u) * W);
            if (carries_) sum = V::load(base_ + plan_.carry + (row + r) * plan_.layout.padded + unit) + sum;
            store_initial_gradient(row + r, unit, sum);
          }
        }
      });
    });
  }

  void store_initial_gradient(int64_t row, int64_t unit, V d_hidden) {
    const LayerShape& s = args_.shape;
    const int64_t out = (direction_ * s.batch + steps_.place(row)) * s.hidden + unit;
    const int units = clip_lanes(s.hidden - unit, W);
    if (args_.d_initial[0]) d_hidden.store_partial(static_cast<T*>(args_.d_initial[0]) + out, units);
    if (Cell::kStates > 1 && args_.d_initial[1])
      V::load(base_ + plan_.d_state + row * plan_.layout.padded + unit)
          .store_partial(static_cast<T*>(args_.d_initial[1]) + out, units);
  }

  /// Their final states are the initial ones.
  void write_gradients_of_empty_sequences() {
    const LayerShape& s = args_.shape;
    const Range rows = own({steps_.count(0), s.batch});
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      const int64_t offset = (direction_ * s.batch + steps_.place(row)) * s.hidden;
      for (int64_t block = blocks_.begin; block < blocks_.end; ++block)
        store_initial_gradient(row, block * W,
                               load_or_zero(args_.d_final[0], offset + block * W, clip_lanes(s.hidden - block * W, W)));
    }
  }

  /// Zeroes what belongs to no row of a padded result.
  void zero_padding(const Sequence& result, int64_t columns) const {
    const LayerShape& s = args_.shape;
    if (!steps_.uneven() || !result.data || result.packed) return;
    const Range times = share(args_.rows.padded_steps, member_, members_);
    for (int64_t time = times.begin; time < times.end; ++time) {
      for (int64_t row = time < s.seq_len ? steps_.count(time) : 0; row < s.batch; ++row) {
        T* const out = steps_.template at<T>(result, time, row);
        for (int64_t i = 0; i < columns; ++i) out[i] = T(0);
      }
    }
  }

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
