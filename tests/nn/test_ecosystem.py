"""What surrounds a layer in a real project: profilers, pruning, averages, optimizers, processes."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles import assert_same_bits
from torch import Tensor, nn
from torch.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    parameters_to_vector,
    parametrizations,
    parametrize,
    prune,
    spectral_norm,
    vector_to_parameters,
    weight_norm,
)
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, Dataset
from torch_twins import CELLS, LAYERS, assert_equal_runs, flat, output_grads, run, twins

import fastrnn

KINDS = list(LAYERS)
BOTH = [(kind, cell) for cell in (False, True) for kind in KINDS]


def example(kind: str, cell: bool = False, **options: Any) -> tuple[Any, Any, Tensor]:
    """torch's layer, ours, and an input."""
    theirs, ours = twins(kind, 5, 6, cell=cell, dtype=torch.float64, **options)
    x = torch.randn(*((3, 5) if cell else (7, 3, 5)), dtype=torch.float64)
    return theirs, ours, x


def assert_alike(theirs: nn.Module, ours: nn.Module, x: Tensor) -> None:
    """On the engine, and equal in everything that there is."""
    assert ours.refusal(x) is None
    grads = output_grads(theirs, x)
    assert_equal_runs(run(ours, x, None, grads), run(theirs, x, None, grads))


# -- torch.profiler ------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_profiler_shows_the_layer(kind: str, cell: bool) -> None:
    _, ours, x = example(kind, cell)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        flat(ours(x))[0].sum().backward()
        with torch.no_grad():
            ours(x)
    events = {event.key: event for event in seen.key_averages()}
    assert events[f"fastrnn::{kind}"].count == 2
    assert events[f"fastrnn::{kind}_backward"].count == 1
    assert events[f"fastrnn::{kind}"].cpu_time_total > 0
    with profile(activities=[ProfilerActivity.CPU]) as empty:
        torch.ones(1)
    assert not any("fastrnn" in event.key for event in empty.key_averages())


# -- weights that are computed -------------------------------------------------------------------


class Symmetric(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        square = weight[: weight.shape[1]]
        upper = square.triu()
        return torch.cat((upper + upper.triu(1).t(), weight[weight.shape[1] :]))

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight


WEIGHTS = {True: "weight_hh", False: "weight_hh_l0"}


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize(("kind", "cell"), BOTH)
@pytest.mark.parametrize(
    "how",
    [
        "custom",
        "twice",
        "orthogonal",
        "weight_norm",
        "spectral_norm",
        "old weight_norm",
        "old spectral_norm",
    ],
)
def test_computed_weights(kind: str, cell: bool, how: str) -> None:
    """A step of training with each, then the same weights for good."""
    theirs, ours, x = example(kind, cell)
    name = WEIGHTS[cell]
    for layer in (theirs, ours):
        torch.manual_seed(1)  # spectral norms start at random
        if how == "twice":
            parametrizations.weight_norm(layer, name)
        if how in ("custom", "twice"):
            parametrize.register_parametrization(layer, name, Symmetric())
        elif how.startswith("old"):
            {"old weight_norm": weight_norm, "old spectral_norm": spectral_norm}[how](layer, name)
            layer.eval()  # a spectral norm that is training changes with each call
        elif how != "custom":
            getattr(parametrizations, how)(layer, name)
            layer.eval()
    assert_alike(theirs, ours, x)
    for layer in (theirs, ours):
        layer.train()
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        flat(layer(x))[0].square().sum().backward()
        optimizer.step()
        layer.eval()
    if how == "spectral_norm":  # goes on with each time it is read, by torch's layers more often
        theirs.load_state_dict(ours.state_dict())
    assert_alike(theirs, ours, x)
    expected = flat(ours(x))
    if how == "old weight_norm":
        nn.utils.remove_weight_norm(ours, name)
    elif how == "old spectral_norm":
        nn.utils.remove_spectral_norm(ours, name)
    else:
        parametrize.remove_parametrizations(ours, name)
    torch.testing.assert_close(flat(ours(x)), expected)
    assert ours.refusal(x) is None


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def forward(self, weight: Tensor) -> Tensor:
        self.count += 1
        return weight.clone()


@pytest.mark.parametrize("kind", KINDS)
def test_computed_weights_are_read_once_a_call(kind: str) -> None:
    _, ours, x = example(kind)
    counting = Counting()
    parametrize.register_parametrization(ours, "weight_hh_l0", counting)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            counting.count = 0
            ours(x)
            assert counting.count == 1


@pytest.mark.parametrize("kind", KINDS)
def test_cached_parametrization(kind: str) -> None:
    theirs, ours, x = example(kind)
    for layer in (theirs, ours):
        parametrize.register_parametrization(layer, "weight_hh_l0", Symmetric())
    with parametrize.cached():
        first, second = ours(x)[0], ours(x)[0]
    torch.testing.assert_close(first, theirs(x)[0])
    assert_same_bits(first, second)


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_pruning(kind: str, cell: bool) -> None:
    """Unstructured, structured, by a mask of one's own; then global; then for good."""
    theirs, ours, x = example(kind, cell)
    name, other = WEIGHTS[cell], WEIGHTS[cell].replace("hh", "ih")
    for layer in (theirs, ours):
        prune.l1_unstructured(layer, name, amount=0.3)
        prune.ln_structured(layer, name, amount=0.2, n=2, dim=0)
        mask = (torch.arange(layer.get_parameter(other).numel()) % 3 > 0).view_as(
            layer.get_parameter(other)
        )
        prune.custom_from_mask(layer, other, mask)
        torch.manual_seed(0)
        prune.random_unstructured(layer, WEIGHTS[cell].replace("weight", "bias"), amount=2)
    assert_alike(theirs, ours, x)
    for layer in (theirs, ours):
        prune.global_unstructured(
            [(layer, name), (layer, other)], pruning_method=prune.L1Unstructured, amount=0.5
        )
    assert_alike(theirs, ours, x)
    zeros = sum(int((getattr(ours, key) == 0).sum()) for key in (name, other))
    assert zeros * 2 >= getattr(ours, name).numel() + getattr(ours, other).numel() - 2
    expected = flat(ours(x))
    for key in (name, other):
        prune.remove(ours, key)
    torch.testing.assert_close(flat(ours(x)), expected)
    assert ours.get_parameter(name).eq(0).any()


# -- all parameters at once ----------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_parameters_as_one_vector(kind: str, cell: bool) -> None:
    theirs, ours, x = example(kind, cell)
    vector = parameters_to_vector(ours.parameters())
    assert torch.equal(vector, parameters_to_vector(theirs.parameters()))
    for layer in (theirs, ours):
        vector_to_parameters(2 * vector.detach(), layer.parameters())  # views of one vector
    assert_alike(theirs, ours, x)


@pytest.mark.parametrize("kind", KINDS)
def test_clipping(kind: str) -> None:
    theirs, ours, x = example(kind, num_layers=2)
    norms = []
    for layer in (theirs, ours):
        (100 * layer(x)[0]).square().sum().backward()
        norms.append(clip_grad_norm_(layer.parameters(), 0.5, foreach=True))
        clip_grad_value_(layer.parameters(), 0.01)
    torch.testing.assert_close(norms[1], norms[0])
    for mine, torchs in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, torchs.grad)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["foreach", "fused", "plain", "lbfgs"])
