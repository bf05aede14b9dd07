"""LSTM with ``proj_size`` on the CUDA engine's kernels, run on the CPU, against torch's layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from emulated import Emulated  # noqa: E402
from half_budget import HALVES, assert_budget, halved  # noqa: E402
from oracles import assert_exact, assert_within_budget  # noqa: E402
from projected import run, states, twins  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

import fastrnn.nn  # noqa: E402
from fastrnn import _cuda  # noqa: E402
from fastrnn._cuda import refusals  # noqa: E402
from fastrnn._explain import gpu_caps  # noqa: E402
from fastrnn._native import core  # noqa: E402
from fastrnn._plan import CELL_NUMBERS  # noqa: E402
from fastrnn.backends import use_cuda  # noqa: E402
from fastrnn.nn import _by_engine  # noqa: E402

LSTM = CELL_NUMBERS["lstm"]
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


class Projected(Emulated):
    """With the checks that tensors on a GPU meet: the CPU engine has no projections."""

    def __call__(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        def refuses(*given: Any) -> str | None:
            plan = given[3]
            return plan if isinstance(plan, str) else refusals.refuses(*given[:4])

        with self._patch.context() as patch, use_cuda():
            patch.setattr(refusals, "device_engine", _cuda.emulated_engine)
            patch.setattr(_by_engine, "engine_refuses", refuses)
            return super().__call__(function, *args, **options)


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Projected:
    return Projected(monkeypatch)


# Blocks of some of these have no feature of h at all.
PERSISTENT = [
    "mode=block,product=ffma",
    "mode=block,product=3xtf32,group_rows=2",
    "mode=cluster,slices=4,product=ffma,group_rows=3",
    "mode=grid,slices=3,product=3xtf32",
    "mode=grid,slices=3,product=ffma,exchange=counter",
    "mode=grid,slices=6,group_rows=2,product=ffma",
    "mode=grid,slices=2,product=ffma,shared=8",  # not all weights fit
]


MODES = ["mode=stepwise", "mode=cluster,slices=3,group_rows=2", "mode=grid,slices=2,group_rows=3"]


def compare(
    pair: tuple[nn.LSTM, fastrnn.nn.LSTM],
    x: Any,
    hx: Any,
    emulated: Projected,
    plans: Sequence[str] = ("mode=stepwise",),
) -> None:
    """With torch's layer: float64 exactly where a plan takes it, float32 by its budget."""
    theirs, ours = pair
    exact, single = run(theirs, x, hx, torch.float64), run(theirs, x, hx, torch.float32)
    if "mode=stepwise" in plans:
        doubles = emulated(run, ours, x, hx, torch.float64)
        assert {plan.mode for plan in emulated.plans} == {"stepwise"}
        assert doubles.keys() == exact.keys()
        for name in exact:
            assert_exact(doubles[name], exact[name], name=name)
    for only in plans:
        found = emulated(run, ours, x, hx, torch.float32, only=only)
        assert {plan.mode for plan in emulated.plans} == {only.split(",")[0].split("=")[1]}
        for name in exact:
            assert_within_budget(found[name], single[name], exact[name], name=f"{only} {name}")


@pytest.mark.parametrize("only", PERSISTENT)
def test_persistent(only: str, emulated: Projected) -> None:
    for sizes in ((4, 4, 3, 33, 17), (3, 2, 2, 7, 1)):
        seq_len, batch, inputs, hidden, proj = sizes
        pair = twins(inputs, hidden, proj_size=proj, bidirectional=True)
        x: Any = torch.randn(seq_len, batch, inputs)
        if hidden == 7:
            x = pack_padded_sequence(x, torch.tensor([seq_len, seq_len - 1]))
        compare(pair, x, states(pair[0], batch), emulated, [only])
        streams = [plan.streamed_bytes > 0 for plan in emulated.plans]
        assert any(streams) == ("shared=8" in only and hidden == 33)


@pytest.mark.parametrize(
    ("directions", "sizes"),
    [(1, (1, 1, 1, 2, 1)), (2, (3, 7, 5, 7, 5)), (1, (2, 18, 3, 33, 17)), (2, (2, 2, 4, 70, 66))],
    ids=str,
)
def test_against_torch(directions: int, sizes: tuple[int, ...], emulated: Projected) -> None:
    seq_len, batch, inputs, hidden, proj = sizes
    pair = twins(inputs, hidden, proj_size=proj, bidirectional=directions == 2)
    x = torch.randn(seq_len, batch, inputs)
    compare(pair, x, states(pair[0], batch), emulated)


