"""The arguments of one layer, checked against each other and ready for the engine."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastrnn._lengths import Rows, check_resets, rows_of_lengths, with_resets
from fastrnn._native import core
from fastrnn.ops._arrays import address, check_shape, checked, dense, rows

if TYPE_CHECKING:
    from fastrnn.ops._arrays import Array

# Bytes that no real allocation reaches; keeps the engine's index arithmetic inside 64 bits.
_TOO_LARGE = 2**60
_STATES = ("h0", "c0")


class CellSpec(NamedTuple):
    number: int
    name: str
    num_gates: int
    num_states: int
    num_unit_params: int
    unit_params: str  # what functions call them
    num_operand_states: int  # columns of weight_hh over hidden_size


@functools.cache
def cell_spec(name: str) -> CellSpec:
    for number, info in enumerate(core.cells()):
        if info["name"] == name:
            return CellSpec(
                number,
                name,
                info["num_gates"],
                info["num_states"],
                info["num_unit_params"],
                info["unit_params"],
                info["num_operand_states"],
            )
    raise LookupError(f"the compiled module has no cell {name!r}; is it an older build?")


class Weights(NamedTuple):
    """Parameters of all directions, or their gradients."""

    weight_ih: Array
    weight_hh: Array
    bias_ih: Array | None
    bias_hh: Array | None
    unit_params: Array | None

    def addresses(self, num_directions: int) -> tuple[tuple[int, int, int, int, int], ...]:
        """What the engine takes: a tuple a direction, 0 for what is not there."""
        return tuple(
            (
                _part(self.weight_ih, d, num_directions),
                _part(self.weight_hh, d, num_directions),
                _part(self.bias_ih, d, num_directions),
                _part(self.bias_hh, d, num_directions),
                _part(self.unit_params, d, num_directions),
            )
            for d in range(num_directions)
        )


def _part(array: Array | None, direction: int, num_directions: int) -> int:
    return 0 if array is None else address(array) + direction * (array.nbytes // num_directions)


class Problem(NamedTuple):
    cell: CellSpec
    sizes: tuple[int, int, int, int, int]  # seq_len, batch, input, hidden, directions
    stacked: bool  # the arrays have a leading axis for the direction
    x: Array
    weights: Weights
    has_bias: tuple[bool, bool]  # which of the two the caller gave
    initial: tuple[Array | None, ...]
    rows: Rows | None  # sequences of different lengths, resets

    @property
    def empty(self) -> bool:
        """Whether there is nothing to run: no sequence, or none with a step."""
        return self.sizes[1] == 0 or (self.rows is not None and self.rows.total == 0)

    @property
    def engine_sizes(self) -> tuple[int, ...]:
        if self.rows is None or self.rows.batch_sizes is None:
            return self.sizes
        return (self.rows.steps, *self.sizes[1:], self.rows.total)

    @property
    def engine_rows(self) -> tuple[()] | tuple[tuple[int, int, int, int]]:
        """The engine's last argument, if any."""
        return () if self.rows is None else (self.rows.addresses(),)

    @property
    def state_shape(self) -> tuple[int, ...]:
        _, batch_size, _, hidden_size, num_directions = self.sizes
        shape = (batch_size, hidden_size)
        return (num_directions, *shape) if self.stacked else shape

    @property
    def y_shape(self) -> tuple[int, int, int]:
        seq_len, batch_size, _, hidden_size, num_directions = self.sizes
        return seq_len, batch_size, num_directions * hidden_size