def test_optimizers(kind: str, how: str) -> None:
    histories = []
    theirs, ours, x = example(kind)
    for layer in (theirs, ours):
        if how == "lbfgs":
            optimizer: Any = torch.optim.LBFGS(layer.parameters(), max_iter=3)
        else:
            kwargs = {} if how == "plain" else {how: True}
            optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-2, **kwargs)

        def closure(layer: Any = layer, optimizer: Any = optimizer) -> Tensor:
            optimizer.zero_grad()
            loss: Tensor = (layer(x)[0] - 0.3).square().mean()
            loss.backward()
            return loss

        histories.append([optimizer.step(closure).item() for _ in range(4)])
    assert histories[1] == pytest.approx(histories[0], rel=1e-9)
    assert histories[1][-1] < histories[1][0]


class Forecaster(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.norm = nn.BatchNorm1d(6, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(self.layer(x)[0].flatten(0, 1))
        return result


@pytest.mark.parametrize("kind", KINDS)
def test_averaged_models(kind: str) -> None:
    theirs, ours, x = example(kind)
    outputs = []
    for layer in (theirs, ours):
        model = Forecaster(layer)
        averages = [
            AveragedModel(model),
            AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True),
        ]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(x)[:, 0].square().sum().backward()
            optimizer.step()
            for average in averages:
                average.update_parameters(model)
        update_bn([x, 2 * x], averages[0])
        outputs.append([average.eval()(x) for average in averages])
    torch.testing.assert_close(outputs[1], outputs[0])


# -- loading and saving --------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_lazy_loading(kind: str, cell: bool) -> None:
    """Built without memory, then given it: by assignment, or empty and then filled."""
    theirs, _, x = example(kind, cell)
    expected = flat(theirs(x))
    file = io.BytesIO()
    torch.save(theirs.state_dict(), file)
    for assign in (True, False):
        file.seek(0)
        state = torch.load(file, weights_only=True)
        _, ours = twins(kind, 5, 6, cell=cell, dtype=torch.float64, device="meta")
        if not assign:
            ours.to_empty(device="cpu")
        ours.load_state_dict(state, assign=assign)
        assert ours.refusal(x) is None
        torch.testing.assert_close(flat(ours(x)), expected)
        flat(ours(x))[0].sum().backward()
        assert all(parameter.grad is not None for parameter in ours.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_state_dict_hooks(kind: str) -> None:
    theirs, ours, x = example(kind)
    prefix = "module."

    def rename(_: Any, state: dict[str, Any], *__: Any) -> None:
        for key in list(state):
            state[prefix + key] = state.pop(key)

    def name_back(_: Any, state: dict[str, Any], *__: Any) -> None:
        for key in list(state):
            state[key.removeprefix(prefix)] = state.pop(key)

    theirs.register_state_dict_post_hook(rename)
    ours.register_load_state_dict_pre_hook(name_back)
    with torch.no_grad():
        theirs.weight_hh_l0.mul_(2)
    state = theirs.state_dict()
    assert all(key.startswith(prefix) for key in state)
    assert not ours.load_state_dict(state).missing_keys
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])
    del state[f"{prefix}weight_hh_l0"]
    with pytest.raises(RuntimeError, match='Missing key.* in state_dict: "weight_hh_l0"'):
        ours.load_state_dict(state)


