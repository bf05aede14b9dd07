"""Zoneout, dropout on h and weight drop on the CUDA engine: the CPU engine's numbers."""

from __future__ import annotations

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from emulated import PERSISTENT, Emulated, factor, tolerance  # noqa: E402
from half_cases import HALVES  # noqa: E402
from oracles import assert_exact, assert_within_budget  # noqa: E402
from own_layers import OWN  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

import fastrnn.nn  # noqa: E402
from fastrnn import _cuda  # noqa: E402
from fastrnn._regularizers import Regularizers  # noqa: E402

LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn_tanh": ("RNN", {}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
    **OWN,
}
RATES: list[dict[str, Any]] = [
    {"zoneout": 0.3},
    {"recurrent_dropout": 0.4},
    {"zoneout": 0.2, "recurrent_dropout": 0.3, "weight_drop": 0.1},
]
PLANS = [
    "mode=block,weights=registers",
    "mode=cluster,slices=2,weights=shared,group_rows=2",
    "mode=grid,slices=3,weights=shared,group_rows=2",
]
TWO_PHASES = {"gru_reset_before", "multiplicative_lstm"}
per_kind = pytest.mark.parametrize("kind", LAYERS)
per_rates = pytest.mark.parametrize("rates", RATES, ids=str)


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Emulated:
    return Emulated(monkeypatch)


def make(kind: str, *sizes: int, **options: Any) -> Any:
    name, extra = LAYERS[kind]
    torch.manual_seed(0)
    return getattr(fastrnn.nn, name)(*sizes, **extra, **options)


def results(layer: Any, x: Any, **options: Any) -> dict[str, Any]:
    """Outputs and gradients of everything, from one seed of all masks."""
    layer.zero_grad()
    torch.manual_seed(7)
    y, states = layer(x, **options)
    outputs = [y.data, *(states if isinstance(states, tuple) else (states,))]
    found = {f"output {i}": output.detach() for i, output in enumerate(outputs)}
    generator = torch.Generator().manual_seed(8)
    loss = sum(
        (o * torch.rand(o.shape, generator=generator, dtype=torch.float64).to(o.dtype)).sum()
        for o in outputs
    )
    loss.backward()  # type: ignore[union-attr]
    return found | {f"grad {name}": p.grad.clone() for name, p in layer.named_parameters()}


@pytest.mark.parametrize("training", [True, False])
@per_rates
@per_kind
def test_step_by_step(kind: str, rates: dict[str, Any], training: bool, emulated: Emulated) -> None:
    layer = make(kind, 3, 5, num_layers=2, bidirectional=True, dtype=torch.float64, **rates)
    layer.train(training)
    x = torch.randn(4, 3, 3, dtype=torch.float64)
    exact = results(layer, x)
    ours = emulated(results, layer, x, only="mode=stepwise")
    for name, value in exact.items():
        assert_exact(ours[name], value, name=name, **tolerance(kind))


def compare_floats(
    kind: str, layer: Any, x: Any, emulated: Emulated, only: str, **options: Any
) -> None:
    """In float32, by the budget; float64 has the masks that the float32 layer has drawn."""
    drawn: list[Regularizers] = []

    def draw(plan: Any, given: Any) -> Any:
        drawn.append(type(layer)._draw(layer, plan, given))
        return drawn[-1]

    wide = copy.deepcopy(layer).double()
    layer._draw = draw
    theirs = results(layer, x, **options)
    wide._draw = lambda *_: doubled(drawn[0])
    exact = results(wide, x.double(), **options)
    ours = emulated(lambda: results(layer, x, **options), only=only)
    wanted = _cuda.MODES[_cuda.Only.read(only).mode]
    assert {plan.mode for plan in emulated.plans} == {wanted}
    for name, value in theirs.items():
        assert_within_budget(ours[name], value, exact[name], name=name, **factor(kind))


def doubled(drawn: Regularizers) -> Regularizers:
    scale = None if drawn.hidden_scale is None else drawn.hidden_scale.double()
    masks = tuple(None if mask is None else mask.double() for mask in drawn.masks)
    return Regularizers(scale, masks, drawn.rates)


@pytest.mark.parametrize("kind", LAYERS)
def test_float32(kind: str, emulated: Emulated) -> None:
    layer = make(kind, 3, 9, bidirectional=True, zoneout=0.2, recurrent_dropout=0.3)
    compare_floats(kind, layer, torch.randn(4, 5, 3), emulated, "mode=stepwise")


