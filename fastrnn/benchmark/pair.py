"""The two layers of a row: torch's and ours, with the same weights and the same input."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from fastrnn.benchmark.shapes import LAYERS, TRAINING, Shape

OURS, TORCH = "fastrnn", "torch"
CONTENDERS = (OURS, TORCH)


@dataclass
class Subject:
    """One layer with its input: what a timed call works on.

    ``packing`` is what a packed sequence has beyond its data, which is ``x``.
    """

    module: Any
    x: Tensor
    grad_y: Tensor
    packing: tuple[Any, ...] = ()
    _leaves: list[Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self._leaves = [self.x, *self.module.parameters()]

    def _run(self) -> tuple[Tensor, ...]:
        if self.packing:
            packed, state = self.module(PackedSequence(self.x, *self.packing))
            y = packed.data
        else:
            y, state = self.module(self.x)
        return (y, *state) if isinstance(state, tuple) else (y, state)

    def infer(self) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return self._run()

    def train(self) -> tuple[Tensor, ...]:
        for leaf in self._leaves:
            leaf.grad = None
        outputs = self._run()
        outputs[0].backward(self.grad_y)
        return outputs

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


def inputs(shape: Shape, seed: int) -> tuple[Tensor, Tensor, tuple[Any, ...]]:
    """Random ``x``, the gradient that is fed back into ``y``, and the packing of both, if any."""
    generator = torch.Generator().manual_seed(seed)
    directions = 2 if shape.bidirectional else 1
    x = torch.randn(shape.seq_len, shape.batch_size, shape.inputs, generator=generator)
    grad_y = torch.randn(
        shape.seq_len, shape.batch_size, directions * shape.hidden_size, generator=generator
    )
    if not shape.packed:
        return x, grad_y, ()
    lengths = torch.tensor(shape.lengths)
    packed, *packing = pack_padded_sequence(x, lengths, enforce_sorted=False)
    return packed, pack_padded_sequence(grad_y, lengths, enforce_sorted=False).data, tuple(packing)


def namespaces() -> dict[str, Any]:
    """Where each contender's layers live."""
    import fastrnn.nn

    return {OURS: fastrnn.nn, TORCH: torch.nn}


def make_pair(cell: str, shape: Shape, seed: int) -> tuple[dict[str, Subject], Subject]:
    """Both contenders, and torch's layer in float64 as the judge."""
    x, grad_y, packing = inputs(shape, seed)
    torch.manual_seed(seed)
    weights = build(torch.nn, cell, shape).state_dict()
    subjects = {}
    for name, namespace in namespaces().items():
        module = build(namespace, cell, shape)
        module.load_state_dict(weights)
        subjects[name] = Subject(module, x.clone().requires_grad_(), grad_y.clone(), packing)
    judge = build(torch.nn, cell, shape)
    judge.load_state_dict(weights)
    x, grad_y = x.double().requires_grad_(), grad_y.double()
    return subjects, Subject(judge.double(), x, grad_y, packing)


def padded_twin(subject: Subject, shape: Shape) -> tuple[Subject, int]:
    """The layer on a padded batch of about as many rows as a packed shape has; and their number."""
    steps = max(1, round(shape.rows / shape.batch_size))
    even = dataclasses.replace(shape, seq_len=steps, shortest=0)
    x, grad_y, _ = inputs(even, 0)
    return Subject(subject.module, x.requires_grad_(), grad_y), even.rows
