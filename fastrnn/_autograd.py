"""The bridge between torch's tensors and the engine: one autograd node a layer, for every cell.

Both directions of a layer are one node.  Callers (``fastrnn._dispatch``) have checked dtype,
device, shapes and made weights, initial states and the input's last dimension contiguous.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import profiler

from fastrnn import _composed
from fastrnn._layouts import PACKED, STEP
from fastrnn._lengths import Rows
from fastrnn._native import core
from fastrnn._plan import CELL_INFO, LayerPlan
from fastrnn._regularizers import Regularizers

__all__ = [
    "apply_layer",
    "backward_engine",
    "composed_gradients",
    "forward_engine",
    "new_grad_states",
    "new_reserve",
    "set_watch",
]

_num_threads = torch.get_num_threads
_functorch_active = torch._C._are_functorch_transforms_active
_is_grad_enabled = torch.is_grad_enabled
# The older vmap, still behind autograd.grad(is_grads_batched=True), is no functorch transform.
_is_legacy_batched = torch._C._functorch.is_legacy_batchedtensor

# A fresh mapping costs about 0.4 ms a MiB in page faults on the first touch, so big reserves
# come from the engine's pool of pages that are already there; small ones are cheaper from torch.
_POOLED_BYTES = 1 << 20


def new_reserve(like: Tensor, nbytes: int) -> Tensor:
    """A block of memory that lives as long as the tensor."""
    if nbytes > _POOLED_BYTES:
        return torch.from_numpy(core.alloc_block(nbytes))
    # At least one byte: the address 0 would mean "save nothing" to the engine.
    return like.new_empty((max(nbytes, 1),), dtype=torch.uint8)


def _addresses(tensors: Sequence[Tensor | None], per_direction: int) -> tuple[Any, ...]:
    """Addresses grouped by direction, five each, 0 for what is missing."""
    flat = [0 if t is None else t.data_ptr() for t in tensors]
    if per_direction == 5:
        return tuple([tuple(flat[i : i + 5]) for i in range(0, len(flat), 5)])
    if len(flat) == 4:
        return ((flat[0], flat[1], flat[2], flat[3], 0),)
    return tuple([(*flat[i : i + 4], 0) for i in range(0, len(flat), 4)])


def _recorded(run: Callable[..., None], cell: int, suffix: str = "") -> Callable[..., None]:
    """``run`` as an event of torch's profiler, under the name of the cell."""

    def recorded(*arguments: Any) -> None:
        with profiler.record_function(f"fastrnn::{CELL_INFO[cell]['name']}{suffix}"):
            run(*arguments)

    return recorded


def forward_engine(
    plan: LayerPlan,
    x: Tensor,
    initial: tuple[int, ...],
    weights: Sequence[Tensor | None],
    y: Tensor,
    final: tuple[int, ...],
    reserve: int,
    rows: Rows | None = None,
    regularizers: Regularizers | None = None,
) -> None:
    """``core.forward`` on tensors; the states as addresses, for the caller may hold more in one."""
    strides = x.stride()
    x_at: tuple[int, ...] = (x.data_ptr(), strides[plan.time_dim], strides[plan.batch_dim])
    if plan.x_layout == PACKED:
        x_at = x_at[:2]
    run = core.forward
    if profiler._is_profiler_enabled:
        run = _recorded(run, plan.cell)
    run(
        plan.cell,
        plan.number,
        plan.isa,
        _num_threads(),
        plan.sizes,
        x_at,
        _addresses(weights, plan.params_per_direction),
        initial,
        (y.data_ptr(), *plan.y_steps),
        final,
        reserve,
        *(() if rows is None and regularizers is None else _extra(plan, rows, regularizers)),
    )


def _extra(
    plan: LayerPlan, rows: Rows | None, regularizers: Regularizers | None, *between: Any
) -> tuple[Any, ...]:
    """The engine's last arguments, which most calls do without."""
    return (
        None if rows is None else rows.addresses(),
        *between,
        None if regularizers is None else regularizers.addresses(plan),
    )


