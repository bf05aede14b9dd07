"""Backward by blocks that send each other parts of their sums, run on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from emulated import PERSISTENT, Emulated, arguments, compare, run  # noqa: E402
from half_budget import HALVES, assert_budget, halved  # noqa: E402
from oracles import assert_within_budget  # noqa: E402
from tf32 import run_rounded  # noqa: E402

from fastrnn import _cuda, functional  # noqa: E402

PLANS = [
    "mode=cluster,slices=2,weights=registers,group_rows=2",
    "mode=cluster,slices=4,weights=shared",
    "mode=grid,slices=3,weights=registers,group_rows=2",
    "mode=grid,slices=9,weights=shared,group_rows=3",
]
# The cells that may have their weights in registers, whatever the product.
IN_REGISTERS = {"rnn_tanh", "rnn_relu", "lstm", "gru"}
CELLS = ["rnn_tanh", "lstm", "gru", "gru_reset_before"]


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Emulated:
    return Emulated(monkeypatch)


def takes(cell: str, only: str) -> bool:
    return cell in IN_REGISTERS or "registers" not in only


def scattered(only: str) -> str:
    return only + ",sums=scatter"


def assert_planned(emulated: Emulated, only: str) -> None:
    """The kernels that were asked for ran, forward and backward."""
    wanted = _cuda.Only.read(only)
    assert {plan.sums for plan in emulated.plans} == {"gather", "scatter"}
    for plan in emulated.plans:
        assert (plan.mode, plan.slices) == (_cuda.MODES[wanted.mode], wanted.slices), plan
        assert ("sums scattered" in plan.why) == (plan.sums == "scatter")


@pytest.mark.parametrize("only", PLANS)
@pytest.mark.parametrize("cell", PERSISTENT)
def test_against_the_cpu_engine(cell: str, only: str, emulated: Emulated) -> None:
    """With an odd number of units, so that the last block has fewer."""
    if takes(cell, only):
        compare(cell, arguments(cell, 4, 5, 3, 9), emulated, only=scattered(only))
        assert_planned(emulated, only)


@pytest.mark.parametrize(("mode", "hidden", "slices"), [
    ("cluster", 7, 2), ("cluster", 7, 8), ("cluster", 33, 4), ("cluster", 129, 8),
    ("grid", 7, 3), ("grid", 33, 9), ("grid", 129, 10),
])  # fmt: skip
@pytest.mark.parametrize("product", ["ffma", "3xtf32"])
def test_odd_sizes(product: str, mode: str, hidden: int, slices: int, emulated: Emulated) -> None:
    """Blocks with fewer units than others, or with none."""
    for cell, weights in (("lstm", "shared"), ("gru", "registers"), ("gru_reset_before", "shared")):
        if hidden > 100 and cell != ("gru" if product == "3xtf32" else "gru_reset_before"):
            continue  # for the time that it takes
        given = arguments(cell, 2, 3, 2, hidden)
        only = f"mode={mode},slices={slices},weights={weights},product={product}"
        compare(cell, given, emulated, only=scattered(only))
        assert_planned(emulated, only)


@pytest.mark.parametrize("only", PLANS)
@pytest.mark.parametrize("product", ["ffma", "3xtf32"])
@pytest.mark.parametrize("cell", CELLS)
def test_lengths_and_resets(cell: str, product: str, only: str, emulated: Emulated) -> None:
    """Rows that join and leave, two directions, groups without rows in some steps."""
    if not takes(cell, only) or (product != "ffma" and cell not in ("lstm", "gru_reset_before")):
        return
    given = arguments(cell, 5, 4, 3, 6, directions=2)
    resets = torch.rand((5, 4), generator=torch.Generator().manual_seed(3)) > 0.6
    options: dict[str, Any]
    for options in (
        {"lengths": [2, 5, 0, 3]},
        {"resets": resets},
        {"lengths": [1, 1, 5, 1], "resets": resets},
    ):
        compare(cell, given, emulated, only=f"{scattered(only)},product={product}", **options)
        assert_planned(emulated, only)


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("only", PLANS)
@pytest.mark.parametrize("cell", CELLS)
def test_halves(cell: str, only: str, half: torch.dtype, emulated: Emulated) -> None:
    """Parts of sums are float32: the budget is that of sums which one block makes."""
    if not takes(cell, only):
        return
    resets = torch.rand((6, 5), generator=torch.Generator().manual_seed(3)) > 0.7
    options: dict[str, Any]
    for options in ({}, {"lengths": [2, 6, 0, 3, 6], "resets": resets}):
        if not options and cell not in ("lstm", "gru_reset_before"):
            continue
        given = halved(arguments(cell, 6, 5, 4, 19, directions=2), half)
        exact = run(cell, given, torch.float64, **options)
        rounded = run(cell, given, torch.float32, **options)
        ours = emulated(lambda: run(cell, given, half, **options), only=scattered(only))  # noqa: B023
        assert_planned(emulated, only)
        assert_budget(ours, rounded, exact, half, f"{cell} {only}")


@pytest.mark.parametrize("only", PLANS)
@pytest.mark.parametrize("cell", CELLS)
def test_tf32_by_its_own_arithmetic(cell: str, only: str, emulated: Emulated) -> None:
    """Operands of the recurrent products rounded, forward and backward, and nothing else."""
    if not takes(cell, only):
        return
    given = arguments(cell, 2, 3, 3, 9)
    exact, theirs = (run_rounded(cell, given, dtype) for dtype in (torch.float64, torch.float32))
    ours = emulated(
        lambda: run(cell, given, torch.float32), only=scattered(only) + ",product=tf32", tf32=True
    )
    assert_planned(emulated, only)
    for name in exact:
        assert_within_budget(ours[name], theirs[name], exact[name], name=f"{cell} {name}")


@pytest.mark.parametrize("product", ["ffma", "3xtf32"])
@pytest.mark.parametrize("only", PLANS)
def test_every_schedule_gives_the_same_bits(only: str, product: str, emulated: Emulated) -> None:
    cell = "lstm" if "registers" in only else "gru_reset_before"
    given = arguments(cell, 6, 3, 2, 9, directions=2)
    every = f"{scattered(only)},product={product}"
    first = emulated(lambda: run(cell, given, torch.float32), seed=1, only=every)
    for seed in range(2, 6):
        again = emulated(lambda: run(cell, given, torch.float32), seed=seed, only=every)
        assert_planned(emulated, only)
        for name, value in first.items():
            np.testing.assert_array_equal(again[name], value, err_msg=f"{name}, seed {seed}")


@pytest.mark.parametrize("mode", ["cluster,slices=4", "grid,slices=10"])
@pytest.mark.parametrize("product", ["ffma", "3xtf32", "half"])
def test_a_batch_does_not_change_its_rows(product: str, mode: str, emulated: Emulated) -> None:
    """Neither how many there are nor where one stands decides the order of its sums."""
    dtype = torch.bfloat16 if product == "half" else torch.float32
    given = {n: v.to(dtype) for n, v in arguments("lstm", 3, 8, 3, 20).items()}
    only = f"mode={mode},product={product}"

    def gradients(first: int) -> list[Any]:
        """Of the rows from ``first`` on."""
        leaves = {
            name: v[:, first:] if name == "input" else v[first:] if name in ("h0", "c0") else v
            for name, v in given.items()
        }
        wanted = [leaves["h0"].clone().requires_grad_(), leaves["c0"].clone().requires_grad_()]
        leaves["h0"], leaves["c0"] = wanted
        return list(torch.autograd.grad(functional.lstm(**leaves)[0].square().sum(), wanted))

    whole = emulated(gradients, 0, only=f"{scattered(only)},group_rows=4")
    for first, rows in ((4, 4), (3, 5)):
        part = emulated(gradients, first, only=f"{scattered(only)},group_rows={rows}")
        assert_planned(emulated, only)
        for ours, theirs in zip(part, whole, strict=True):
            assert torch.equal(ours, theirs[first:])


@pytest.mark.parametrize("product", ["ffma", "3xtf32"])
@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before"])
def test_weights_that_do_not_fit_are_read_in_every_step(
    cell: str, product: str, emulated: Emulated
) -> None:
    """As if all were on the chip: the same sums in the same order."""
    given = arguments(cell, 3, 3, 2, 96)
    only = f"mode=grid,slices=2,group_rows=2,weights=shared,product={product}"
    whole, part = (
        emulated(lambda: run(cell, given, torch.float32), only=scattered(only) + room)
        for room in ("", ",shared=48")
    )
    assert_planned(emulated, only)
    assert all(plan.streamed_bytes > 0 for plan in emulated.plans)
    for name, value in whole.items():
        np.testing.assert_array_equal(part[name], value, err_msg=name)


@pytest.mark.parametrize(("cell", "hidden", "only"), [
    ("rnn_tanh", 401, "mode=cluster,slices=8,weights=shared"),
    ("rnn_tanh", 401, "mode=cluster,slices=8,weights=registers"),
    ("lstm", 257, "mode=cluster,slices=16,weights=registers"),
])  # fmt: skip
def test_more_sums_than_warps_have_tiles_for(
    cell: str, hidden: int, only: str, emulated: Emulated
) -> None:
    """Warps take several pairs of tiles, one after the other."""
    given = halved(arguments(cell, 2, 1, 2, hidden), torch.bfloat16)
    exact, rounded = (run(cell, given, dtype) for dtype in (torch.float64, torch.float32))
    ours = emulated(lambda: run(cell, given, torch.bfloat16), only=scattered(only))
    assert_planned(emulated, only)
    assert_budget(ours, rounded, exact, torch.bfloat16, cell)
