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

void run_stepwise(int cell, int number, const cuda::Forward& call, const int64_t* offsets, Stream stream);
void run_stepwise(int cell, int number, const cuda::Backward& call, const int64_t* offsets, Stream stream);
void run_persistent(int cell, const cuda::Forward& call, const cuda::Placement& place, const Workspace& work,
                    Stream stream);
void run_persistent(int cell, const cuda::Backward& call, const cuda::Placement& place, const Workspace& work,
                    Stream stream);

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
