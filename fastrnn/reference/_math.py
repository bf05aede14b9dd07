"""What the cells are made of: the form of their parameters and states, and two operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
State = tuple[Array, ...]  # (h,) or (h, c), each [B, H]


class Params(NamedTuple):
    """Parameters of one direction, or their gradients; a bias of None counts as zero."""

    weight_ih: Array  # [G*H, I]
    weight_hh: Array  # [G*H, H], or [G*H, 2*H] for a cell whose gates see the whole of c
    bias_ih: Array | None = None  # [G*H]
    bias_hh: Array | None = None  # [G*H]
    unit_params: Array | None = None  # [P, H]: numbers that each unit has, e.g. peepholes


# (x [B, I], state, params) -> next state
Step = Callable[[Array, State, Params], State]
# (x, state, params, gradient of the next state) -> gradients of x, state and params
StepBackward = Callable[[Array, State, Params, State], tuple[Array, State, Params]]


class Cell(NamedTuple):
    num_gates: int
    num_states: int
    num_unit_params: int
    step: Step
    step_backward: StepBackward
    unit_params: str = ""  # what functions call them
    operand_has_state: bool = False  # weight_hh multiplies [h, c], not h alone


def sigmoid(v: Array) -> Array:
    with np.errstate(over="ignore"):  # exp(-v) = inf gives the right 0
        result: Array = 1 / (1 + np.exp(-v))
    return result


def affine(v: Array, weight: Array, bias: Array | None) -> Array:
    product: Array = v @ weight.T
    return product if bias is None else product + bias


def affine_backward(grad: Array, v: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Gradients of ``v``, ``weight`` and ``bias`` in ``affine``."""
    return grad @ weight, grad.T @ v, grad.sum(axis=0)
