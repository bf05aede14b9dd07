#pragma once
// What torch's own layers would take for the recurrence of a call on a GPU, by a model: cuDNN's algorithm as torch
// chooses it, and what that costs. For deciding which of the two computes; plain C++ without CUDA.

#include "cells/traits.h"
#include "cuda/device.h"

namespace fastrnn {
namespace cuda {

enum class TorchPath : int {
  kNone,           // torch has no such cell
  kStandard,       // cuDNN: a product and a pointwise kernel a step
  kPersistSmall,   // cuDNN's PERSIST_STATIC_SMALL_H: one launch, the weights in few multiprocessors
  kPersistStatic,  // cuDNN's PERSIST_STATIC: one launch, the weights in all of them; float16 only
  kCell,           // a single step: a product and a pointwise kernel of torch's
};

/// One layer of a call.
struct TorchCall {
  int64_t seq_len;
  int batch, input, hidden, directions;
  int number;  // of core/number.h
  int layers;  // of the whole call: which algorithm torch takes depends on it
  bool backward, packed, step;
  bool tf32;  // whether torch may round float32 operands to TF32
  int projection = 0;
};

TorchPath torch_path(const DeviceCaps& device, const CellTraits& cell, const TorchCall& call);
const char* name_of(TorchPath path);

/// Microseconds a step, without the products over all steps, which both sides have.
double torch_microseconds(const DeviceCaps& device, const CellTraits& cell, const TorchCall& call);

}  // namespace cuda
}  // namespace fastrnn
