#include "cpu/half.h"

#include <string.h>

#include "cells/traits.h"
#include "cpu/engine.h"
#include "cpu/exchange.h"
#include "cpu/isa.h"

namespace fastrnn {
namespace {

constexpr int kHalf = 2, kFloat = 4;  // bytes

/// How the numbers of a call become float32 and back, or pairs for the products.
struct Types {
  const Conversions& conversions;
  bool mixed, pairs;

  Types(const CellTraits& cell, int number, int isa)
      : conversions(built_isas()[size_t(isa)].f32->halves[(number & ~kMixed) == kFloat16]),
        mixed(number & kMixed),
        pairs((number & ~kMixed) == kBfloat16 && bf16_products() && built_isas()[size_t(isa)].bf16 &&
              cell.takes_pairs) {}
  int parameter_size() const { return mixed ? kFloat : kHalf; }
  int engine_number() const { return pairs ? kPairs : kFloat32; }
  Convert read_parameter() const { return mixed ? conversions.round : conversions.widen; }
};

void copy_halves(const void* from, void* to, int64_t count) { memcpy(to, from, size_t(count) * kHalf); }

bool aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % kFloat == 0; }

struct Sizes {
  int64_t y, states, weight_ih, weight_hh, bias, unit_params;

  Sizes(const CellTraits& cell, const LayerShape& s)
      : y(s.hidden * s.directions),
        states(s.directions * s.batch * s.hidden),
        weight_ih(cell.gates * s.hidden * s.input),
        weight_hh(cell.gates * s.hidden * s.hidden * cell.operand_states()),
        bias(cell.gates * s.hidden),
        unit_params(cell.unit_params * s.hidden) {}
};

/// As pairs, of which an odd row's last one is half empty; left where they are if they lie so already.
void pair_weight(Exchange& exchange, const Types& types, int64_t rows, int64_t columns, void** weight) {
  if (types.mixed)
    exchange.in_rows(weight, rows, columns, columns + columns % 2, types.conversions.narrow, kFloat, kHalf);
  else if (columns % 2 || !aligned(*weight))
    exchange.in_rows(weight, rows, columns, columns + columns % 2, copy_halves, kHalf, kHalf);
}

void pair_sequence(Exchange& exchange, const LayerShape& s, const RowMap& rows, int64_t columns, Sequence& x) {
  if (columns % 2 || (!x.packed && x.stride_t % 2) || x.stride_b % 2 || !aligned(x.data))
    exchange.in(x, s, rows, columns, columns + columns % 2, copy_halves, kHalf, kHalf);
  x.stride_t /= 2;
  x.stride_b /= 2;
}

void widen_weights(Exchange& exchange, const Types& types, const Sizes& sizes, Parameters& p) {
  const Convert read = types.read_parameter();
  exchange.in(&p.weight_ih, sizes.weight_ih, read, types.parameter_size(), kFloat);
  exchange.in(&p.weight_hh, sizes.weight_hh, read, types.parameter_size(), kFloat);
}

void widen_parameters(Exchange& exchange, const Types& types, const Sizes& sizes, Parameters& p) {
  const Convert read = types.read_parameter();
  const int size = types.parameter_size();
  exchange.in(&p.bias_ih, sizes.bias, read, size, kFloat);
  exchange.in(&p.bias_hh, sizes.bias, read, size, kFloat);
  exchange.in(&p.unit_params, sizes.unit_params, read, size, kFloat);
}

void round_gradients(Exchange& exchange, const Types& types, const Sizes& sizes, Parameters& p) {
  if (types.mixed) return;  // the caller's are float32 already
  const Convert narrow = types.conversions.narrow;
  exchange.out(&p.weight_ih, sizes.weight_ih, narrow, kFloat, kHalf);
  exchange.out(&p.weight_hh, sizes.weight_hh, narrow, kFloat, kHalf);
  exchange.out(&p.bias_ih, sizes.bias, narrow, kFloat, kHalf);
  exchange.out(&p.bias_hh, sizes.bias, narrow, kFloat, kHalf);
  exchange.out(&p.unit_params, sizes.unit_params, narrow, kFloat, kHalf);
}

int64_t float_reserve_bytes(int cell, int isa, const LayerShape& shape) {
  return (reserve_bytes(cell, kFloat32, isa, shape) + 63) / 64 * 64;
}

}  // namespace

