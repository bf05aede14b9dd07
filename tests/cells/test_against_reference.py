"""Every cell, forward and backward, on every instruction set, against the float64 oracle."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from layer_cases import CELLS, NORMALIZED, Case, Values, run_ops, run_plain_float32, run_reference
from oracles import assert_exact, assert_same_bits, assert_within_budget

# (seq_len, batch_size, input_size, hidden_size): ones, odd sizes, exact multiples of every
# register width, and sizes just past them.
SHAPES = [
    (1, 1, 1, 1),
    (7, 3, 5, 7),
    (4, 1, 7, 129),
    (3, 7, 129, 1),
    (5, 16, 16, 32),
    (3, 33, 17, 33),
    (2, 129, 3, 15),
]

per_cell = pytest.mark.parametrize("cell", CELLS)
per_direction = pytest.mark.parametrize("num_directions", [1, 2])


def compare_exactly(case: Case) -> None:
    arguments, gradients = case.arguments(), case.output_gradients()
    expected = run_reference(case.cell, arguments, gradients)
    ours = run_ops(case.cell, arguments, gradients)
    assert ours.keys() == expected.keys()
    rtol = 1e-9 if case.cell in NORMALIZED else 1e-12
    for name, value in expected.items():
        assert_exact(ours[name], value, name=f"{name} of {case}", rtol=rtol)
    for name, value in run_ops(case.cell, arguments).items():
        assert_exact(value, expected[name], name=f"{name} of {case}, inference", rtol=rtol)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@per_direction
@per_cell
def test_float64(
    isa: str, cell: str, num_directions: int, shape: tuple[int, int, int, int]
) -> None:
    for bias, initial in itertools.product([True, False], repeat=2):
        compare_exactly(Case(cell, *shape, num_directions, bias, initial))


@per_cell
def test_float64_every_batch_remainder(isa: str, cell: str) -> None:
    """Each number of rows that a register tile may have left over."""
    for batch_size in range(1, 14):
        compare_exactly(Case(cell, 3, batch_size, 9, 24))


@per_cell
def test_float64_every_hidden_remainder(isa: str, cell: str) -> None:
    """Each number of lanes that a register may have left over."""
    for hidden_size in range(1, 36):
        compare_exactly(Case(cell, 2, 5, 3, hidden_size))


@functools.cache  # the same for every instruction set
def exact_and_plain(case: Case) -> tuple[Values, Values]:
    arguments, gradients = case.arguments(np.float32), case.output_gradients(np.float32)
    exact = run_reference(case.cell, case.arguments(), case.output_gradients())
    return exact, run_plain_float32(case.cell, arguments, gradients)


def compare_within_budget(case: Case, isa: str) -> None:
    # NumPy's products are fused multiply-adds; generic code has none and rounds every product.
    factor = 3.0 if isa == "generic" else 2.0
    if case.cell in NORMALIZED:  # each rounding of a product counts as often as the row's deviation
        factor = 8.0  # is small: of three gates of one unit, 7.3 times
    exact, theirs = exact_and_plain(case)
    ours = run_ops(case.cell, case.arguments(np.float32), case.output_gradients(np.float32))
    assert ours.keys() == exact.keys()
    for name, value in exact.items():
        assert_within_budget(
            ours[name], theirs[name], value, name=f"{name} of {case}", factor=factor
        )


@pytest.mark.parametrize("shape", [*SHAPES[1:], (20, 32, 48, 64)], ids=str)
@per_direction
@per_cell
def test_float32(
    isa: str, cell: str, num_directions: int, shape: tuple[int, int, int, int]
) -> None:
    compare_within_budget(Case(cell, *shape, num_directions), isa)


@per_cell
def test_float32_long_sequence(isa: str, cell: str) -> None:
    """Errors must not add up faster than those of the textbook formulas."""
    compare_within_budget(Case(cell, 1000, 2, 3, 16), isa)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@per_direction
@per_cell
def test_inference_and_training_give_the_same_bits(
    isa: str, cell: str, num_directions: int, dtype: type
) -> None:
    case = Case(cell, 6, 9, 11, 19, num_directions)
    arguments = case.arguments(dtype)
    training = run_ops(cell, arguments, case.output_gradients(dtype))
    for name, value in run_ops(cell, arguments).items():
        assert_same_bits(value, training[name], name=name)


@per_direction
@per_cell
def test_any_subset_of_output_gradients(isa: str, cell: str, num_directions: int) -> None:
    """A gradient that is not given counts as zero; with none at all every gradient is zero."""
    case = Case(cell, 4, 5, 6, 7, num_directions)
    arguments, gradients = case.arguments(), case.output_gradients()
    for count in range(len(gradients)):
        for names in itertools.combinations(gradients, count):
            subset = {name: gradients[name] for name in names}
            expected = run_reference(cell, arguments, subset)
            for name, value in run_ops(cell, arguments, subset).items():
                assert_exact(value, expected[name], name=f"{name} from {names}")
                if not names and name.startswith("grad_"):
                    assert not value.any(), name


@per_cell
def test_saturated_gates(isa: str, cell: str) -> None:
    """Arguments far outside the range where the activations move."""
    case = Case(cell, 5, 6, 4, 10)
    arguments, gradients = case.arguments(), case.output_gradients()
    arguments["weight_ih"] = arguments["weight_ih"] * 1e3
    if cell == "rnn_relu":  # the one whose values grow with its weights
        arguments["weight_ih"] = arguments["weight_ih"] * 1e3
    expected = run_reference(cell, arguments, gradients)
    for name, value in run_ops(cell, arguments, gradients).items():
        assert_exact(value, expected[name], name=name)
