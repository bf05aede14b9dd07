"""Grids whose blocks exchange by words that carry their round: the bits that a counter gives."""

from __future__ import annotations

from typing import Any

import emulated as emulation
import pytest

torch = pytest.importorskip("torch")

from emulated import Emulated, arguments, compare, run  # noqa: E402

from fastrnn import _cuda  # noqa: E402

PLANS = [
    "mode=grid,slices=3,group_rows=2,weights=registers",
    "mode=grid,slices=3,group_rows=2,weights=shared,product=ffma",
    "mode=grid,slices=2,group_rows=3,weights=shared,product=3xtf32",
]
CELLS = ["lstm", "gru_reset_before", "multiplicative_lstm"]
# Cells of two phases have no weights in registers.
CASES = [(cell, only) for cell in CELLS for only in PLANS if cell == "lstm" or "shared" in only]
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Emulated:
    return Emulated(monkeypatch)


def assert_same(
    emulated: Emulated, cell: str, given: Any, dtype: Any, only: str, seeds: int = 1, **options: Any
) -> None:
    """In every order of threads."""
    found = {}
    for exchange in ("counter", "tagged"):
        for seed in range(1, 1 + seeds):
            values = emulated(
                lambda: run(cell, given, dtype, **options),
                seed=seed,
                only=f"{only},exchange={exchange},sums=gather",
            )
            for plan in emulated.plans:
                assert (plan.mode, plan.exchange.split()[0]) == ("grid", exchange)
            expected = found.setdefault("counter", values)
            for name, value in values.items():
                assert torch.equal(value, expected[name]), f"{cell} {name} {exchange} {seed}"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("cell", "only"), CASES)
def test_the_same_bits_as_by_a_counter(
    cell: str, only: str, dtype: Any, emulated: Emulated
) -> None:
    """Units and depths that end within a load; with lengths, rows come and go."""
    if dtype != torch.float32:
        only = only.partition(",product=")[0]
    given = arguments(cell, 4, 5, 3, 9, directions=2)
    assert_same(emulated, cell, given, dtype, only, seeds=2)
    resets = torch.rand((4, 5), generator=torch.Generator().manual_seed(3)) > 0.6
    assert_same(emulated, cell, given, dtype, only, lengths=[2, 4, 0, 3, 1], resets=resets)


def test_many_orders_of_threads(emulated: Emulated) -> None:
    given = arguments("lstm", 5, 2, 2, 7)
    for dtype in DTYPES:
        assert_same(
            emulated, "lstm", given, dtype, "mode=grid,slices=7,group_rows=2,weights=shared", 8
        )


@pytest.mark.parametrize("dtype", DTYPES[::2], ids=str)
def test_more_words_than_the_threads_read_at_once(dtype: Any, emulated: Emulated) -> None:
    given = arguments("lstm", 2, 26, 3, 66)
    assert_same(emulated, "lstm", given, dtype, "mode=grid,slices=6,group_rows=26,weights=shared")
    at_once = 16 if dtype == torch.bfloat16 else 4  # numbers, a thread
    backward = emulated.plans[-1]
    assert backward.threads * at_once < 26 * 4 * 66


@pytest.mark.parametrize("only", PLANS[::2])
def test_against_the_cpu_engine(only: str, emulated: Emulated) -> None:
    compare("gru", arguments("gru", 4, 5, 3, 9), emulated, only=f"{only},exchange=tagged")
    assert {plan.exchange for plan in emulated.plans} == {"tagged words"}


def test_what_is_not_finite_arrives(emulated: Emulated) -> None:
    """No bits of a number mean anything to the exchange."""
    given = arguments("rnn_relu", 5, 4, 3, 9)
    given["input"][1, 1, 0], given["input"][2, 2, 1] = float("nan"), float("inf")
    found = {}
    for exchange in ("counter", "tagged"):
        only = f"mode=grid,slices=3,weights=shared,exchange={exchange}"
        values = emulated(lambda: run("rnn_relu", given, torch.float32), only=only)
        found[exchange] = values["output 0"]
    assert torch.equal(found["tagged"].isnan(), found["counter"].isnan())
    assert torch.equal(found["tagged"].nan_to_num(), found["counter"].nan_to_num())
    assert found["tagged"].isnan().any()


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
def test_a_later_launch_in_the_same_memory(
    dtype: Any, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a graph is replayed: the rounds of the launch before are still there."""
    kept: dict[int, Any] = {}

    def keeping(plan_call: Any) -> Any:
        def keep(*args: Any, **options: Any) -> Any:
            how, scratch = plan_call(*args, **options)
            if scratch is not None:
                scratch = kept.setdefault(scratch.numel(), scratch)
            return how, scratch

        return keep

    only = "mode=grid,slices=3,weights=shared,group_rows=2,sums=gather,exchange="
    first, second = arguments("gru", 3, 4, 3, 9), arguments("gru", 3, 4, 3, 9)
    second["input"] = second["input"].flip(0)
    expected = emulated(lambda: run("gru", second, dtype), only=only + "counter")
    monkeypatch.setattr(emulation, "_poisoned", keeping)
    emulated(lambda: run("gru", first, dtype), only=only + "tagged")
    found = emulated(lambda: run("gru", second, dtype), only=only + "tagged")
    assert kept
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_blocks_without_units_use_a_counter(emulated: Emulated) -> None:
    """They would publish nothing by which others know that they have read."""
    given = arguments("lstm", 3, 2, 3, 9)
    only = "mode=grid,slices=8,weights=shared"  # 2 units each: the last 3 blocks have none
    emulated(lambda: run("lstm", given, torch.float32), only=only)
    assert {(plan.mode, plan.exchange) for plan in emulated.plans} == {("grid", "counter")}
    emulated(lambda: run("lstm", given, torch.float32), only=only + ",exchange=tagged")
    assert {plan.mode for plan in emulated.plans} == {"stepwise"}


def test_only_grids_exchange_so() -> None:
    with pytest.raises(ValueError, match="is none of counter, tagged"):
        _cuda.Only.read("exchange=flag")
    assert _cuda.Only.read("mode=grid,exchange=tagged").exchange == 1
