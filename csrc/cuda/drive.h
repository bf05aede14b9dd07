#pragma once
// What the parts of an engine offer to the whole, in a file each because their kernels take long to compile.

#include "cells/cells.h"
#include "cuda/ops.h"
#include "cuda/plan.h"
#include "cuda/recurrent.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

struct Workspace;

/// Whether the kernels know all that the cell needs. The others are left to torch's operations.
template <class Cell>
constexpr const char* refusal_of() {
  if (Cell::kNormalizesGates || Cell::kNormalizesState) return "the CUDA engine has no layer normalization yet";
  if (Cell::kOperandHasState) return "the CUDA engine has no products with further states yet";
  return nullptr;
}

/// T: what the arrays of the call hold. Instantiated where FASTRNN_STEPWISE and FASTRNN_PERSISTENT say so.
template <class T, class Call>
void run_stepwise(int cell, const Call& call, const int64_t* offsets, Stream stream);
template <class T, class Call>
void run_persistent(int cell, const Call& call, const cuda::Placement& place, const Workspace& work, Stream stream);

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
