"""A layer's forward pass: the input's product by torch, the steps by the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fastrnn._cuda.halves import compute_dtype, stored_weights
from fastrnn._cuda.layouts import new_state, per_direction, state_in, to_rows
from fastrnn._cuda.plans import columns as columns_of
from fastrnn._cuda.shape import Shape, at
from fastrnn._plan import engine_number

__all__ = ["Outputs", "forward"]


class Outputs(NamedTuple):
    y: Tensor  # [T, B, D * H] or packed rows
    finals: list[Tensor]
    gates: Tensor | None  # [D, rows, slots * H]: what backward needs
    cells: Tensor | None  # [D, rows, H], float32 for the halves


def forward(
    shape: Shape,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    saving: bool,
) -> Outputs:
    plan, H, D = shape.plan, shape.hidden_size, shape.num_directions
    columns, num_rows = columns_of(plan.cell), shape.num_rows
    x_rows = to_rows(shape, x, plan.x_layout)
    gates = x.new_empty((D, num_rows, columns.slots * H))
    wide = compute_dtype(x.dtype)
    cells: Tensor | None = None
    if plan.num_states == 2:
        cells = x.new_empty((D, num_rows if saving else shape.batch_size, H), dtype=wide)
    operand = x.new_empty((D, shape.batch_size, H))
    kept = None
    if wide != x.dtype:
        two_phases = any(segment[3] for segment in columns.segments)
        parts = 1 + (columns.slots if two_phases else 0)
        kept = x.new_empty((D, parts, shape.batch_size, H), dtype=wide)
    directions = []
    parameters = per_direction(plan, stored_weights(plan, x, weights))  # alive until they are read
    for d, params in enumerate(parameters):
        weight_ih = params[0]
        assert weight_ih is not None
        torch.mm(x_rows, weight_ih.t(), out=gates[d][:, : weight_ih.shape[0]])
        own = [None if part is None else part[d] for part in (cells, operand, kept)]
        directions.append((gates[d].data_ptr(), *map(at, params[1:]), *map(at, own)))
    y = x.new_empty(
        (num_rows, D * H) if shape.offsets is not None else (shape.seq_len, shape.batch_size, D * H)
    )
    given = [state_in(shape, state) for state in initial]
    finals = [new_state(shape, x, state) for state in given]
    how, scratch = shape.plan_call(x, backward=False)
    shape.engine.functions.forward(
        plan.cell,
        engine_number(plan.number),
        how,
        at(scratch),
        (*shape.sizes(), int(saving)),
        shape.rows_at(),
        tuple(directions),
        shape.steps_at(y),
        tuple(map(at, given)),
        tuple(map(at, finals)),
        x.device.index or 0,
        shape.engine.stream(x),
    )
    return Outputs(y, finals, gates if saving else None, cells if saving else None)
