"""Persistent kernels with tensor cores, run on the CPU: their instructions, TF32, and 3xTF32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from emulated import IN_REGISTERS, PERSISTENT, Emulated, arguments, compare, run  # noqa: E402
from fragments import KINDS, multiply, pack_sums, round_to_tf32, tiles  # noqa: E402
from oracles import assert_within_budget  # noqa: E402
from tf32 import nearest_tf32, run_rounded  # noqa: E402

from fastrnn import _cuda, functional  # noqa: E402

PLANS = [
    "mode=block,weights=registers",
    "mode=block,weights=shared",
    "mode=cluster,slices=2,weights=registers,group_rows=5",
    "mode=cluster,slices=4,weights=shared",
    "mode=grid,slices=3,weights=registers",
    "mode=grid,slices=5,weights=shared",
]


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Emulated:
    return Emulated(monkeypatch)


def takes(cell: str, only: str) -> bool:
    """The other cells keep their weights in shared memory."""
    return cell in IN_REGISTERS or "registers" not in only


def assert_planned(emulated: Emulated, only: str, product: str) -> None:
    wanted = _cuda.Only.read(only)
    assert len(emulated.plans) >= 2
    for plan in emulated.plans:
        assert (plan.mode, plan.product) == (_cuda.MODES[wanted.mode], product), plan


@pytest.mark.parametrize("kind", KINDS)
def test_instructions_against_plain_products(kind: str) -> None:
    """Every element of a, b and c in its lane: any two exchanged would show."""
    engine = _cuda.emulated_engine
    a, b, c = tiles(kind, exact=True)
    np.testing.assert_array_equal(multiply(engine, kind, a, b, c), pack_sums(c + a @ b))
    a, b, c = tiles(kind, exact=False)
    exact = c + a.astype(np.float64) @ b
    size = np.abs(c) + np.abs(a) @ np.abs(b)
    error = np.abs(multiply(engine, kind, a, b, c) - pack_sums(exact))
    assert (error <= 2.0**-22 * pack_sums(size)).all()
    assert error.max() > 0  # it is float32 that sums are kept in


def test_operands_lose_what_tf32_does_not_have() -> None:
    engine = _cuda.emulated_engine
    a, b, c = np.zeros((16, 8)), np.zeros((8, 8)), np.zeros((16, 8))
    a[3, 2], b[2, 6] = 1 + 2.0**-10 + 2.0**-11, 1
    assert multiply(engine, "tf32", a, b, c).max() == 1 + 2.0**-10
    values = np.float32([1 + 2.0**-11, -1 - 2.0**-11, 1 + 2.0**-11 - 2.0**-23, 3, np.inf, np.nan])
    found = round_to_tf32(engine, values)
    np.testing.assert_array_equal(found, [1 + 2.0**-10, -1 - 2.0**-10, 1, 3, np.inf, np.nan])
    random = np.random.default_rng(3).normal(size=999).astype(np.float32)
    rounded = nearest_tf32(torch.from_numpy(random).double())
    np.testing.assert_array_equal(round_to_tf32(engine, random), rounded.numpy())


@pytest.mark.parametrize("only", PLANS[:2])
@pytest.mark.parametrize("cell", PERSISTENT)
def test_three_products_are_as_exact_as_float32(cell: str, only: str, emulated: Emulated) -> None:
    if takes(cell, only):
        compare(cell, arguments(cell, 4, 5, 3, 9), emulated, only=only + ",product=3xtf32")
        assert_planned(emulated, only, "3xTF32")


@pytest.mark.parametrize("only", PLANS)
@pytest.mark.parametrize(("cell", "batch", "hidden"), [
    ("lstm", 1, 33), ("gru", 9, 7), ("gru_reset_before", 3, 33), ("rnn_tanh", 9, 65),
])  # fmt: skip
def test_odd_sizes(cell: str, batch: int, hidden: int, only: str, emulated: Emulated) -> None:
    if takes(cell, only):
        given = arguments(cell, 3, batch, 3, hidden)
        compare(cell, given, emulated, only=only + ",product=3xtf32")
        assert_planned(emulated, only, "3xTF32")


def test_large_blocks(emulated: Emulated) -> None:
    """Several tiles of rows, and more slices of the depth than are summed at once."""
    only = "mode=block,weights=shared,group_rows=19"
    compare("gru", arguments("gru", 2, 19, 3, 20), emulated, only=only + ",product=3xtf32")
    assert_planned(emulated, only, "3xTF32")
    assert {plan.group_rows for plan in emulated.plans} == {19}
    only = "mode=grid,slices=5"
    compare("lstm", arguments("lstm", 2, 3, 3, 65), emulated, only=only + ",product=3xtf32")
    assert_planned(emulated, only, "3xTF32")


@pytest.mark.parametrize("only", PLANS)
def test_lengths_and_resets(only: str, emulated: Emulated) -> None:
    resets = torch.rand((4, 4), generator=torch.Generator().manual_seed(3)) > 0.6
    for cell in ("lstm", "gru_reset_before"):
        if takes(cell, only):
            given = arguments(cell, 4, 4, 3, 6, directions=2)
            compare(
                cell, given, emulated, only=only + ",product=3xtf32",
                lengths=[2, 1, 4, 3], resets=resets,
            )  # fmt: skip
            assert_planned(emulated, only, "3xTF32")


@pytest.mark.parametrize("only", PLANS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before", "rnn_relu"])
def test_tf32_by_its_own_arithmetic(cell: str, only: str, emulated: Emulated) -> None:
    """Operands of the recurrent products rounded, forward and backward, and nothing else."""
    if not takes(cell, only):
        return
    given = arguments(cell, 2, 3, 3, 9)
    exact, theirs = (run_rounded(cell, given, dtype) for dtype in (torch.float64, torch.float32))
    ours = emulated(lambda: run(cell, given, torch.float32), only=only + ",product=tf32", tf32=True)
    assert_planned(emulated, only, "TF32")
    assert ours.keys() == exact.keys()
    for name in exact:
        assert_within_budget(ours[name], theirs[name], exact[name], name=f"{cell} {name}")
    unrounded = run(cell, given, torch.float64)["output 0"].numpy()
    assert np.abs(ours["output 0"].numpy() - unrounded).max() > 1e-5


@pytest.mark.parametrize("product", ["tf32", "3xtf32"])
@pytest.mark.parametrize("only", PLANS)
def test_every_schedule_gives_the_same_bits(only: str, product: str, emulated: Emulated) -> None:
    cell = "lstm" if "registers" in only else "gru_reset_before"
    given = arguments(cell, 2, 3, 2, 9)
    found = [
        emulated(
            lambda: run(cell, given, torch.float32), seed=seed,
            only=f"{only},product={product}", tf32=True,
        )
        for seed in range(1, 4)
    ]  # fmt: skip
    for again in found[1:]:
        for name, value in found[0].items():
            np.testing.assert_array_equal(again[name], value, err_msg=name)


@pytest.mark.parametrize("weights", ["registers", "shared"])
@pytest.mark.parametrize("product", ["tf32", "3xtf32", "float16", "bfloat16"])
def test_a_batch_does_not_change_its_rows(product: str, weights: str, emulated: Emulated) -> None:
    """Wherever in a tile they come to lie: what a lane reads past the last row stays there."""
    dtype = torch.float32 if "tf32" in product else getattr(torch, product)
    given = {n: v.to(dtype) for n, v in arguments("lstm", 3, 11, 3, 20).items()}
    word = product if "tf32" in product else "half"
    only = f"mode=block,weights={weights},product={word},group_rows="

    def results(first: int) -> list[Any]:
        """Of the rows from ``first`` on: h of every step, and the gradient of h0."""
        part = {
            name: v[:, first:] if name == "input" else v[first:] if name in ("h0", "c0") else v
            for name, v in given.items()
        }
        h0 = part["h0"] = part["h0"].clone().requires_grad_()
        y = functional.lstm(**part)[0]
        return [y.detach(), *torch.autograd.grad(y.square().sum(), h0)]

    whole = emulated(results, 0, only=f"{only}11", tf32=True)
    for first in (2, 5):
        y, grad = emulated(results, first, only=only + str(11 - first), tf32=True)
        assert {plan.mode for plan in emulated.plans} == {"block"}
        assert torch.equal(y, whole[0][:, first:])
        assert torch.equal(grad, whole[1][first:])


def test_only_where_torch_allows_it(emulated: Emulated) -> None:
    """Plans ask in every call; torch's own default is to round."""
    cudnn = torch.backends.cudnn
    assert _cuda.tf32_allowed(step=False) == cudnn.allow_tf32
    assert _cuda.tf32_allowed(step=True) == torch.backends.cuda.matmul.allow_tf32
    given = arguments("lstm", 2, 9, 3, 64)
    products = []
    for allowed in (True, False):
        emulated(lambda: run("lstm", given, torch.float32), only="mode=block", tf32=allowed)
        products.append({plan.product for plan in emulated.plans})
    assert products[0] == {"TF32"}
    assert "TF32" not in products[1]
    emulated(lambda: run("lstm", given, torch.float32), only="product=tf32")
    assert {plan.mode for plan in emulated.plans} == {"stepwise"}
    if hasattr(cudnn, "rnn"):
        before, cudnn.rnn.fp32_precision = cudnn.rnn.fp32_precision, "ieee"
        try:
            assert not _cuda.tf32_allowed(step=False)
        finally:
            cudnn.rnn.fp32_precision = before
