"""The way to the CUDA engine: tensors in, addresses out; products over all steps by torch.

The engine computes what is recurrent.  The input's products with its weights before it, and the
gradients of weights and input after it, are one matrix product each over all steps, for which
torch's libraries are as fast as anything.

Nothing here asks where the tensors are: with the emulated engine, which tests use, they are on
the CPU.
"""

from __future__ import annotations

from fastrnn._cuda import against_torch, plans
from fastrnn._cuda.against_torch import left_to_torch
from fastrnn._cuda.layer import apply_layer
from fastrnn._cuda.plans import Engine, device_engine, emulated_engine, plan_of
from fastrnn._cuda.precision import tf32_allowed
from fastrnn._cuda.refusals import refuses
from fastrnn._cuda.run import run_stack, run_step
from fastrnn._cuda.switch import MODES, Only, enabled, plan_only, set_enabled

__all__ = [
    "MODES",
    "Engine",
    "Only",
    "against_torch",
    "apply_layer",
    "device_engine",
    "emulated_engine",
    "enabled",
    "left_to_torch",
    "plan_of",
    "plan_only",
    "plans",
    "refuses",
    "run_stack",
    "run_step",
    "set_enabled",
    "tf32_allowed",
]
