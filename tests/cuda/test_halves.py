"""float16 and bfloat16 on the CUDA engine's kernels, run on the CPU."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from emulated import CELLS, PERSISTENT, Emulated, Values, arguments, run  # noqa: E402
from half_budget import HALVES, assert_budget, error, halved  # noqa: E402
from torch import Tensor  # noqa: E402

import fastrnn  # noqa: E402
from fastrnn import functional  # noqa: E402

PLANS = [
    "mode=stepwise",
    "mode=block,group_rows=2",
    "mode=cluster,slices=4",
    "mode=grid,slices=3,group_rows=2",
]
IN_REGISTERS = ["mode=block,weights=registers", "mode=grid,slices=3,weights=registers"]
IN_SHARED = ["mode=block,weights=shared", "mode=cluster,slices=2,weights=shared"]


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Emulated:
    return Emulated(monkeypatch)


def compare(
    cell: str,
    given: Values,
    half: torch.dtype,
    emulated: Emulated,
    plans: list[str],
    **options: Any,
) -> None:
    given = halved(given, half)
    exact = run(cell, given, torch.float64, **options)
    rounded = run(cell, given, torch.float32, **options)
    if cell == "rnn_relu" and half is torch.bfloat16:
        # The least rounding of a state decides a slope: such gradients err as the CPU engine's do.
        cpu = run(cell, given, half, **options)
        rounded |= {name: value for name, value in cpu.items() if name.startswith("grad")}
    for only in plans if cell in PERSISTENT else plans[:1]:
        ours = emulated(lambda: run(cell, given, half, **options), only=only)
        assert {plan.mode for plan in emulated.plans} == {only.split(",")[0].split("=")[1]}
        assert_budget(ours, rounded, exact, half, f"{cell} {only}")


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_within_budget(cell: str, half: torch.dtype, emulated: Emulated) -> None:
    compare(cell, arguments(cell, 9, 5, 7, 19), half, emulated, PLANS)


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("only", PLANS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before"])
def test_small_changes_of_a_state_add_up(
    cell: str, only: str, half: torch.dtype, emulated: Emulated
) -> None:
    """Each is less than half a unit in the last place: a state that was rounded would stay."""
    given = {name: value * 0 for name, value in arguments(cell, 120, 2, 3, 5).items()}
    gates = [-7.5, 8.0, 3.0, 8.0] if cell == "lstm" else [0.0, 8.0, 0.0]
    given["bias_ih"] += torch.tensor(gates).repeat_interleave(5)
    given["c0" if cell == "lstm" else "h0"] += 1
    function = getattr(functional, cell)
    exact = function(**given)[-1]
    assert float((exact - 1).abs().min()) > 2 * torch.finfo(half).eps
    found = emulated(lambda: function(**{n: v.to(half) for n, v in given.items()}), only=only)[-1]
    assert float(error(found, exact).abs().max()) <= 0.6 * torch.finfo(half).eps


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_two_directions_without_biases_and_states(
    cell: str, half: torch.dtype, emulated: Emulated
) -> None:
    given = arguments(cell, 5, 2, 4, 9, directions=2)
    given |= {"bias_ih": None, "bias_hh": None}
    given = {name: value for name, value in given.items() if name not in ("h0", "c0")}
    compare(cell, given, half, emulated, [PLANS[0], PLANS[3]])


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before"])
def test_lengths_and_resets(cell: str, half: torch.dtype, emulated: Emulated) -> None:
    resets = torch.rand((5, 4), generator=torch.Generator().manual_seed(3)) > 0.6
    options: dict[str, Any]
    for options in ({"lengths": [2, 5, 0, 3]}, {"lengths": [2, 5, 4, 3], "resets": resets}):
        given = arguments(cell, 5, 4, 3, 7, directions=2)
        compare(cell, given, half, emulated, PLANS, **options)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("half", HALVES, ids=str)
def test_no_less_exact_than_torch(half: torch.dtype, kind: str, emulated: Emulated) -> None:
    torch.manual_seed(4)
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": True}
    theirs = getattr(torch.nn, kind)(13, 32, **options, dtype=half)
    ours = getattr(fastrnn.nn, kind)(13, 32, **options, dtype=half)
    ours.load_state_dict(theirs.state_dict())
    exact = getattr(torch.nn, kind)(13, 32, **options, dtype=torch.float64)
    exact.load_state_dict({n: v.double() for n, v in theirs.state_dict().items()})
    x, weight = torch.randn(6, 12, 13).to(half), torch.randn(6, 12, 64).to(half)

    def results(layer: Any, dtype: torch.dtype) -> list[Tensor]:
        leaf = x.to(dtype).requires_grad_()
        y, states = layer(leaf)
        grads = torch.autograd.grad((y * weight.to(dtype)).sum(), [leaf, *layer.parameters()])
        return [y, *(states if isinstance(states, tuple) else (states,)), *grads]

    truths = results(exact, torch.float64)
    others = results(theirs, half)
    for only in ("mode=stepwise", "mode=cluster,slices=2"):
        mine = emulated(lambda: results(ours, half), only=only)
        for got, other, truth in zip(mine, others, truths, strict=True):
            assert got.dtype == half
            assert error(got, truth).norm() <= 1.1 * error(other, truth).norm()


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize(
    ("cell", "batch", "hidden"), [("lstm", 9, 33), ("gru", 1, 65), ("lstm", 2, 70)]
)
def test_both_places_of_weights(
    cell: str, batch: int, hidden: int, half: torch.dtype, emulated: Emulated
) -> None:
    given = arguments(cell, 3, batch, 5, hidden)
    compare(cell, given, half, emulated, IN_REGISTERS + IN_SHARED)
    assert {plan.product for plan in emulated.plans} == {"half"}


@pytest.mark.parametrize("only", PLANS)
def test_every_schedule_gives_the_same_bits(only: str, emulated: Emulated) -> None:
    given = halved(arguments("gru_reset_before", 3, 3, 2, 9, directions=2), torch.bfloat16)
    first = emulated(lambda: run("gru_reset_before", given, torch.bfloat16), only=only)
    for seed in range(2, 5):
        again = emulated(
            lambda: run("gru_reset_before", given, torch.bfloat16), seed=seed, only=only
        )
        for name, value in first.items():
            assert torch.equal(again[name], value), f"{name}, seed {seed}"


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("only", PLANS)
def test_not_a_number_stays_with_its_row(only: str, half: torch.dtype, emulated: Emulated) -> None:
    for kind, special in (("LSTM", "nan"), ("GRU", "nan"), ("GRU", "inf")):
        layer = getattr(fastrnn.nn, kind)(5, 19, dtype=half).requires_grad_(False)
        x = torch.randn(6, 4, 5).to(half)
        clean = emulated(layer, x, only=only)[0]
        x[2, 3, 1] = float(special)
        y = emulated(layer, x, only=only)[0]
        assert torch.equal(y[:2], clean[:2])
        assert torch.equal(y[:, :3], clean[:, :3])
        if special == "nan":
            assert y[2:, 3].isnan().all()


@pytest.mark.parametrize("only", PLANS)
def test_float16_overflows_to_infinity(only: str, emulated: Emulated) -> None:
    """In the input's product, in the recurrent one, and in what the next step multiplies."""
    layer = fastrnn.nn.RNN(1, 8, nonlinearity="relu", dtype=torch.float16).requires_grad_(False)
    for weight in layer.parameters():
        weight.fill_(0)
    layer.weight_ih_l0.fill_(2.0)
    x = torch.tensor([[[40000.0], [32768.0], [32752.0], [1.0]]]).half()
    y = emulated(layer, x, only=only)[0]
    assert y[0, :, 0].tolist() == [float("inf"), float("inf"), 65504.0, 2.0]
    layer.weight_hh_l0.copy_(torch.eye(8) * 2)
    layer.bias_hh_l0[:3] = torch.tensor([0.0, 15.9, 16.0])
    h = torch.tensor([32000.0, 32752.0, 32768.0])[:, None].expand(3, 8).half()
    y = emulated(layer, torch.zeros(2, 3, 1).half(), h[None].contiguous(), only=only)[0]
    for step in range(2):
        sums = h.float() @ layer.weight_hh_l0.float().t() + layer.bias_hh_l0.float()
        h = torch.relu(sums).half()  # infinity times a weight of zero is not a number
        torch.testing.assert_close(y[step], h, rtol=0, atol=0, equal_nan=True)
    assert y[0, 1, :3].tolist() == [65504.0, 65504.0, float("inf")]


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_numbers_convert_as_torch_converts_them(half: torch.dtype, emulated: Emulated) -> None:
    """relu of the input and a bias, from the smallest numbers to the largest."""
    layer = fastrnn.nn.RNN(1, 1, nonlinearity="relu", dtype=half).requires_grad_(False)
    for weight in layer.parameters():
        weight.fill_(0)
    layer.weight_ih_l0.fill_(1)
    x = torch.arange(0, 0x8000, dtype=torch.int32).to(torch.int16).view(half)
    x = x[x.isfinite()][::97].reshape(1, -1, 1)  # of all, the emulation's own test tells
    for bias in (0.0, 1.0, 1e-4, 3 * torch.finfo(half).tiny, 77.7):
        layer.bias_ih_l0.fill_(bias)
        expected = (torch.mm(x[0], layer.weight_ih_l0).float() + layer.bias_ih_l0.float()).to(half)
        assert torch.equal(emulated(layer, x, only="mode=stepwise")[0][0], expected)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells(kind: str, emulated: Emulated) -> None:
    torch.manual_seed(1)
    cell = getattr(fastrnn.nn, kind)(5, 9, dtype=torch.bfloat16)
    wide = getattr(fastrnn.nn, kind)(5, 9)
    wide.load_state_dict({n: v.float() for n, v in cell.state_dict().items()})
    x, h = torch.randn(4, 5).bfloat16(), torch.randn(4, 9).bfloat16()

    def results(module: Any, dtype: torch.dtype) -> list[Tensor]:
        given = h.to(dtype).requires_grad_()
        found = module(x.to(dtype), (given, given * 2) if kind == "LSTMCell" else given)
        found = found if isinstance(found, tuple) else (found,)
        loss = torch.stack([value.square().sum() for value in found]).sum()
        return [*found, *torch.autograd.grad(loss, [given, *module.parameters()])]

    expected = results(wide, torch.float32)
    for ours, other in zip(emulated(lambda: results(cell, torch.bfloat16)), expected, strict=True):
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(
            ours.float(), other, rtol=0, atol=0.02 * float(other.detach().abs().max())
        )


