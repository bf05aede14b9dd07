"""LSTMs with ``proj_size``, torch's and ours, and one way to run both."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import fastrnn.nn


def twins(*sizes: int, **options: Any) -> tuple[nn.LSTM, fastrnn.nn.LSTM]:
    """torch's and ours, in float64, all numbers of which are in float32, too."""
    torch.manual_seed(sum(sizes))
    theirs, ours = nn.LSTM(*sizes, **options), fastrnn.nn.LSTM(*sizes, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs.double(), ours.double()


def states(layer: nn.LSTM, batch: int | None) -> tuple[Tensor, Tensor]:
    lead = (layer.num_layers * (2 if layer.bidirectional else 1),)
    lead += () if batch is None else (batch,)
    return tuple(torch.randn(*lead, size).double() for size in (layer.proj_size, layer.hidden_size))


def run(layer: Any, x: Any, hx: Any, dtype: Any, **options: Any) -> dict[str, Tensor]:
    """Outputs and the gradients of everything, by name."""
    layer = layer.to(dtype)
    layer.zero_grad()
    packed = x if isinstance(x, PackedSequence) else None
    data = (x if packed is None else packed.data).detach().to(dtype).requires_grad_()
    leaves = {"x": data}
    if hx is not None:
        leaves["h0"], leaves["c0"] = (state.detach().to(dtype).requires_grad_() for state in hx)
        hx = leaves["h0"], leaves["c0"]
    y, finals = layer(data if packed is None else packed._replace(data=data), hx, **options)
    outputs = {"y": y if packed is None else y.data, "h_n": finals[0], "c_n": finals[1]}
    generator = torch.Generator().manual_seed(7)
    loss = sum(
        (value * torch.rand(value.shape, generator=generator).to(value)).sum()
        for value in outputs.values()
    )
    assert isinstance(loss, Tensor)
    loss.backward()
    grads = {f"grad {name}": leaf.grad for name, leaf in leaves.items()}
    grads |= {f"grad {name}": value.grad for name, value in layer.named_parameters()}
    assert all(grad is not None for grad in grads.values())
    return {name: value.detach() for name, value in (outputs | grads).items()}
