// The drivers with products of bfloat16 pairs; everything beside the products is float32. Compiled for instruction sets
// that have such products, in a namespace of its own (cmake/isa.cmake).

#include "cells/cells.h"
#include "cpu/bf16.h"

#include "cpu/backward_cell.h"
#include "cpu/backward_chunk.h"
#include "cpu/backward_finish.h"
#include "cpu/backward_normalized.h"
#include "cpu/backward_prepare.h"
#include "cpu/denormals.h"
#include "cpu/forward_cell.h"
#include "cpu/forward_normalized.h"
#include "cpu/forward_prepare.h"
#include "cpu/forward_project.h"
#include "cpu/kernels.h"

namespace fastrnn {
namespace FASTRNN_ISA {
namespace {

template <class Cell>
void forward(const ForwardArgs& args, const ForwardPlan& plan, void* scratch, Barrier* barriers, int thread) {
  const FlushDenormals scope;
  if constexpr (kTakesPairs<Cell>)
    ForwardPass<Cell, float, Bf16Pairs>(args, plan, static_cast<float*>(scratch), barriers, thread);
}

template <class Cell>
void backward(const BackwardArgs& args, const BackwardPlan& plan, void* scratch, Barrier* barriers, int thread) {
  const FlushDenormals scope;
  if constexpr (kTakesPairs<Cell>)
    BackwardPass<Cell, float, Bf16Pairs>(args, plan, static_cast<float*>(scratch), barriers, thread);
}

#define FASTRNN_FORWARD(Cell) forward<Cell>,
#define FASTRNN_BACKWARD(Cell) backward<Cell>,

}  // namespace

extern const Kernels kernels_bf16;
const Kernels kernels_bf16 = {Vec<float>::kLanes,
                              {FASTRNN_FOR_EACH_CELL(FASTRNN_FORWARD)},
                              {FASTRNN_FOR_EACH_CELL(FASTRNN_BACKWARD)},
                              {},
                              nullptr,
                              nullptr,
                              nullptr,
                              nullptr};

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
