#include "cells/traits.h"
#include "cuda/engine.h"

namespace fastrnn {
namespace cuda {

Columns columns_of(int cell) {
  const CellTraits& c = cell_traits(cell);
  const bool normalizes = c.normalizes_gates;
  const int working = c.gates > c.reserve ? c.gates : c.reserve;
  Columns columns{normalizes ? c.saved : working, working, normalizes ? c.reserve : 0, c.gates, c.unit_params, 0, {}};
  int first_gate = 0;
  for (int phase = 0; phase < c.phases; ++phase) {
    const int splits = c.phase_split[phase], joint = c.phase_gates[phase] - splits;
    if (joint > 0) columns.segments[columns.num_segments++] = {first_gate, first_gate, joint, phase};
    if (splits > 0) columns.segments[columns.num_segments++] = {columns.gradients, first_gate + joint, splits, phase};
    first_gate += joint + splits;
    columns.gradients += splits;
  }
  if (normalizes) {
    columns.unit_gradients += columns.gradients;
    columns.segments[0] = {columns.gradients, 0, c.gates, 0};
    columns.num_segments = 1;
    columns.gradients += c.gates;
  }
  return columns;
}

}  // namespace cuda
}  // namespace fastrnn
