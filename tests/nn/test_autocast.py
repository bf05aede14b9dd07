"""``torch.autocast("cpu")``: dtypes as torch's layers give them, float32 master weights."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from half_cases import HALVES
from torch_twins import CELLS, LAYERS, flat, states, twins

import fastrnn.functional
import fastrnn.nn
from fastrnn._autocast import autocast_dtype, autocast_dtype_on, output_dtype

KINDS = list(LAYERS)


@pytest.mark.parametrize("cell", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_output_types_are_torchs(kind: str, cell: bool) -> None:
    for cast, input_type, state_type, weight_type in itertools.product(
        HALVES,
        (torch.float32, *HALVES),
        (None, torch.float32, *HALVES),
        (torch.float32, torch.bfloat16),
    ):
        theirs, ours = twins(kind, 3, 4, cell=cell, dtype=weight_type)
        x = torch.randn(2, 3) if cell else torch.randn(5, 2, 3)
        hx = None
        if state_type is not None:
            hx = states(kind, (2, 4) if cell else (1, 2, 4), state_type)
        x = x.to(input_type)
        case = f"{cast}, input {input_type}, state {state_type}, weights {weight_type}"
        with torch.autocast("cpu", dtype=cast):
            got = [value.dtype for value in flat(ours(x, hx))]
            try:
                expected = [value.dtype for value in flat(theirs(x, hx))]
            except RuntimeError:  # torch's LSTM cannot compute in float16 here; ours can
                assert kind == "lstm"
                assert cast is torch.float16
                continue
        assert got == expected, case


@pytest.mark.parametrize("cast", HALVES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_values_are_those_of_the_half_layer(kind: str, cast: torch.dtype) -> None:
    _, ours = twins(kind, 7, 12, num_layers=2, bidirectional=True)
    _, half = twins(kind, 7, 12, num_layers=2, bidirectional=True)
    half = half.to(cast)
    x, hx = torch.randn(6, 5, 7), states(kind, (4, 5, 12), torch.float32)
    with torch.autocast("cpu", dtype=cast):
        assert ours.refusal(x, hx) is None
        got = flat(ours(x, hx))
    narrow = tuple(state.to(cast) for state in flat(hx))
    expected = flat(half(x.to(cast), narrow if len(narrow) > 1 else narrow[0]))
    for mine, other in zip(got, expected, strict=True):
        assert torch.equal(mine.to(cast), other)


@pytest.mark.parametrize("kind", KINDS)
def test_master_weights_get_float32_gradients(kind: str) -> None:
    """More exact than torch's, whose gradients are rounded to the half on the way."""
    theirs, ours = twins(kind, 6, 24)
    x, hx = torch.randn(20, 8, 6), states(kind, (1, 8, 24), torch.float32)
    target = torch.randn(20, 8, 24)

    def gradients(layer: Any, dtype: torch.dtype | None) -> list[torch.Tensor]:
        given = x.clone().requires_grad_()
        if dtype is torch.float64:
            wide = tuple(state.double() for state in flat(hx))
            y = layer(given.double(), wide if len(wide) > 1 else wide[0])[0]
        else:
            with torch.autocast("cpu", dtype=dtype):
                y = layer(given, hx)[0]
        loss = (y * target.to(y.dtype)).sum()
        return list(torch.autograd.grad(loss, [given, *layer.parameters()]))

    mine, torchs = gradients(ours, torch.bfloat16), gradients(theirs, torch.bfloat16)
    exact = gradients(twins(kind, 6, 24)[0].double(), torch.float64)
    for got, other, truth in zip(mine, torchs, exact, strict=True):
        assert got.dtype == torch.float32
        assert (got - truth).norm() <= 1.05 * (other - truth).norm()
    weight = mine[1]
    assert not torch.equal(weight, weight.bfloat16().float())


@pytest.mark.parametrize("cast", HALVES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_training_loop(kind: str, cast: torch.dtype) -> None:
    _, layer = twins(kind, 4, 16)
    head = torch.nn.Linear(16, 1)
    x = torch.randn(12, 8, 4)
    target = x.cumsum(0)[..., :1].tanh()
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.02)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=cast):
            assert layer.refusal(x) is None
            loss = (head(layer(x)[0]).float() - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("kind", list(CELLS))
def test_cell_gradients_and_double_backward(kind: str) -> None:
    _, cell = twins(kind, 3, 5, cell=True)
    x = torch.randn(4, 3, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = flat(cell(x))[0]
    (grad,) = torch.autograd.grad(h.float().square().sum(), x, create_graph=True)
    assert grad.dtype == torch.float32
    grad.square().sum().backward()
    assert cell.weight_hh.grad.dtype == torch.float32
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_weights_edited_inside_the_region_are_seen() -> None:
    layer = fastrnn.nn.GRU(3, 4)
    x = torch.randn(5, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        before = layer(x)[0]
        with torch.no_grad():
            layer.weight_hh_l0.mul_(2)
        assert not torch.equal(layer(x)[0], before)


def test_disabled_region_and_float64() -> None:
    layer = fastrnn.nn.LSTM(3, 4)
    x = torch.randn(5, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with torch.autocast("cpu", enabled=False):
            assert layer(x)[0].dtype == torch.float32
            assert layer.refusal(x) is None
        assert "float64" in layer.refusal(x.double())
        with pytest.raises(RuntimeError):
            layer(x.double())


def test_functional() -> None:
    tensors = [torch.randn(5, 2, 3), torch.randn(12, 3), torch.randn(12, 4), torch.randn(12)]
    for tensor in tensors:
        tensor.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, h_n = fastrnn.functional.gru(*tensors)
    assert y.dtype == h_n.dtype == torch.bfloat16
    y.float().sum().backward()
    assert all(tensor.grad is not None and tensor.grad.dtype == torch.float32 for tensor in tensors)
    expected = fastrnn.functional.gru(*(tensor.detach().bfloat16() for tensor in tensors))[0]
    assert torch.equal(y, expected)


def test_each_kind_of_device_has_its_own_region() -> None:
    """Of a GPU's, which cannot be entered without one, the switches alone."""
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    x = torch.zeros(1)
    try:
        torch.set_autocast_enabled("cuda", True)
        torch.set_autocast_dtype("cuda", torch.bfloat16)
        assert autocast_dtype_on("cuda") is torch.bfloat16
        assert autocast_dtype_on("cpu") is None
        assert autocast_dtype(x) is None
        assert fastrnn.nn.LSTM(3, 4)(torch.randn(5, 2, 3))[0].dtype == torch.float32
        with torch.autocast("cpu", dtype=torch.float16):
            assert autocast_dtype_on("cuda") is torch.bfloat16
            assert autocast_dtype_on("cpu") is torch.float16
            assert autocast_dtype(x) is torch.float16
            assert autocast_dtype(x.to("meta")) is None
    finally:
        torch.set_autocast_enabled("cuda", before[0])
        torch.set_autocast_dtype("cuda", before[1])
    assert autocast_dtype_on("cuda") is None


def test_on_a_gpu_results_have_the_autocast_dtype() -> None:
    """torch casts the states there, too; a stand-in for a tensor on a GPU."""
    there: Any = SimpleNamespace(is_cuda=True, dtype=torch.float32)
    here = torch.zeros(1)
    for kind in ("RNN_TANH", "LSTM", "GRU", "GRUCell", "LSTMCell"):
        assert output_dtype(kind, torch.bfloat16, there, None) is torch.bfloat16
    assert output_dtype("GRU", torch.bfloat16, here, None) is torch.float32
