"""``fastrnn.convert`` and ``fastrnn.restore`` on whole models."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import fastrnn
from fastrnn._convert import ConversionReport


class Tagger(nn.Module):
    """Every kind of recurrent module, one shared under two names, one inside a list."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(3, 6, num_layers=2, bidirectional=True, dropout=0.1)
        self.stack = nn.ModuleList([nn.GRU(12, 6), nn.Linear(6, 6), nn.RNN(6, 6, 1, "relu")])
        self.shared = self.stack[0]
        self.cells = nn.ModuleDict(
            {"rnn": nn.RNNCell(6, 6), "lstm": nn.LSTMCell(6, 6), "gru": nn.GRUCell(6, 6)}
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder(x)[0]
        for layer in self.stack:
            x = layer(x)
            x = x if isinstance(x, Tensor) else x[0]
        state = self.cells["rnn"](x[-1])
        state = self.cells["lstm"](state)[0]
        result: Tensor = self.cells["gru"](state)
        return result


REPLACED = {
    "encoder": "torch.nn.LSTM -> fastrnn.nn.LSTM",
    "stack.0": "torch.nn.GRU -> fastrnn.nn.GRU",
    "stack.2": "torch.nn.RNN -> fastrnn.nn.RNN",
    "cells.rnn": "torch.nn.RNNCell -> fastrnn.nn.RNNCell",
    "cells.lstm": "torch.nn.LSTMCell -> fastrnn.nn.LSTMCell",
    "cells.gru": "torch.nn.GRUCell -> fastrnn.nn.GRUCell",
}


def test_convert_and_restore_a_model() -> None:
    model = Tagger().double().eval()
    original = copy.deepcopy(model)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    parameters = dict(model.named_parameters())
    names = [name for name, _ in model.named_modules()]

    report = fastrnn.convert(model)
    assert isinstance(report, ConversionReport)
    assert report.module is model
    assert report.replaced == REPLACED
    assert report.left == {}
    assert report
    assert type(model.encoder) is fastrnn.nn.LSTM
    assert type(model.stack[1]) is nn.Linear
    assert model.shared is model.stack[0]
    assert [name for name, _ in model.named_modules()] == names
    after = dict(model.named_parameters())
    assert list(after) == list(parameters)
    assert all(after[name] is parameter for name, parameter in parameters.items())
    torch.testing.assert_close(model(x), original(x), rtol=1e-12, atol=1e-12)

    assert not fastrnn.convert(model)  # nothing left to do
    back = fastrnn.restore(model)
    assert list(back.replaced) == list(REPLACED)
    assert type(model.encoder) is nn.LSTM
    assert [type(m) for m in model.modules()] == [type(m) for m in original.modules()]
    torch.testing.assert_close(model(x), original(x), rtol=0, atol=0)


def test_training_goes_on_with_the_same_optimizer() -> None:
    model = Tagger().double().eval()
    reference = copy.deepcopy(model)
    optimizers = [torch.optim.Adam(m.parameters(), lr=1e-2) for m in (model, reference)]
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    for step in range(6):
        if step == 2:
            fastrnn.convert(model)
        if step == 4:
            fastrnn.restore(model)
        losses = []
        for m, optimizer in zip((model, reference), optimizers, strict=True):
            optimizer.zero_grad()
            loss = m(x).square().sum()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_what_hangs_on_a_layer_survives() -> None:
    layer = nn.LSTM(3, 4)
    layer.register_buffer("scale", torch.ones(2))
    layer.note = "mine"  # type: ignore[assignment]
    seen: list[str] = []
    layer.register_forward_pre_hook(lambda *_: seen.append("before"))
    layer.register_forward_hook(lambda *_: seen.append("after"))
    layer.register_full_backward_hook(lambda *_: seen.append("backward"))
    layer.register_state_dict_post_hook(lambda *_: seen.append("state dict"))
    layer.register_load_state_dict_post_hook(lambda *_: seen.append("load"))
    layer.weight_hh_l0.requires_grad_(False)
    layer.eval()
    reference = layer  # somebody else's

    report = fastrnn.convert(layer)
    assert report.module is layer is reference
    assert report.replaced == {"": "torch.nn.LSTM -> fastrnn.nn.LSTM"}
    layer(torch.randn(5, 2, 3, requires_grad=True))[0].sum().backward()
    layer.load_state_dict(layer.state_dict())
    assert seen == ["before", "after", "backward", "state dict", "load"]
    assert layer.note == "mine"
    assert not layer.training
    assert not layer.weight_hh_l0.requires_grad
    assert "scale" in layer.state_dict()


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def test_parametrizations_survive_both_ways() -> None:
    layer = nn.GRU(3, 4, dtype=torch.float64)
    parametrize.register_parametrization(layer, "weight_hh_l0", Doubled())
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    with torch.no_grad():  # or torch's layer keeps the graph's tensors and can't be copied
        expected = layer(x)[0]
    assert fastrnn.convert(layer)
    assert isinstance(layer, fastrnn.nn.GRU)
    assert parametrize.is_parametrized(layer, "weight_hh_l0")
    assert parametrize.type_before_parametrizations(layer) is fastrnn.nn.GRU
    torch.testing.assert_close(layer(x)[0], expected)
    torch.testing.assert_close(copy.deepcopy(layer)(x)[0], expected)
    assert fastrnn.restore(layer)
    assert parametrize.type_before_parametrizations(layer) is nn.GRU
    assert torch.equal(layer(x)[0], expected)
    assert fastrnn.convert(layer)
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    assert type(layer) is fastrnn.nn.GRU
    torch.testing.assert_close(layer(x)[0], expected)


class Custom(nn.LSTM):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return super().forward(*args, **kwargs)[0]


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*deprecated:UserWarning")
def test_what_is_left_and_why() -> None:
    quantized = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(3, 4)), {nn.LSTM})[0]
    (scripted,) = torch.jit.script(nn.Sequential(nn.GRUCell(3, 4))).children()
    patched = nn.GRU(3, 4)
    patched.forward = lambda x: x  # type: ignore[method-assign]
    model = nn.ModuleDict(
        {
            "custom": Custom(3, 4),
            "quantized": quantized,
            "scripted": scripted,
            "patched": patched,
            "plain": nn.RNN(3, 4),
        }
    )
    report = fastrnn.convert(model)
    assert list(report.replaced) == ["plain"]
    assert "Custom is a subclass of LSTM" in report.left["custom"]
    assert "quantized" in report.left["quantized"]
    assert report.left["scripted"] == "a scripted GRUCell"
    assert "forward has been overridden" in report.left["patched"]
    assert sorted(report.left) == ["custom", "patched", "quantized", "scripted"]
    assert type(model["custom"]) is Custom
    assert type(model["patched"]) is nn.GRU