def test_second_derivatives(emulated: Emulated) -> None:
    layer = fastrnn.nn.GRU(3, 4, dtype=torch.bfloat16)
    x = torch.randn(3, 2, 3).bfloat16().requires_grad_()

    def second() -> Tensor:
        (grad,) = torch.autograd.grad(layer(x)[0].float().square().sum(), x, create_graph=True)
        return torch.autograd.grad(grad.float().square().sum(), x)[0]

    expected = second().float()
    ours = emulated(second).float()
    torch.testing.assert_close(ours, expected, rtol=0, atol=0.05 * float(expected.abs().max()))


# -- autocast: float32 weights beside halves -------------------------------------------------------


@pytest.mark.parametrize("cast", HALVES, ids=str)
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_autocast_gives_the_half_layers_values(
    kind: str, cast: torch.dtype, emulated: Emulated
) -> None:
    layer = getattr(fastrnn.nn, kind)(5, 8, num_layers=2, bidirectional=True)
    half = getattr(fastrnn.nn, kind)(5, 8, num_layers=2, bidirectional=True, dtype=cast)
    half.load_state_dict(layer.state_dict())
    x = torch.randn(4, 3, 5)
    with torch.autocast("cpu", dtype=cast):
        got = emulated(layer, x)[0]
    assert torch.equal(got.to(cast), emulated(half, x.to(cast))[0])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_master_weights_get_float32_gradients(kind: str, emulated: Emulated) -> None:
    layer = getattr(fastrnn.nn, kind)(6, 12)
    exact = getattr(torch.nn, kind)(6, 12, dtype=torch.float64)
    exact.load_state_dict({n: v.double() for n, v in layer.state_dict().items()})
    x, target = torch.randn(9, 4, 6), torch.randn(9, 4, 12)

    def gradients(module: Any, cast: torch.dtype | None, given: Tensor) -> list[Tensor]:
        leaf = given.clone().requires_grad_()
        with torch.autocast("cpu", dtype=cast, enabled=cast is not None):
            y = module(leaf)[0]
        loss = (y * target.to(y.dtype)).sum()
        return list(torch.autograd.grad(loss, [leaf, *module.parameters()]))

    truths = gradients(exact, None, x.double())
    mine = emulated(lambda: gradients(layer, torch.bfloat16, x))
    for got, truth in zip(mine, truths, strict=True):
        assert got.dtype == torch.float32
        assert error(got, truth).norm() <= 0.02 * truth.norm()
    assert not torch.equal(mine[1], mine[1].bfloat16().float())


def test_functions_take_halves(emulated: Emulated) -> None:
    given = halved(arguments("coupled_lstm", 3, 2, 3, 5), torch.float16)
    leaves = {name: value.half() for name, value in given.items()}
    y, h_n, c_n = emulated(lambda: functional.coupled_lstm(**leaves))
    assert y.dtype == h_n.dtype == c_n.dtype == torch.float16
