"""Gradients of the states of every step, as the engine's backward hands them out on request."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from layer_cases import CELLS, NORMALIZED, Case, Values, run_ops
from oracles import assert_exact, assert_same_bits, assert_within_budget

from fastrnn import reference
from fastrnn._native import core
from fastrnn.ops import _engine

Array = npt.NDArray[Any]

SHAPES = [(1, 1, 1, 1), (7, 3, 5, 7), (4, 1, 7, 129), (5, 16, 16, 32), (40, 33, 17, 33)]


class Recorder:
    """The compiled module as ops sees it, whose backward keeps gradients of all states."""

    def __init__(self, num_states: int) -> None:
        self.num_states = num_states
        self.states: list[Array] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(core, name)

    def backward(self, *arguments: Any) -> None:
        _, number, _, _, sizes = arguments[:5]
        seq_len, batch_size, _, hidden_size, directions = sizes
        shape = (seq_len, batch_size, directions * hidden_size)
        dtype = np.float64 if number == 8 else np.float32
        self.states = [np.full(shape, np.nan, dtype) for _ in range(self.num_states)]
        places = tuple((a.ctypes.data, shape[1] * shape[2], shape[2]) for a in self.states)
        core.backward(*arguments, None, places)


def run_recorded(
    monkeypatch: pytest.MonkeyPatch, cell: str, arguments: Values, gradients: Values
) -> tuple[Values, list[Array]]:
    recorder = Recorder(reference.CELLS[cell].num_states)
    with monkeypatch.context() as patch:
        patch.setattr(_engine, "core", recorder)
        values = run_ops(cell, arguments, gradients)
    return values, recorder.states


def expected_states(run: reference.Run, gradients: Values) -> list[Array]:
    """The textbook's backward once more, keeping what goes into each step."""
    states = [np.zeros_like(run.y) for _ in run.final]
    hidden_size = run.final[0].shape[2]
    stacked = len(run.params) == 2
    names = ["grad_h_n", "grad_c_n"][: len(states)]
    for d, params in enumerate(run.params):
        columns = slice(d * hidden_size, (d + 1) * hidden_size)
        d_state = tuple(gradients[name][d] if stacked else gradients[name] for name in names)
        order = list(enumerate(run.states[d]))
        for step, before in reversed(order):
            t = len(order) - 1 - step if d else step
            d_next = (d_state[0] + gradients["grad_y"][t, :, columns], *d_state[1:])
            for kept, value in zip(states, d_next, strict=True):
                kept[t, :, columns] = value
            _, d_state, _ = run.cell.step_backward(run.x[t], before, params, d_next)
    return states


def reference_states(
    case: Case, arguments: Values, gradients: Values, dtype: type = np.float64
) -> list[Array]:
    stacked = case.num_directions == 2
    unit_params = reference.CELLS[case.cell].unit_params
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", unit_params)
    given = [arguments.get(name) for name in names]
    params = [
        reference.Params(*(a if a is None or not stacked else a[d] for a in given))
        for d in range(case.num_directions)
    ]
    initial = [
        arguments[f"{s}0"] if stacked else arguments[f"{s}0"][None]
        for s in "hc"
        if f"{s}0" in arguments
    ]
    return expected_states(
        reference.layer(case.cell, arguments["x"], params, initial, dtype), gradients
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("num_directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_float64(
    isa: str,
    monkeypatch: pytest.MonkeyPatch,
    cell: str,
    num_directions: int,
    shape: tuple[int, int, int, int],
) -> None:
    case = Case(cell, *shape, num_directions)
    arguments, gradients = case.arguments(), case.output_gradients()
    values, states = run_recorded(monkeypatch, cell, arguments, gradients)
    expected = reference_states(case, arguments, gradients)
    for k, (ours, exact) in enumerate(zip(states, expected, strict=True)):
        rtol = 1e-9 if cell in NORMALIZED else 1e-12
        assert_exact(ours, exact, name=f"gradient of state {k} of {case}", rtol=rtol)
    for name, value in run_ops(cell, arguments, gradients).items():
        assert_same_bits(values[name], value, name=f"{name}, beside the states' gradients")


@pytest.mark.parametrize("num_directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_float32(isa: str, monkeypatch: pytest.MonkeyPatch, cell: str, num_directions: int) -> None:
    case = Case(cell, 20, 32, 48, 65, num_directions)
    exact = reference_states(case, case.arguments(), case.output_gradients())
    arguments, gradients = case.arguments(np.float32), case.output_gradients(np.float32)
    theirs = reference_states(case, arguments, gradients, np.float32)
    _, states = run_recorded(monkeypatch, cell, arguments, gradients)
    factor = 3.0 if isa == "generic" else 2.0  # it has no fused multiply-adds, as NumPy has
    for k, ours in enumerate(states):
        assert_within_budget(ours, theirs[k], exact[k], name=f"state {k} of {case}", factor=factor)


def test_arguments_are_checked() -> None:
    case = Case("lstm", 3, 2, 4, 5)
    arguments, gradients = case.arguments(), case.output_gradients()
    for places, text in [
        (((0, 0, 0),), "two strides a state"),
        ((0, 0), "two strides a state"),
        (((0, 0, 0), (0, 0, 0, 0)), "an address and two strides"),
        (((8, 1), (0, 0, 0)), "packed sequences need batch sizes"),
    ]:

        class Wrong(Recorder):
            def backward(self, *given: Any) -> None:
                core.backward(*given, None, places)  # noqa: B023

        with pytest.MonkeyPatch.context() as patch, pytest.raises(ValueError, match=text):
            patch.setattr(_engine, "core", Wrong(2))
            run_ops("lstm", arguments, gradients)