def test_report_reads_well() -> None:
    model = nn.Sequential(nn.LSTM(3, 4), Custom(4, 4))
    assert str(fastrnn.convert(model)) == (
        "converted 1 module:\n"
        "  0: torch.nn.LSTM -> fastrnn.nn.LSTM\n"
        "left 1 as it is:\n"
        f"  1: {Custom.__module__}.Custom is a subclass of LSTM"
    )
    assert str(fastrnn.convert(nn.Linear(2, 2))) == "converted no modules"
    assert str(fastrnn.convert(nn.RNN(2, 2))) == (
        "converted 1 module:\n  (the model itself): torch.nn.RNN -> fastrnn.nn.RNN"
    )


def test_compiled_and_wrapped_models() -> None:
    torch.compiler.reset()
    model = nn.Sequential(nn.GRU(3, 4))
    compiled = torch.compile(model, backend="eager")
    x = torch.randn(5, 2, 3)
    expected = model(x)[0]
    assert list(fastrnn.convert(compiled).replaced) == ["_orig_mod.0"]
    torch.testing.assert_close(compiled(x)[0], expected)


def test_only_modules_are_converted() -> None:
    for function in (fastrnn.convert, fastrnn.restore):
        with pytest.raises(TypeError, match=r"module: expected a torch.nn.Module, got dict"):
            function({})  # type: ignore[arg-type]