def backward_engine(
    plan: LayerPlan,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor | None],
    y: Tensor,
    reserve: Tensor,
    grads: Sequence[Tensor | None],
    wanted: Sequence[bool],
    rows: Rows | None = None,
    grad_states: Sequence[Tensor] = (),
    regularizers: Regularizers | None = None,
) -> tuple[Tensor | None, ...]:
    """Gradients of ``(x, h0, c0, *weights)`` where ``wanted``, given those of the outputs.

    Fills ``grad_states``, if any, with those of every step's states (`new_grad_states`).
    """
    grad_y = grads[0]
    grad_y_at: tuple[int, ...]
    if grad_y is None:
        grad_y_at = (0, 0, 0)
    else:
        if grad_y.stride()[-1] != 1 or grad_y.is_neg():
            grad_y = grad_y.resolve_neg().contiguous()
        strides = grad_y.stride()
        grad_y_at = (grad_y.data_ptr(), strides[plan.y_time_dim], strides[plan.y_batch_dim])
        if plan.y_layout == PACKED:
            grad_y_at = grad_y_at[:2]
    # A step's grad_y is the gradient of its hidden state, too.
    grad_h_n = None if plan.x_layout == STEP else _contiguous(grads[1])
    grad_final: tuple[int, ...] = (0 if grad_h_n is None else grad_h_n.data_ptr(),)
    grad_h0 = torch.empty_like(h0) if h0 is not None and wanted[1] else None
    initial: tuple[int, ...] = (0 if h0 is None else h0.data_ptr(),)
    grad_initial: tuple[int, ...] = (0 if grad_h0 is None else grad_h0.data_ptr(),)
    grad_c0 = None
    if plan.num_states == 2:
        grad_c_n = _contiguous(grads[-1])
        grad_c0 = torch.empty_like(c0) if c0 is not None and wanted[2] else None
        grad_final += (0 if grad_c_n is None else grad_c_n.data_ptr(),)
        initial += (0 if c0 is None else c0.data_ptr(),)
        grad_initial += (0 if grad_c0 is None else grad_c0.data_ptr(),)
    grad_x = None
    grad_x_at: tuple[int, ...] = (0, 0, 0)
    if wanted[0]:
        strides = plan.x_strides
        grad_x = x.new_empty_strided(plan.x_shape, strides)
        grad_x_at = (grad_x.data_ptr(), strides[plan.time_dim], strides[plan.batch_dim])
        if plan.x_layout == PACKED:
            grad_x_at = grad_x_at[:2]
    grad_weights = [
        torch.empty_like(weight) if weight is not None and want else None
        for weight, want in zip(weights, wanted[3:], strict=True)
    ]
    strides = x.stride()
    x_at: tuple[int, ...] = (x.data_ptr(), strides[plan.time_dim], strides[plan.batch_dim])
    if plan.x_layout == PACKED:
        x_at = x_at[:2]
    extra: tuple[Any, ...] = ()
    if grad_states or rows is not None or regularizers is not None:
        places = tuple([(t.data_ptr(), t.stride(0), t.stride(1)) for t in grad_states])
        extra = _extra(plan, rows, regularizers, places or None)
    run = core.backward
    if profiler._is_profiler_enabled:
        run = _recorded(run, plan.cell, "_backward")
    run(
        plan.cell,
        plan.number,
        plan.isa,
        _num_threads(),
        plan.sizes,
        x_at,
        _addresses(weights, plan.params_per_direction),
        initial,
        (y.data_ptr(), *plan.y_steps),
        reserve.data_ptr(),
        grad_y_at,
        grad_final,
        grad_x_at,
        _addresses(grad_weights, plan.params_per_direction),
        grad_initial,
        *extra,
    )
    return (grad_x, grad_h0, grad_c0, *grad_weights)


def new_grad_states(plan: LayerPlan, rows: Rows | None) -> list[Tensor]:
    """Memory for gradients of every step's states: [T, B, D*H] each, float32 for halves."""
    seq_len, batch_size, _, hidden_size, num_directions = plan.sizes[:5]
    steps = seq_len if rows is None else rows.padded_steps
    dtype = torch.float64 if plan.itemsize == 8 else torch.float32
    shape = (steps, batch_size, num_directions * hidden_size)
    return [torch.empty(shape, dtype=dtype) for _ in range(plan.num_states)]


# Takes the gradients that `new_grad_states` has room for, each time a call's backward ran.
Keep = Callable[[list[Tensor]], None]
# Asked by each call that may be differentiated; fastrnn.diagnostics sets it while it records.
_watch: Callable[[LayerPlan, Rows | None], Keep | None] | None = None


def set_watch(watch: Callable[[LayerPlan, Rows | None], Keep | None] | None) -> None:
    global _watch
    _watch = watch


