"""The operators' schemas, what their arguments must be, and the size of their reserve."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from fastrnn._layouts import TIME_FIRST
from fastrnn._native import core
from fastrnn._plan import CELL_INFO, CELL_NUMBERS, layer_plan

__all__ = [
    "LIBRARY",
    "TRAILER",
    "check_arguments",
    "check_backward",
    "full_wanted",
    "full_weights",
    "has_zoneout",
    "noise_of",
    "hidden_size",
    "reserve_bytes",
    "row_count",
    "state_shape",
]

LIBRARY = torch.library.Library("fastrnn", "DEF")
LIBRARY.define(
    "layer(Tensor x, Tensor? h0, Tensor? c0, Tensor[] weights, str cell, int num_directions, "
    "bool save=False, Tensor? lengths=None, Tensor? batch_sizes=None, Tensor? resets=None, "
    "Tensor? scale=None, Tensor? keep_h=None, Tensor? keep_c=None, float[] rates=[]) "
    "-> (Tensor y, Tensor h_n, Tensor c_n, Tensor reserve)",
    tags=(torch.Tag.pt2_compliant_tag,),
)
LIBRARY.define(
    "layer_backward(Tensor? grad_y, Tensor? grad_h_n, Tensor? grad_c_n, Tensor x, Tensor? h0, "
    "Tensor? c0, Tensor[] weights, Tensor y, Tensor reserve, str cell, int num_directions, "
    "bool[] wanted, Tensor? lengths=None, Tensor? batch_sizes=None, Tensor? resets=None, "
    "Tensor? scale=None, Tensor? keep_h=None, Tensor? keep_c=None, float[] rates=[]) "
    "-> Tensor[]",
    tags=(torch.Tag.pt2_compliant_tag,),
)

_HALVES = (torch.bfloat16, torch.float16)  # with these, weights may be float32
_DTYPES = (torch.float32, torch.float64, *_HALVES)

# Hidden sizes are rounded up to this many numbers in an operator's reserve: whole registers of
# any instruction set.  So its size, which compilers write down, holds on every processor.
_UNIT_STEP = 16
# The last byte tells which instruction set has written the rest; the others keep it aligned.
TRAILER = 8


@lru_cache(maxsize=64)
def _row_bytes(cell: int, dtype: torch.dtype, zoneout: bool) -> tuple[int, int]:
    """Bytes of reserve for one unit in one step of one sequence, and those that are for all."""
    sizes = (1, 1, 1)
    few, many = (
        layer_plan(
            *(core.isa_id(), cell, dtype, sizes, TIME_FIRST, TIME_FIRST, units, 1),
            zoneout=zoneout,
        ).reserve_bytes
        for units in (4 * _UNIT_STEP, 8 * _UNIT_STEP)
    )
    unit = (many - few) // (4 * _UNIT_STEP)
    return unit, few - 4 * _UNIT_STEP * unit


def hidden_size(cell: str, weights: Sequence[Tensor]) -> Any:
    columns, states = weights[1].shape[1], CELL_INFO[CELL_NUMBERS[cell]]["num_operand_states"]
    return columns if states == 1 else columns // states


def reserve_bytes(
    cell: str, dtype: torch.dtype, rows: Any, hidden: Any, directions: int, zoneout: bool = False
) -> Any:
    """Size of an operator's reserve for ``rows`` = T*B; sizes may be symbols.

    At least ``core.reserve_size`` with any instruction set.
    """
    padded = (hidden + _UNIT_STEP - 1) // _UNIT_STEP * _UNIT_STEP
    unit, row = _row_bytes(CELL_NUMBERS[cell], dtype, zoneout)
    return rows * directions * (padded * unit + row) + TRAILER


def row_count(x: Tensor) -> Any:
    """Rows of [T, B, I], at most as many as with ``lengths``, or of [rows, I]."""
    return x.shape[0] if x.dim() == 2 else x.shape[0] * x.shape[1]


def state_shape(
    x: Tensor, h0: Tensor | None, batch_sizes: Tensor | None, num_directions: int, hidden: Any
) -> tuple[Any, ...]:
    """Of h0, c0, h_n and c_n; with ``batch_sizes`` only h0 tells the batch size."""
    batch_size = x.shape[1] if h0 is None or batch_sizes is None else h0.shape[1]
    return (num_directions, batch_size, hidden)


def full_weights(
    cell: str, weights: Sequence[Tensor], num_directions: int
) -> list[Tensor | None] | None:
    """Weights with None for missing biases; None if their number does not fit the cell."""
    units = 1 if CELL_INFO[CELL_NUMBERS[cell]]["num_unit_params"] else 0
    per_direction = len(weights) // num_directions
    if len(weights) == (4 + units) * num_directions:
        return list(weights)
    if len(weights) != (2 + units) * num_directions:
        return None
    result: list[Tensor | None] = []
    for start in range(0, len(weights), per_direction):
        one = weights[start : start + per_direction]
        result += [*one[:2], None, None, *one[2:]]
    return result


def full_wanted(full: Sequence[Tensor | None], wanted: Sequence[bool]) -> list[bool]:
    """``wanted`` with False where `full_weights` has put None."""
    places = iter(wanted[3:])
    return [*wanted[:3], *(weight is not None and next(places) for weight in full)]


def _check_shape(
    name: str, tensor: Tensor, expected: tuple[Any, ...], x: Tensor, dtype: torch.dtype
) -> None:
    """Raise RuntimeError; sizes are compared one by one, for they may be symbols."""

    def message() -> str:
        return (
            f"fastrnn::layer: {name} must be {dtype} of shape {tuple(expected)} on {x.device}, "
            f"got {tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}"
        )

    torch._check(
        tensor.dtype == dtype and tensor.device == x.device and tensor.dim() == len(expected),
        message,
    )
    for size, wanted in zip(tensor.shape, expected, strict=True):
        torch._check(size == wanted, message)


def check_arguments(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    cell: str,
    num_directions: int,
    lengths: Tensor | None = None,
    batch_sizes: Tensor | None = None,
    resets: Tensor | None = None,
    noise: Sequence[Tensor | None] = (),
    rates: Sequence[float] = (),
) -> tuple[list[Tensor | None], Any]:
    """All weights, missing biases as None, and the hidden size; RuntimeError for what can't be."""
    torch._check(cell in CELL_NUMBERS, lambda: f"fastrnn::layer: unknown cell {cell!r}")
    torch._check(num_directions in (1, 2), lambda: "fastrnn::layer: num_directions must be 1 or 2")
    if batch_sizes is None:
        torch._check(x.dim() == 3, lambda: f"fastrnn::layer: x must be [T, B, I], got {x.dim()}D")
    else:
        torch._check(
            x.dim() == 2 and h0 is not None and h0.dim() == 3 and lengths is None,
            lambda: "fastrnn::layer: with batch_sizes x must be [rows, I], h0 given, lengths None",
        )
    torch._check(
        x.dtype in _DTYPES,
        lambda: f"fastrnn::layer: x must be of a floating-point dtype, got {x.dtype}",
    )
    info = CELL_INFO[CELL_NUMBERS[cell]]
    full = full_weights(cell, weights, num_directions)
    torch._check(
        full is not None and weights[1].dim() == 2,
        lambda: f"fastrnn::layer: {len(weights)} weights do not make {num_directions} of {cell}",
    )
    assert full is not None
    input_size = x.shape[-1]
    batch_size = x.shape[1] if h0 is None or batch_sizes is None else h0.shape[1]
    torch._check(x.shape[0] > 0, lambda: "Expected sequence length to be larger than 0 in RNN")
    for name, vector in (("lengths", lengths), ("batch_sizes", batch_sizes)):
        torch._check(
            vector is None or (vector.dtype == torch.int64 and vector.dim() == 1),
            lambda name=name: f"fastrnn::layer: {name} must be a vector of int64",
        )
    torch._check(
        resets is None or (resets.dtype == torch.bool and resets.dim() == x.dim() - 1),
        lambda: "fastrnn::layer: resets must be bool, of x's shape without its features",
    )
    hidden = hidden_size(cell, weights)
    rows = info["num_gates"] * hidden
    mixed = x.dtype in _HALVES and weights[0].dtype == torch.float32
    weight_dtype = torch.float32 if mixed else x.dtype
    columns = info["num_operand_states"] * hidden
    shapes = [(rows, input_size), (rows, columns), (rows,), (rows,)]
    shapes += [(info["num_unit_params"], hidden)]
    for index, weight in enumerate(full):
        if weight is not None:
            shape = shapes[index % (len(full) // num_directions)]
            _check_shape(f"weight {index}", weight, shape, x, weight_dtype)
    torch._check(
        c0 is None or info["num_states"] == 2, lambda: f"fastrnn::layer: {cell} has no cell state"
    )
    for name, state in (("h0", h0), ("c0", c0)):
        if state is not None:
            shape = (num_directions, batch_size, hidden)
            _check_shape(name, state, shape, x, x.dtype)
    torch._check(
        (len(noise) == len(rates) == 0)
        or (len(noise) - 1 == len(rates) == info["num_states"] and min(rates, default=0) >= 0),
        lambda: "fastrnn::layer: rates must hold a number for each state",
    )
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    sequence = (*x.shape[:-1], num_directions * hidden)
    for index, values in enumerate(noise):
        if values is not None:
            shape = sequence if index else (num_directions, batch_size, hidden)
            _check_shape(f"noise {index}", values, shape, x, wide)
    return full, hidden


def noise_of(
    scale: Tensor | None, keep_h: Tensor | None, keep_c: Tensor | None, rates: Sequence[float]
) -> tuple[Tensor | None, ...]:
    """H's scale and a mask a state, or nothing without rates."""
    return (scale, keep_h, keep_c)[: 1 + len(rates)] if rates else ()


def has_zoneout(noise: Sequence[Tensor | None], rates: Sequence[float]) -> bool:
    return any(rates) or any(mask is not None for mask in noise[1:])


def check_backward(
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
    noise: Sequence[Tensor | None] = (),
    rates: Sequence[float] = (),
) -> tuple[list[Tensor | None], Any]:
    extra = (lengths, batch_sizes, resets, noise, rates)
    full, hidden = check_arguments(x, h0, c0, weights, cell, num_directions, *extra)
    sequence = (*x.shape[:-1], num_directions * hidden)
    state = state_shape(x, h0, batch_sizes, num_directions, hidden)
    _check_shape("y", y, sequence, x, x.dtype)
    for name, grad, shape in (
        ("grad_y", grad_y, sequence),
        ("grad_h_n", grad_h_n, state),
        ("grad_c_n", grad_c_n, state),
    ):
        if grad is not None:
            _check_shape(name, grad, shape, x, x.dtype)
    sizes = (row_count(x), hidden, num_directions)
    nbytes = reserve_bytes(cell, x.dtype, *sizes, has_zoneout(noise, rates))
    torch._check(
        reserve.dtype == torch.uint8 and reserve.dim() == 1,
        lambda: "fastrnn::layer_backward: reserve must be bytes",
    )
    torch._check(
        reserve.shape[0] == nbytes,
        lambda: f"fastrnn::layer_backward: reserve must have {nbytes} bytes (save=True gives it)",
    )
    given = (x, h0, c0, *weights)
    torch._check(
        len(wanted) == len(given)
        and not any(w and t is None for w, t in zip(wanted, given, strict=True)),
        lambda: (
            "fastrnn::layer_backward: wanted must have a value for x, h0, c0 and each weight, "
            "False for what is None"
        ),
    )
    return full, hidden
