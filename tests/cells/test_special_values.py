"""NaN, infinities and denormal numbers."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import CELLS, NORMALIZED, Case, run_ops, run_plain_float32, run_reference
from oracles import assert_exact, assert_same_bits, assert_within_budget

ROW = 4  # the sequence that is given something special
DTYPES = [np.float32, np.float64]

per_cell = pytest.mark.parametrize("cell", CELLS)
per_dtype = pytest.mark.parametrize("dtype", DTYPES)


@per_dtype
@pytest.mark.parametrize("where", ["x", "h0"])
@per_cell
def test_nan_stays_in_its_row(isa: str, cell: str, where: str, dtype: type) -> None:
    case = Case(cell, 5, 11, 6, 21)
    clean, gradients = case.arguments(dtype), case.output_gradients(dtype)
    poisoned = {name: value.copy() for name, value in clean.items()}
    start = 2 if where == "x" else 0
    poisoned[where][(start, ROW, 3) if where == "x" else (ROW, 3)] = np.nan
    expected, ours = run_ops(cell, clean, gradients), run_ops(cell, poisoned, gradients)
    others = np.arange(11) != ROW

    assert np.isnan(ours["y"][start:, ROW]).any(axis=1).all()
    # From the step after it is in every hidden unit, through the recurrent weights.
    assert np.isnan(ours["y"][start + 1 :, ROW]).all()
    assert_same_bits(ours["y"][:start], expected["y"][:start], name="y before")
    assert_same_bits(ours["y"][:, others], expected["y"][:, others], name="y of other rows")
    assert_same_bits(ours["h_n"][others], expected["h_n"][others], name="h_n of other rows")
    assert_same_bits(
        ours["grad_x"][:, others], expected["grad_x"][:, others], name="grad_x of other rows"
    )
    assert_same_bits(
        ours["grad_h0"][others], expected["grad_h0"][others], name="grad_h0 of other rows"
    )
    assert np.isnan(ours["grad_weight_hh"]).any()


@pytest.mark.parametrize("name", ["weight_ih", "weight_hh", "bias_ih", "bias_hh"])
@per_cell
def test_nan_in_a_parameter_shows(isa: str, cell: str, name: str) -> None:
    case = Case(cell, 3, 5, 6, 21)
    arguments = case.arguments(np.float32)
    arguments[name].flat[0] = np.nan
    values = run_ops(cell, arguments)
    assert np.isnan(values["y"][0, :, 0]).all()  # flat[0] belongs to the first unit's first gate
    assert np.isnan(values["y"][1:]).all()
    assert np.isnan(values["h_n"]).all()


# Infinities go on through these: the first has no gate that saturates, the second multiplies x by
# h, and the others take away the mean.
OPEN = ("rnn_relu", "multiplicative_lstm", *NORMALIZED)


@per_dtype
@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e30, -1e30])
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in OPEN])
def test_infinity_saturates_its_row(isa: str, cell: str, value: float, dtype: type) -> None:
    """A gate's preactivation becomes infinite, the gate 0, 1 or -1, and nothing becomes NaN."""
    case = Case(cell, 4, 11, 6, 21)
    clean = case.arguments(dtype)
    extreme = {name: array.copy() for name, array in clean.items()}
    extreme["x"][1, ROW, 3] = value
    ours, exact = run_ops(cell, extreme), run_reference(cell, extreme)
    assert np.isfinite(exact["y"]).all()
    if dtype is np.float64:
        for name, result in ours.items():
            assert_exact(result, exact[name], name=name)
    else:
        theirs = run_plain_float32(cell, extreme)
        for name, result in ours.items():
            assert_within_budget(result, theirs[name], exact[name], name=name)
    others = np.arange(11) != ROW
    expected = run_ops(cell, clean)
    assert_same_bits(ours["y"][:, others], expected["y"][:, others], name="other rows")


