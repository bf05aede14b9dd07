"""A layer's forward pass: the input's product by torch, the steps by the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fastrnn._cuda.halves import compute_dtype, stored_weights
from fastrnn._cuda.layouts import new_state, per_direction, state_in, to_rows
from fastrnn._cuda.noise import noise_of
from fastrnn._cuda.plans import columns as columns_of
from fastrnn._cuda.shape import Shape, at, at_of
from fastrnn._plan import engine_number
from fastrnn._regularizers import Regularizers

__all__ = ["Outputs", "Saved", "forward"]


class Saved(NamedTuple):
    gates: Tensor  # [D, rows, slots * H]
    cells: Tensor | None  # [D, rows, H]
    statistics: Tensor | None  # of normalized cells: [D, rows, 4]
    made: Tensor | None  # with zoneout the states before it: [states, D, rows, H]
    unprojected: Tensor | None  # what a projection takes: [D, rows, H]


class Outputs(NamedTuple):
    y: Tensor  # [T, B, D * H or P] or packed rows
    finals: list[Tensor]
    saved: Saved | None  # what backward needs


def forward(
    shape: Shape,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    regularizers: Regularizers | None,
    saving: bool,
) -> Outputs:
    plan, H, D = shape.plan, shape.hidden_size, shape.num_directions
    columns, num_rows = columns_of(plan.cell), shape.num_rows
    x_rows = to_rows(shape, x, plan.x_layout)
    slots, first = (columns.slots, columns.input) if saving else (columns.working, 0)
    gates = x.new_empty((D, num_rows, slots * H))
    wide = compute_dtype(x.dtype)
    cells = statistics = made = raw = unprojected = None
    kept_rows = num_rows if saving else shape.batch_size
    if plan.num_states == 2:
        cells = x.new_empty((D, kept_rows, H), dtype=wide)
    if plan.proj_size:
        unprojected = x.new_empty((D, kept_rows, H))
    if columns.normalizes:
        raw = x.new_empty((D, shape.batch_size, (columns.num_gates + 1) * H), dtype=wide)
        statistics = x.new_empty((D, num_rows, 4), dtype=wide) if saving else None
    noise = noise_of(shape, regularizers)
    if saving and noise is not None and noise.any_zoneout:
        made = x.new_empty((plan.num_states, D, num_rows, H), dtype=wide)
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
        input_part = gates[d][:, first * H : first * H + weight_ih.shape[0]]
        torch.mm(x_rows, weight_ih.t(), out=input_part)
        parts_at = [at_of(part, d) for part in (cells, operand, kept, raw, statistics)]
        made_at = [0 if made is None else made[k % len(made), d].data_ptr() for k in range(2)]
        units, weight_hr = (0, at(params[4])) if plan.proj_size else (at(params[4]), 0)
        weights_at = (*map(at, params[1:4]), units)
        projection = weight_hr, at_of(unprojected, d)
        directions.append((gates[d].data_ptr(), *weights_at, *parts_at, *made_at, *projection))
    lead = (num_rows,) if shape.offsets is not None else (shape.seq_len, shape.batch_size)
    y = x.new_empty((*lead, D * shape.widths[0]))
    given = [state_in(shape, state) for state in initial]
    finals = [
        new_state(shape, x, state, features)
        for state, features in zip(given, shape.widths, strict=False)
    ]
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
        None if noise is None else noise.addresses(shape),
        x.device.index or 0,
        shape.engine.stream(x),
    )
    return Outputs(
        y, finals, Saved(gates, cells, statistics, made, unprojected) if saving else None
    )
