"""Which calls the engine takes, and how it runs a stack of layers or a single step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from fastrnn._autograd import LayerFunction, forward_engine
from fastrnn._plan import LayerPlan, StackPlan

__all__ = ["engine_refuses", "run_stack", "run_step", "transforms_active"]

_functorch_active = torch._C._are_functorch_transforms_active  # type: ignore[attr-defined]
_dispatch_modes = torch._C._len_torch_dispatch_stack
_autocast = torch._C._is_any_autocast_enabled
_tracing_state = torch._C._get_tracing_state
_is_grad_enabled = torch.is_grad_enabled
_STRIDED = torch.strided


def transforms_active() -> bool:
    """Whether the call is under ``torch.func`` or forward-mode differentiation."""
    return bool(_functorch_active()) or forward_ad._current_level >= 0


def engine_refuses(
    input: Tensor,  # noqa: A002 - torch's name
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    plan: StackPlan | LayerPlan | str,
    proj_size: int = 0,
) -> str | None:
    """Why the engine does not take this call, or None where it does: the one place that decides.

    Whoever is refused computes the same with torch's own operations, or raises torch's error.
    ``plan`` is the reason itself where shapes or dtype alone decide.
    """
    if isinstance(plan, str):
        return plan
    if proj_size:
        return "proj_size > 0"
    # What surrounds the call: all of these see tensors, or need operations, that are torch's own.
    if _functorch_active():
        return "under a torch.func transform"
    if forward_ad._current_level >= 0:
        return "under forward-mode differentiation"
    if _dispatch_modes():
        return "under a torch dispatch mode"
    if _tracing_state() is not None:
        return "under torch.jit.trace"
    if _autocast():
        return "under autocast"
    if not input.is_cpu or input.layout is not _STRIDED:
        return f"input is a {input.layout} tensor on {input.device}"
    if input.is_neg():  # memory holds the negative of the values
        return "input is a negative view"
    dtype = input.dtype
    for state in initial:
        if state is not None:
            kind = type(state)
            if (kind is not Tensor and kind is not Parameter) or state.dtype is not dtype:
                return f"initial state is a {state.dtype} {kind.__name__}"
            if not state.is_cpu or state.layout is not _STRIDED or state.is_neg():
                return f"initial state is a {state.layout} tensor on {state.device}"
            if state.shape != plan.state_shape:
                return f"initial state is {tuple(state.shape)}, not {plan.state_shape}"
    for weight, shape in zip(weights, plan.weight_shapes, strict=True):
        if weight is not None:
            kind = type(weight)
            if (kind is not Parameter and kind is not Tensor) or weight.dtype is not dtype:
                return f"a weight is a {weight.dtype} {kind.__name__}"
            if not weight.is_cpu or weight.layout is not _STRIDED or weight.is_neg():
                return f"a weight is a {weight.layout} tensor on {weight.device}"
            if weight.shape != shape:
                return f"a weight is {tuple(weight.shape)}, not {shape}"
    return None


def _with_grad(
    x: Tensor, initial: Sequence[Tensor | None], weights: Sequence[Tensor | None]
) -> bool:
    if not _is_grad_enabled():
        return False
    if x.requires_grad:
        return True
    for weight in weights:
        if weight is not None and weight.requires_grad:
            return True
    return any(state is not None and state.requires_grad for state in initial)


def _rows_contiguous(x: Tensor) -> Tensor:
    """``x`` with its last dimension contiguous, which is all that the engine asks of it."""
    return x if x.stride()[-1] == 1 else x.contiguous()


def run_stack(
    plan: StackPlan,
    x: Tensor,
    initial: tuple[Tensor | None, ...],
    weights: Sequence[Tensor | None],
    dropout: float = 0.0,
) -> tuple[Tensor, ...]:
    """``(y, h_n[, c_n])`` of all layers, with ``dropout`` between them."""
    x = _rows_contiguous(x)
    initial = tuple([None if state is None else state.contiguous() for state in initial])
    weights = [w if w is None or w.is_contiguous() else w.contiguous() for w in weights]
    if _with_grad(x, initial, weights):
        return _run_training(plan, x, initial, weights, dropout)

    finals = [x.new_empty_strided(plan.state_shape, plan.state_strides) for _ in initial]
    initial_at = [0 if state is None else state.data_ptr() for state in initial]
    final_at = [state.data_ptr() for state in finals]
    start, offset = 0, 0
    for layer in plan.layers:
        if start and dropout:
            x = torch.dropout(x, dropout, True)
        y = x.new_empty_strided(layer.y_shape, layer.y_strides)
        count = len(layer.weight_shapes)
        forward_engine(
            layer,
            x,
            tuple(at + offset if at else 0 for at in initial_at),
            weights[start : start + count],
            y,
            tuple(at + offset for at in final_at),
            0,
        )
        x = y
        start += count
        offset += plan.state_bytes
    return (x, *finals)


def _run_training(
    plan: StackPlan,
    x: Tensor,
    initial: tuple[Tensor | None, ...],
    weights: Sequence[Tensor | None],
    dropout: float,
) -> tuple[Tensor, ...]:
    h0 = initial[0]
    c0 = initial[1] if len(initial) == 2 else None
    if len(plan.layers) == 1:
        result: tuple[Tensor, ...] = LayerFunction.apply(plan.layers[0], x, h0, c0, *weights)
        return result
    per_layer = plan.layers[0].state_shape[0]
    h0_layers = [None] * len(plan.layers) if h0 is None else h0.split(per_layer)
    c0_layers = [None] * len(plan.layers) if c0 is None else c0.split(per_layer)
    states: list[tuple[Tensor, ...]] = []
    start = 0
    for layer, h0_layer, c0_layer in zip(plan.layers, h0_layers, c0_layers, strict=True):
        if start and dropout:
            x = torch.dropout(x, dropout, True)
        count = len(layer.weight_shapes)
        x, *finals = LayerFunction.apply(
            layer, x, h0_layer, c0_layer, *weights[start : start + count]
        )
        states.append(tuple(finals))
        start += count
    return (x, *(torch.cat(parts) for parts in zip(*states, strict=True)))


def run_step(
    plan: LayerPlan,
    x: Tensor,
    initial: tuple[Tensor | None, ...],
    weights: Sequence[Tensor | None],
) -> tuple[Tensor, ...]:
    """``(h',)`` or ``(h', c')`` of one step of a cell."""
    x = _rows_contiguous(x)
    initial = tuple([None if state is None else state.contiguous() for state in initial])
    weights = [w if w is None or w.is_contiguous() else w.contiguous() for w in weights]
    if _with_grad(x, initial, weights):
        c0 = initial[1] if len(initial) == 2 else None
        result: tuple[Tensor, ...] = LayerFunction.apply(plan, x, initial[0], c0, *weights)
        return result
    finals = tuple(x.new_empty_strided(plan.state_shape, plan.state_strides) for _ in initial)
    forward_engine(
        plan,
        x,
        tuple(0 if state is None else state.data_ptr() for state in initial),
        weights,
        finals[0],  # y and the final hidden state are the same
        tuple(state.data_ptr() for state in finals),
        0,
    )
    return finals
