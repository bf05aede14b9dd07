"""The CUDA engine's kernels, run on the CPU, against the CPU engine: every cell, form and layout.

A GPU runs the same source.  What this shows, and what it can't, is in docs/cuda.md.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from oracles import assert_exact, assert_within_budget  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

import fastrnn  # noqa: E402
from fastrnn import _cuda, functional, reference  # noqa: E402
from fastrnn._native import core  # noqa: E402
from fastrnn._plan import CELL_NUMBERS  # noqa: E402

CELLS = [
    name
    for name in reference.CELLS
    if _cuda.emulated_engine.functions.refuses(CELL_NUMBERS[name], 4) is None
]


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a function with all that the engine takes on the emulated GPU; counts the calls."""
    calls = []

    def run_stack(*args: Any, **options: Any) -> Any:
        calls.append(args)
        return _cuda.run_stack(*args, **options, engine=_cuda.emulated_engine)

    def run_step(*args: Any) -> Any:
        calls.append(args)
        return _cuda.run_step(*args, engine=_cuda.emulated_engine)

    def run(function: Any, *args: Any, seed: int = 1) -> Any:
        core.testing.emulated.set_seed(seed)
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr(fastrnn.nn._base, "run_stack", run_stack)
            patch.setattr(fastrnn.functional, "run_stack", run_stack)
            patch.setattr(fastrnn.nn.cells, "run_step", run_step)
            result = function(*args)
        assert calls, "the emulated engine was not asked"
        return result

    return run


def arguments(
    cell: str, seq_len: int, batch: int, inputs: int, hidden: int, directions: int = 1
) -> dict[str, Any]:
    """Keyword arguments of the cell's function, in float64."""
    kind = reference.CELLS[cell]
    generator = torch.Generator().manual_seed(seq_len + batch + hidden)

    def draw(*shape: int, scale: float) -> Any:
        values = torch.rand(shape, generator=generator, dtype=torch.float32) * 2 - 1
        return (values * scale).double()

    lead = (2,) if directions == 2 else ()
    rows = kind.num_gates * hidden
    result = {
        "input": draw(seq_len, batch, inputs, scale=2),
        "weight_ih": draw(*lead, rows, inputs, scale=1.5 / inputs**0.5),
        "weight_hh": draw(*lead, rows, hidden, scale=1.5 / hidden**0.5),
        "bias_ih": draw(*lead, rows, scale=0.5),
        "bias_hh": draw(*lead, rows, scale=0.5),
    }
    if kind.num_unit_params:
        result["peephole"] = draw(*lead, kind.num_unit_params, hidden, scale=1)
    for state in ("h0", "c0")[: kind.num_states]:
        result[state] = draw(*lead, batch, hidden, scale=1)
    return result


def run(cell: str, given: dict[str, Any], dtype: Any, **options: Any) -> dict[str, Any]:
    """Outputs and the gradients of everything."""
    leaves = {
        name: None if value is None else value.detach().to(dtype).requires_grad_()
        for name, value in given.items()
    }
    outputs = getattr(functional, cell)(**leaves, **options)
    values = {f"output {i}": output.detach() for i, output in enumerate(outputs)}
    generator = torch.Generator().manual_seed(7)
    loss = sum(
        (o * torch.rand(o.shape, generator=generator, dtype=torch.float32).to(dtype)).sum()
        for o in outputs
    )
    loss.backward()
    for name, leaf in leaves.items():
        if leaf is not None:
            assert leaf.grad is not None, name
            values[f"grad {name}"] = leaf.grad
    return values


def compare(cell: str, given: dict[str, Any], emulated: Any, seed: int = 1, **options: Any) -> None:
    exact = run(cell, given, torch.float64, **options)
    theirs = run(cell, given, torch.float32, **options)
    doubles = emulated(lambda: run(cell, given, torch.float64, **options), seed=seed)
    ours = emulated(lambda: run(cell, given, torch.float32, **options), seed=seed)
    assert ours.keys() == exact.keys()
    for name in exact:
        assert_exact(doubles[name], exact[name], name=f"{cell} {name}")
        assert_within_budget(ours[name], theirs[name], exact[name], name=f"{cell} {name}")


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 7, 5, 7), (4, 18, 3, 33)], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_against_the_cpu_engine(cell: str, shape: tuple[int, ...], emulated: Any) -> None:
    compare(cell, arguments(cell, *shape), emulated)


@pytest.mark.parametrize("cell", CELLS)
def test_two_directions_without_biases_and_states(cell: str, emulated: Any) -> None:
    given = arguments(cell, 3, 2, 4, 9, directions=2)
    given |= {"bias_ih": None, "bias_hh": None}
    compare(cell, {name: v for name, v in given.items() if name not in ("h0", "c0")}, emulated)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_lengths_and_resets(cell: str, directions: int, emulated: Any) -> None:
    given = arguments(cell, 5, 4, 3, 6, directions)
    resets = torch.rand((5, 4), generator=torch.Generator().manual_seed(3)) > 0.6
    for options in (
        {"lengths": [2, 5, 0, 3]},
        {"resets": resets},
        {"lengths": [2, 5, 4, 3], "resets": resets},
    ):
        compare(cell, given, emulated, **options)


@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before"])
def test_every_schedule_gives_the_same_bits(cell: str, emulated: Any) -> None:
    given = arguments(cell, 3, 3, 2, 9)
    first = emulated(lambda: run(cell, given, torch.float32), seed=1)
    for seed in range(2, 6):
        again = emulated(lambda: run(cell, given, torch.float32), seed=seed)
        for name, value in first.items():
            np.testing.assert_array_equal(again[name], value, err_msg=f"{name}, seed {seed}")


def test_gradients_by_finite_differences(emulated: Any) -> None:
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
def test_layers(kind: str, form: str, emulated: Any) -> None:
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
def test_cells_step_by_step(kind: str, lead: tuple[int, ...], emulated: Any) -> None:
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


def test_only_wanted_gradients_are_computed(emulated: Any) -> None:
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


def test_second_derivatives(emulated: Any) -> None:
    layer = make_layer("GRU").double()
    x = torch.randn(3, 2, 5, dtype=torch.float64, requires_grad=True)
    check = partial(torch.autograd.gradgradcheck, fast_mode=True)
    assert emulated(check, lambda v: layer(v)[0], (x,))


def test_what_is_not_there_is_refused_with_a_reason() -> None:
    refuses = core.testing.emulated.refuses
    assert "half" in refuses(CELL_NUMBERS["lstm"], 2)
    with pytest.raises(ValueError, match="no such code"):
        core.testing.emulated.forward(0, 2, (1, 1, 1, 1, 0), (), (), (), (), (), 0, 0)
    if not core.build_info()["cuda"]:
        assert "built without CUDA" in core.cuda.refuses(CELL_NUMBERS["lstm"], 4)


def test_the_emulation_itself() -> None:
    passed, failed = core.testing.emulated.test_emulation()
    assert passed > 100
    assert failed == 0