@pytest.mark.parametrize("kind", KINDS)
def test_functional_call_with_tied_weights(kind: str) -> None:
    theirs, ours, x = example(kind, bidirectional=True)
    for layer in (theirs, ours):
        layer.weight_hh_l0_reverse = layer.weight_hh_l0
    given = {"weight_hh_l0": torch.randn_like(ours.weight_hh_l0, requires_grad=True)}
    for tie in (True, False):
        results = []
        for layer in (theirs, ours):
            y = torch.func.functional_call(layer, given, (x,), tie_weights=tie)[0]
            (slope,) = torch.autograd.grad(y.sin().sum(), given["weight_hh_l0"])
            results.append((y, slope))
        torch.testing.assert_close(results[1], results[0])


# -- quantization --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*deprecated:UserWarning")
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_dynamic_quantization(kind: str) -> None:
    """It replaces torch's own classes and no others: ours stay as they are until restored."""
    theirs, ours, _ = example(kind)
    name = LAYERS[kind][0]
    x = torch.randn(7, 3, 5)
    quantized = []
    for layer in (theirs, ours):
        model = nn.Sequential(layer).float()
        fastrnn.restore(model)
        quantized.append(torch.ao.quantization.quantize_dynamic(model, {getattr(nn, name)}))
    assert "quantized" in type(quantized[1][0]).__module__
    assert_same_bits(quantized[1](x)[0], quantized[0](x)[0])
    _, ours, _ = example(kind)
    untouched = nn.Sequential(ours).float()
    same = torch.ao.quantization.quantize_dynamic(untouched, {getattr(nn, name)})
    assert type(same[0]) is type(ours)
    assert_same_bits(same(x)[0], untouched(x)[0])


# -- other processes -----------------------------------------------------------------------------


class Encoded(Dataset[Tensor]):
    """Calls the layer, forward and backward, in the process that loads."""

    def __init__(self, layer: nn.Module, inputs: Tensor) -> None:
        self.layer, self.inputs = layer, inputs

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> Tensor:
        y = self.layer(self.inputs[index])[0]
        (grad,) = torch.autograd.grad(y.square().sum(), self.layer.weight_hh_l0)
        return torch.cat([y.detach().flatten(), grad.flatten()])


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets spawned processes import this file; behind what is installed, since fastrnn is."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parents[2])])


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_data_loader_workers(context: str) -> None:
    _, ours = twins("gru", 8, 16)
    inputs = torch.randn(4, 10, 3, 8)
    expected = torch.stack([Encoded(ours, inputs)[index] for index in range(4)])
    loader = DataLoader(
        Encoded(ours, inputs),
        batch_size=2,
        num_workers=1,
        multiprocessing_context=context,
        persistent_workers=True,
        timeout=100,
    )
    for _ in range(2):
        assert_same_bits(torch.cat(list(loader)), expected)
    del loader


def train_shared(layer: nn.Module, x: Tensor, steps: int) -> None:
    """Hogwild: steps on weights that another process sees."""
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        layer(x)[0].square().mean().backward()
        optimizer.step()


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_shared_memory(context: str) -> None:
    """A layer trained by another process, in memory of both."""
    theirs, ours, x = example("lstm")
    ours.share_memory()
    assert all(parameter.is_shared() for parameter in ours.parameters())
    process = torch.multiprocessing.get_context(context).Process(
        target=train_shared, args=(ours, x, 3)
    )
    process.start()
    process.join(100)
    assert process.exitcode == 0
    train_shared(theirs, x, 3)
    for mine, torchs in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, torchs)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])


def test_every_cell_is_covered() -> None:
    assert list(CELLS) == KINDS
