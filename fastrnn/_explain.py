"""``fastrnn.explain``: who computes a layer's call, how, and why."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from fastrnn import _cuda
from fastrnn._cuda.against_torch import describe, times
from fastrnn._cuda.layer import wants_grad
from fastrnn._native import core
from fastrnn._plan import LayerPlan, StackPlan, engine_number
from fastrnn._rows import Rows
from fastrnn.nn._base import RecurrentLayer

__all__ = ["explain"]

# Multiprocessors, shared memory of a block in KiB, largest cluster, compute capability.
_GPUS = {
    "a100": ("NVIDIA A100", 108, 163, 1, (8, 0)),
    "h100": ("NVIDIA H100 SXM", 132, 227, 16, (9, 0)),
    "b200": ("NVIDIA B200", 148, 227, 16, (10, 0)),
}


def gpu_caps(name: str) -> Any:
    """What plans depend on, of a GPU that need not be there; ValueError lists those known."""
    if name not in _GPUS:
        raise ValueError(f"gpu: {name!r} is none of {', '.join(_GPUS)}")
    caps = core.cuda.DeviceCaps()
    caps.name, caps.multiprocessors, kibibytes, caps.max_cluster, (caps.major, caps.minor) = _GPUS[
        name
    ]
    caps.shared_per_block = kibibytes << 10
    caps.shared_per_sm = (kibibytes + 1) << 10
    caps.registers_per_sm, caps.threads_per_sm, caps.cooperative = 1 << 16, 2048, True
    return caps


def explain(
    module: RecurrentLayer,
    input: Any,  # noqa: A002 - torch's name
    hx: Any = None,
    *,
    lengths: Any = None,
    resets: Any = None,
    gpu: str | None = None,
) -> str:
    """Who computes this call of a layer, how, and why, in lines of text; nothing is computed.

    On the CPU: the instruction set.  On a GPU, for each layer, forward and backward: the kernels
    (stepwise, or persistent in one block, clusters or a whole grid), how many blocks of how many
    units and rows, and where the weights live.  Where the engine does not take the call, the
    reason: among others, that a model of both expects torch's own layer to be faster.

    ``gpu`` plans for a GPU that need not be there: ``"a100"``, ``"h100"`` or ``"b200"``; the
    arguments may then be on the CPU.  Times are those of the planner's model, not measured.

    Raises ``TypeError`` where ``module`` is none of ``fastrnn.nn``'s layers, ``ValueError`` for
    another ``gpu``, and what the layer itself raises for malformed ``lengths`` or ``resets``.

    >>> import torch
    >>> from fastrnn import nn
    >>> print(explain(nn.LSTM(3, 64), torch.randn(7, 1, 3), gpu="a100"))  # doctest: +ELLIPSIS
    on NVIDIA A100, by plan (not measured):
      layer 0 forward: block: 1 x 1 blocks of 64 units, 1 rows each, weights in registers ...
      layer 0 backward: block: ...
    """
    if not isinstance(module, RecurrentLayer):
        raise TypeError(f"module: expected a layer of fastrnn.nn, got {type(module).__name__}")
    rows: Rows | None = None
    if lengths is not None or resets is not None or isinstance(input, PackedSequence):
        found = module._rows(input, lengths, resets)
        if isinstance(found, str):
            return f"torch's operations: {found}"
        rows = found
    call = module._engine_call(input, hx, rows, projects=gpu is not None)
    if isinstance(call, str):
        return f"torch's operations: {call}"
    stack: StackPlan = call[0]
    x: torch.Tensor = call[1]
    if gpu is not None:
        caps = gpu_caps(gpu)
        first = stack.layers[0]
        reason = core.testing.emulated.refuses(first.cell, engine_number(first.number))
        if reason is not None:
            return f"torch's operations: {reason}"
        lines = _plans(stack.layers, caps, "by plan (not measured)")
        if module._torch_takes(isinstance(input, PackedSequence), rows):
            lines += _against_torch(stack, caps, isinstance(input, PackedSequence), call)
        return lines
    if x.is_cpu:
        isa = core.isa_name(stack.layers[0].isa)
        return f"the CPU engine, {isa}, up to {torch.get_num_threads()} threads"
    device = x.device.index or 0
    return _plans(stack.layers, core.cuda.device_caps(device), "times by the planner's model")


def _plans(layers: tuple[LayerPlan, ...], caps: Any, how: str) -> str:
    lines = [f"on {caps.name}, {how}:"]
    for number, layer in enumerate(layers):
        engine = _cuda.device_engine._replace(caps=lambda device: caps)  # noqa: ARG005
        for backward, word in ((False, "forward"), (True, "backward")):
            plan = _cuda.plan_of(engine, layer, 0, backward)
            lines.append(f"  layer {number} {word}: {plan.why}")
    return "\n".join(lines)


def _against_torch(stack: StackPlan, caps: Any, packed: bool, call: tuple[Any, ...]) -> str:
    engine = _cuda.device_engine._replace(caps=lambda device: caps)  # noqa: ARG005
    x, initial, weights = call[1:4]
    found = times(engine, stack, 0, packed, wants_grad(x, initial, weights))
    if found is None:
        return ""
    if found.engine > found.torch:
        return f"\n  left to torch: {describe(found)}"
    return f"\n  torch's layer: {found.torch:.1f} us a step ({found.by}) by a model"
