"""A layer's backward pass: the steps by the engine, products over all steps by torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastrnn._cuda.forward import Saved
from fastrnn._cuda.halves import compute_dtype, product, stored_weights
from fastrnn._cuda.layouts import from_rows, new_state, per_direction, state_in, state_out, to_rows
from fastrnn._cuda.noise import noise_of
from fastrnn._cuda.plans import Columns
from fastrnn._cuda.plans import columns as columns_of
from fastrnn._cuda.shape import Shape, at, at_of
from fastrnn._plan import CELL_INFO, engine_number
from fastrnn._regularizers import Regularizers

__all__ = ["backward"]


def backward(
    shape: Shape,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    y: Tensor,
    saved: Saved,
    regularizers: Regularizers | None,
    grad_y: Tensor | None,
    grad_final: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """Gradients of ``(x, h0, c0, *weights)`` where wanted."""
    plan, H, D = shape.plan, shape.hidden_size, shape.num_directions
    W = shape.widths[0]
    columns, num_rows, states = columns_of(plan.cell), shape.num_rows, plan.num_states
    params = per_direction(plan, stored_weights(plan, x, weights))
    wide = compute_dtype(x.dtype)
    has_state = CELL_INFO[plan.cell]["num_operand_states"] == 2
    num_phases = 1 + max(segment[3] for segment in columns.segments)
    grad_gates = x.new_empty((D, num_rows, columns.gradients * H))
    operands = x.new_empty((num_phases + has_state, D, num_rows, W))  # the further state comes last
    grad_states = x.new_empty((2 + has_state, D, shape.batch_size, H), dtype=wide)
    grad_units = grad_normalized = grad_projected = None
    if columns.unit_gradients:
        grad_units = x.new_zeros((D, shape.batch_size, columns.unit_gradients, H), dtype=wide)
    if columns.normalizes:
        size = (D, shape.batch_size, columns.num_gates * H)
        grad_normalized = x.new_empty(size, dtype=wide)
    if plan.proj_size:
        grad_projected = x.new_empty((D, num_rows, W))
    noise = noise_of(shape, regularizers)
    made = saved.made
    directions = [
        (
            saved.gates[d].data_ptr(),
            at(params[d][1]),
            0 if plan.proj_size else at(params[d][4]),
            at_of(saved.cells, d),
            grad_gates[d].data_ptr(),
            operands[0, d].data_ptr(),
            operands[num_phases - 1, d].data_ptr(),
            grad_states[0, d].data_ptr(),
            grad_states[1, d].data_ptr(),
            at_of(grad_units, d),
            at_of(saved.statistics, d),
            at_of(grad_normalized, d),
            *(0 if made is None else made[k % len(made), d].data_ptr() for k in range(2)),
            operands[-1, d].data_ptr(),
            grad_states[-1, d].data_ptr(),
            at(params[d][4]) if plan.proj_size else 0,
            at_of(grad_projected, d),
        )
        for d in range(D)
    ]
    given = [state_in(shape, state) for state in initial]
    given_final = [state_in(shape, state) for state in grad_final]
    grad_initial = [
        new_state(shape, x, grad, features) if want else None
        for grad, want, features in zip(
            given_final, wanted[1 : 1 + states], shape.widths, strict=False
        )
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
        None if noise is None else noise.addresses(shape),
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
                # What met these weights, side by side.
                met = [operands[phase, d]]
                if has_state:
                    met = [operands[0, d], operands[-1 if phase == 0 else phase, d]]
                for k, operand in enumerate(met):
                    product(
                        grads[:, column * H : (column + count) * H].t(),
                        operand,
                        grad_hh[gate * H : (gate + count) * H, k * W : (k + 1) * W],
                    )
        units = None if grad_units is None else grad_units[d].sum(0).to(dtype)
        if params[d][2] is not None and (here[2] or here[3]):
            found[2:4] = _bias_gradients(columns, grads, units, H, dtype)
        if units is not None:
            found[4] = units[: columns.unit_params]
        if plan.proj_size and here[4]:
            assert grad_projected is not None
            assert saved.unprojected is not None
            grad_hr = x.new_empty((W, H), dtype=dtype)
            found[4] = product(grad_projected[d].t(), saved.unprojected[d], grad_hr)
        count = plan.params_per_direction
        grad_weights += [g if want else None for g, want in zip(found[:count], here, strict=False)]
    if grad_x is not None:
        grad_x = from_rows(shape, grad_x, plan.x_layout, plan.x_shape)
    results = [None if grad is None else state_out(shape, grad) for grad in grad_initial]
    return (grad_x, *results, *[None] * (2 - states), *grad_weights)


def _bias_gradients(
    columns: Columns, grads: Tensor, units: Tensor | None, hidden_size: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Of bias_ih and bias_hh."""
    rows = columns.num_gates * hidden_size
    if columns.normalizes:  # the engine has summed them: what grads has comes before normalization
        assert units is not None
        sums = units[columns.unit_params :].flatten()
        joint = 2 * rows - len(sums)  # of both biases alike
        return sums[:rows], torch.cat((sums[:joint], sums[rows:]))
    sums = grads.sum(0, dtype=dtype)
    grad_hh = sums.new_empty(rows)
    for column, gate, count, _ in columns.segments:
        part = sums[column * hidden_size : (column + count) * hidden_size]
        grad_hh[gate * hidden_size : (gate + count) * hidden_size] = part
    return sums[:rows], grad_hh
