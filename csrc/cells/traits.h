#pragma once
// The constants of a cell as plain data, for code that is not a template.

namespace fastrnn {

struct CellTraits {
  const char* name;
  const char* gate_names;
  int gates, states, reserve, unit_params, phases;
  int phase_gates[2], phase_split[2];
  bool hidden_carry;
};

int num_cells();
const CellTraits& cell_traits(int cell);

}  // namespace fastrnn
