"""The layers and cells as modules: construction, parameters, copies, and who may touch weights."""

from __future__ import annotations

import copy
import inspect
import io
import itertools
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch_twins import CELLS, LAYERS, assert_equal_runs, flat, output_grads, run, twins

import fastrnn.nn

KINDS = list(LAYERS)
GRID = [
    {"num_layers": layers, "bidirectional": both, "bias": bias}
    for layers, both, bias in itertools.product((1, 3), (False, True), (True, False))
]


@pytest.mark.parametrize("options", GRID)
@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_parameters(kind: str, options: dict[str, Any]) -> None:
    variants = [{}, {"proj_size": 2}] if kind == "lstm" else [{}]
    for extra in variants:
        theirs, ours = twins(kind, 5, 7, **options, **extra)
        after = torch.rand(1)
        torch.manual_seed(0)
        assert type(theirs)(5, 7, **LAYERS[kind][1], **options, **extra).mode == ours.mode
        assert torch.equal(torch.rand(1), after)  # the generator is as far on
        assert list(ours.state_dict()) == list(theirs.state_dict())
        for mine, torchs in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(mine, torchs)
        assert repr(ours) == repr(theirs)
        assert ours._flat_weights_names == theirs._flat_weights_names
        assert [[id(w) for w in weights] for weights in ours.all_weights] == [
            [id(getattr(ours, name)) for name in names] for names in theirs._all_weights
        ]


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_same_seed_same_cell(kind: str, bias: bool) -> None:
    theirs, ours = twins(kind, 5, 7, cell=True, bias=bias)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for mine, torchs in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, torchs)
    if not bias:
        assert ours.bias_ih is None
        assert ours.bias_hh is None


def test_positional_arguments_are_in_torchs_order() -> None:
    for name, arguments in (
        ("RNN", (3, 5, 2, "relu", False, True, 0.25, True)),
        ("LSTM", (3, 5, 2, False, True, 0.25, True, 2)),
        ("GRU", (3, 5, 2, False, True, 0.25, True)),
        ("RNNCell", (3, 5, False, "relu")),
        ("LSTMCell", (3, 5, False)),
        ("GRUCell", (3, 5, False)),
    ):
        ours, theirs = getattr(fastrnn.nn, name)(*arguments), getattr(nn, name)(*arguments)
        assert repr(ours) == repr(theirs)
        for key in type(theirs).__constants__:
            assert getattr(ours, key) == getattr(theirs, key), key
    for name in ("RNNCell", "LSTMCell", "GRUCell"):
        ours, theirs = getattr(fastrnn.nn, name), getattr(nn, name)
        parameters = inspect.signature(ours).parameters.values()
        positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        assert positional == list(inspect.signature(theirs).parameters)


def test_base_classes() -> None:
    for name in ("RNN", "LSTM", "GRU"):
        cls = getattr(fastrnn.nn, name)
        assert issubclass(cls, nn.RNNBase)
        assert not issubclass(cls, (nn.RNN, nn.LSTM, nn.GRU))  # what torch.compile refuses
        assert issubclass(getattr(fastrnn.nn, f"{name}Cell"), nn.RNNCellBase)


