"""Layers as a Python loop of steps: gradients of every state by torch's autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import fastrnn.nn
from fastrnn.nn._base import RecurrentLayer

# Every layer there is, with what makes it.
LAYERS: dict[str, tuple[type[RecurrentLayer], dict[str, Any]]] = {
    name: (getattr(fastrnn.nn, name), {})
    for name in fastrnn.nn.__all__
    if issubclass(getattr(fastrnn.nn, name), RecurrentLayer)
}
LAYERS["RNN relu"] = (fastrnn.nn.RNN, {"nonlinearity": "relu"})
LAYERS["RNN sigmoid"] = (fastrnn.nn.RNN, {"nonlinearity": "sigmoid"})
LAYERS["GRU reset before"] = (fastrnn.nn.GRU, {"reset_after": False})


def options_of(layer: RecurrentLayer) -> dict[str, Any]:
    """What the layer was made with, beside sizes."""
    names = [name for name in ("nonlinearity", "reset_after") if hasattr(layer, name)]
    return {name: getattr(layer, name) for name in names} | {"bias": layer.bias}


def single(layer: RecurrentLayer, index: int, direction: int, dtype: torch.dtype) -> nn.Module:
    """One layer and direction of a stack alone: torch's own where torch has it, else ours."""
    options, twin = options_of(layer), getattr(nn, type(layer).__name__, None)
    if options.get("nonlinearity") == "sigmoid" or options.get("reset_after") is False:
        twin = None
    if twin is None:
        twin = type(layer)
    else:
        options.pop("reset_after", None)
    suffix = f"_l{index}" + ("_reverse" if direction else "")
    parameters = {
        name.removesuffix(suffix): value
        for name, value in layer.named_parameters()
        if name.endswith(suffix) and (direction or not name.endswith("_reverse"))
    }
    module: nn.Module = twin(
        parameters["weight_ih"].shape[1], layer.hidden_size, dtype=dtype, **options
    )
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.copy_(parameters[name.removesuffix("_l0")])
    return module


def loop(module: Any, x: Tensor, state: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
    """States (h,) or (h, c), [B, H], of a single layer after every step; they retain gradients."""
    states = []
    for x_t in x:
        given = tuple(s.unsqueeze(0) for s in state)
        _, final = module(x_t.unsqueeze(0), given if len(given) > 1 else given[0])
        final = final if len(given) > 1 else (final,)
        state = tuple(s.squeeze(0) for s in final)
        for s in state:
            s.retain_grad()
        states.append(state)
    return states


def stack_gradients(
    layer: RecurrentLayer,
    x: Tensor,
    initial: tuple[Tensor, ...],
    grad_y: Tensor,
    grad_final: tuple[Tensor, ...],
    dtype: torch.dtype = torch.float64,
) -> list[list[Tensor]]:
    """Gradients [D, T, B, H] of (h, c) of every layer, of a loss with these output gradients."""
    directions = 2 if layer.bidirectional else 1
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for so many small operations
    x = x.to(dtype)
    everything: list[list[list[tuple[Tensor, ...]]]] = []
    loss = torch.zeros((), dtype=dtype)
    for index in range(layer.num_layers):
        outputs, found = [], []
        for direction in range(directions):
            place = index * directions + direction
            module = single(layer, index, direction, dtype)
            states = loop(
                module,
                x.flip(0) if direction else x,
                tuple(s[place].to(dtype).requires_grad_() for s in initial),
            )
            for number, final in enumerate(states[-1]):
                loss = loss + (grad_final[number][place].to(dtype) * final).sum()
            states = states[::-1] if direction else states
            outputs.append(torch.stack([state[0] for state in states]))
            found.append(states)
        everything.append(found)
        x = torch.cat(outputs, -1)
    loss = loss + (grad_y.to(dtype) * x).sum()
    loss.backward()
    torch.set_num_threads(threads)
    return [
        [
            torch.stack([torch.stack([_grad(state[s]) for state in states]) for states in found])
            for s in range(len(initial))
        ]
        for found in everything
    ]


def _grad(state: Tensor) -> Tensor:
    return torch.zeros_like(state) if state.grad is None else state.grad
