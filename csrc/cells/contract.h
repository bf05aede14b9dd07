#pragma once
// What a cell tells the drivers about itself, beside its equations. Cells derive from this and say what is different.

#include "math/activations.h"

namespace fastrnn {

struct CellContract {
  // Every cell has: kName, kGateNames; kGates, kStates (h, or h and c), kReserve (values a unit saves for backward);
  // kPhaseGates[kPhases] and kPhaseSplit[kPhases], see below.

  /// Parameters that each unit has one of, beside the weights.
  static constexpr int kUnitParams = 0;
  static constexpr const char* kUnitParamsName = "";  // what functions call them
  /// Recurrent products a step. With two, the first phase's equations make the operand of the second product; each has
  /// kPhaseGates of the gates, of which the last kPhaseSplit keep the input's and the recurrent part apart.
  static constexpr int kPhases = 1;
  /// With two phases: which saved values the first leaves, a bit each; they are not where x gates are still waiting.
  static constexpr unsigned kOperandReserve = 0;
  /// With two phases: the operand is h times something, so that dropout on h reaches it, too.
  static constexpr bool kOperandOfHidden = true;
  /// The products' operands are h and a further state, side by side: weight_hh is [G * H, 2 H]. The first phase's is
  /// (h, c), the second's (h, operand).
  static constexpr bool kOperandHasState = false;
  /// h' depends on h directly, beside the products.
  static constexpr bool kHiddenCarry = false;
  /// Both parts of the pre-activations are normalized over all gates, then scaled by the first 2 * kGates parameters of
  /// a unit: those of the input's part, those of the recurrent part. Biases come after that.
  static constexpr bool kNormalizesGates = false;
  /// forward_output makes h' from the second state, normalized over the units; backward finds it in next[0].
  static constexpr bool kNormalizesState = false;
  static constexpr double kNormEpsilon = 1e-5;  // added to the variance
};

/// Values a unit saves: with normalized gates both parts besides, before scaling.
template <class Cell>
constexpr int kSavedValues = Cell::kReserve + (Cell::kNormalizesGates ? 2 * Cell::kGates : 0);

/// Whether products of bfloat16 pairs (cpu/bf16.h) are made for the cell; the others widen their numbers.
template <class Cell>
constexpr bool kTakesPairs = !Cell::kNormalizesGates && !Cell::kOperandHasState;

}  // namespace fastrnn
