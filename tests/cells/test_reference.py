"""The oracle itself: its hand-written gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import CELLS, NORMALIZED, Case, run_reference

from fastrnn import reference


@pytest.mark.parametrize("num_directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_match_finite_differences(cell: str, num_directions: int) -> None:
    case = Case(cell, 3, 2, 3, 4, num_directions, seed=5)
    arguments, gradients = case.arguments(), case.output_gradients()
    result = run_reference(cell, arguments, gradients)

    def loss() -> float:
        values = run_reference(cell, arguments)
        return sum(float((gradients[f"grad_{name}"] * v).sum()) for name, v in values.items())

    step = 1e-5
    for name, array in arguments.items():
        numeric = np.empty_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + step
            above = loss()
            array[index] = kept - step
            below = loss()
            array[index] = kept
            numeric[index] = (above - below) / (2 * step)
        # Central differences err by O(step^2), and by roundings of the loss over the step.
        rtol = 1e-6 if cell in NORMALIZED else 1e-7  # their third derivatives are large
        np.testing.assert_allclose(
            result[f"grad_{name}"], numeric, rtol=rtol, atol=1e-8, err_msg=name
        )


def test_one_step_by_hand() -> None:
    """An LSTM of one unit, from the equations with a pocket calculator's functions."""
    arguments = {
        "x": np.array([[[0.5]]]),
        "weight_ih": np.array([[1.0], [-2.0], [0.5], [3.0]]),
        "weight_hh": np.array([[0.25], [1.0], [-1.0], [2.0]]),
        "bias_ih": np.array([0.1, 0.2, 0.3, 0.4]),
        "bias_hh": np.array([0.0, -0.1, 0.2, -0.3]),
        "h0": np.array([[0.8]]),
        "c0": np.array([[-0.6]]),
    }
    i = 1 / (1 + np.exp(-(0.5 + 0.2 + 0.1)))
    f = 1 / (1 + np.exp(-(-1.0 + 0.8 + 0.2 - 0.1)))
    g = np.tanh(0.25 - 0.8 + 0.3 + 0.2)
    o = 1 / (1 + np.exp(-(1.5 + 1.6 + 0.4 - 0.3)))
    c = f * -0.6 + i * g
    values = run_reference("lstm", arguments)
    np.testing.assert_allclose(values["c_n"], [[c]], rtol=1e-15)
    np.testing.assert_allclose(values["h_n"], [[o * np.tanh(c)]], rtol=1e-15)


def test_peepholes_of_zero_make_a_plain_lstm() -> None:
    arguments = Case("peephole_lstm", 4, 3, 2, 5, 2).arguments()
    arguments["peephole"][:] = 0
    with_peepholes = run_reference("peephole_lstm", arguments)
    del arguments["peephole"]
    for name, value in run_reference("lstm", arguments).items():
        np.testing.assert_array_equal(with_peepholes[name], value)


def test_grus_agree_where_the_reset_gate_is_open() -> None:
    """With r = 1 it does not matter on which side of the matmul it stands."""
    arguments = Case("gru", 4, 3, 2, 5).arguments()
    arguments["bias_ih"][:5] = 1000.0
    after = run_reference("gru", arguments)
    before = run_reference("gru_reset_before", arguments)
    np.testing.assert_allclose(after["y"], before["y"], rtol=1e-13)


def test_reverse_direction_is_the_forward_one_on_reversed_time() -> None:
    arguments = Case("gru", 6, 3, 2, 5, 2).arguments()
    both = run_reference("gru", arguments)
    alone = {name: value if name == "x" else value[1] for name, value in arguments.items()}
    alone["x"] = alone["x"][::-1]
    reverse = run_reference("gru", alone)
    np.testing.assert_array_equal(both["y"][..., 5:], reverse["y"][::-1])
    np.testing.assert_array_equal(both["h_n"][1], reverse["h_n"])


def test_sigmoid_saturates_without_warnings() -> None:
    values = reference.sigmoid(np.array([-np.inf, -1000.0, 0.0, 1000.0, np.inf]))
    np.testing.assert_array_equal(values, [0, 0, 0.5, 1, 1])
