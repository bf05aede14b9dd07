"""Checks of ``fastrnn.functional``'s arguments: each error names what was expected and came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from fastrnn._core import CellInfo

__all__ = ["Arguments", "check_arguments"]


class Arguments(NamedTuple):
    """One layer's arguments in the form of the layers: weights flat, states [D, B, H]."""

    x: Tensor
    weights: list[
        Tensor | None
    ]  # weight_ih, weight_hh, bias_ih, bias_hh[, unit_params] a direction
    initial: tuple[Tensor | None, ...]
    hidden_size: int
    num_directions: int


def _tensor(name: str, value: Any, like: Tensor | None) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: expected a torch.Tensor, got {type(value).__name__}")
    if like is None:
        if not (value.is_floating_point() or value.is_complex()):
            raise TypeError(f"{name}: expected a floating-point dtype, got {value.dtype}")
    elif value.dtype != like.dtype:
        raise TypeError(f"{name}: expected dtype {like.dtype}, as input has, got {value.dtype}")
    elif value.device != like.device:
        raise ValueError(
            f"{name}: expected device {like.device}, as input is on, got {value.device}"
        )
    return value


def _check_shape(name: str, value: Tensor, expected: tuple[int, ...], meaning: str) -> None:
    if value.shape != expected:
        raise ValueError(f"{name}: expected shape {expected}, {meaning}, got {tuple(value.shape)}")


def check_arguments(
    info: CellInfo,
    input: Any,  # noqa: A002
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any,
    bias_hh: Any,
    unit_params: Any,
    states: dict[str, Any],
) -> Arguments:
    """Raise TypeError or ValueError for the first argument that doesn't fit the others."""
    num_gates, num_unit_params = info["num_gates"], info["num_unit_params"]
    operands = info["num_operand_states"]
    x = _tensor("input", input, None)
    if x.dim() != 3:
        raise ValueError(
            "input: expected 3 dimensions, [seq_len, batch_size, input_size], "
            f"got shape {tuple(x.shape)}"
        )
    seq_len, batch_size, input_size = x.shape
    if seq_len == 0 or input_size == 0:
        what = "sequence length" if seq_len == 0 else "input size"
        raise ValueError(f"input: expected a {what} of at least 1, got shape {tuple(x.shape)}")
    weights = {
        "weight_ih": _tensor("weight_ih", weight_ih, x),
        "weight_hh": _tensor("weight_hh", weight_hh, x),
    }
    hidden_columns = f"{operands}*hidden_size" if operands > 1 else "hidden_size"
    for name, columns in (("weight_ih", "input_size"), ("weight_hh", hidden_columns)):
        shape = weights[name].shape
        if len(shape) != 2 and (len(shape) != 3 or shape[0] != 2):
            raise ValueError(
                f"{name}: expected [{num_gates}*hidden_size, {columns}] for one direction or "
                f"[2, {num_gates}*hidden_size, {columns}] for two, got shape {tuple(shape)}"
            )
    hidden_size, left = divmod(weights["weight_hh"].shape[-1], operands)
    if left:
        raise ValueError(
            f"weight_hh: expected {hidden_columns} columns, "
            f"got shape {tuple(weights['weight_hh'].shape)}"
        )
    if hidden_size == 0:
        raise ValueError(
            "weight_hh: expected a hidden size of at least 1, got shape "
            f"{tuple(weights['weight_hh'].shape)}"
        )
    num_directions = 2 if weights["weight_ih"].dim() == 3 else 1
    lead, axis = ((2,), "2, ") if num_directions == 2 else ((), "")
    rows = num_gates * hidden_size
    label = f"{num_gates}*hidden_size" if num_gates > 1 else "hidden_size"

    for name, columns, size in (
        ("weight_hh", hidden_columns, operands * hidden_size),
        ("weight_ih", "input_size", input_size),
    ):
        _check_shape(name, weights[name], (*lead, rows, size), f"[{axis}{label}, {columns}]")
    params: list[Tensor | None] = [weights["weight_ih"], weights["weight_hh"]]
    for name, value in (("bias_ih", bias_ih), ("bias_hh", bias_hh)):
        if value is not None:
            _check_shape(name, _tensor(name, value, x), (*lead, rows), f"[{axis}{label}]")
        params.append(value)
    if (bias_ih is None) != (bias_hh is None):  # the engine takes both or neither
        params[2 if bias_ih is None else 3] = x.new_zeros((*lead, rows))
    if num_unit_params:
        expected = (*lead, num_unit_params, hidden_size)
        meaning = f"[{axis}{num_unit_params}, hidden_size]"
        name = info["unit_params"]
        _check_shape(name, _tensor(name, unit_params, x), expected, meaning)
        params.append(unit_params)

    initial: list[Tensor | None] = []
    for name, value in states.items():
        if value is None:
            initial.append(None)
            continue
        state = _tensor(name, value, x)
        if num_directions == 1 and state.dim() == 2:
            _check_shape(name, state, (batch_size, hidden_size), "[batch_size, hidden_size]")
            state = state.unsqueeze(0)
        expected = (num_directions, batch_size, hidden_size)
        meaning = f"[{num_directions}, batch_size, hidden_size]"
        _check_shape(name, state, expected, meaning)
        initial.append(state)

    flat = params
    if num_directions == 2:
        pairs = [(None, None) if p is None else torch.unbind(p) for p in params]
        flat = [pair[direction] for direction in (0, 1) for pair in pairs]
    return Arguments(x, flat, tuple(initial), hidden_size, num_directions)
