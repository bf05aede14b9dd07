"""A layer's backward pass: the steps by the engine, products over all steps by torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastrnn._cuda.halves import compute_dtype, product, stored_weights
from fastrnn._cuda.layouts import from_rows, new_state, per_direction, state_in, state_out, to_rows
from fastrnn._cuda.plans import columns as columns_of
from fastrnn._cuda.shape import Shape, at
from fastrnn._plan import engine_number

__all__ = ["backward"]


def backward(
    shape: Shape,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    y: Tensor,
    gates: Tensor,
    cells: Tensor | None,
    grad_y: Tensor | None,
    grad_final: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """Gradients of ``(x, h0, c0, *weights)`` where wanted."""
    plan, H, D = shape.plan, shape.hidden_size, shape.num_directions
    columns, num_rows, states = columns_of(plan.cell), shape.num_rows, plan.num_states
    params = per_direction(plan, stored_weights(plan, x, weights))
    num_unit_params = 0 if params[0][4] is None else params[0][4].shape[0]
    num_phases = 1 + max(segment[3] for segment in columns.segments)
    grad_gates = x.new_empty((D, num_rows, columns.gradients * H))
    operands = x.new_empty((num_phases, D, num_rows, H))
    wide = compute_dtype(x.dtype)
    grad_states = x.new_empty((2, D, shape.batch_size, H), dtype=wide)
    grad_units = x.new_zeros((D, shape.batch_size, num_unit_params, H), dtype=wide)
    directions = [
        (
            gates[d].data_ptr(),
            at(params[d][1]),
            at(params[d][4]),
            0 if cells is None else cells[d].data_ptr(),
            grad_gates[d].data_ptr(),
            operands[0, d].data_ptr(),
            operands[-1, d].data_ptr(),
            grad_states[0, d].data_ptr(),
            grad_states[1, d].data_ptr(),
            grad_units[d].data_ptr() if num_unit_params else 0,
        )
        for d in range(D)
    ]
    given = [state_in(shape, state) for state in initial]
    given_final = [state_in(shape, state) for state in grad_final]
    grad_initial = [
        new_state(shape, x, grad) if want else None
        for grad, want in zip(given_final, wanted[1 : 1 + states], strict=True)
    ]
    how, scratch = shape.plan_call(x, backward=True)
    shape.engine.functions.backward(
        plan.cell,
        engine_number(plan.number),
        how,
        at(scratch),
        shape.sizes(),
        shape.rows_at(),
        tuple(directions),
        shape.steps_at(y),
        shape.steps_at(grad_y),
        tuple(map(at, given)),
        tuple(map(at, given_final)),
        tuple(map(at, grad_initial)),
        x.device.index or 0,
        shape.engine.stream(x),
    )
    x_rows = to_rows(shape, x, plan.x_layout)
    grad_x: Tensor | None = None
    dtype = plan.weight_dtype
    grad_weights: list[Tensor | None] = []
    for d in range(D):
        weight_ih, weight_hh = params[d][:2]
        assert weight_ih is not None
        assert weight_hh is not None
        grads = grad_gates[d]
        x_part = grads[:, : weight_ih.shape[0]]
        here = wanted[3 + d * plan.params_per_direction :]
        if wanted[0]:
            if grad_x is None:
                grad_x = torch.mm(x_part, weight_ih)
            else:
                grad_x.addmm_(x_part, weight_ih)
        found: list[Tensor | None] = [None] * 5
        if here[0]:
            found[0] = product(x_part.t(), x_rows, torch.empty_like(weight_ih, dtype=dtype))
        if here[1]:
            found[1] = grad_hh = torch.empty_like(weight_hh, dtype=dtype)
            for column, gate, count, phase in columns.segments:
                product(
                    grads[:, column * H : (column + count) * H].t(),
                    operands[phase, d],
                    grad_hh[gate * H : (gate + count) * H],
                )
        if params[d][2] is not None and (here[2] or here[3]):
            sums = grads.sum(0, dtype=dtype)
            found[2] = sums[: weight_ih.shape[0]]
            found[3] = grad_bias = sums.new_empty(weight_ih.shape[0])
            for column, gate, count, _ in columns.segments:
                grad_bias[gate * H : (gate + count) * H] = sums[column * H : (column + count) * H]
        if num_unit_params:
            found[4] = grad_units[d].sum(0).to(dtype)
        count = plan.params_per_direction
        grad_weights += [g if want else None for g, want in zip(found[:count], here, strict=False)]
    if grad_x is not None:
        grad_x = from_rows(shape, grad_x, plan.x_layout, plan.x_shape)
    results = [None if grad is None else state_out(shape, grad) for grad in grad_initial]
    return (grad_x, *results, *[None] * (2 - states), *grad_weights)
