"""Kernels that stay for the whole sequence, run on the CPU: one block, clusters, whole grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from emulated import CELLS, PERSISTENT, Emulated, arguments, compare, run  # noqa: E402
from oracles import assert_within_budget  # noqa: E402

from fastrnn import _cuda  # noqa: E402
from fastrnn._cuda import plans  # noqa: E402
from fastrnn._native import core  # noqa: E402
from fastrnn._plan import CELL_INFO, CELL_NUMBERS  # noqa: E402

PLANS = [
    "mode=block,weights=registers",
    "mode=block,weights=shared,group_rows=2",
    "mode=cluster,slices=2,weights=registers,group_rows=2",
    "mode=cluster,slices=4,weights=shared",
    "mode=grid,slices=3,weights=registers,group_rows=2,exchange=counter",
    "mode=grid,slices=2,weights=shared,group_rows=3,exchange=tagged",
]
ONE_PHASE = {name for name in PERSISTENT if plans.columns(CELL_NUMBERS[name]).segments[-1][3] == 0}


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Emulated:
    return Emulated(monkeypatch)


def takes(cell: str, only: str) -> bool:
    """Two-phase cells keep their weights in shared memory."""
    return cell in ONE_PHASE or "registers" not in only


CASES = [(cell, only) for cell in PERSISTENT for only in PLANS if takes(cell, only)]


def assert_planned(emulated: Emulated, only: str) -> None:
    """The kernels that were asked for ran, forward and backward."""
    assert len(emulated.plans) >= 2
    wanted = _cuda.Only.read(only)
    for plan in emulated.plans:
        assert plan.mode == _cuda.MODES[wanted.mode], plan
        assert wanted.slices in (0, plan.slices), plan


@pytest.mark.parametrize(("cell", "only"), CASES)
def test_against_the_cpu_engine(cell: str, only: str, emulated: Emulated) -> None:
    compare(cell, arguments(cell, 4, 5, 3, 9), emulated, only=only)
    assert_planned(emulated, only)


@pytest.mark.parametrize("only", PLANS)
@pytest.mark.parametrize("directions", [1, 2])
def test_lengths_and_resets(directions: int, only: str, emulated: Emulated) -> None:
    generator = torch.Generator().manual_seed(3)
    for cell in ("lstm", "gru", "gru_reset_before"):
        if not takes(cell, only):
            continue
        given = arguments(cell, 5, 4, 3, 6, directions)
        resets = torch.rand((5, 4), generator=generator) > 0.6
        options: dict[str, Any]
        for options in ({"lengths": [2, 5, 0, 3]}, {"resets": resets}):
            compare(cell, given, emulated, only=only, **options)
            assert_planned(emulated, only)
        compare(cell, given, emulated, only=only, lengths=[2, 1, 4, 3], resets=resets)


@pytest.mark.parametrize("only", PLANS)
def test_every_schedule_gives_the_same_bits(only: str, emulated: Emulated) -> None:
    cell = "lstm" if "registers" in only else "gru_reset_before"
    given = arguments(cell, 3, 3, 2, 9, directions=2)
    first = emulated(lambda: run(cell, given, torch.float32), seed=1, only=only)
    for seed in range(2, 6):
        again = emulated(lambda: run(cell, given, torch.float32), seed=seed, only=only)
        assert_planned(emulated, only)
        for name, value in first.items():
            np.testing.assert_array_equal(again[name], value, err_msg=f"{name}, seed {seed}")


@pytest.mark.parametrize("cell", ["lstm", "peephole_lstm", "gru", "gru_reset_before"])
def test_plans_as_they_are_chosen(cell: str, emulated: Emulated) -> None:
    """Blocks of full size: more k slices than are summed at once, several rows a group."""
    compare(cell, arguments(cell, 2, 5, 3, 65), emulated)
    assert {plan.mode for plan in emulated.plans} != {"stepwise"}
    compare(cell, arguments(cell, 2, 3, 3, 129), emulated, only="mode=grid,slices=17,group_rows=3")


@pytest.mark.parametrize(
    ("product", "shared"), [("ffma", 20), ("ffma", 48), ("3xtf32", 20), ("3xtf32", 48)]
)
@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before"])
def test_weights_that_do_not_fit_are_read_in_every_step(
    cell: str, product: str, shared: int, emulated: Emulated
) -> None:
    """As if all were on the chip: the same sums in the same order."""
    given = arguments(cell, 3, 3, 2, 96, directions=2 if cell == "lstm" else 1)
    options: dict[str, Any] = {"lengths": [3, 1, 2]} if shared == 20 else {}
    only = f"mode=grid,slices=2,group_rows=2,weights=shared,product={product}"
    whole = emulated(lambda: run(cell, given, torch.float32, **options), only=only)
    assert_planned(emulated, only)
    assert [plan.streamed_bytes for plan in emulated.plans] == [0, 0]
    compare(cell, given, emulated, only=f"{only},shared={shared}", **options)
    assert_planned(emulated, only)
    assert all(plan.streamed_bytes > 0 for plan in emulated.plans)
    stay = [plan.shared_bytes > 20 << 10 for plan in emulated.plans]  # beside the partial sums
    assert stay == [shared > 20] * 2
    for seed in (2, 3):
        again = emulated(
            lambda: run(cell, given, torch.float32, **options),
            seed=seed,
            only=f"{only},shared={shared}",
        )
        for name, value in whole.items():
            np.testing.assert_array_equal(again[name], value, err_msg=name)


def test_a_batch_does_not_change_its_rows(emulated: Emulated) -> None:
    """The order of sums depends on neither the batch nor the lengths."""
    given = arguments("lstm", 4, 6, 3, 20)
    only = "mode=block,group_rows=3"
    whole = emulated(lambda: run("lstm", given, torch.float32), only=only)
    part = {
        n: v[:, 3:] if n == "input" else v[3:] if n in ("h0", "c0") else v for n, v in given.items()
    }
    alone = emulated(lambda: run("lstm", part, torch.float32), only="mode=block,group_rows=3")
    np.testing.assert_array_equal(alone["output 0"], whole["output 0"][:, 3:])
    np.testing.assert_array_equal(alone["output 2"], whole["output 2"][3:])


def test_more_steps_than_16_bits_count(emulated: Emulated) -> None:
    """What belongs to a step, or to the last one; sums over all steps are torch's products."""
    cell, only = "rnn_tanh", "mode=block"
    given = arguments(cell, 65_540, 1, 1, 1)
    exact, theirs = (run(cell, given, dtype) for dtype in (torch.float64, torch.float32))
    ours = emulated(lambda: run(cell, given, torch.float32), only=only)
    assert_planned(emulated, only)
    for name in ("output 0", "output 1", "grad input", "grad h0"):
        assert_within_budget(ours[name], theirs[name], exact[name], name=name)


