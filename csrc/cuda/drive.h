#pragma once
// What the parts of an engine offer to the whole, in a file each because their kernels take long to compile.

#include "cells/cells.h"
#include "cuda/ops.h"
#include "cuda/plan.h"
#include "cuda/recurrent.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

struct Workspace;

/// Whether the persistent kernels know the cell; where not, its plans are stepwise.
template <class Cell>
constexpr bool kPersistent = !Cell::kNormalizesGates && !Cell::kNormalizesState && !Cell::kOperandHasState;

/// T: what the arrays of the call hold. Instantiated where FASTRNN_STEPWISE and FASTRNN_PERSISTENT say so.
template <class T, class Call>
void run_stepwise(int cell, const Call& call, const int64_t* offsets, Stream stream);
template <class T, class Call>
void run_persistent(int cell, const Call& call, const cuda::Placement& place, const Workspace& work, Stream stream);

/// The same with a projection. Instantiated where FASTRNN_PROJECTED says so.
template <class T, class Call>
void run_projected(const Call& call, const cuda::Placement& place, const Workspace& work, Stream stream);

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
