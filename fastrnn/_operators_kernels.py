"""The operators' kernels: the engine on CPU tensors, and shapes alone on fake and meta ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastrnn._autograd import backward_engine, forward_engine, new_reserve
from fastrnn._layouts import TIME_FIRST
from fastrnn._native import core
from fastrnn._operators_schema import (
    LIBRARY,
    TRAILER,
    check_arguments,
    check_backward,
    full_wanted,
    reserve_bytes,
)
from fastrnn._plan import CELL_INFO, CELL_NUMBERS, LayerPlan, layer_plan


def _layer_cpu(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    cell: str,
    num_directions: int,
    save: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    full, hidden = check_arguments(x, h0, c0, weights, cell, num_directions)
    isa = core.isa_id()
    plan = _plan(isa, x, weights, cell, hidden, num_directions)
    y = x.new_empty_strided(plan.y_shape, plan.y_strides)
    finals = [x.new_empty(plan.state_shape) for _ in range(plan.num_states)]
    c_n = finals[1] if plan.num_states == 2 else x.new_empty(0)
    if save:
        rows = x.shape[0] * x.shape[1]
        nbytes = reserve_bytes(cell, x.dtype, rows, hidden, num_directions)
        assert nbytes >= plan.reserve_bytes + TRAILER
        reserve = new_reserve(x, nbytes)
        reserve[plan.reserve_bytes :] = isa
    else:
        reserve = x.new_empty(0, dtype=torch.uint8)
    if x.shape[1]:
        x, initial, full = _in_memory(x, (h0, c0)[: plan.num_states], full)
        forward_engine(
            plan,
            x,
            tuple([0 if state is None else state.data_ptr() for state in initial]),
            full,
            y,
            tuple([state.data_ptr() for state in finals]),
            reserve.data_ptr() if save else 0,
        )
    return y, finals[0], c_n, reserve


def _backward_cpu(
    grad_y: Tensor | None,
    grad_h_n: Tensor | None,
    grad_c_n: Tensor | None,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    y: Tensor,
    reserve: Tensor,
    cell: str,
    num_directions: int,
    wanted: Sequence[bool],
) -> list[Tensor]:
    full, hidden = check_backward(
        grad_y, grad_h_n, grad_c_n, x, h0, c0, weights, y, reserve, cell, num_directions, wanted
    )
    pairs = zip((x, h0, c0, *weights), wanted, strict=True)
    given = [tensor for tensor, want in pairs if tensor is not None and want]
    if not x.shape[1] or (grad_y is None and grad_h_n is None and grad_c_n is None):
        return [torch.zeros_like(tensor, memory_format=torch.contiguous_format) for tensor in given]
    plan = _plan(int(reserve[-1]), x, weights, cell, hidden, num_directions)
    states = (h0, c0)[: plan.num_states]
    x, initial, full = _in_memory(x, states, full)
    found = backward_engine(
        plan,
        x,
        initial[0],
        initial[-1] if plan.num_states == 2 else None,
        full,
        y.contiguous(),
        reserve.contiguous(),
        (grad_y, grad_h_n, grad_c_n)[: 1 + plan.num_states],
        full_wanted(full, wanted),
    )
    return [grad for grad in found if grad is not None]


def _plan(
    isa: int, x: Tensor, weights: Sequence[Tensor], cell: str, hidden: int, num_directions: int
) -> LayerPlan:
    return layer_plan(
        isa,
        CELL_NUMBERS[cell],
        x.dtype,
        x.shape,
        TIME_FIRST,
        TIME_FIRST,
        hidden,
        num_directions,
        weights[0].dtype is not x.dtype,
    )


def _in_memory(
    x: Tensor, initial: Sequence[Tensor | None], weights: Sequence[Tensor | None]
) -> tuple[Tensor, list[Tensor | None], list[Tensor | None]]:
    """The arguments as the engine reads them."""
    return (
        x if x.stride(2) == 1 else x.contiguous(),
        [None if state is None else state.contiguous() for state in initial],
        [None if weight is None else weight.contiguous() for weight in weights],
    )


# -- shapes alone ---------------------------------------------------------------------------------


def _layer_fake(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    cell: str,
    num_directions: int,
    save: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    _, hidden = check_arguments(x, h0, c0, weights, cell, num_directions)
    seq_len, batch_size, _ = x.shape
    two = CELL_INFO[CELL_NUMBERS[cell]]["num_states"] == 2
    state = (num_directions, batch_size, hidden)
    nbytes = (
        reserve_bytes(cell, x.dtype, seq_len * batch_size, hidden, num_directions) if save else 0
    )
    return (
        x.new_empty(seq_len, batch_size, num_directions * hidden),
        x.new_empty(state),
        x.new_empty(state if two else (0,)),
        x.new_empty(nbytes, dtype=torch.uint8),
    )


def _backward_fake(
    grad_y: Tensor | None,
    grad_h_n: Tensor | None,
    grad_c_n: Tensor | None,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    y: Tensor,
    reserve: Tensor,
    cell: str,
    num_directions: int,
    wanted: Sequence[bool],
) -> list[Tensor]:
    check_backward(
        grad_y, grad_h_n, grad_c_n, x, h0, c0, weights, y, reserve, cell, num_directions, wanted
    )
    pairs = zip((x, h0, c0, *weights), wanted, strict=True)
    return [t.new_empty(t.shape) for t, want in pairs if t is not None and want]


LIBRARY.impl("layer", _layer_cpu, "CPU")
LIBRARY.impl("layer_backward", _backward_cpu, "CPU")
torch.library.register_fake("fastrnn::layer", _layer_fake, lib=LIBRARY)
torch.library.register_fake("fastrnn::layer_backward", _backward_fake, lib=LIBRARY)