def test_a_refused_launch_runs_step_by_step(emulated: Emulated) -> None:
    """As under MPS, where a context has fewer multiprocessors than the GPU."""
    given = arguments("peephole_lstm", 3, 4, 3, 9)
    only = "mode=grid,slices=3,group_rows=2"
    wanted = emulated(lambda: run("peephole_lstm", given, torch.float32), only="mode=stepwise")
    core.testing.emulated.set_resident_blocks(5)  # of 6
    try:
        found = emulated(lambda: run("peephole_lstm", given, torch.float32), only=only)
        assert_planned(emulated, only)
    finally:
        core.testing.emulated.set_resident_blocks(1 << 20)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("cell", sorted(set(CELLS) - set(PERSISTENT)))
def test_cells_without_such_kernels_run_step_by_step(cell: str, emulated: Emulated) -> None:
    """And plans say so."""
    compare(cell, arguments(cell, 3, 2, 3, 5), emulated, only="mode=block")
    assert len(emulated.plans) >= 2
    for plan in emulated.plans:
        assert plan.mode == "stepwise"
        assert "no persistent kernels" in plan.why


def test_plans_of_other_calls_are_refused() -> None:
    caps = _cuda.emulated_engine.caps(0)
    lstm = CELL_NUMBERS["lstm"]
    plan = core.cuda.make_plan(caps, lstm, 4, False, (64, 4, 32, 1), False, _cuda.Only())
    assert plan.mode != "stepwise"
    states = CELL_INFO[lstm]["num_states"]
    for batch, hidden in ((5, 32), (4, 33)):
        with pytest.raises(ValueError, match="made for another call"):
            core.testing.emulated.forward(
                lstm, 4, plan, 0, (1, batch, hidden, 1, 0, 0), (0, 0, 0, batch, 1),
                ((0,) * 14,), (0, 0, 0), (0,) * states, (0,) * states, None, 0, 0,
            )  # fmt: skip