@pytest.mark.parametrize("form", ["time first", "batch first", "unbatched", "strided", "packed"])
def test_forms(form: str, emulated: Projected) -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": form != "strided"}
    pair = twins(5, 9, proj_size=4, bias=form != "packed", batch_first="batch" in form, **options)
    x: Any = torch.randn(4, 3, 5)
    hx = states(pair[0], None if form == "unbatched" else 4 if "batch f" in form else 3)
    if form == "strided":
        x, hx = torch.randn(5, 3, 4).permute(2, 1, 0), None
    elif form == "unbatched":
        x = x[:, 0]
    elif form == "packed":
        x = pack_padded_sequence(x, torch.tensor([2, 4, 3]), enforce_sorted=False)
    compare(pair, x, hx, emulated)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_and_resets(bidirectional: bool, emulated: Projected) -> None:
    """Against a loop of torch's operations, which is what the CPU has for them."""
    _, layer = twins(3, 6, proj_size=4, bidirectional=bidirectional)
    x, hx = torch.randn(5, 4, 3), states(layer, 4)
    resets = torch.rand((5, 4), generator=torch.Generator().manual_seed(3)) > 0.6
    options: dict[str, Any]
    for only, options in zip(
        MODES,
        (
            {"lengths": [2, 5, 4, 3], "resets": resets},
            {"resets": resets},
            {"lengths": [2, 5, 0, 3]},
        ),
        strict=True,
    ):
        exact = run(layer, x, hx, torch.float64, **options)
        single = run(layer, x, hx, torch.float32, **options)
        both = partial(run, layer, x, hx, **options)
        doubles = emulated(both, torch.float64)
        found = emulated(both, torch.float32, only=only)
        for name in exact:
            assert_exact(doubles[name], exact[name], name=name)
            assert_within_budget(found[name], single[name], exact[name], name=name)


def test_gradients_by_finite_differences(emulated: Projected) -> None:
    _, layer = twins(2, 4, proj_size=3, bidirectional=True)
    names = [name for name, _ in layer.named_parameters()]
    assert "weight_hr_l0_reverse" in names
    hx = states(layer, 2)
    leaves = (torch.randn(2, 2, 2).double(), *hx, *layer.parameters())

    def function(x: Tensor, h0: Tensor, c0: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(names, weights, strict=True))
        y, finals = torch.func.functional_call(layer, given, (x, (h0, c0)))
        return y, *finals

    leaves = tuple(leaf.detach().requires_grad_() for leaf in leaves)
    emulated(partial(torch.autograd.gradcheck, fast_mode=True), function, leaves)
    emulated(partial(torch.autograd.gradgradcheck, fast_mode=True), function, leaves)


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("sizes", [(7, 3, 5, 19, 5), (2, 18, 3, 33, 17)], ids=str)
def test_halves(sizes: tuple[int, ...], half: torch.dtype, emulated: Projected) -> None:
    seq_len, batch, inputs, hidden, proj = sizes
    theirs, ours = twins(inputs, hidden, proj_size=proj, bidirectional=True)
    for layer in (theirs, ours):
        layer.load_state_dict(halved(layer.state_dict(), half))
    x = torch.randn(seq_len, batch, inputs).to(half)
    hx = [state.to(half) for state in states(theirs, batch)]
    exact, rounded = (run(theirs, x, hx, dtype) for dtype in (torch.float64, torch.float32))
    for only in MODES:
        found = emulated(run, ours, x, hx, half, only=only)
        assert_budget(found, rounded, exact, half, only)


