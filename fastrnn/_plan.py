"""Everything about a call that follows from its shapes alone, worked out once and cached.

A recurrent layer is often called with the same shapes thousands of times, and for small ones the
Python around the kernels costs as much as the kernels: sizes, strides, the reserve's size and the
expected parameter shapes are therefore looked up, not recomputed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch

from fastrnn._layouts import BATCH_FIRST, PACKED, STEP, TIME_FIRST, UNBATCHED
from fastrnn._native import core

__all__ = [
    "CELL_INFO",
    "CELL_NUMBERS",
    "LayerPlan",
    "StackPlan",
    "engine_number",
    "is_mixed",
    "layer_plan",
    "rows_plan",
    "stack_plan",
    "step_plan",
]

CELL_INFO = tuple(core.cells())
CELL_NUMBERS = {info["name"]: number for number, info in enumerate(CELL_INFO)}
# The engine's codes of number types (csrc/core/number.h), and bytes of a number.
_NUMBERS = {torch.float32: 4, torch.float64: 8, torch.bfloat16: 2, torch.float16: 1}
_ITEM_SIZES = {torch.float32: 4, torch.float64: 8, torch.bfloat16: 2, torch.float16: 2}
_MIXED = 16  # a half's parameters are float32


def is_mixed(number: int) -> bool:
    """Whether a code of a number type says that a half's parameters are float32."""
    return bool(number & _MIXED)


def engine_number(number: int) -> int:
    """The code of what the CUDA engine gets: its parameters have been rounded by then."""
    return number & ~_MIXED


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One layer's call of the engine; weights are 4 tensors a direction (5 with unit params)."""

    cell: int
    number: int  # code of the number type
    itemsize: int
    weight_dtype: torch.dtype
    isa: int  # the reserve's layout depends on it, so backward must use the forward's
    sizes: tuple[int, ...]  # seq_len, batch, input, hidden, directions[, rows[, zoneout]]
    num_states: int
    x_layout: int
    y_layout: int
    time_dim: int  # of x
    batch_dim: int
    y_time_dim: int
    y_batch_dim: int
    x_shape: tuple[int, ...]
    x_strides: tuple[int, ...]  # of a contiguous x, for its gradient
    y_shape: tuple[int, ...]
    y_strides: tuple[int, ...]  # rows of one step lie together whatever the layout, as in torch
    y_steps: tuple[int, ...]  # of y: from one step, and one row of the batch, to the next
    state_shape: tuple[int, ...]  # of c; of h, too, unless it is projected
    state_shapes: tuple[tuple[int, ...], ...]  # of h and c
    state_strides: tuple[int, ...]
    reserve_bytes: int
    weight_shapes: tuple[tuple[int, ...], ...]
    params_per_direction: int
    proj_size: int  # features of h where it is projected, else 0; unit params are then weight_hr


@dataclass(frozen=True, slots=True)
class StackPlan:
    """All layers of one module call."""

    layers: tuple[LayerPlan, ...]
    state_shape: tuple[int, ...]  # of h0, c0, h_n and c_n: all layers and directions
    state_shapes: tuple[tuple[int, ...], ...]
    state_strides: tuple[int, ...]
    state_bytes: int  # one layer's part of a state
    weight_dtype: torch.dtype
    weight_shapes: tuple[tuple[int, ...], ...]
    proj_size: int


def _state_shapes(shape: tuple[int, ...], proj_size: int) -> tuple[tuple[int, ...], ...]:
    return ((*shape[:-1], proj_size) if proj_size else shape, shape)


# Time and batch dimensions; where there is none of the kind, any will do: it has one entry.
_DIMS = {TIME_FIRST: (0, 1), BATCH_FIRST: (1, 0), UNBATCHED: (0, 0), STEP: (0, 0), PACKED: (0, 0)}


def _contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def _shape(layout: int, seq_len: int, batch_size: int, features: int, rank: int) -> tuple[int, ...]:
    """Shape of a sequence; ``rank`` tells a step's [B, F] from [F]."""
    if layout == TIME_FIRST:
        return (seq_len, batch_size, features)
    if layout == BATCH_FIRST:
        return (batch_size, seq_len, features)
    if layout == UNBATCHED:
        return (seq_len, features)
    return (batch_size, features) if rank == 2 else (features,)


