"""Between callers' layouts and the engine's: rows [rows, F], steps [T, B, F], states [D, B, H]."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fastrnn._cuda.shape import Shape
from fastrnn._layouts import BATCH_FIRST, PACKED, STEP, UNBATCHED
from fastrnn._plan import LayerPlan
from fastrnn._rows import pack, sort_state, unpack, unsort_state

__all__ = [
    "from_rows",
    "from_steps",
    "new_state",
    "per_direction",
    "state_in",
    "state_out",
    "to_rows",
    "to_steps",
]


def to_rows(shape: Shape, values: Tensor, layout: int) -> Tensor:
    """``values`` in a layout of callers as [rows, F], without a copy where they lie well."""
    if shape.offsets is not None:
        if layout == PACKED:
            return values
        assert shape.rows is not None
        return pack(shape.rows, values.transpose(0, 1) if layout == BATCH_FIRST else values)
    if layout == BATCH_FIRST and shape.row_step != 1:
        values = values.transpose(0, 1)
    return values.reshape(-1, values.shape[-1])


def from_rows(shape: Shape, values: Tensor, layout: int, like: tuple[int, ...]) -> Tensor:
    """`to_rows` backwards, to a tensor of shape ``like``."""
    if shape.offsets is not None:
        if layout == PACKED:
            return values
        assert shape.rows is not None
        padded = unpack(shape.rows, values)
        return padded.transpose(0, 1) if layout == BATCH_FIRST else padded
    if layout == BATCH_FIRST and shape.row_step != 1:
        return values.view(shape.seq_len, shape.batch_size, -1).transpose(0, 1)
    return values.view(like)


def to_steps(shape: Shape, values: Tensor, layout: int) -> Tensor:
    """``values`` as [T, B, F], or packed rows; a view but for padded lengths."""
    if shape.offsets is not None:
        return to_rows(shape, values, layout)
    if layout == BATCH_FIRST:
        return values.transpose(0, 1)
    if layout == UNBATCHED:
        return values.unsqueeze(1)
    if layout == STEP:
        return values.unsqueeze(0) if values.dim() == 2 else values.view(1, 1, -1)
    return values


def from_steps(shape: Shape, values: Tensor, layout: int, like: tuple[int, ...]) -> Tensor:
    if shape.offsets is not None:
        return from_rows(shape, values, layout, like)
    if layout == BATCH_FIRST:
        return values.transpose(0, 1)
    return values if layout not in (UNBATCHED, STEP) else values.view(like)


def state_in(shape: Shape, state: Tensor | None) -> Tensor | None:
    """A state as the engine reads it: [D, B, F], contiguous, longest sequence first."""
    if state is None:
        return None
    state = state.resolve_neg().contiguous()
    state = state.view(shape.num_directions, shape.batch_size, state.shape[-1])
    return state if shape.rows is None else sort_state(shape.rows, state)


def new_state(shape: Shape, like: Tensor, given: Tensor | None, features: int) -> Tensor:
    """Memory for a state that the engine writes; sequences without steps keep ``given``."""
    size = (shape.num_directions, shape.batch_size, features)
    if shape.offsets is None or int(shape.offsets[1]) == shape.batch_size:
        return like.new_empty(size)
    return like.new_zeros(size) if given is None else given.clone()


def state_out(shape: Shape, state: Tensor) -> Tensor:
    if shape.rows is not None:
        state = unsort_state(shape.rows, state)
    return state.view(*shape.plan.state_shape[:-1], state.shape[-1])


def per_direction(plan: LayerPlan, weights: Sequence[Tensor | None]) -> list[list[Tensor | None]]:
    """weight_ih, weight_hh, bias_ih, bias_hh, unit_params or weight_hr of each direction."""
    count = plan.params_per_direction
    return [[*weights[i : i + count], *[None] * (5 - count)] for i in range(0, len(weights), count)]
