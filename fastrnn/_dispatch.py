"""Which calls the engine takes, and how it runs a stack of layers or a single step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from fastrnn import _cuda
from fastrnn._autograd import apply_layer, forward_engine
from fastrnn._lengths import Rows
from fastrnn._plan import LayerPlan, StackPlan
from fastrnn._regularizers import Regularizers

__all__ = [
    "composed_needed",
    "engine_refuses",
    "never_compiled",
    "run_stack",
    "run_step",
    "transforms_active",
]

# (plan of a layer, its input) -> what is drawn for the recurrence
Draw = Callable[[LayerPlan, Tensor], "Regularizers | None"]
_Function = TypeVar("_Function", bound=Callable[..., Any])
_eval_frame = torch._C._dynamo.eval_frame
_functorch_active = torch._C._are_functorch_transforms_active
_dispatch_modes = torch._C._len_torch_dispatch_stack
_tracing_state = torch._C._get_tracing_state
_is_grad_enabled = torch.is_grad_enabled
_STRIDED = torch.strided


def transforms_active() -> bool:
    """Whether the call is under ``torch.func`` or forward-mode differentiation."""
    return bool(_functorch_active()) or forward_ad._current_level >= 0


# torch.compile calls it while tracing, and guards what it depends on in every graph anyway.
transforms_active._dynamo_marked_constant = True  # type: ignore[attr-defined]


def never_compiled(function: _Function) -> _Function:
    """Mark the way to the engine: a call that torch.compile gave up on gets there uncompiled.

    What ``torch.compiler.disable`` does, without its wrapper, which costs as much as a small layer.
    """
    _eval_frame.set_code_exec_strategy(
        function.__code__,
        _eval_frame._FrameExecStrategy(
            _eval_frame._FrameAction.SKIP, _eval_frame._FrameAction.SKIP
        ),
    )
    return function


def composed_needed(*tensors: Any) -> bool:
    """Whether an eager call needs `fastrnn._composed`: where torch's own layers fail or err.

    Under transforms, and with tensors that wrap others (``DTensor``, for one): those follow
    operations one by one, but not the writes in place that torch's layers make.
    """
    return transforms_active() or any(map(is_traceable_wrapper_subclass, tensors))


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
    if proj_size and not input.is_cuda:
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
    if input.is_cuda and input.layout is _STRIDED:
        return _cuda.refuses(input, initial, weights, plan)
    if not input.is_cpu or input.layout is not _STRIDED:
        return f"input is a {input.layout} tensor on {input.device}"
    if input.is_neg():  # memory holds the negative of the values
        return "input is a negative view"
    dtype, weight_dtype = input.dtype, plan.weight_dtype
    for state, shape in zip(initial, plan.state_shapes, strict=False):
        if state is not None:
            kind = type(state)
            if kind is not Tensor and kind is not Parameter:
                return f"initial state is a {kind.__name__}"
            if state.dtype is not dtype:
                return f"initial state is {state.dtype}, the input {dtype}"
            if not state.is_cpu or state.layout is not _STRIDED or state.is_neg():
                return f"initial state is a {state.layout} tensor on {state.device}"
            if state.shape != shape:
                return f"initial state is {tuple(state.shape)}, not {shape}"
    if len(weights) != len(plan.weight_shapes):  # attributes were changed after construction
        return f"there are {len(weights)} weights, not {len(plan.weight_shapes)}"
    for weight, shape in zip(weights, plan.weight_shapes, strict=True):
        if weight is not None:
            kind = type(weight)
            if kind is not Parameter and kind is not Tensor:
                return f"a weight is a {kind.__name__}"
            if weight.dtype is not weight_dtype:
                return f"a weight is {weight.dtype}, the input {dtype}"
            if not weight.is_cpu or weight.is_neg():
                return f"a weight is on {weight.device} or a negative view"
            if weight.shape != shape:
                return f"a weight is {tuple(weight.shape)}, not {shape}"
    return None


def _prepared(
    x: Tensor, initial: tuple[Tensor | None, ...], weights: Sequence[Tensor | None]
) -> tuple[Tensor, tuple[Tensor | None, ...], Sequence[Tensor | None], bool]:
    """The arguments in memory as the engine reads them, and whether anyone wants gradients."""
    if x.stride()[-1] != 1:  # all that is asked of x
        x = x.contiguous()
    with_grad = _is_grad_enabled()
    wanted = with_grad and x.requires_grad
    if initial[0] is not None or initial[-1] is not None:
        initial = tuple([None if state is None else state.contiguous() for state in initial])
        wanted = wanted or (with_grad and any(s is not None and s.requires_grad for s in initial))
    for weight in weights:
        if weight is not None and not weight.is_contiguous():
            weights = [None if w is None else w.contiguous() for w in weights]
            break
    if with_grad and not wanted:
        for weight in weights:
            if weight is not None and weight.requires_grad:
                wanted = True
                break
    return x, initial, weights, wanted


def run_stack(
    plan: StackPlan,
    x: Tensor,
    initial: tuple[Tensor | None, ...],
    weights: Sequence[Tensor | None],
    dropout: float = 0.0,
    rows: Rows | None = None,
    draw: Draw | None = None,
) -> tuple[Tensor, ...]:
    """``(y, h_n[, c_n])`` of all layers, with ``dropout`` between them.

    ``draw`` makes a layer's regularizers.
    """
    if not x.is_cpu:
        return _cuda.run_stack(plan, x, initial, weights, dropout, rows, draw)
    x, initial, weights, wanted = _prepared(x, initial, weights)
    if wanted:
        return _run_training(plan, x, initial, weights, dropout, rows, draw)
    h_n = x.new_empty_strided(plan.state_shape, plan.state_strides)
    finals: tuple[Tensor, ...] = (h_n,)
    if len(initial) == 2:
        finals = (h_n, x.new_empty_strided(plan.state_shape, plan.state_strides))
    initial_at = [0 if state is None else state.data_ptr() for state in initial]
    final_at = [state.data_ptr() for state in finals]
    layers = plan.layers
    if len(layers) == 1:
        y = x.new_empty_strided(layers[0].y_shape, layers[0].y_strides)
        noise = None if draw is None else draw(layers[0], x)
        forward_engine(layers[0], x, tuple(initial_at), weights, y, tuple(final_at), 0, rows, noise)
        return (y, *finals)
    count = len(layers[0].weight_shapes)
    for index, layer in enumerate(layers):
        if index and dropout:
            x = torch.dropout(x, dropout, True)
        y = x.new_empty_strided(layer.y_shape, layer.y_strides)
        offset = index * plan.state_bytes
        forward_engine(
            layer,
            x,
            tuple([at + offset if at else 0 for at in initial_at]),
            weights[index * count : (index + 1) * count],
            y,
            tuple([at + offset for at in final_at]),
            0,
            rows,
            None if draw is None else draw(layer, x),
        )
        x = y
    return (x, *finals)


def _run_training(
    plan: StackPlan,
    x: Tensor,
    initial: tuple[Tensor | None, ...],
    weights: Sequence[Tensor | None],
    dropout: float,
    rows: Rows | None,
    draw: Draw | None,
) -> tuple[Tensor, ...]:
    h0 = initial[0]
    c0 = initial[1] if len(initial) == 2 else None
    if len(plan.layers) == 1:
        noise = None if draw is None else draw(plan.layers[0], x)
        return apply_layer(plan.layers[0], rows, noise, x, h0, c0, *weights)
    per_layer = plan.layers[0].state_shape[0]
    h0_layers = [None] * len(plan.layers) if h0 is None else h0.split(per_layer)
    c0_layers = [None] * len(plan.layers) if c0 is None else c0.split(per_layer)
    states: list[tuple[Tensor, ...]] = []
    start = 0
    for layer, h0_layer, c0_layer in zip(plan.layers, h0_layers, c0_layers, strict=True):
        if start and dropout:
            x = torch.dropout(x, dropout, True)
        count = len(layer.weight_shapes)
        noise = None if draw is None else draw(layer, x)
        x, *finals = apply_layer(
            layer, rows, noise, x, h0_layer, c0_layer, *weights[start : start + count]
        )
        states.append(tuple(finals))
        start += count
    return (x, *(torch.cat(parts) for parts in zip(*states, strict=True)))


def run_step(
    plan: LayerPlan,
    x: Tensor,
    initial: tuple[Tensor | None, ...],
    weights: Sequence[Tensor | None],
    draw: Draw | None = None,
) -> tuple[Tensor, ...]:
    """``(h',)`` or ``(h', c')`` of one step of a cell."""
    if not x.is_cpu:
        return _cuda.run_step(plan, x, initial, weights, draw)
    x, initial, weights, wanted = _prepared(x, initial, weights)
    if wanted:
        c0 = initial[1] if len(initial) == 2 else None
        noise = None if draw is None else draw(plan, x)
        return apply_layer(plan, None, noise, x, initial[0], c0, *weights)
    finals = [x.new_empty_strided(plan.state_shape, plan.state_strides) for _ in initial]
    forward_engine(
        plan,
        x,
        tuple([0 if state is None else state.data_ptr() for state in initial]),
        weights,
        finals[0],  # y and the final hidden state are the same
        tuple([state.data_ptr() for state in finals]),
        0,
        None,
        None if draw is None else draw(plan, x),
    )
    return tuple(finals)