@pytest.mark.parametrize("only", PLANS)
@pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind in PERSISTENT])
def test_in_one_launch(kind: str, only: str, emulated: Emulated) -> None:
    if "registers" in only and kind in TWO_PHASES:
        only = only.replace("registers", "shared")
    for rates in ({"zoneout": 0.2, "recurrent_dropout": 0.3}, {"zoneout": 0.4}):
        layer = make(kind, 3, 9, bidirectional=True, **rates)
        compare_floats(kind, layer, torch.randn(4, 5, 3), emulated, only)
    layer.eval()
    compare_floats(kind, layer, torch.randn(4, 5, 3), emulated, only)


@pytest.mark.parametrize("form", ["lengths", "resets", "batch first", "packed", "unbatched"])
@pytest.mark.parametrize(
    "kind", ["lstm", "gru_reset_before", "peephole_lstm_full", "layer_norm_lstm", "layer_norm_gru"]
)
def test_forms(kind: str, form: str, emulated: Emulated) -> None:
    layer = make(
        kind, 3, 5, bidirectional=True, batch_first=form == "batch first", dtype=torch.float64,
        zoneout=0.3, recurrent_dropout=0.3,
    )  # fmt: skip
    x: Any = torch.randn(4, 3, 3, dtype=torch.float64)
    options: dict[str, Any] = {}
    if form == "lengths":
        options["lengths"] = [2, 4, 0]
    elif form == "resets":
        options["resets"] = torch.rand(4, 3, generator=torch.Generator().manual_seed(3)) > 0.5
    elif form == "packed":
        x = pack_padded_sequence(x, [2, 4, 3], enforce_sorted=False)
    elif form == "unbatched":
        x = x[:, 0]
    exact = results(layer, x, **options)
    ours = emulated(lambda: results(layer, x, **options))
    for name, value in exact.items():
        assert_exact(ours[name], value, name=name, **tolerance(kind))


@pytest.mark.parametrize("kind", ["lstm", "gru_reset_before", "multiplicative_lstm"])
@pytest.mark.parametrize("form", ["lengths", "resets"])
@pytest.mark.parametrize("only", [only.replace("registers", "shared") for only in PLANS])
def test_forms_in_one_launch(kind: str, form: str, only: str, emulated: Emulated) -> None:
    layer = make(kind, 3, 6, bidirectional=True, zoneout=0.3, recurrent_dropout=0.3)
    options: dict[str, Any] = {"lengths": [2, 4, 0]}
    if form == "resets":
        generator = torch.Generator().manual_seed(3)
        options = {"resets": torch.rand(4, 3, generator=generator) > 0.5}
    compare_floats(kind, layer, torch.randn(4, 3, 3), emulated, only, **options)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("kind", ["lstm", "gru", "gru_reset_before", "layer_norm_gru"])
def test_halves(kind: str, half: Any, training: bool, emulated: Emulated) -> None:
    """Masks are float32.  The CPU engine saves in float32 what a GPU saves in halves."""
    layer = make(kind, 7, 19, zoneout=0.3, recurrent_dropout=0.3, dtype=half).train(training)
    x = torch.randn(9, 5, 7).to(half)
    torch.manual_seed(7)
    drawn = layer._rates.draw((1, 5, 19), (9, 5, 19), x, training)
    wide = make(kind, 7, 19, zoneout=0.3, recurrent_dropout=0.3, dtype=torch.float64)
    wide.load_state_dict(layer.state_dict())
    wide._draw = lambda *_: doubled(drawn)
    exact, theirs = results(wide, x.double()), results(layer, x)
    for only in ("mode=stepwise", "mode=block"):
        ours = emulated(results, layer, x, only=only)
        for name, truth in exact.items():
            assert ours[name].dtype == half
            scale = float(truth.abs().max()) * torch.finfo(half).eps
            budget = (4.0 if name.startswith("grad") else 1.5) * rms(theirs[name], truth)
            assert rms(ours[name], truth) <= budget + 0.1 * scale, (name, only)


def rms(found: Any, truth: Any) -> float:
    return float((found.double() - truth).square().mean().sqrt())


def test_second_derivatives(emulated: Emulated) -> None:
    layer = make("lstm", 2, 3, dtype=torch.float64, zoneout=0.3, recurrent_dropout=0.3)
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)

    def outputs(values: Any) -> Any:
        torch.manual_seed(7)
        return layer(values)[0]

    assert emulated(torch.autograd.gradgradcheck, outputs, (x,))
