"""The cells in plain loops, without SIMD: their equations alone against the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from layer_cases import CELLS, NORMALIZED, Case, Values, run_plain_float32, run_reference
from oracles import assert_exact, assert_within_budget

from fastrnn import reference
from fastrnn._native import core

Array = npt.NDArray[Any]
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

SHAPES = [(1, 1, 1, 1), (7, 3, 5, 4), (6, 5, 3, 9)]  # seq_len, batch, input and hidden size


def run_scalar(case: Case, arguments: Values, gradients: Values) -> Values:
    """As layer_cases.run_ops, by way of core.testing's scalar_forward and scalar_backward."""
    cell, states = CELLS.index(case.cell), ("h", "c")[: reference.CELLS[case.cell].num_states]
    dtype, directions = arguments["x"].dtype, case.num_directions
    sizes = (case.seq_len, case.batch_size, case.input_size, case.hidden_size, directions)
    features = directions * case.hidden_size

    def address(array: Array | None) -> int:
        return 0 if array is None else int(array.ctypes.data)

    def sequence(array: Array) -> tuple[int, int, int]:
        return address(array), case.batch_size * array.shape[2], array.shape[2]

    def weights(arrays: Values) -> tuple[tuple[int, ...], ...]:
        unit_params = reference.CELLS[case.cell].unit_params
        stacks = [arrays.get(name) for name in (*PARAMETERS, unit_params)]
        if directions == 1:
            return (tuple(address(stack) for stack in stacks),)
        return tuple(
            tuple(address(None if stack is None else stack[d]) for stack in stacks)
            for d in range(directions)
        )

    values = {"y": np.full((case.seq_len, case.batch_size, features), np.nan, dtype)}
    lead = (2,) if directions == 2 else ()
    for state in states:
        values[f"{state}_n"] = np.full((*lead, case.batch_size, case.hidden_size), np.nan, dtype)
    grads = {name: np.full_like(value, np.nan) for name, value in arguments.items()}
    reserve = np.empty(core.testing.scalar_reserve_size(cell, dtype.itemsize, sizes), np.uint8)
    call = (
        sequence(arguments["x"]),
        weights(arguments),
        tuple(address(arguments.get(f"{state}0")) for state in states),
        sequence(values["y"]),
    )
    final = tuple(address(values[f"{state}_n"]) for state in states)
    core.testing.scalar_forward(cell, dtype.itemsize, sizes, *call, final, address(reserve))
    core.testing.scalar_backward(
        *(cell, dtype.itemsize, sizes, *call, address(reserve)),
        sequence(gradients["grad_y"]),
        tuple(address(gradients[f"grad_{state}_n"]) for state in states),
        sequence(grads["x"]),
        weights(grads),
        tuple(address(grads.get(f"{state}0")) for state in states),
    )
    return values | {f"grad_{name}": grad for name, grad in grads.items()}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("num_directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_float64(cell: str, num_directions: int, shape: tuple[int, int, int, int]) -> None:
    for bias, initial in [(True, True), (False, True), (True, False)]:
        case = Case(cell, *shape, num_directions, bias, initial)
        arguments, gradients = case.arguments(), case.output_gradients()
        expected = run_reference(cell, arguments, gradients)
        ours = run_scalar(case, arguments, gradients)
        assert ours.keys() == expected.keys()
        for name, value in expected.items():
            rtol = 1e-9 if cell in NORMALIZED else 1e-12
            assert_exact(ours[name], value, name=f"{name} of {case}", rtol=rtol)


@pytest.mark.parametrize("num_directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_float32(cell: str, num_directions: int) -> None:
    case = Case(cell, 6, 5, 3, 9, num_directions)
    arguments, gradients = case.arguments(np.float32), case.output_gradients(np.float32)
    exact = run_reference(cell, case.arguments(), case.output_gradients())
    theirs = run_plain_float32(cell, arguments, gradients)
    ours = run_scalar(case, arguments, gradients)
    for name, value in exact.items():
        factor = 4.0 if cell in NORMALIZED else 2.0
        assert_within_budget(
            ours[name], theirs[name], value, name=f"{name} of {case}", factor=factor
        )
