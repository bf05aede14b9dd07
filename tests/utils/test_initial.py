"""Initial weights: which rows they are, and that gradients last through them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import fastrnn
import fastrnn.nn
from fastrnn.diagnostics import state_jacobians
from fastrnn.utils import init_forget_gate_, init_orthogonal_

PACKAGES = pytest.mark.parametrize("package", [nn, fastrnn.nn], ids=["torch", "fastrnn"])


@PACKAGES
@pytest.mark.parametrize(
    ("kind", "rows"), [("LSTM", slice(4, 8)), ("GRU", slice(4, 8)), ("LSTMCell", slice(4, 8))]
)
def test_forget_gates(package: Any, kind: str, rows: slice) -> None:
    options = {} if kind.endswith("Cell") else {"num_layers": 2, "bidirectional": True}
    layer = getattr(package, kind)(3, 4, **options)
    before = {name: value.clone() for name, value in layer.named_parameters()}
    assert init_forget_gate_(layer, 2.0) is layer
    for name, value in layer.named_parameters():
        expected = before[name]
        if name.startswith("bias"):
            expected[rows] = 2.0 if name.startswith("bias_ih") else 0.0
        assert torch.equal(value, expected)
        assert value.requires_grad


def test_the_gate_is_open_where_nothing_else_is_said() -> None:
    lstm = init_forget_gate_(fastrnn.nn.LSTM(2, 4), 3.0)
    gru = init_forget_gate_(fastrnn.nn.GRU(2, 4), 3.0)
    for layer in (lstm, gru):
        with torch.no_grad():
            for name, value in layer.named_parameters():
                if name.startswith("weight"):
                    value.zero_()
    keeps = torch.sigmoid(torch.tensor(3.0)).item()
    x = torch.zeros(5, 1, 2)
    (found,) = state_jacobians(lstm, x, state="cell_state")
    assert found.spectral[0, 0, 0] == pytest.approx(keeps**4, rel=1e-5)
    (found,) = state_jacobians(gru, x)
    assert found.spectral[0, 0, 0] == pytest.approx(keeps**4, rel=1e-5)


@PACKAGES
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "GRUCell"])
def test_orthogonal(package: Any, kind: str) -> None:
    model = nn.Sequential(nn.Linear(2, 2), getattr(package, kind)(3, 8))
    before = {name: value.clone() for name, value in model.named_parameters()}
    assert init_orthogonal_(model, 1.5) is model
    for name, value in model.named_parameters():
        if "weight_hh" in name:
            for block in value.detach().split(8):
                torch.testing.assert_close(torch.linalg.svdvals(block), torch.full((8,), 1.5))
        else:
            assert torch.equal(value, before[name])


def test_seeds() -> None:
    layers = []
    for _ in range(2):
        torch.manual_seed(3)
        layers.append(init_orthogonal_(fastrnn.nn.LSTM(2, 3)))
    assert torch.equal(layers[0].weight_hh_l0, layers[1].weight_hh_l0)


def test_errors() -> None:
    for init in (init_forget_gate_, init_orthogonal_):
        with pytest.raises(ValueError, match="no recurrent layer in Linear"):
            init(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="no layer in RNN has a forget gate"):
        init_forget_gate_(fastrnn.nn.RNN(2, 3))
    with pytest.raises(ValueError, match="LSTM has no biases"):
        init_forget_gate_(nn.LSTM(2, 3, bias=False))
    mixed = nn.ModuleList([fastrnn.nn.RNN(2, 3), fastrnn.nn.GRU(2, 3)])
    assert init_forget_gate_(mixed) is mixed  # an RNN stays as it is
