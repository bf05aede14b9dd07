"""A layer on the engine: the autograd function around the two passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fastrnn._cuda.backward import backward
from fastrnn._cuda.forward import Outputs, Saved, forward
from fastrnn._cuda.layouts import from_steps, state_out, to_steps
from fastrnn._cuda.plans import Engine
from fastrnn._cuda.shape import Shape, shape_of
from fastrnn._layouts import STEP
from fastrnn._lengths import Rows
from fastrnn._plan import LayerPlan
from fastrnn._regularizers import Regularizers

__all__ = ["apply_layer", "run_layer", "wants_grad"]


class _Layer(torch.autograd.Function):
    """As `fastrnn._autograd`'s: ``(engine, plan, rows, regularizers, x, h0, c0, *weights)``."""

    @staticmethod
    def forward(
        ctx: Any,
        engine: Engine,
        plan: LayerPlan,
        rows: Rows | None,
        regularizers: Regularizers | None,
        x: Tensor,
        h0: Tensor | None,
        c0: Tensor | None,
        *weights: Tensor | None,
    ) -> tuple[Tensor, ...]:
        shape = shape_of(engine, plan, rows, x)
        initial = (h0, c0)[: plan.num_states]
        done = forward(shape, x, initial, weights, regularizers, saving=True)
        assert done.saved is not None
        ctx.save_for_backward(x, h0, c0, done.y, *done.saved, *weights)
        ctx.set_materialize_grads(False)
        ctx.plan = plan
        ctx.rows = rows
        ctx.shape = shape
        ctx.regularizers = regularizers
        return _results(shape, done)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        from fastrnn._autograd import composed_gradients

        x, h0, c0, y, *saved = ctx.saved_tensors
        saved, weights = saved[: len(Saved._fields)], saved[len(Saved._fields) :]
        wanted = ctx.needs_input_grad[4:]
        if torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
            inputs = (x, h0, c0, *weights)
            found = composed_gradients(ctx.plan, inputs, wanted, grads, ctx.rows, ctx.regularizers)
            return (None, None, None, None, *found)
        plan, shape = ctx.plan, ctx.shape
        is_step = plan.x_layout == STEP
        grad_y = grads[0]
        if grad_y is not None:
            grad_y = grad_y.resolve_neg()
            if grad_y.stride(-1) != 1:
                grad_y = grad_y.contiguous()
            grad_y = to_steps(shape, grad_y, plan.y_layout)
        # A step's grad_y is the gradient of its hidden state, too.
        grad_final = [None, *grads[1:]] if is_step else list(grads[1:])
        found = backward(
            shape,
            x,
            (h0, c0)[: plan.num_states],
            weights,
            y,
            Saved(*saved),
            ctx.regularizers,
            grad_y,
            grad_final,
            wanted,
        )
        return (None, None, None, None, *found)


apply_layer: Callable[..., tuple[Tensor, ...]] = _Layer.apply


def _results(shape: Shape, done: Outputs) -> tuple[Tensor, ...]:
    """``(y, h_n[, c_n])``, for a step ``(y[, c_n])``, in the caller's layout."""
    plan = shape.plan
    y = from_steps(shape, done.y, plan.y_layout, plan.y_shape)
    finals = [state_out(shape, state) for state in done.finals]
    return (y, *finals[1:]) if plan.x_layout == STEP else (y, *finals)


def run_layer(
    engine: Engine,
    plan: LayerPlan,
    rows: Rows | None,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    regularizers: Regularizers | None,
    training: bool,
) -> tuple[Tensor, ...]:
    weights = [None if weight is None else weight.contiguous() for weight in weights]
    if x.stride(-1) != 1:
        x = x.contiguous()
    if training:
        c0 = initial[1] if len(initial) == 2 else None
        return apply_layer(engine, plan, rows, regularizers, x, initial[0], c0, *weights)
    shape = shape_of(engine, plan, rows, x)
    return _results(shape, forward(shape, x, initial, weights, regularizers, saving=False))


def wants_grad(
    x: Tensor, initial: Sequence[Tensor | None], weights: Sequence[Tensor | None]
) -> bool:
    """Whether the call has to keep what backward needs."""
    return torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in (x, *initial, *weights)
    )
