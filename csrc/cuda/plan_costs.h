#pragma once
// A model of what a step takes, by which plans are chosen. In microseconds; nothing of it is measured.

#include "cells/traits.h"
#include "cuda/plan.h"

namespace fastrnn {
namespace cuda {

double persistent_microseconds(const DeviceCaps& device, const Problem& problem, const Placement& place);
double stepwise_microseconds(const DeviceCaps& device, const CellTraits& cell, const Problem& problem,
                             const Placement& place);

}  // namespace cuda
}  // namespace fastrnn
