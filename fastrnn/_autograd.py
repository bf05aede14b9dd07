"""The bridge between torch's tensors and the engine: one autograd node a layer, for every cell.

Both directions of a layer are one node.  Callers (``fastrnn._dispatch``) have checked dtype,
device, shapes and made weights, initial states and the input's last dimension contiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrnn import _composed
from fastrnn._layouts import STEP
from fastrnn._native import core
from fastrnn._plan import CELL_INFO, LayerPlan

__all__ = ["LayerFunction", "forward_engine"]

_num_threads = torch.get_num_threads
_functorch_active = torch._C._are_functorch_transforms_active  # type: ignore[attr-defined]
_is_grad_enabled = torch.is_grad_enabled

# A fresh mapping costs about 0.4 ms a MiB in page faults on the first touch, so big reserves
# come from the engine's pool of pages that are already there; small ones are cheaper from torch.
_POOLED_BYTES = 1 << 20


def _new_reserve(like: Tensor, nbytes: int) -> Tensor:
    if nbytes > _POOLED_BYTES:
        return torch.from_numpy(core.alloc_block(nbytes))
    return like.new_empty((nbytes,), dtype=torch.uint8)


def _addresses(tensors: Sequence[Tensor | None], per_direction: int) -> tuple[Any, ...]:
    """Addresses grouped by direction, five each, 0 for what is missing."""
    if per_direction == 5:
        flat = [0 if t is None else t.data_ptr() for t in tensors]
        return tuple(tuple(flat[i : i + 5]) for i in range(0, len(flat), 5))
    flat = [0 if t is None else t.data_ptr() for t in tensors]
    if len(flat) == 4:
        return ((flat[0], flat[1], flat[2], flat[3], 0),)
    return tuple((*flat[i : i + 4], 0) for i in range(0, len(flat), 4))


def forward_engine(
    plan: LayerPlan,
    x: Tensor,
    initial: tuple[int, ...],
    weights: Sequence[Tensor | None],
    y: Tensor,
    final: tuple[int, ...],
    reserve: int,
) -> None:
    """``core.forward`` on tensors; the states as addresses, for the caller may hold more in one."""
    strides = x.stride()
    y_strides = plan.y_strides
    core.forward(
        plan.cell,
        plan.itemsize,
        plan.isa,
        _num_threads(),
        plan.sizes,
        (x.data_ptr(), strides[plan.x_dims[0]], strides[plan.x_dims[1]]),
        _addresses(weights, plan.params_per_direction),
        initial,
        (y.data_ptr(), y_strides[plan.y_dims[0]], y_strides[plan.y_dims[1]]),
        final,
        reserve,
    )


class LayerFunction(torch.autograd.Function):
    """``(plan, x, h0, c0, *weights) -> (y, h_n[, c_n])``, for a step ``(y[, c_n])``.

    ``c0`` is None for a cell with one state; a state given as None is zero.
    """

    @staticmethod
    def forward(
        ctx: Any,
        plan: LayerPlan,
        x: Tensor,
        h0: Tensor | None,
        c0: Tensor | None,
        *weights: Tensor | None,
    ) -> tuple[Tensor, ...]:
        y = x.new_empty_strided(plan.y_shape, plan.y_strides)
        shape, strides = plan.state_shape, plan.state_strides
        # A step's output is its final hidden state: one tensor serves as both.
        h_n = y if plan.x_layout == STEP else x.new_empty_strided(shape, strides)
        reserve = _new_reserve(x, plan.reserve_bytes)
        initial: tuple[int, ...]
        final: tuple[int, ...]
        if plan.num_states == 1:
            outputs: tuple[Tensor, ...] = (y,) if h_n is y else (y, h_n)
            initial = (0 if h0 is None else h0.data_ptr(),)
            final = (h_n.data_ptr(),)
        else:
            c_n = x.new_empty_strided(shape, strides)
            outputs = (y, c_n) if h_n is y else (y, h_n, c_n)
            initial = (0 if h0 is None else h0.data_ptr(), 0 if c0 is None else c0.data_ptr())
            final = (h_n.data_ptr(), c_n.data_ptr())
        forward_engine(plan, x, initial, weights, y, final, reserve.data_ptr())
        ctx.save_for_backward(x, h0, c0, y, reserve, *weights)
        ctx.set_materialize_grads(False)
        ctx.plan = plan
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        if not any(grad is not None for grad in grads):
            return (None,) * len(ctx.needs_input_grad)
        if _is_grad_enabled() or _functorch_active():
            return _backward_composed(ctx, grads)
        plan: LayerPlan = ctx.plan
        x, h0, c0, y, reserve, *weights = ctx.saved_tensors
        _, need_x, need_h0, need_c0, *need_weights = ctx.needs_input_grad
        grads = tuple(None if g is None else g.resolve_neg() for g in grads)

        grad_y = grads[0]
        if grad_y is None:
            grad_y_address = (0, 0, 0)
        else:
            strides = grad_y.stride()
            if strides[-1] != 1:
                grad_y = grad_y.contiguous()
                strides = grad_y.stride()
            grad_y_address = (grad_y.data_ptr(), strides[plan.y_dims[0]], strides[plan.y_dims[1]])
        grad_final = [None if g is None else g.contiguous() for g in grads[1:]]
        if plan.x_layout == STEP:  # the hidden state's gradient is grad_y
            grad_final.insert(0, None)

        grad_x = x.new_empty_strided(x.shape, plan.x_strides) if need_x else None
        grad_h0 = torch.empty_like(h0) if need_h0 else None
        grad_c0 = torch.empty_like(c0) if need_c0 else None
        grad_weights = [
            torch.empty_like(w) if need else None
            for w, need in zip(weights, need_weights, strict=True)
        ]
        two = plan.num_states == 2
        x_strides, y_strides = x.stride(), plan.y_strides
        time, batch = plan.x_dims
        initial: tuple[int, ...] = (0 if h0 is None else h0.data_ptr(),)
        grad_initial: tuple[int, ...] = (0 if grad_h0 is None else grad_h0.data_ptr(),)
        if two:
            initial += (0 if c0 is None else c0.data_ptr(),)
            grad_initial += (0 if grad_c0 is None else grad_c0.data_ptr(),)
        core.backward(
            plan.cell,
            plan.itemsize,
            plan.isa,
            _num_threads(),
            plan.sizes,
            (x.data_ptr(), x_strides[time], x_strides[batch]),
            _addresses(weights, plan.params_per_direction),
            initial,
            (y.data_ptr(), y_strides[plan.y_dims[0]], y_strides[plan.y_dims[1]]),
            reserve.data_ptr(),
            grad_y_address,
            tuple(0 if g is None else g.data_ptr() for g in grad_final),
            (0, 0, 0)
            if grad_x is None
            else (grad_x.data_ptr(), plan.x_strides[time], plan.x_strides[batch]),
            _addresses(grad_weights, plan.params_per_direction),
            grad_initial,
        )
        return (None, grad_x, grad_h0, grad_c0, *grad_weights)


def _backward_composed(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    """Gradients that can be differentiated again, or that arrive batched under ``vmap``.

    Computes the layer once more with torch's own operations and differentiates those.
    """
    plan: LayerPlan = ctx.plan
    x, h0, c0, _, _, *weights = ctx.saved_tensors
    create_graph = _is_grad_enabled()
    with torch.enable_grad():
        # Fresh views: gradients must stop at this layer's inputs even where one input was
        # computed from another, yet stay connected to the graph for the next derivative.
        inputs = [
            tensor.view_as(tensor) if need else tensor
            for tensor, need in zip(
                (x, h0, c0, *weights), ctx.needs_input_grad[1:], strict=True
            )
        ]
        outputs = _composed.planned_layer(
            CELL_INFO[plan.cell]["name"],
            plan.x_layout,
            plan.y_layout,
            inputs[0],
            inputs[1 : 1 + plan.num_states],
            inputs[3:],
            plan.params_per_direction,
        )
        if plan.x_layout == STEP:
            outputs = (outputs[0], *outputs[2:])
    pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if g is not None]
    wanted = [t for t, need in zip(inputs, ctx.needs_input_grad[1:], strict=True) if need]
    found = iter(
        torch.autograd.grad(
            [o for o, _ in pairs],
            wanted,
            [g for _, g in pairs],
            create_graph=create_graph,
            allow_unused=True,
        )
    )
    return (None, *(next(found) if need else None for need in ctx.needs_input_grad[1:]))
