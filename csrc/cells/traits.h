#pragma once
// The constants of a cell as plain data, for code that is not a template.

namespace fastrnn {

struct CellTraits {
  const char* name;
  const char* gate_names;
  const char* unit_params_name;
  int gates, states, unit_params, phases;
  int reserve, saved;  // values a unit saves for backward: the equations', all of them
  int phase_gates[2], phase_split[2];
  bool hidden_carry, normalizes_gates, normalizes_state, operand_has_state, takes_pairs;

  int operand_states() const { return operand_has_state ? 2 : 1; }
};

int num_cells();
const CellTraits& cell_traits(int cell);

}  // namespace fastrnn
