"""The operators' kernels: the engine on CPU tensors, and shapes alone on fake and meta ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from fastrnn._autograd import backward_engine, forward_engine, new_reserve
from fastrnn._layouts import PACKED, TIME_FIRST
from fastrnn._native import core
from fastrnn._operators_schema import (
    LIBRARY,
    TRAILER,
    check_arguments,
    check_backward,
    full_wanted,
    full_weights,
    has_zoneout,
    hidden_size,
    noise_of,
    reserve_bytes,
    row_count,
    state_shape,
)
from fastrnn._plan import CELL_INFO, CELL_NUMBERS, LayerPlan, Uneven, layer_plan
from fastrnn._regularizers import Regularizers
from fastrnn._rows import Rows, rows_of_packed, rows_of_padded, with_resets


def _layer_cpu(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    cell: str,
    num_directions: int,
    save: bool = False,
    lengths: Tensor | None = None,
    batch_sizes: Tensor | None = None,
    resets: Tensor | None = None,
    scale: Tensor | None = None,
    keep_h: Tensor | None = None,
    keep_c: Tensor | None = None,
    rates: Sequence[float] = (),
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    extra = (lengths, batch_sizes, resets)
    noise = noise_of(scale, keep_h, keep_c, rates)
    given = (x, h0, c0, *weights, *extra, *noise)
    key = (cell, num_directions, len(weights), *rates, *_forms(given))
    if key not in _seen:
        check_arguments(x, h0, c0, weights, cell, num_directions, *extra, noise, rates)
        _remember(key)
    full, hidden = _weights(weights, cell, num_directions)
    isa = core.isa_id()
    rows = operator_rows(x, h0, *extra)
    zoneout = has_zoneout(noise, rates)
    plan = _plan(isa, x, weights, cell, hidden, num_directions, rows, zoneout)
    y = x.new_empty_strided(plan.y_shape, plan.y_strides)
    finals = [x.new_empty(plan.state_shape) for _ in range(plan.num_states)]
    if save:
        nbytes = reserve_bytes(cell, x.dtype, row_count(x), hidden, num_directions, zoneout)
        assert nbytes >= plan.reserve_bytes + TRAILER
        reserve = new_reserve(x, nbytes)
        reserve[plan.reserve_bytes :] = isa
    else:
        reserve = x.new_empty(0, dtype=torch.uint8)
    states = (h0, c0)[: plan.num_states]
    if _empty(x, rows):
        y.zero_()
        for final, state in zip(finals, states, strict=True):
            final.zero_() if state is None else final.copy_(state)
    else:
        x, initial, full = _in_memory(x, states, full)
        forward_engine(
            plan,
            x,
            tuple([0 if state is None else state.data_ptr() for state in initial]),
            full,
            y,
            tuple([state.data_ptr() for state in finals]),
            reserve.data_ptr() if save else 0,
            rows,
            _regularizers(noise, rates),
        )
    return y, finals[0], finals[1] if plan.num_states == 2 else x.new_empty(0), reserve


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
    lengths: Tensor | None = None,
    batch_sizes: Tensor | None = None,
    resets: Tensor | None = None,
    scale: Tensor | None = None,
    keep_h: Tensor | None = None,
    keep_c: Tensor | None = None,
    rates: Sequence[float] = (),
) -> list[Tensor]:
    grads, extra = (grad_y, grad_h_n, grad_c_n), (lengths, batch_sizes, resets)
    noise = noise_of(scale, keep_h, keep_c, rates)
    given = (*grads, x, h0, c0, *weights, y, reserve, *extra, *noise)
    key = (cell, num_directions, len(weights), *wanted, *rates, *_forms(given))
    if key not in _seen:
        all_given = (*grads, x, h0, c0, weights, y, reserve, cell, num_directions, wanted, *extra)
        check_backward(*all_given, noise, rates)
        _remember(key)
    full, hidden = _weights(weights, cell, num_directions)
    rows = operator_rows(x, h0, *extra)
    if _empty(x, rows) or all(grad is None for grad in grads):
        passed = (None, grad_h_n, grad_c_n) if _empty(x, rows) else (None,) * 3
        return [
            torch.zeros(tensor.shape, dtype=tensor.dtype) if grad is None else grad.clone()
            for tensor, want, grad in zip(
                (x, h0, c0, *weights), wanted, (*passed, *(None for _ in weights)), strict=True
            )
            if tensor is not None and want
        ]
    sizes = (hidden, num_directions, rows, has_zoneout(noise, rates))
    plan = _plan(int(reserve[-1]), x, weights, cell, *sizes)
    x, initial, full = _in_memory(x, (h0, c0)[: plan.num_states], full)
    found = backward_engine(
        plan,
        x,
        initial[0],
        initial[-1] if plan.num_states == 2 else None,
        full,
        y.contiguous(),
        reserve.contiguous(),
        grads[: 1 + plan.num_states],
        full_wanted(full, wanted),
        rows,
        (),
        _regularizers(noise, rates),
    )
    return [grad for grad in found if grad is not None]


# Forms of arguments that have passed the checks, which cost more than a small layer.
_seen: set[tuple[Any, ...]] = set()


def _forms(tensors: Sequence[Tensor | None]) -> list[Any]:
    """All that the checks look at."""
    return [None if t is None else (t.shape, t.dtype, t.device) for t in tensors]


def _remember(key: tuple[Any, ...]) -> None:
    if len(_seen) >= 4096:
        _seen.clear()
    _seen.add(key)


def _weights(
    weights: Sequence[Tensor], cell: str, num_directions: int
) -> tuple[list[Tensor | None], int]:
    full = full_weights(cell, weights, num_directions)
    assert full is not None  # checked
    return full, hidden_size(cell, weights)


def operator_rows(
    x: Tensor,
    h0: Tensor | None,
    lengths: Tensor | None,
    batch_sizes: Tensor | None,
    resets: Tensor | None,
) -> Rows | None:
    """What the engine is told of different lengths and resets; errors where they don't fit x."""
    if batch_sizes is None:
        return rows_of_padded(lengths, resets, x.shape[:2], batch_first=False)
    found = rows_of_packed(PackedSequence(x.detach(), batch_sizes.cpu()))
    if isinstance(found, str):
        raise RuntimeError(f"fastrnn::layer: {found}")
    if h0 is None or found.batch_size != h0.shape[1]:
        raise RuntimeError(
            f"fastrnn::layer: batch_sizes begin with {found.batch_size}, which h0 must be for"
        )
    return found if resets is None else with_resets(found, resets, x.shape[:1], batch_first=False)