def test_autocast(emulated: Projected) -> None:
    """Weights and their gradients stay float32, and the numbers are those of rounded weights."""
    _, ours = twins(5, 9, proj_size=4)
    x = torch.randn(4, 3, 5)

    def under(dtype: Any, **options: Any) -> dict[str, Tensor]:
        with torch.autocast("cpu", torch.bfloat16, **options):
            return run(ours, x, None, dtype)

    cast = emulated(under, torch.float32)
    plain = emulated(partial(under, enabled=False), torch.bfloat16)
    for name, value in cast.items():
        outer = name in ("y", "h_n", "c_n")
        assert value.dtype == (torch.bfloat16 if outer else torch.float32)
        # The same numbers, but that the plain layer rounds its gradients to bfloat16.
        assert torch.equal(value.to(torch.bfloat16), plain[name]), name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_zoneout_and_dropout(training: bool, packed: bool, emulated: Projected) -> None:
    """By the same masks as a loop of torch's operations: h's have P features, c's H."""
    torch.manual_seed(0)
    layers = 2 if training and not packed else 1
    options: dict[str, Any] = {"num_layers": layers, "bidirectional": True}
    options |= {"zoneout": (0.3, 0.2), "recurrent_dropout": 0.4}
    layer = fastrnn.nn.LSTM(3, 7, proj_size=5, **options).train(training)
    x: Any = torch.randn(5, 3, 3)
    hx = states(layer, 3)
    given = {} if packed else {"resets": torch.rand((5, 3)) > 0.7}
    if packed:
        x = pack_padded_sequence(x, torch.tensor([5, 3, 2]))

    def drawn(dtype: Any) -> dict[str, Tensor]:
        torch.manual_seed(4)
        return run(layer, x, hx, dtype, **given)

    exact, doubles = drawn(torch.float64), emulated(drawn, torch.float64)
    for name in exact:
        assert_exact(doubles[name], exact[name], name=name)
    rounded = drawn(torch.float32)
    found = emulated(drawn, torch.float32, only=MODES[1 + packed])
    for name in exact:
        assert_within_budget(found[name], rounded[name], exact[name], name=name)


def test_weight_drop(emulated: Projected) -> None:
    """Of rate 1, which leaves nothing to chance: the gates do not depend on h."""
    _, layer = twins(3, 7, proj_size=5, num_layers=2)
    layer.weight_drop = 1.0
    x, hx = torch.randn(4, 3, 3), states(layer, 3)
    exact, doubles = run(layer, x, hx, torch.float64), emulated(run, layer, x, hx, torch.float64)
    assert not exact["grad weight_hh_l1"].any()
    for name in exact:
        assert_exact(doubles[name], exact[name], name=name)


def test_zoneout_keeps_what_h_was_before_it_was_rounded(emulated: Projected) -> None:
    """The part of h that stays is less than a rounding of a half each time."""
    layer = fastrnn.nn.LSTM(1, 3, proj_size=2, zoneout=(0.995, 0.0)).eval()
    for weight in layer.parameters():
        torch.nn.init.constant_(weight, 0.5)
    x, one = torch.zeros(100, 1, 1), (torch.ones(1, 1, 2), torch.ones(1, 1, 3))
    exact = layer(x, one)[0]
    given = x.bfloat16(), tuple(state.bfloat16() for state in one)
    layer.to(torch.bfloat16)
    for only in MODES:
        found = emulated(layer, *given, only=only)[0]
        torch.testing.assert_close(found.float(), exact, rtol=2**-7, atol=0)


@pytest.mark.parametrize("only", MODES)
def test_every_schedule_gives_the_same_bits(only: str, emulated: Projected) -> None:
    _, layer = twins(2, 9, proj_size=4, bidirectional=True)
    x = torch.randn(3, 3, 2)
    first = emulated(run, layer, x, None, torch.float32, only=only)
    for seed in range(2, 5):
        again = emulated(run, layer, x, None, torch.float32, only=only, seed=seed)
        for name, value in first.items():
            np.testing.assert_array_equal(again[name], value, err_msg=f"{name}, seed {seed}")


def test_without_gradients_nothing_is_kept(emulated: Projected) -> None:
    """The same numbers from scratch memory of one step."""
    _, layer = twins(3, 9, proj_size=4, num_layers=2, bidirectional=True)
    x = pack_padded_sequence(torch.randn(4, 3, 3), torch.tensor([4, 3, 1]))
    layer.float()
    for only in MODES:
        with torch.no_grad():
            y, finals = emulated(layer, x, only=only)
        expected, others = emulated(layer, x, only=only)
        for ours, theirs in zip((y.data, *finals), (expected.data, *others), strict=True):
            assert torch.equal(ours, theirs)


def plan(hidden: int, proj: int, backward: bool = False, number: int = 4, **only: int) -> Any:
    caps, sizes, given = gpu_caps("h100"), (128, 16, hidden, 1), _cuda.Only(**only)
    return core.cuda.make_plan(caps, LSTM, number, backward, sizes, True, given, proj)


