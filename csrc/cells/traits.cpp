#include "cells/traits.h"

#include "cells/cells.h"

namespace fastrnn {
namespace {

template <class Cell>
constexpr CellTraits traits_of() {
  return {Cell::kName,
          Cell::kGateNames,
          Cell::kUnitParamsName,
          Cell::kGates,
          Cell::kStates,
          Cell::kUnitParams,
          Cell::kPhases,
          Cell::kReserve,
          kSavedValues<Cell>,
          {Cell::kPhaseGates[0], Cell::kPhases > 1 ? Cell::kPhaseGates[Cell::kPhases - 1] : 0},
          {Cell::kPhaseSplit[0], Cell::kPhases > 1 ? Cell::kPhaseSplit[Cell::kPhases - 1] : 0},
          Cell::kHiddenCarry,
          Cell::kNormalizesGates,
          Cell::kNormalizesState,
          Cell::kOperandHasState,
          kTakesPairs<Cell>};
}

#define FASTRNN_TRAITS(Cell) traits_of<Cell>(),
constexpr CellTraits kTraits[] = {FASTRNN_FOR_EACH_CELL(FASTRNN_TRAITS)};
#undef FASTRNN_TRAITS

}  // namespace

int num_cells() { return kNumCells; }

const CellTraits& cell_traits(int cell) { return kTraits[cell]; }

}  // namespace fastrnn