int64_t reserve_bytes_half(int cell, int isa, const LayerShape& s) {
  return float_reserve_bytes(cell, isa, s) + s.total_rows() * s.directions * s.hidden * kFloat;
}

void run_forward_half(int cell, int number, int isa, int threads, const ForwardArgs& args) {
  const LayerShape& s = args.shape;
  const CellTraits& traits = cell_traits(cell);
  const Types types(traits, number, isa);
  const Sizes sizes(traits, s);
  const Convert widen = types.conversions.widen, narrow = types.conversions.narrow;
  ForwardArgs wide = args;
  Exchange exchange;
  if (types.pairs)
    pair_sequence(exchange, s, args.rows, s.input, wide.x);
  else
    exchange.in(wide.x, s, args.rows, s.input, s.input, widen, kHalf, kFloat);
  for (int d = 0; d < s.directions; ++d) {
    Parameters& p = wide.params[d];
    if (types.pairs) {
      pair_weight(exchange, types, traits.gates * s.hidden, s.input, &p.weight_ih);
      pair_weight(exchange, types, traits.gates * s.hidden, s.hidden, &p.weight_hh);
    } else {
      widen_weights(exchange, types, sizes, p);
    }
    widen_parameters(exchange, types, sizes, p);
  }
  for (int i = 0; i < traits.states; ++i) {
    exchange.in(&wide.initial[i], sizes.states, widen, kHalf, kFloat);
    exchange.out(&wide.final_states[i], sizes.states, narrow, kFloat, kHalf);
  }
  exchange.out(wide.y, s, args.rows, sizes.y, narrow, kFloat, kHalf);
  if (args.reserve) exchange.place(&wide.y.data, static_cast<char*>(args.reserve) + float_reserve_bytes(cell, isa, s));
  exchange.open(threads);
  run_forward(cell, types.engine_number(), isa, threads, wide);
  exchange.close(threads);
}

void run_backward_half(int cell, int number, int isa, int threads, const BackwardArgs& args) {
  const LayerShape& s = args.shape;
  const CellTraits& traits = cell_traits(cell);
  const Types types(traits, number, isa);
  const Sizes sizes(traits, s);
  const Convert widen = types.conversions.widen, narrow = types.conversions.narrow;
  BackwardArgs wide = args;
  const char* reserve = static_cast<const char*>(args.reserve);
  wide.y = {const_cast<char*>(reserve + float_reserve_bytes(cell, isa, s)), s.batch * sizes.y, sizes.y,
            args.rows.offsets != nullptr};
  Exchange exchange;
  exchange.in(wide.x, s, args.rows, s.input, s.input, widen, kHalf, kFloat);
  exchange.in(wide.d_y, s, args.rows, sizes.y, sizes.y, widen, kHalf, kFloat);
  exchange.out(wide.d_x, s, args.rows, s.input, narrow, kFloat, kHalf);
  for (int d = 0; d < s.directions; ++d) {
    Parameters& p = wide.params[d];
    if (types.pairs && types.mixed) {
      exchange.in(&p.weight_ih, sizes.weight_ih, narrow, kFloat, kHalf);
      exchange.in(&p.weight_hh, sizes.weight_hh, narrow, kFloat, kHalf);
    } else if (!types.pairs) {
      widen_weights(exchange, types, sizes, p);
    }
    widen_parameters(exchange, types, sizes, p);
    round_gradients(exchange, types, sizes, wide.d_params[d]);
  }
  for (int i = 0; i < traits.states; ++i) {
    exchange.in(&wide.initial[i], sizes.states, widen, kHalf, kFloat);
    exchange.in(&wide.d_final[i], sizes.states, widen, kHalf, kFloat);
    exchange.out(&wide.d_initial[i], sizes.states, narrow, kFloat, kHalf);
  }
  exchange.open(threads);
  run_backward(cell, types.engine_number(), isa, threads, wide);
  exchange.close(threads);
}

}  // namespace fastrnn
