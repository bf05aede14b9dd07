"""The two layers of a row: torch's and ours, with the same weights and the same input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fastrnn.benchmark.shapes import LAYERS, TRAINING, Shape

OURS, TORCH = "fastrnn", "torch"
CONTENDERS = (OURS, TORCH)


@dataclass
class Subject:
    """One layer with its input: what a timed call works on."""

    module: Any
    x: Tensor
    grad_y: Tensor
    _leaves: list[Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self._leaves = [self.x, *self.module.parameters()]

    def infer(self) -> tuple[Tensor, ...]:
        with torch.no_grad():
            y, state = self.module(self.x)
        return (y, *state) if isinstance(state, tuple) else (y, state)

    def train(self) -> tuple[Tensor, ...]:
        for leaf in self._leaves:
            leaf.grad = None
        y, state = self.module(self.x)
        y.backward(self.grad_y)
        return (y, *state) if isinstance(state, tuple) else (y, state)

    def call(self, mode: str) -> Callable[[], tuple[Tensor, ...]]:
        return self.train if mode == TRAINING else self.infer

    def answers(self, mode: str) -> dict[str, Tensor]:
        """Outputs of one call by name and, in training, every gradient."""
        outputs = self.call(mode)()
        result = dict(zip(("y", "h_n", "c_n"), outputs))
        if mode == TRAINING:
            names = ["x", *(name for name, _ in self.module.named_parameters())]
            for name, leaf in zip(names, self._leaves):
                assert leaf.grad is not None
                result[f"grad_{name}"] = leaf.grad
        return {name: value.detach() for name, value in result.items()}


def build(namespace: Any, cell: str, shape: Shape) -> Any:
    """The layer from ``torch.nn`` or ``fastrnn.nn``."""
    layer = LAYERS[cell]
    options: dict[str, Any] = {
        "num_layers": shape.num_layers,
        "bidirectional": shape.bidirectional,
    }
    if layer.nonlinearity:
        options["nonlinearity"] = layer.nonlinearity
    return getattr(namespace, layer.layer)(shape.inputs, shape.hidden_size, **options)


def inputs(shape: Shape, seed: int) -> tuple[Tensor, Tensor]:
    """Random ``x`` and the gradient that is fed back into ``y``."""
    generator = torch.Generator().manual_seed(seed)
    directions = 2 if shape.bidirectional else 1
    x = torch.randn(shape.seq_len, shape.batch_size, shape.inputs, generator=generator)
    grad_y = torch.randn(
        shape.seq_len, shape.batch_size, directions * shape.hidden_size, generator=generator
    )
    return x, grad_y


def namespaces() -> dict[str, Any]:
    """Where each contender's layers live."""
    import fastrnn.nn

    return {OURS: fastrnn.nn, TORCH: torch.nn}


def make_pair(cell: str, shape: Shape, seed: int) -> tuple[dict[str, Subject], Subject]:
    """Both contenders, and torch's layer in float64 as the judge."""
    x, grad_y = inputs(shape, seed)
    torch.manual_seed(seed)
    weights = build(torch.nn, cell, shape).state_dict()
    subjects = {}
    for name, namespace in namespaces().items():
        module = build(namespace, cell, shape)
        module.load_state_dict(weights)
        subjects[name] = Subject(module, x.clone().requires_grad_(), grad_y.clone())
    judge = build(torch.nn, cell, shape)
    judge.load_state_dict(weights)
    return subjects, Subject(judge.double(), x.double().requires_grad_(), grad_y.double())
