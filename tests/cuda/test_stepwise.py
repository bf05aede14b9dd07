"""The CUDA engine's kernels, run on the CPU, against the CPU engine: every cell, form and layout.

A GPU runs the same source.  What this shows, and what it can't, is in docs/cuda.md.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from emulated import CELLS, Emulated, arguments, compare, run  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

import fastrnn  # noqa: E402
from fastrnn import _cuda, functional  # noqa: E402
from fastrnn._native import core  # noqa: E402
from fastrnn._plan import CELL_NUMBERS  # noqa: E402


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Emulated:
    return Emulated(monkeypatch)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 7, 5, 7), (4, 18, 3, 33)], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_against_the_cpu_engine(cell: str, shape: tuple[int, ...], emulated: Emulated) -> None:
    compare(cell, arguments(cell, *shape), emulated, only="mode=stepwise")


@pytest.mark.parametrize("cell", CELLS)
def test_two_directions_without_biases_and_states(cell: str, emulated: Emulated) -> None:
    given = arguments(cell, 3, 2, 4, 9, directions=2)
    given |= {"bias_ih": None, "bias_hh": None}
    given = {name: value for name, value in given.items() if name not in ("h0", "c0")}
    compare(cell, given, emulated, only="mode=stepwise")


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_lengths_and_resets(cell: str, directions: int, emulated: Emulated) -> None:
    given = arguments(cell, 5, 4, 3, 6, directions)
    resets = torch.rand((5, 4), generator=torch.Generator().manual_seed(3)) > 0.6
    for options in (
        {"lengths": [2, 5, 0, 3]},
        {"resets": resets},
        {"lengths": [2, 5, 4, 3], "resets": resets},
    ):
        compare(cell, given, emulated, only="mode=stepwise", **options)


@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before", "layer_norm_lstm"])
def test_every_schedule_gives_the_same_bits(cell: str, emulated: Emulated) -> None:
    given = arguments(cell, 3, 3, 2, 9)
    first = emulated(lambda: run(cell, given, torch.float32), seed=1, only="mode=stepwise")
    for seed in range(2, 6):
        again = emulated(lambda: run(cell, given, torch.float32), seed=seed, only="mode=stepwise")
        for name, value in first.items():
            np.testing.assert_array_equal(again[name], value, err_msg=f"{name}, seed {seed}")


def test_gradients_by_finite_differences(emulated: Emulated) -> None:
    """Not against other formulas of ours: against the outputs themselves."""
    for cell in CELLS:
        given = arguments(cell, 3, 2, 2, 3)
        leaves = {name: value.requires_grad_() for name, value in given.items()}
        function = getattr(functional, cell)
        names = list(leaves)
        emulated(
            partial(torch.autograd.gradcheck, fast_mode=True),
            lambda *values: function(**dict(zip(names, values, strict=True))),  # noqa: B023
            tuple(leaves.values()),
        )


def make_layer(kind: str, **options: Any) -> Any:
    torch.manual_seed(2)
    return getattr(fastrnn.nn, kind)(5, 8, **options)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("form", ["time first", "batch first", "unbatched", "strided", "packed"])
def test_layers(kind: str, form: str, emulated: Emulated) -> None:
    layer = make_layer(
        kind, num_layers=2, bidirectional=form != "strided", batch_first=form == "batch first"
    )
    x: Any = torch.randn(4, 3, 5)
    if form == "strided":
        x = torch.randn(5, 3, 4).permute(2, 1, 0)
    elif form == "unbatched":
        x = x[:, 0]
    elif form == "packed":
        x = pack_padded_sequence(x, [2, 4, 3], enforce_sorted=False)

    def results() -> list[Any]:
        layer.zero_grad()
        y, states = layer(x)
        y = y.data if form == "packed" else y
        states = states if isinstance(states, tuple) else (states,)
        (y.square().sum() + sum(state.sum() for state in states)).backward()
        return [y.detach(), *(s.detach() for s in states), *(p.grad for p in layer.parameters())]

    expected = results()
    for ours, theirs in zip(emulated(results), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        y, _ = emulated(layer, x)
    torch.testing.assert_close(y.data if form == "packed" else y, expected[0])


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("lead", [(), (3,)], ids=str)
def test_cells_step_by_step(kind: str, lead: tuple[int, ...], emulated: Emulated) -> None:
    cell = make_layer(kind)
    x, h = torch.randn(*lead, 5), torch.randn(*lead, 8, requires_grad=True)
    state = (h, h.detach() * 2) if kind == "LSTMCell" else h

    def results() -> list[Any]:
        cell.zero_grad()
        h.grad = None
        found = cell(x, state)
        found = found if isinstance(found, tuple) else (found,)
        sum(value.square().sum() for value in found).backward()
        return [*(v.detach() for v in found), h.grad, *(p.grad for p in cell.parameters())]

    expected = results()
    for ours, theirs in zip(emulated(results), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_only_wanted_gradients_are_computed(emulated: Emulated) -> None:
    layer = make_layer("LSTM")
    layer.weight_ih_l0.requires_grad_(False)
    x = torch.randn(3, 2, 5)

    def results() -> tuple[Any, ...]:
        layer.zero_grad()
        layer(x)[0].sum().backward()
        return tuple(p.grad for p in layer.parameters())

    expected = results()
    ours = emulated(results)
    assert ours[0] is None
    for mine, theirs in zip(ours[1:], expected[1:], strict=True):
        torch.testing.assert_close(mine, theirs)


def test_second_derivatives(emulated: Emulated) -> None:
    layer = make_layer("GRU").double()
    x = torch.randn(3, 2, 5, dtype=torch.float64, requires_grad=True)
    check = partial(torch.autograd.gradgradcheck, fast_mode=True)
    assert emulated(check, lambda v: layer(v)[0], (x,))


def test_what_is_not_there_is_refused_with_a_reason() -> None:
    refuses = core.testing.emulated.refuses
    assert refuses(CELL_NUMBERS["lstm"], 2) is None
    assert "numbers" in refuses(CELL_NUMBERS["lstm"], 2 | 16)  # weights are rounded before
    caps = _cuda.emulated_engine.caps(0)
    plan = core.cuda.make_plan(caps, 0, 4, False, (1, 1, 1, 1), False, _cuda.Only())
    with pytest.raises(ValueError, match="no such code"):
        core.testing.emulated.forward(
            0, 18, plan, 0, (1, 1, 1, 1, 0, 0), (), (), (), (), (), None, 0, 0
        )
    if not core.build_info()["cuda"]:
        assert "built without CUDA" in core.cuda.refuses(CELL_NUMBERS["lstm"], 4)


def test_the_emulation_itself() -> None:
    passed, failed = core.testing.emulated.test_emulation()
    assert passed > 100
    assert failed == 0
