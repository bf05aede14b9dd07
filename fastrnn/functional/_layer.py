"""One layer for any cell: checks the arguments and chooses who computes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from fastrnn import _composed
from fastrnn._arguments import check_arguments
from fastrnn._autocast import autocast_dtype, autocast_refuses, cast_all
from fastrnn._dispatch import engine_refuses, run_stack
from fastrnn._layouts import TIME_FIRST
from fastrnn._native import core
from fastrnn._operator_calls import host_lengths, operators_refuse, planned_layer
from fastrnn._plan import CELL_INFO, CELL_NUMBERS, Uneven, rows_plan, stack_plan
from fastrnn._rows import rows_of_padded

__all__ = ["run_layer"]


def run_layer(
    cell: str,
    input: Any,  # noqa: A002 - torch's name
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any,
    bias_hh: Any,
    unit_params: Any = None,
    lengths: Any = None,
    resets: Any = None,
    **states: Any,
) -> tuple[Tensor, ...]:
    number = CELL_NUMBERS[cell]
    info = CELL_INFO[number]
    cast = autocast_dtype(input) if isinstance(input, Tensor) else None
    if cast is not None:
        given = (input, weight_ih, weight_hh, bias_ih, bias_hh, unit_params, *states.values())
        if autocast_refuses(cast, given) is None:
            given = cast_all(cast, given)
            input, weight_ih, weight_hh, bias_ih, bias_hh, unit_params, *cast_states = given  # noqa: A001
            states = dict(zip(states, cast_states, strict=True))
    x, weights, initial, hidden_size, num_directions = check_arguments(
        info,
        input,
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        unit_params,
        states,
    )
    outputs = rows = None
    compiling = torch.compiler.is_compiling()
    if operators_refuse(x, initial, weights, compiling) is None:
        lengths = None if lengths is None else host_lengths(lengths)
        outputs = planned_layer(
            cell, TIME_FIRST, x, initial, weights, num_directions, lengths, resets
        )
    else:
        rows = rows_of_padded(lengths, resets, tuple(x.shape[:2]), False)
    if outputs is None and not compiling and type(x) in (Tensor, Parameter):
        isa, sizes = core.isa_id(), (x.shape[-1], hidden_size, 1, num_directions)
        if rows is None or rows.batch_sizes is None:
            plan = stack_plan(isa, number, x.dtype, x.shape, *sizes, False)
        else:
            uneven = Uneven(rows.steps, rows.padded_steps, rows.batch_size, rows.total)
            plan = rows_plan(isa, number, x.dtype, x.shape, TIME_FIRST, uneven, *sizes)
        if not isinstance(plan, str) and engine_refuses(x, initial, weights, plan) is None:
            outputs = run_stack(plan, x, initial, weights, rows=rows)
    if outputs is None:
        outputs = _composed.planned_layer(
            cell, TIME_FIRST, TIME_FIRST, x, initial, weights, len(weights) // num_directions, rows
        )
    if num_directions == 1:
        return (outputs[0], *(state.squeeze(0) for state in outputs[1:]))
    return outputs
