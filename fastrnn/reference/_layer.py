"""A cell over a whole sequence, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastrnn.reference._cells import CELLS
from fastrnn.reference._math import Array, Cell, Params, State

__all__ = ["Gradients", "Run", "layer", "layer_backward"]


class Run(NamedTuple):
    """What `layer` returns; the fields after ``final`` are for `layer_backward`."""

    y: Array  # [T, B, D*H], the directions side by side
    final: State  # h_n and, with a cell state, c_n: [D, B, H] each
    cell: Cell
    x: Array
    params: list[Params]
    states: list[list[State]]  # a direction: the state before each step, in the order of walking


class Gradients(NamedTuple):
    """What `layer_backward` returns, in the shapes of `layer`'s arguments."""

    x: Array
    params: list[Params]
    initial: State


def layer(
    cell: str,
    x: Array,
    params: Sequence[Params],
    initial: Sequence[Array | None] | None = None,
    dtype: npt.DTypeLike = np.float64,
) -> Run:
    """One layer over a whole sequence.

    ``x`` is [T, B, I]; ``params`` has one entry a direction, the second walking backward in
    time; ``initial`` has one [D, B, H] array a state, None for zeros.
    """
    kind = CELLS[cell]
    x = np.asarray(x, dtype)
    params = [_map(lambda a: np.asarray(a, dtype), p) for p in params]
    seq_len, batch_size, _ = x.shape
    hidden_size = params[0].weight_hh.shape[0] // kind.num_gates
    shape = (len(params), batch_size, hidden_size)
    given = initial if initial is not None else [None] * kind.num_states
    start = [np.zeros(shape, dtype) if s is None else np.asarray(s, dtype) for s in given]

    y = np.empty((seq_len, batch_size, len(params) * hidden_size), dtype)
    final = [np.empty(shape, dtype) for _ in start]
    states: list[list[State]] = []
    for d, p in enumerate(params):
        state: State = tuple(s[d] for s in start)
        states.append([])
        for t in _order(seq_len, d):
            states[d].append(state)
            state = kind.step(x[t], state, p)
            y[t, :, d * hidden_size : (d + 1) * hidden_size] = state[0]
        for whole, part in zip(final, state, strict=True):
            whole[d] = part
    return Run(y, tuple(final), kind, x, params, states)


def layer_backward(
    run: Run, grad_y: Array | None = None, grad_final: Sequence[Array | None] | None = None
) -> Gradients:
    """Gradients of ``sum(grad_y * y) + sum(grad_final * final)``; None counts as zero."""
    kind, x, dtype = run.cell, run.x, run.x.dtype
    hidden_size = run.final[0].shape[2]
    d_y = np.zeros_like(run.y) if grad_y is None else np.asarray(grad_y, dtype)
    given = grad_final if grad_final is not None else [None] * kind.num_states
    d_final = [
        np.zeros_like(f) if g is None else np.asarray(g, dtype)
        for f, g in zip(run.final, given, strict=True)
    ]
    d_x, d_initial = np.zeros_like(x), [np.empty_like(f) for f in run.final]
    d_params: list[Params] = []
    for d, p in enumerate(run.params):
        total = _map(np.zeros_like, p)
        d_state: State = tuple(f[d] for f in d_final)
        for t, state in reversed(list(zip(_order(len(x), d), run.states[d], strict=True))):
            d_output = d_y[t, :, d * hidden_size : (d + 1) * hidden_size]
            d_next = (d_state[0] + d_output, *d_state[1:])
            d_x_t, d_state, step = kind.step_backward(x[t], state, p, d_next)
            d_x[t] += d_x_t
            total = _map(np.add, total, step)
        d_params.append(total)
        for whole, part in zip(d_initial, d_state, strict=True):
            whole[d] = part
    return Gradients(d_x, d_params, tuple(d_initial))


def _map(function: Callable[..., Array], first: Params, *others: Params) -> Params:
    """Apply to each parameter; one that ``first`` lacks stays None."""
    rows = zip(first, *others, strict=True)
    values: list[Any] = [None if row[0] is None else function(*row) for row in rows]
    return Params(*values)


def _order(seq_len: int, direction: int) -> range:
    return range(seq_len) if direction == 0 else range(seq_len - 1, -1, -1)