def make_problem(
    cell: CellSpec,
    x: object,
    weight_ih: object,
    weight_hh: object,
    bias_ih: object,
    bias_hh: object,
    unit_params: object,
    initial: tuple[object, ...],
    lengths: object = None,
    resets: object = None,
) -> Problem:
    """Check every argument; raises TypeError or ValueError that names the one at fault."""
    x = checked("x", x)
    if x.ndim != 3:
        raise ValueError(
            f"x: expected 3 axes, [seq_len, batch_size, input_size], got shape {x.shape}"
        )
    seq_len, batch_size, input_size = x.shape
    if seq_len == 0:
        raise ValueError(f"x: expected a sequence length of at least 1, got shape {x.shape}")
    if input_size == 0:
        raise ValueError(f"x: expected an input size of at least 1, got shape {x.shape}")
    weight_ih = checked("weight_ih", weight_ih, x.dtype)
    weight_hh = checked("weight_hh", weight_hh, x.dtype)
    gates = cell.num_gates
    for name, weight in (("weight_ih", weight_ih), ("weight_hh", weight_hh)):
        if weight.ndim != 2 and (weight.ndim != 3 or weight.shape[0] != 2):
            columns = "input_size" if name == "weight_ih" else _columns(cell)
            raise ValueError(
                f"{name}: expected [{gates}*hidden_size, {columns}] for one direction or "
                f"[2, {gates}*hidden_size, {columns}] for two, got shape {weight.shape}"
            )
    hidden_size, left = divmod(weight_hh.shape[-1], cell.num_operand_states)
    if left:
        raise ValueError(
            f"weight_hh: expected {_columns(cell)} columns, got shape {weight_hh.shape}"
        )
    if hidden_size == 0:
        raise ValueError(
            f"weight_hh: expected a hidden size of at least 1, got shape {weight_hh.shape}"
        )
    stacked = weight_ih.ndim == 3
    num_directions = 2 if stacked else 1
    sizes = (seq_len, batch_size, input_size, hidden_size, num_directions)
    _check_magnitude(sizes, cell, x.dtype.itemsize)

    lead, axis = ((2,), "2, ") if stacked else ((), "")
    size = gates * hidden_size
    label = f"{gates}*hidden_size" if gates > 1 else "hidden_size"
    expected = (*lead, size, hidden_size * cell.num_operand_states)
    check_shape("weight_hh", weight_hh, expected, f"[{axis}{label}, {_columns(cell)}]")
    check_shape("weight_ih", weight_ih, (*lead, size, input_size), f"[{axis}{label}, input_size]")

    def vector(name: str, value: object) -> Array | None:
        if value is None:
            return None
        array = checked(name, value, x.dtype)
        check_shape(name, array, (*lead, size), f"[{axis}{label}]")
        return dense(array)

    has_bias = (bias_ih is not None, bias_hh is not None)
    bias_ih, bias_hh = vector("bias_ih", bias_ih), vector("bias_hh", bias_hh)
    if has_bias[0] != has_bias[1]:  # the engine takes both or neither
        zeros = np.zeros((*lead, size), x.dtype)
        bias_ih, bias_hh = (zeros, bias_hh) if bias_ih is None else (bias_ih, zeros)

    if cell.num_unit_params:
        array = checked(cell.unit_params, unit_params, x.dtype)
        expected = (*lead, cell.num_unit_params, hidden_size)
        meaning = f"[{axis}{cell.num_unit_params}, hidden_size]"
        check_shape(cell.unit_params, array, expected, meaning)
        unit_params = dense(array)
    else:
        unit_params = None

    states: list[Array | None] = []
    for name, value in zip(_STATES, initial, strict=False):
        if value is None:
            states.append(None)
            continue
        state = checked(name, value, x.dtype)
        expected = (*lead, batch_size, hidden_size)
        check_shape(name, state, expected, f"[{axis}batch_size, hidden_size]")
        states.append(dense(state))

    run_rows = None if lengths is None else rows_of_lengths(lengths, batch_size, seq_len)
    if resets is not None:
        run_rows = with_resets(run_rows, check_resets(resets, (seq_len, batch_size)))
    weights = Weights(dense(weight_ih), dense(weight_hh), bias_ih, bias_hh, unit_params)
    return Problem(cell, sizes, stacked, rows(x), weights, has_bias, tuple(states), run_rows)


def _columns(cell: CellSpec) -> str:
    """Of weight_hh, for messages."""
    return (
        f"{cell.num_operand_states}*hidden_size" if cell.num_operand_states > 1 else "hidden_size"
    )


def _check_magnitude(sizes: tuple[int, int, int, int, int], cell: CellSpec, itemsize: int) -> None:
    """A view made by np.broadcast_to may claim more elements than there are addresses."""
    seq_len, batch_size, input_size, hidden_size, num_directions = sizes
    per_row = input_size + num_directions * hidden_size * (4 * cell.num_gates + 8)
    if seq_len * batch_size * per_row * itemsize > _TOO_LARGE:
        raise ValueError(
            f"x: seq_len {seq_len} x batch_size {batch_size} with hidden size {hidden_size} "
            "is more than fits in memory"
        )
