"""Errors where torch has no layer of the kind that would raise them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from fastrnn._plan import CELL_INFO

__all__ = [
    "check_bool",
    "check_composed",
    "check_states",
    "check_weights",
    "no_script",
    "public_name",
]


def public_name(module: Module) -> str:
    """The name of the class of `fastrnn.nn` that a module is of, for messages."""
    return next(c.__name__ for c in type(module).__mro__ if c.__module__.startswith("fastrnn.nn."))


def no_script(module: Module) -> str:
    return (
        f"TorchScript has no {module._get_name()}({module.extra_repr()}): torch.jit.script takes "
        "the layers that torch.nn has, too; use torch.jit.trace, torch.compile or torch.export"
    )


def check_bool(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")


def given_states(hx: Any, num_states: int) -> tuple[Any, ...] | None:
    """``hx`` as a layer or cell of so many states takes it, a state each; None where it isn't."""
    if num_states == 1:
        return (hx,)
    if hx is None:
        return (None, None)
    if type(hx) in (tuple, list) and len(hx) == 2 and hx[0] is not None and hx[1] is not None:
        return hx[0], hx[1]
    return None


def check_states(x: Tensor, states: Sequence[Tensor | None]) -> None:
    """Raise RuntimeError for states of another dtype, which operations would promote."""
    if torch._C._is_any_autocast_enabled():
        return
    for state in states:
        if state is not None and state.dtype != x.dtype:
            raise RuntimeError(
                f"input and hidden state must have the same dtype, got {x.dtype} and {state.dtype}"
            )


def check_weights(
    cell: int,
    input_size: int,
    hidden_size: int,
    weights: Sequence[Tensor | None],
    proj_size: int = 0,
) -> None:
    """Raise RuntimeError for weights of another shape, which operations might broadcast."""
    info = CELL_INFO[cell]
    rows = info["num_gates"] * hidden_size
    columns = info["num_operand_states"] * (proj_size or hidden_size)
    expected: list[tuple[int, ...]] = [(rows, input_size), (rows, columns), (rows,), (rows,)]
    expected.append((proj_size or info["num_unit_params"], hidden_size))
    for weight, shape in zip(weights, expected, strict=False):
        if weight is not None and weight.shape != shape:
            raise RuntimeError(f"a weight must have shape {shape}, got {tuple(weight.shape)}")


def check_composed(
    layer: Any, x: Tensor, initial: Sequence[Tensor | None], weights: Sequence[Sequence[Any]]
) -> None:
    """What a layer that torch lacks must check before it is computed step by step."""
    if x.dim() == 3 and x.shape[1 if layer.batch_first else 0] == 0:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    check_states(x, initial)
    directions = 2 if layer.bidirectional else 1
    for index, one in enumerate(weights):
        width = layer.proj_size or layer.hidden_size
        size = directions * width if index else layer.input_size
        for start in range(0, len(one), 5):
            sizes = size, layer.hidden_size
            check_weights(layer._cell(), *sizes, one[start : start + 5], layer.proj_size)