@per_dtype
@pytest.mark.parametrize("value", [np.inf, 1e30, -1e30])
def test_extreme_factors_of_a_product(isa: str, value: float, dtype: type) -> None:
    """An m with infinities of both signs gives NaN, in its row alone; large numbers saturate."""
    case = Case("multiplicative_lstm", 4, 11, 6, 21)
    clean = case.arguments(dtype)
    extreme = {name: array.copy() for name, array in clean.items()}
    extreme["x"][1, ROW, 3] = value
    ours, expected = run_ops(case.cell, extreme), run_ops(case.cell, clean)
    others = np.arange(11) != ROW
    assert_same_bits(ours["y"][:, others], expected["y"][:, others], name="other rows")
    with np.errstate(invalid="ignore"):
        exact, theirs = run_reference(case.cell, extreme), run_plain_float32(case.cell, extreme)
    assert np.isnan(exact["y"]).any() == np.isinf(value)
    for name, result in ours.items():
        finite = ~np.isnan(exact[name])
        np.testing.assert_array_equal(np.isnan(result), ~finite, err_msg=name)
        if dtype is np.float64:
            assert_exact(result[finite], exact[name][finite], name=name)
        else:
            values = result[finite], theirs[name][finite], exact[name][finite]
            assert_within_budget(*values, name=name)


@per_dtype
@pytest.mark.parametrize("cell", NORMALIZED)
def test_infinity_has_no_mean(isa: str, cell: str, dtype: type) -> None:
    """A row with an infinity can't be normalized: NaN from there on, in this row alone."""
    case = Case(cell, 4, 11, 6, 21)
    clean = case.arguments(dtype)
    extreme = {name: array.copy() for name, array in clean.items()}
    extreme["x"][1, ROW, 3] = np.inf
    ours, expected = run_ops(cell, extreme)["y"], run_ops(cell, clean)["y"]
    others = np.arange(11) != ROW
    assert_same_bits(ours[:, others], expected[:, others], name="other rows")
    assert_same_bits(ours[0], expected[0], name="the step before")
    assert np.isnan(ours[1:, ROW]).all()


def test_infinity_passes_through_relu(isa: str) -> None:
    arguments = Case("rnn_relu", 1, 3, 2, 21).arguments()
    arguments["x"][0, 1, 0] = np.inf
    y = run_ops("rnn_relu", arguments)["y"]
    np.testing.assert_array_equal(y[0, 1], np.where(arguments["weight_ih"][:, 0] > 0, np.inf, 0))
    assert np.isfinite(y[0, [0, 2]]).all()


@per_dtype
def test_denormals_become_zero_inside(isa: str, dtype: type) -> None:
    """Decaying states would otherwise crawl through denormal numbers, which many CPUs trap on."""
    tiny = np.finfo(dtype).tiny
    seq_len, hidden_size = 12, 24
    arguments = {
        "x": np.zeros((seq_len, 5, 3), dtype),
        "weight_ih": np.zeros((hidden_size, 3), dtype),
        "weight_hh": (0.5 * np.eye(hidden_size)).astype(dtype),
        "h0": np.full((5, hidden_size), 16 * tiny, dtype),
    }
    y = run_ops("rnn_relu", arguments)["y"]
    halvings = 16.0 * 0.5 ** np.arange(1, seq_len + 1)
    expected = np.where(halvings >= 1, halvings, 0).astype(dtype) * tiny
    assert_same_bits(y, np.broadcast_to(expected[:, None, None], y.shape), name="y")


@per_cell
def test_the_callers_denormals_survive(isa: str, cell: str) -> None:
    case = Case(cell, 4, 64, 32, 64)
    run_ops(cell, case.arguments(np.float32), case.output_gradients(np.float32))
    assert np.array([1e-310]) * np.array([1.0]) == 1e-310
    assert np.float32(1e-40) * np.float32(1.0) == np.float32(1e-40)
    assert 1e-310 * float("1") != 0.0