@pytest.mark.parametrize("backward", [False, True])
def test_plans(backward: bool) -> None:
    found = plan(256, 128, backward)
    assert found.mode in ("cluster", "grid")
    assert "features of h" in found.why
    assert found.microseconds > plan(256, 0, backward).microseconds  # two exchanges
    exact = plan(256, 128, backward, number=8)
    assert exact.mode == "stepwise"
    assert "float64 has no persistent kernels" in exact.why
    stepwise = plan(256, 128, backward, mode=0)
    assert found.microseconds < stepwise.microseconds
    assert stepwise.microseconds > 1.5 * plan(256, 0, backward, mode=0).microseconds
    times = [plan(4096, proj, backward, mode=0).microseconds for proj in (64, 512, 2048)]
    assert times == sorted(times)
    assert times[2] > 1.5 * times[0]


def test_tagged_words_need_features_in_every_block() -> None:
    """A block without any publishes nothing in some rounds, and others could not wait for it."""
    for backward in (False, True):
        assert "exchange by tag" in plan(32, 8, backward, mode=3, slices=8, sums=0, exchange=1).why
        assert plan(32, 7, backward, mode=3, slices=8, exchange=0).mode == "grid"
        assert plan(32, 7, backward, mode=3, slices=8, exchange=1).mode == "stepwise"


def test_torch_takes_its_standard_algorithm() -> None:
    sizes = (128, 16, 128, 128, 1, 1)
    caps = gpu_caps("h100")
    for number in (1, 4):
        ours = core.cuda.torch_model(caps, LSTM, number, sizes, False, False, False, True, 64)
        plain = core.cuda.torch_model(caps, LSTM, number, sizes, False, False, False, True)
        assert ours is not None
        assert plain is not None
        assert ours[1] == "cuDNN, a launch a step"
        assert plain[1] != ours[1]


def test_explain_and_refusal() -> None:
    layer, x = fastrnn.nn.LSTM(8, 256, proj_size=64), torch.randn(4, 2, 8)
    hx = (torch.randn(1, 2, 64), torch.randn(1, 2, 256))
    text = fastrnn.explain(layer, x, hx, gpu="h100")
    assert "features of h" in text
    assert "torch's layer" in text  # both times, whoever is expected to be faster
    assert layer.refusal(x) == "proj_size > 0"  # the CPU engine has none
    assert "initial state" in fastrnn.explain(layer, x, (hx[1], hx[1]), gpu="h100")


def test_states_of_other_shapes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "device_engine", _cuda.emulated_engine)
    monkeypatch.setattr(_by_engine, "engine_refuses", lambda *given: refusals.refuses(*given[:4]))
    layer, x = fastrnn.nn.LSTM(3, 6, proj_size=4), torch.randn(2, 1, 3)
    good = torch.zeros(1, 1, 4), torch.zeros(1, 1, 6)
    with use_cuda(always=True):
        assert layer.refusal(x) is None
        assert layer.refusal(x, good) is None
        assert "not torch.float32 (1, 1, 4)" in layer.refusal(x, (good[1], good[1]))
        assert "not torch.float32 (1, 1, 6)" in layer.refusal(x, (good[0], good[0]))
        layer.weight_hr_l0 = nn.Parameter(torch.zeros(4, 5))
        assert "(4, 5), not torch.float32 (4, 6)" in layer.refusal(x, good)


def test_calls_that_do_not_fit_raise() -> None:
    persistent = plan(32, 0, mode=1, group_rows=1)
    assert persistent.mode == "block"

    def call(cell: str, plan: Any, proj: int, weight_hr: int) -> None:
        direction = (64, 64, 0, 0, 0, 64, 64, 64, 0, 0, 0, 0, weight_hr, weight_hr)
        core.testing.emulated.forward(
            *(CELL_NUMBERS[cell], 4, plan, 0, (1, 1, 32, 1, proj, 0), (0, 0, 0, 1, 1)),
            *((direction,), (64, 1, 1), (0, 0), (64, 64), None, 0, 0),
        )

    with pytest.raises(ValueError, match="projection must be 0, or a size"):
        call("gru", persistent, 8, 64)
    with pytest.raises(ValueError, match="projection must be 0, or a size"):
        call("lstm", persistent, -1, 64)
    with pytest.raises(ValueError, match="needs its weights"):
        call("lstm", persistent, 8, 0)
    with pytest.raises(ValueError, match="needs its weights"):
        call("lstm", persistent, 0, 64)
    for other in (persistent, plan(32, 9, mode=1), plan(32, 8, True, mode=1)):
        with pytest.raises(ValueError, match="made for another call"):
            call("lstm", other, 8, 64)