class _Layer(torch.autograd.Function):
    """``(plan, rows, regularizers, x, h0, c0, *weights) -> (y, h_n[, c_n])``, a step's: no h_n.

    ``rows`` is None where every step has all rows and nothing is reset; ``c0`` is None for a cell
    with one state; a state given as None is zero.  Written with the cost of each line in mind:
    for a small layer this is most of the time of a call.
    """

    @staticmethod
    def forward(
        ctx: Any,
        plan: LayerPlan,
        rows: Rows | None,
        regularizers: Regularizers | None,
        x: Tensor,
        h0: Tensor | None,
        c0: Tensor | None,
        *weights: Tensor | None,
    ) -> tuple[Tensor, ...]:
        y = x.new_empty_strided(plan.y_shape, plan.y_strides)
        shape, strides = plan.state_shape, plan.state_strides
        is_step = plan.x_layout == STEP
        # A step's output is its final hidden state: one tensor serves as both.
        h_n = y if is_step else x.new_empty_strided(shape, strides)
        reserve = new_reserve(x, plan.reserve_bytes)
        h0_at = 0 if h0 is None else h0.data_ptr()
        outputs: tuple[Tensor, ...]
        if plan.num_states == 1:
            outputs = (y,) if is_step else (y, h_n)
            initial: tuple[int, ...] = (h0_at,)
            final: tuple[int, ...] = (h_n.data_ptr(),)
        else:
            c_n = x.new_empty_strided(shape, strides)
            outputs = (y, c_n) if is_step else (y, h_n, c_n)
            initial = (h0_at, 0 if c0 is None else c0.data_ptr())
            final = (h_n.data_ptr(), c_n.data_ptr())
        forward_engine(plan, x, initial, weights, y, final, reserve.data_ptr(), rows, regularizers)
        ctx.save_for_backward(x, h0, c0, y, reserve, *weights)
        ctx.set_materialize_grads(False)
        ctx.plan = plan
        ctx.rows = rows
        ctx.regularizers = regularizers
        ctx.keep = None if _watch is None else _watch(plan, rows)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad
        if (
            _is_grad_enabled()
            or _functorch_active()
            or any(grad is not None and _is_legacy_batched(grad) for grad in grads)
        ):
            if ctx.keep is not None:
                raise RuntimeError(
                    "fastrnn.diagnostics records a plain backward, "
                    "without create_graph=True and batches of gradients"
                )
            return _backward_composed(ctx, grads)
        x, h0, c0, y, reserve, *weights = ctx.saved_tensors
        grad_states = [] if ctx.keep is None else new_grad_states(ctx.plan, ctx.rows)
        found = backward_engine(
            *(ctx.plan, x, h0, c0, weights, y, reserve, grads, wanted[3:], ctx.rows, grad_states),
            ctx.regularizers,
        )
        if ctx.keep is not None:
            ctx.keep(grad_states)
        return (None, None, None, *found)


apply_layer: Callable[..., tuple[Tensor, ...]] = _Layer.apply


def _contiguous(grad: Tensor | None) -> Tensor | None:
    """The gradient of a final state in memory as the engine reads it."""
    return None if grad is None else grad.resolve_neg().contiguous()


def _backward_composed(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    x, h0, c0, _, _, *weights = ctx.saved_tensors
    inputs = (x, h0, c0, *weights)
    wanted = ctx.needs_input_grad[3:]
    found = composed_gradients(ctx.plan, inputs, wanted, grads, ctx.rows, ctx.regularizers)
    return (None, None, None, *found)


def composed_gradients(
    plan: Any,  # a LayerPlan, or what a layer's operator knows of one
    tensors: Sequence[Tensor | None],
    wanted: Sequence[bool],
    grads: Sequence[Tensor | None],
    rows: Rows | None = None,
    regularizers: Regularizers | None = None,
) -> tuple[Tensor | None, ...]:
    """Gradients of ``(x, h0, c0, *weights)`` that can be differentiated, or come in batches (vmap).

    Computes the layer once more with torch's own operations and differentiates those.
    """
    if all(grad is None for grad in grads):
        return (None,) * len(tensors)
    create_graph = _is_grad_enabled()
    with torch.enable_grad():
        # Fresh views: gradients must stop at this layer's inputs even where one input was
        # computed from another, yet stay connected to the graph for the next derivative.
        inputs = [
            tensor.view_as(tensor) if tensor is not None and need else tensor
            for tensor, need in zip(tensors, wanted, strict=True)
        ]
        x = inputs[0]
        assert x is not None
        outputs = _composed.planned_layer(
            CELL_INFO[plan.cell]["name"],
            plan.x_layout,
            plan.y_layout,
            x,
            inputs[1 : 1 + plan.num_states],
            [None if w is None else w.to(x.dtype) for w in inputs[3:]],
            plan.params_per_direction,
            rows,
            regularizers,
        )
        if plan.x_layout == STEP:
            outputs = (outputs[0], *outputs[2:])
    pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if g is not None]
    found = iter(
        torch.autograd.grad(
            [o for o, _ in pairs],
            [t for t, need in zip(inputs, wanted, strict=True) if t is not None and need],
            [g for _, g in pairs],
            create_graph=create_graph,
            allow_unused=True,
        )
    )
    return tuple(next(found) if need else None for need in wanted)
