"""Derivatives of the layers and cells that torch does not have: of everything, to second order."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles import assert_exact
from own_layers import OWN, composed, make, states
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.utils.rnn import PackedSequence
from torch_twins import flat

per_kind = pytest.mark.parametrize("kind", OWN)


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def problem(kind: str, form: str) -> tuple[Any, list[Tensor]]:
    """A function of input, states and parameters, and values for all of them."""
    hx: tuple[int, ...] = (2, 3)
    if form == "cell":
        module, x = make(kind, 2, 3, cell=True, dtype=torch.float64), double(2, 2)
    else:
        module = make(kind, 2, 2, num_layers=2, bidirectional=True, dtype=torch.float64)
        x = double(4, 2) if form == "packed" else double(3, 2, 2)
        hx = (4, 2, 2)
    initial = flat(states(kind, *hx))
    names = [name for name, _ in module.named_parameters()]
    options: dict[str, Any] = {}
    if form == "resets":
        options["resets"] = torch.tensor([[False, True], [True, False], [False, False]])
    sizes, order = torch.tensor([2, 1, 1]), torch.tensor([1, 0])

    def call(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        given, weights = rest[: len(initial)], rest[len(initial) :]
        state: Any = given if len(given) == 2 else given[0]
        value: Any = PackedSequence(x, sizes, order, order) if form == "packed" else x
        parameters = dict(zip(names, weights, strict=True))
        result = functional_call(module, parameters, (value, state), options)
        if isinstance(result, tuple) and isinstance(result[0], PackedSequence):
            result = (result[0].data, result[1])
        return tuple(flat(result))

    return call, [x, *initial, *(p.detach() for p in module.parameters())]


@pytest.mark.parametrize("form", ["layer", "packed", "resets", "cell"])
@per_kind
def test_gradients_of_everything(kind: str, form: str) -> None:
    call, values = problem(kind, form)
    assert gradcheck(call, [value.clone().requires_grad_() for value in values])


@pytest.mark.parametrize("form", ["layer", "cell"])
@per_kind
def test_second_derivatives(kind: str, form: str) -> None:
    call, values = problem(kind, form)
    leaves = [value.clone().requires_grad_() for value in values]
    assert gradgradcheck(call, leaves, fast_mode=True)


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")  # jvp's own
@pytest.mark.parametrize("form", ["layer", "cell"])
@per_kind
def test_transforms(kind: str, form: str) -> None:
    """torch.func's derivatives are the engine's, forward ones agree with backward ones."""
    call, values = problem(kind, form)

    def loss(*values: Tensor) -> Tensor:
        return torch.stack([out.sin().square().sum() for out in call(*values)]).sum()

    leaves = [value.clone().requires_grad_() for value in values]
    engine = torch.autograd.grad(loss(*leaves), leaves)
    places = tuple(range(len(values)))
    tangents = tuple(torch.randn_like(value) for value in values)
    along = sum((g * t).sum() for g, t in zip(engine, tangents, strict=True))
    for mine, expected in zip(grad(loss, places)(*values), engine, strict=True):
        assert_exact(mine, expected)
    assert_exact(jvp(loss, tuple(values), tangents)[1], along)
    several = torch.stack([values[0], values[0] + 1])
    batched = vmap(lambda x: call(x, *values[1:]))(several)
    for index in (0, 1):
        for mine, expected in zip(batched, call(several[index], *values[1:]), strict=True):
            assert_exact(mine[index], expected)


@per_kind
def test_partial_gradients(kind: str) -> None:
    """Of one output alone, of frozen parameters none; eval mode has a backward, too."""
    layer = make(kind, 3, 5, dtype=torch.float64).eval()
    layer.weight_ih_l0.requires_grad_(False)
    x, twin = double(4, 2, 3).requires_grad_(), composed(layer)
    for index in range(len(flat(layer(x)))):
        found: list[Any] = []
        expected: list[Any] = []
        for module, result in ((layer, found), (twin, expected)):
            leaves = [x, *(p for p in module.parameters() if p.requires_grad)]
            output = flat(module(x))[index].square().sum()
            result += torch.autograd.grad(output, leaves, allow_unused=True)
        for mine, value in zip(found, expected, strict=True):
            assert_exact(mine, value)
