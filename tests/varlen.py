"""Sequences of different lengths: cases, and slow ways to compute what should come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from torch_twins import flat

LENGTHS = {
    "one": [4],
    "equal": [5, 5, 5],
    "sorted": [6, 4, 4, 1],
    "any order": [2, 6, 1, 6, 3],
    "empty ones": [0, 5, 0, 2],
    "last steps unused": [3, 1, 2],
}
SEQ_LEN = 6


def pack(x: Tensor, lengths: Sequence[int]) -> PackedSequence:
    return pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)


def run_rows(
    layer: nn.Module,
    x: Tensor | PackedSequence,
    hx: Any = None,
    grads: Sequence[Tensor] | None = None,
    seed: int = 0,
    **keywords: Any,
) -> dict[str, Tensor]:
    """`torch_twins.run` for a packed input, or with ``lengths`` and ``resets``."""
    data = (x.data if isinstance(x, PackedSequence) else x).detach().requires_grad_()
    initial = [state.detach().requires_grad_() for state in flat(hx)] if hx is not None else []
    given = None if hx is None else initial[0] if isinstance(hx, Tensor) else tuple(initial)
    torch.manual_seed(seed)  # dropout
    y, final = layer(
        PackedSequence(data, *x[1:]) if isinstance(x, PackedSequence) else data, given, **keywords
    )
    if isinstance(y, PackedSequence):
        assert isinstance(x, PackedSequence)
        for mine, given_one in zip(y[1:], x[1:], strict=True):
            assert mine is given_one or torch.equal(mine, given_one)
        y = y.data
    outputs = [y, *flat(final)]
    result = {f"output {index}": output.detach() for index, output in enumerate(outputs)}
    if grads is not None:
        names = ["x", *(f"state {index}" for index in range(len(initial)))]
        names += [name for name, _ in layer.named_parameters()]
        leaves = [data, *initial, *layer.parameters()]
        found = torch.autograd.grad(outputs, leaves, grads)
        result |= {f"grad of {name}": grad for name, grad in zip(names, found, strict=True)}
    return result


def output_grads(layer: nn.Module, x: Any, hx: Any = None, **keywords: Any) -> list[Tensor]:
    outputs = run_rows(layer, x, hx, **keywords).values()
    return [torch.randn_like(output.contiguous()) for output in outputs]


def loop(
    layer: nn.Module,
    x: Tensor,
    hx: Any,
    lengths: Sequence[int] | None = None,
    resets: Tensor | None = None,
) -> tuple[Tensor, Any]:
    """A layer without ``batch_first``, one sequence and one piece between resets at a time.

    Each layer of the stack by itself, as a direction that goes backward cuts elsewhere.
    """
    states = [] if hx is None else flat(hx)
    num_states = 2 if isinstance(layer, nn.LSTM) else 1
    rows = 2 if layer.bidirectional else 1
    finals: list[list[Tensor]] = [[] for _ in range(num_states)]
    steps = [x.shape[0]] * x.shape[1] if lengths is None else lengths
    for index in range(layer.num_layers):
        halves = []
        for direction in range(rows):
            place = index * rows + direction
            start = [state[place] for state in states]
            outputs, ends = _direction(layer, index, direction, x, start, steps, resets)
            halves.append(outputs)
            for final, end in zip(finals, ends, strict=True):
                final.append(end)
        x = torch.cat(halves, -1)
    stacked = tuple(torch.stack(final) for final in finals)
    return x, stacked if num_states == 2 else stacked[0]


def _direction(
    layer: Any,
    index: int,
    direction: int,
    x: Tensor,
    start: list[Tensor],
    lengths: Sequence[int],
    resets: Tensor | None,
) -> tuple[Tensor, list[Tensor]]:
    suffix = f"_l{index}" + ("_reverse" if direction else "")
    options = {"nonlinearity": layer.nonlinearity} if isinstance(layer, nn.RNN) else {}
    cell = getattr(nn, type(layer).__name__ + "Cell")(
        x.shape[-1], layer.hidden_size, dtype=x.dtype, **options
    )
    weights = {name: getattr(layer, name + suffix) for name, _ in cell.named_parameters()}
    zero = x.new_zeros(layer.hidden_size)
    num_states = 2 if isinstance(layer, nn.LSTM) else 1
    columns, ends = [], []
    for b, length in enumerate(lengths):
        state = [s[b] for s in start] if start else [zero] * num_states
        outputs = [zero] * x.shape[0]
        for t in reversed(range(length)) if direction else range(length):
            if resets is not None and resets[t, b]:
                state = [zero] * num_states
            given = tuple(state) if num_states == 2 else state[0]
            state = flat(torch.func.functional_call(cell, weights, (x[t, b], given)))
            outputs[t] = state[0]
        columns.append(torch.stack(outputs))
        ends.append(state)
    return torch.stack(columns, 1), [torch.stack(parts) for parts in zip(*ends, strict=True)]


class Loop(nn.Module):
    """`loop` as a module, for `run_rows`."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def named_parameters(self, *args: Any, **kwargs: Any) -> Any:
        return self.layer.named_parameters(*args, **kwargs)

    def forward(self, x: Tensor, hx: Any = None, **keywords: Any) -> Any:
        return loop(self.layer, x, hx, **keywords)