def _regularizers(noise: Sequence[Tensor | None], rates: Sequence[float]) -> Regularizers | None:
    if not noise:
        return None
    scale, *masks = (None if values is None else values.contiguous() for values in noise)
    return Regularizers(scale, tuple(masks), tuple(rates))


def _empty(x: Tensor, rows: Rows | None) -> bool:
    return 0 in x.shape or (rows is not None and rows.total == 0)


def _plan(
    isa: int,
    x: Tensor,
    weights: Sequence[Tensor],
    cell: str,
    hidden: int,
    num_directions: int,
    rows: Rows | None,
    zoneout: bool,
) -> LayerPlan:
    uneven = None
    if rows is not None and rows.batch_sizes is not None:
        uneven = Uneven(rows.steps, rows.padded_steps, rows.batch_size, rows.total)
        if rows.total == 0:  # for the shapes alone
            uneven = Uneven(1, rows.padded_steps, rows.batch_size, 1)
    layout = TIME_FIRST if x.dim() == 3 else PACKED
    mixed = weights[0].dtype is not x.dtype
    sizes = (CELL_NUMBERS[cell], x.dtype, x.shape, layout, layout, hidden, num_directions)
    return layer_plan(isa, *sizes, mixed, uneven, zoneout)


def _in_memory(
    x: Tensor, initial: Sequence[Tensor | None], weights: Sequence[Tensor | None]
) -> tuple[Tensor, list[Tensor | None], list[Tensor | None]]:
    """The arguments as the engine reads them."""
    return (
        x if x.stride(-1) == 1 else x.contiguous(),
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
    lengths: Tensor | None = None,
    batch_sizes: Tensor | None = None,
    resets: Tensor | None = None,
    scale: Tensor | None = None,
    keep_h: Tensor | None = None,
    keep_c: Tensor | None = None,
    rates: Sequence[float] = (),
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    noise = noise_of(scale, keep_h, keep_c, rates)
    extra = (lengths, batch_sizes, resets, noise, rates)
    _, hidden = check_arguments(x, h0, c0, weights, cell, num_directions, *extra)
    two = CELL_INFO[CELL_NUMBERS[cell]]["num_states"] == 2
    state = state_shape(x, h0, batch_sizes, num_directions, hidden)
    sizes = (row_count(x), hidden, num_directions, has_zoneout(noise, rates))
    nbytes = reserve_bytes(cell, x.dtype, *sizes) if save else 0
    return (
        x.new_empty(*x.shape[:-1], num_directions * hidden),
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
    lengths: Tensor | None = None,
    batch_sizes: Tensor | None = None,
    resets: Tensor | None = None,
    scale: Tensor | None = None,
    keep_h: Tensor | None = None,
    keep_c: Tensor | None = None,
    rates: Sequence[float] = (),
) -> list[Tensor]:
    grads = (grad_y, grad_h_n, grad_c_n)
    given = (*grads, x, h0, c0, weights, y, reserve, cell, num_directions, wanted)
    noise = noise_of(scale, keep_h, keep_c, rates)
    check_backward(*given, lengths, batch_sizes, resets, noise, rates)
    pairs = zip((x, h0, c0, *weights), wanted, strict=True)
    return [t.new_empty(t.shape) for t, want in pairs if t is not None and want]


LIBRARY.impl("layer", _layer_cpu, "CPU")
LIBRARY.impl("layer_backward", _backward_cpu, "CPU")
torch.library.register_fake("fastrnn::layer", _layer_fake, lib=LIBRARY)
torch.library.register_fake("fastrnn::layer_backward", _backward_fake, lib=LIBRARY)
