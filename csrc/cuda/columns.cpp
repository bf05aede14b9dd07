#include "cells/traits.h"
#include "cuda/engine.h"

namespace fastrnn {
namespace cuda {

Columns columns_of(int cell) {
  const CellTraits& c = cell_traits(cell);
  Columns columns{c.gates > c.saved ? c.gates : c.saved, c.gates, 0, {}};
  int first_gate = 0;
  for (int phase = 0; phase < c.phases; ++phase) {
    const int splits = c.phase_split[phase], joint = c.phase_gates[phase] - splits;
    if (joint > 0) columns.segments[columns.num_segments++] = {first_gate, first_gate, joint, phase};
    if (splits > 0) columns.segments[columns.num_segments++] = {columns.gradients, first_gate + joint, splits, phase};
    first_gate += joint + splits;
    columns.gradients += splits;
  }
  return columns;
}

}  // namespace cuda
}  // namespace fastrnn
