"""``lengths`` and ``resets`` of the NumPy functions, for every cell and instruction set."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from layer_cases import CELLS, Case, Values, run_ops
from oracles import assert_exact, assert_same_bits
from reference_rows import run_reference_rows

from fastrnn import ops

SIZES = [(6, 4, 3, 5, 1), (7, 9, 5, 20, 2), (20, 13, 17, 33, 2)]

per_cell = pytest.mark.parametrize("cell", CELLS)


def draw_rows(case: Case, kind: str) -> dict[str, Any]:
    rng = np.random.default_rng(case.seed)
    rows: dict[str, Any] = {}
    if kind != "resets":
        rows["lengths"] = rng.integers(0, case.seq_len + 1, case.batch_size)
    if kind != "lengths":
        rows["resets"] = rng.random((case.seq_len, case.batch_size)) < 0.25
    return rows


def run_rows(case: Case, rows: dict[str, Any], arguments: Values, gradients: Values) -> Values:
    """`run_ops`, which knows of no rows."""
    names = ["y", "h_n", "c_n"][: len(gradients)]
    *outputs, reserve = getattr(ops, f"{case.cell}_forward")(**arguments, **rows)
    alone = getattr(ops, case.cell)(**arguments, **rows)
    values = dict(zip(names, outputs, strict=True))
    for name, value in zip(names, alone, strict=True):
        assert_same_bits(value, values[name], name=f"{name}, inference")
    grads = getattr(ops, f"{case.cell}_backward")(reserve=reserve, **gradients)
    return values | {f"grad_{k}": g for k, g in grads._asdict().items() if g is not None}


@pytest.mark.parametrize("kind", ["lengths", "resets", "both"])
@pytest.mark.parametrize("sizes", SIZES)
@per_cell
def test_against_reference(isa: str, cell: str, sizes: Any, kind: str) -> None:
    case = Case(cell, *sizes)
    arguments, gradients = case.arguments(), case.output_gradients()
    rows = draw_rows(case, kind)
    expected = run_reference_rows(cell, arguments, gradients, **rows)
    if "lengths" in rows:  # what is past the end may be anything
        past = np.arange(case.seq_len)[:, None] >= rows["lengths"]
        arguments["x"][past] = math.nan
        gradients["grad_y"][past] = math.nan
    values = run_rows(case, rows, arguments, gradients)
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        assert_exact(values[name], value, name=name)


@per_cell
def test_full_lengths_change_nothing(isa: str, cell: str) -> None:
    case = Case(cell, 9, 14, 5, 20, 2)
    arguments, gradients = case.arguments(np.float32), case.output_gradients(np.float32)
    expected = run_ops(cell, arguments, gradients)
    rows = {"lengths": [9] * 14, "resets": np.zeros((9, 14), bool)}
    for name, value in run_rows(case, rows, arguments, gradients).items():
        assert_same_bits(value, expected[name], name=name)


@per_cell
def test_all_empty(cell: str) -> None:
    case = Case(cell, 4, 3, 5, 6, 2)
    arguments, gradients = case.arguments(), case.output_gradients()
    values = run_rows(case, {"lengths": [0, 0, 0]}, arguments, gradients)
    for name, value in values.items():
        if name.endswith("_n"):
            assert_exact(value, arguments[f"{name[0]}0"], name=name)
        elif name in ("grad_h0", "grad_c0"):
            assert_exact(value, gradients[f"grad_{name[5]}_n"], name=name)
        else:
            assert (value == 0).all(), name


@pytest.mark.parametrize(
    ("rows", "error", "text"),
    [
        ({"lengths": [1, 2]}, ValueError, "lengths: expected one for each of the 3"),
        ({"lengths": [1, 2, 5]}, ValueError, "lengths: expected 0 to 4"),
        ({"lengths": [1, 2, -1]}, ValueError, "lengths: expected 0 to 4"),
        ({"lengths": [1.0, 2, 3]}, TypeError, "lengths: expected integers"),
        ({"resets": np.zeros((3, 4), bool)}, ValueError, "resets: expected shape"),
        ({"resets": np.zeros((4, 3))}, TypeError, "resets: expected bool"),
    ],
)
def test_wrong_arguments(rows: dict[str, Any], error: type[Exception], text: str) -> None:
    arguments = Case("gru", 4, 3, 5, 6).arguments()
    for function in (ops.gru, ops.gru_forward):
        with pytest.raises(error, match=f"^{text}"):
            function(**arguments, **rows)


def test_arrays_may_be_changed_after_the_call() -> None:
    case = Case("lstm", 6, 4, 3, 5, 2)
    arguments, gradients = case.arguments(), case.output_gradients()
    rows = draw_rows(case, "both")
    expected = run_rows(case, rows, arguments, gradients)
    *_, reserve = ops.lstm_forward(**arguments, **rows)
    rows["lengths"].fill(99)
    rows["resets"].fill(True)
    grads = ops.lstm_backward(reserve=reserve, **gradients)
    assert_same_bits(grads.x, expected["grad_x"])
