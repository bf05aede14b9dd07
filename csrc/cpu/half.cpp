#include "cpu/half.h"

#include "cells/traits.h"
#include "cpu/engine.h"
#include "cpu/exchange.h"
#include "cpu/isa.h"

namespace fastrnn {
namespace {

constexpr int kHalf = 2, kFloat = 4;  // bytes

/// How the numbers of a call become float32 and back.
struct Types {
  const Conversions& conversions;
  bool mixed;

  Types(int number, int isa)
      : conversions(built_isas()[size_t(isa)].f32->halves[(number & ~kMixed) == kFloat16]), mixed(number & kMixed) {}
  int parameter_size() const { return mixed ? kFloat : kHalf; }
  Convert read_parameter() const { return mixed ? conversions.round : conversions.widen; }
};

struct Sizes {
  int64_t x, y, states, weight_ih, weight_hh, bias, unit_params;

  Sizes(const CellTraits& cell, const LayerShape& s)
      : x(s.input),
        y(s.hidden * s.directions),
        states(s.directions * s.batch * s.hidden),
        weight_ih(cell.gates * s.hidden * s.input),
        weight_hh(cell.gates * s.hidden * s.hidden),
        bias(cell.gates * s.hidden),
        unit_params(cell.unit_params * s.hidden) {}
};

void widen_parameters(Exchange& exchange, const Types& types, const Sizes& sizes, Parameters& p) {
  const Convert read = types.read_parameter();
  const int size = types.parameter_size();
  exchange.in(&p.weight_ih, sizes.weight_ih, read, size, kFloat);
  exchange.in(&p.weight_hh, sizes.weight_hh, read, size, kFloat);
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
  const Types types(number, isa);
  const Sizes sizes(traits, s);
  const Convert widen = types.conversions.widen, narrow = types.conversions.narrow;
  ForwardArgs wide = args;
  Exchange exchange;
  exchange.in(wide.x, s, args.rows, sizes.x, sizes.x, widen, kHalf, kFloat);
  for (int d = 0; d < s.directions; ++d) widen_parameters(exchange, types, sizes, wide.params[d]);
  for (int i = 0; i < traits.states; ++i) {
    exchange.in(&wide.initial[i], sizes.states, widen, kHalf, kFloat);
    exchange.out(&wide.final_states[i], sizes.states, narrow, kFloat, kHalf);
  }
  exchange.out(wide.y, s, args.rows, sizes.y, narrow, kFloat, kHalf);
  if (args.reserve) exchange.place(&wide.y.data, static_cast<char*>(args.reserve) + float_reserve_bytes(cell, isa, s));
  exchange.open(threads);
  run_forward(cell, kFloat32, isa, threads, wide);
  exchange.close(threads);
}

void run_backward_half(int cell, int number, int isa, int threads, const BackwardArgs& args) {
  const LayerShape& s = args.shape;
  const CellTraits& traits = cell_traits(cell);
  const Types types(number, isa);
  const Sizes sizes(traits, s);
  const Convert widen = types.conversions.widen, narrow = types.conversions.narrow;
  BackwardArgs wide = args;
  const char* reserve = static_cast<const char*>(args.reserve);
  wide.y = {const_cast<char*>(reserve + float_reserve_bytes(cell, isa, s)), s.batch * sizes.y, sizes.y,
            args.rows.offsets != nullptr};
  Exchange exchange;
  exchange.in(wide.x, s, args.rows, sizes.x, sizes.x, widen, kHalf, kFloat);
  exchange.in(wide.d_y, s, args.rows, sizes.y, sizes.y, widen, kHalf, kFloat);
  exchange.out(wide.d_x, s, args.rows, sizes.x, narrow, kFloat, kHalf);
  for (int d = 0; d < s.directions; ++d) {
    widen_parameters(exchange, types, sizes, wide.params[d]);
    round_gradients(exchange, types, sizes, wide.d_params[d]);
  }
  for (int i = 0; i < traits.states; ++i) {
    exchange.in(&wide.initial[i], sizes.states, widen, kHalf, kFloat);
    exchange.in(&wide.d_final[i], sizes.states, widen, kHalf, kFloat);
    exchange.out(&wide.d_initial[i], sizes.states, narrow, kFloat, kHalf);
  }
  exchange.open(threads);
  run_backward(cell, kFloat32, isa, threads, wide);
  exchange.close(threads);
}

}  // namespace fastrnn