def _time_major_strides(layout: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    if layout != BATCH_FIRST:
        return _contiguous_strides(shape)
    batch_size, _, features = shape
    return (features, max(batch_size, 1) * features, 1)


class Uneven(NamedTuple):
    """Sequences of different lengths."""

    longest: int
    padded_steps: int
    batch_size: int
    rows: int  # of all steps together


@lru_cache(maxsize=4096)
def layer_plan(
    isa: int,
    cell: int,
    dtype: torch.dtype,
    x_shape: tuple[int, ...],
    x_layout: int,
    y_layout: int,
    hidden_size: int,
    num_directions: int,
    mixed: bool = False,
    uneven: Uneven | None = None,
    zoneout: bool = False,
    proj_size: int = 0,
) -> LayerPlan:
    """Plan of one layer (all its directions) for an input of shape ``x_shape``.

    ``mixed``: ``dtype`` is a half, and the weights are float32.  ``proj_size``: features of h
    where it is projected, else 0; the engine on the CPU takes none such.
    """
    info = CELL_INFO[cell]
    itemsize = _ITEM_SIZES[dtype]
    number = _NUMBERS[dtype] | (_MIXED if mixed else 0)
    rank = len(x_shape)
    time_dim, batch_dim = _DIMS[x_layout]
    y_time_dim, y_batch_dim = _DIMS[y_layout]
    seq_len = 1 if x_layout == STEP else x_shape[time_dim]
    batch_size = x_shape[batch_dim] if rank == 3 or (x_layout == STEP and rank == 2) else 1
    if uneven is not None:
        batch_size = uneven.batch_size
    if batch_size == 1:  # any stride will do; this one tells the engine that rows lie evenly
        batch_dim, y_batch_dim = time_dim, y_time_dim
    input_size = x_shape[-1]
    width = num_directions * (proj_size or hidden_size)
    sizes: tuple[int, ...] = (seq_len, batch_size, input_size, hidden_size, num_directions)
    if uneven is None:
        y_shape = _shape(y_layout, seq_len, batch_size, width, rank)
    else:
        longest, padded_steps, _, rows = uneven
        sizes = (longest, batch_size, input_size, hidden_size, num_directions, rows)
        y_shape = (
            (rows, width)
            if y_layout == PACKED
            else _shape(y_layout, padded_steps, batch_size, width, 3)
        )
    if zoneout:
        sizes = (*sizes, 0)[:6] + (1,)
    y_strides = _time_major_strides(y_layout, y_shape)
    if x_layout == STEP:
        state_shape = y_shape
    elif uneven is not None:
        state_shape = (num_directions, batch_size, hidden_size)
    elif x_layout == UNBATCHED:
        state_shape = (num_directions, hidden_size)
    else:
        state_shape = (num_directions, batch_size, hidden_size)
    rows = info["num_gates"] * hidden_size
    direction: tuple[tuple[int, ...], ...] = (
        (rows, input_size),
        (rows, info["num_operand_states"] * (proj_size or hidden_size)),
        (rows,),
        (rows,),
    )
    if info["num_unit_params"]:
        direction += ((info["num_unit_params"], hidden_size),)
    if proj_size:
        direction += ((proj_size, hidden_size),)
    return LayerPlan(
        cell=cell,
        number=number,
        itemsize=itemsize,
        weight_dtype=torch.float32 if mixed else dtype,
        isa=isa,
        sizes=sizes,
        num_states=info["num_states"],
        x_layout=x_layout,
        y_layout=y_layout,
        time_dim=time_dim,
        batch_dim=batch_dim,
        y_time_dim=y_time_dim,
        y_batch_dim=y_batch_dim,
        x_shape=tuple(x_shape),
        x_strides=_contiguous_strides(x_shape),
        y_shape=y_shape,
        y_strides=y_strides,
        y_steps=(width,) if y_layout == PACKED else (y_strides[y_time_dim], y_strides[y_batch_dim]),
        state_shape=state_shape,
        state_shapes=_state_shapes(state_shape, proj_size),
        state_strides=_contiguous_strides(state_shape),
        reserve_bytes=core.reserve_size(cell, number, isa, sizes),
        weight_shapes=direction * num_directions,
        params_per_direction=len(direction),
        proj_size=proj_size,
    )


@lru_cache(maxsize=4096)
def stack_plan(
    isa: int,
    cell: int,
    dtype: torch.dtype,
    x_shape: tuple[int, ...],
    input_size: int,
    hidden_size: int,
    num_layers: int,
    num_directions: int,
    batch_first: bool,
    mixed: bool = False,
    zoneout: bool = False,
    proj_size: int = 0,
) -> StackPlan | str:
    """Plan of a stack of layers, or the reason why there can be none."""
    if dtype not in _ITEM_SIZES:
        return f"input is {dtype}"
    rank = len(x_shape)
    if rank not in (2, 3):
        return f"input has {rank} dimensions"
    if x_shape[-1] != input_size:
        return f"input has {x_shape[-1]} features instead of {input_size}"
    if 0 in x_shape:
        return "input is empty"
    layout = UNBATCHED if rank == 2 else BATCH_FIRST if batch_first else TIME_FIRST
    between = UNBATCHED if rank == 2 else TIME_FIRST  # layers hand on [T, B, F], as in torch
    sizes = hidden_size, num_layers, num_directions, proj_size
    return _stack(isa, cell, dtype, x_shape, layout, between, *sizes, mixed, None, zoneout)


@lru_cache(maxsize=1024)
def rows_plan(
    isa: int,
    cell: int,
    dtype: torch.dtype,
    x_shape: tuple[int, ...],
    layout: int,
    uneven: Uneven,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    num_directions: int,
    mixed: bool = False,
    zoneout: bool = False,
    proj_size: int = 0,
) -> StackPlan | str:
    """`stack_plan` for sequences of different lengths; layers hand on rows in packed order."""
    if dtype not in _ITEM_SIZES:
        return f"input is {dtype}"
    if x_shape[-1] != input_size:
        return f"input has {x_shape[-1]} features instead of {input_size}"
    if uneven.rows == 0 or 0 in x_shape:
        return "input is empty"
    sizes = hidden_size, num_layers, num_directions, proj_size
    return _stack(isa, cell, dtype, x_shape, layout, PACKED, *sizes, mixed, uneven, zoneout)


def _stack(
    isa: int,
    cell: int,
    dtype: torch.dtype,
    x_shape: tuple[int, ...],
    layout: int,
    between: int,
    hidden_size: int,
    num_layers: int,
    num_directions: int,
    proj_size: int,
    mixed: bool,
    uneven: Uneven | None = None,
    zoneout: bool = False,
) -> StackPlan:
    layers: list[LayerPlan] = []
    for layer in range(num_layers):
        y_layout = layout if layer == num_layers - 1 else between
        layers.append(
            layer_plan(
                isa,
                cell,
                dtype,
                layers[-1].y_shape if layers else x_shape,
                between if layers else layout,
                y_layout,
                hidden_size,
                num_directions,
                mixed,
                uneven,
                zoneout,
                proj_size,
            )
        )
    one = layers[0].state_shape
    state_shape = (num_layers * num_directions, *one[1:])
    state_bytes = layers[0].itemsize
    for size in one:
        state_bytes *= size
    return StackPlan(
        layers=tuple(layers),
        state_shape=state_shape,
        state_shapes=_state_shapes(state_shape, proj_size),
        state_strides=_contiguous_strides(state_shape),
        state_bytes=state_bytes,
        weight_dtype=layers[0].weight_dtype,
        weight_shapes=tuple(shape for plan in layers for shape in plan.weight_shapes),
        proj_size=proj_size,
    )


@lru_cache(maxsize=4096)
def step_plan(
    isa: int,
    cell: int,
    dtype: torch.dtype,
    x_shape: tuple[int, ...],
    input_size: int,
    hidden_size: int,
    mixed: bool = False,
    zoneout: bool = False,
) -> LayerPlan | str:
    """Plan of one step of a cell on [B, I] or [I], or the reason why there can be none."""
    if dtype not in _ITEM_SIZES:
        return f"input is {dtype}"
    if len(x_shape) not in (1, 2):
        return f"input has {len(x_shape)} dimensions"
    if x_shape[-1] != input_size:
        return f"input has {x_shape[-1]} features instead of {input_size}"
    if 0 in x_shape:
        return "input is empty"
    return layer_plan(isa, cell, dtype, x_shape, STEP, STEP, hidden_size, 1, mixed, zoneout=zoneout)
