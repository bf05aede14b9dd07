"""What the engine does not take."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from fastrnn._cuda.plans import device_engine
from fastrnn._cuda.switch import enabled
from fastrnn._plan import LayerPlan, StackPlan, engine_number

__all__ = ["refuses"]


def refuses(
    input: Tensor,  # noqa: A002 - torch's name
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    plan: StackPlan | LayerPlan,
) -> str | None:
    """Why the engine does not take tensors on a GPU, or None; see `_dispatch.engine_refuses`."""
    first = plan if isinstance(plan, LayerPlan) else plan.layers[0]
    reason = device_engine.functions.refuses(first.cell, engine_number(first.number))
    if reason is not None:  # that it was built without CUDA, for one
        return f"input is on {input.device}, and {reason}"
    if not enabled():
        return (
            f"input is on {input.device}, and the CUDA engine is off: it has not been measured on "
            "a GPU yet (fastrnn.backends.use_cuda)"
        )
    if input.is_neg():
        return "input is a negative view"
    if len(weights) != len(plan.weight_shapes):
        return f"there are {len(weights)} weights, not {len(plan.weight_shapes)}"
    expected = [
        ("initial state", state, shape, input.dtype)
        for state, shape in zip(initial, plan.state_shapes, strict=False)
    ]
    expected += [
        ("weight", weight, shape, plan.weight_dtype)
        for weight, shape in zip(weights, plan.weight_shapes, strict=True)
    ]
    for name, tensor, shape, dtype in expected:
        if tensor is None:
            continue
        if type(tensor) not in (Tensor, Parameter):
            return f"a tensor ({name}) is a {type(tensor).__name__}"
        if tensor.dtype != dtype or tensor.shape != shape:
            return f"a tensor ({name}) is {tensor.dtype} {tuple(tensor.shape)}, not {dtype} {shape}"
        if tensor.device != input.device or tensor.layout != torch.strided or tensor.is_neg():
            return f"a tensor ({name}) is a {tensor.layout} tensor on {tensor.device}"
    return None