@pytest.mark.parametrize("kind", KINDS)
def test_state_dict_both_ways(kind: str) -> None:
    theirs, ours = twins(kind, 5, 7, num_layers=2, bidirectional=True)
    _, other = twins(kind, 5, 7, num_layers=2, bidirectional=True, seed=1)
    x = torch.randn(6, 3, 5)
    assert not torch.allclose(other(x)[0], theirs(x)[0])
    other.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(other(x)[0], theirs(x)[0])
    back = copy.deepcopy(theirs)
    back.load_state_dict(ours.state_dict())
    assert torch.equal(back(x)[0], theirs(x)[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", [False, True])
def test_copies(kind: str, cell: bool) -> None:
    _, ours = twins(kind, 5, 7, cell=cell)
    x = torch.randn(3, 5) if cell else torch.randn(6, 3, 5)
    stream = io.BytesIO()
    torch.save(ours, stream)
    stream.seek(0)
    expected = flat(ours(x))
    for twin in (
        copy.deepcopy(ours),
        pickle.loads(pickle.dumps(ours)),
        torch.load(stream, weights_only=False),
    ):
        assert type(twin) is type(ours)
        for mine, original in zip(flat(twin(x)), expected, strict=True):
            assert torch.equal(mine, original)
        with torch.no_grad():
            next(twin.parameters()).add_(1)
        assert not torch.equal(flat(twin(x))[0], expected[0])
        assert torch.equal(flat(ours(x))[0], expected[0])


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_read_at_each_forward(kind: str) -> None:
    theirs, ours = twins(kind, 5, 7, dtype=torch.float64)
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    grads = output_grads(theirs, x)

    def check() -> None:
        assert_equal_runs(run(ours, x, None, grads), run(theirs, x, None, grads))

    check()
    optimizers = [torch.optim.SGD(layer.parameters(), lr=0.5) for layer in (theirs, ours)]
    for layer, optimizer in zip((theirs, ours), optimizers, strict=True):
        layer(x)[0].sum().backward()
        optimizer.step()
    check()
    for layer in (theirs, ours):
        layer.weight_hh_l0.data.mul_(2)
    check()
    for layer in (theirs, ours):
        layer.weight_ih_l0.data = layer.weight_ih_l0.data.flip(0).t().contiguous().t()
    assert not ours.weight_ih_l0.is_contiguous()
    check()
    for layer in (theirs, ours):
        layer.bias_ih_l0 = nn.Parameter(torch.ones_like(layer.bias_ih_l0))
    check()
    for layer in (theirs, ours):
        layer.flatten_parameters()
        layer.reset_parameters = lambda: None
        layer.double()
    check()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:Complex modules")  # torch's, when they are made
def test_change_of_dtype(kind: str) -> None:
    theirs, ours = twins(kind, 5, 7)
    theirs, ours = theirs.double(), ours.double()
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    assert ours.refusal(x) is None
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])
    assert ours.half().refusal(x.half()) is None
    assert ours.to(torch.complex64).refusal(x.to(torch.complex64)) is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["parametrize", "weight_norm", "spectral_norm", "prune"])
def test_reparametrized_weights(kind: str, how: str) -> None:
    theirs, ours = twins(kind, 5, 7, dtype=torch.float64)
    for layer in (theirs, ours):
        torch.manual_seed(3)
        if how == "parametrize":
            parametrize.register_parametrization(layer, "weight_hh_l0", Doubled())
        elif how == "weight_norm":
            parametrizations.weight_norm(layer, "weight_hh_l0")
        elif how == "spectral_norm":
            parametrizations.spectral_norm(layer, "weight_hh_l0")
            layer.eval()
        else:
            prune.l1_unstructured(layer, "weight_hh_l0", 0.5)
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    assert ours.refusal(x) is None
    grads = output_grads(theirs, x)
    assert_equal_runs(run(ours, x, None, grads), run(theirs, x, None, grads))


class Doubled(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return (2 * weight).t().contiguous().t()  # not contiguous as it is


@pytest.mark.parametrize("kind", KINDS)
def test_functional_call_with_other_weights(kind: str) -> None:
    theirs, ours = twins(kind, 5, 7)
    params = {name: torch.randn_like(p) for name, p in ours.named_parameters()}
    x = torch.randn(6, 3, 5)
    got = torch.func.functional_call(ours, params, (x,))[0]
    torch.testing.assert_close(got, torch.func.functional_call(theirs, params, (x,))[0])
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_training_follows_torchs(kind: str) -> None:
    """Twenty steps of Adam on the same data: the same losses."""
    losses = []
    for layer in twins(kind, 5, 16, dtype=torch.float64):
        torch.manual_seed(5)
        head = nn.Linear(16, 1, dtype=torch.float64)
        optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=1e-2)
        x = torch.randn(10, 8, 5, dtype=torch.float64)
        history = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = (head(layer(x)[0]).squeeze(-1) - x.sum(-1).cumsum(0).tanh()).square().mean()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        losses.append(history)
    assert losses[1] == pytest.approx(losses[0], rel=1e-9)
    assert losses[1][-1] < losses[1][0]


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_run(kind: str) -> None:
    _, ours = twins(kind, 5, 7)
    seen: list[str] = []
    ours.register_forward_pre_hook(lambda *_: seen.append("before"))
    ours.register_forward_hook(lambda *_: seen.append("after"))
    ours.register_full_backward_hook(lambda *_: seen.append("backward"))
    ours(torch.randn(6, 3, 5, requires_grad=True))[0].sum().backward()
    assert seen == ["before", "after", "backward"]


@pytest.mark.parametrize("kind", KINDS)
def test_attributes_may_change_after_construction(kind: str) -> None:
    theirs, ours = twins(kind, 5, 7)
    x = torch.randn(6, 3, 5)
    for layer in (theirs, ours):
        layer.batch_first = True
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])
