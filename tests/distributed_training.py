"""Training in two processes and in one, for test_distributed.py; each process runs this.

``python distributed_training.py RANK WORLD_SIZE RENDEZVOUS_FILE RESULT_FILE``
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

import fastrnn.nn

ROWS = 4  # of the whole batch
HOW = ("ddp", "ddp-buckets", "fsdp2")
LAYERS = {"rnn": fastrnn.nn.RNN, "lstm": fastrnn.nn.LSTM, "gru": fastrnn.nn.GRU}
CELLS = {"rnn": fastrnn.nn.RNNCell, "lstm": fastrnn.nn.LSTMCell, "gru": fastrnn.nn.GRUCell}


class Tagger(nn.Module):
    """Two layers, a cell and a head; the hidden size is odd, so that shards differ in size."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.encoder = LAYERS[kind](6, 7, num_layers=2, bidirectional=True, batch_first=True)
        self.decoder = LAYERS[kind](14, 5, batch_first=True)
        self.cell = CELLS[kind](5, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.decoder(self.encoder(x)[0])[0]
        state = self.cell(y[:, -1], self.cell(y[:, 0]))
        result: Tensor = self.head(y + (state if isinstance(state, Tensor) else state[0])[:, None])
        return result


def model_and_data(kind: str) -> tuple[Tagger, Tensor, Tensor]:
    torch.manual_seed(0)
    model = Tagger(kind).double()
    return model, torch.randn(ROWS, 9, 6).double(), torch.randn(ROWS, 9, 3).double()


def train(model: nn.Module, x: Tensor, target: Tensor) -> dict[str, Any]:
    """Three steps; the gradients of each and the weights after the last."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    history = []
    for _ in range(3):
        optimizer.zero_grad()
        (model(x) - target).square().mean().backward()
        history.append([whole(p.grad) for p in model.parameters()])
        optimizer.step()
    return {"grads": history, "weights": [whole(p) for p in model.parameters()]}


def whole(tensor: Tensor | None) -> Tensor:
    """All of a tensor, of which this process may have a shard."""
    assert tensor is not None
    full: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full.detach().clone()


def wrapped(model: Tagger, how: str) -> nn.Module:
    if how == "ddp":
        return nn.parallel.DistributedDataParallel(model)
    if how == "ddp-buckets":  # several buckets, gradients as views of them, a static graph
        return nn.parallel.DistributedDataParallel(
            model, bucket_cap_mb=0.001, gradient_as_bucket_view=True, static_graph=True
        )
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for part in (model.encoder, model.decoder, model.cell):
        fully_shard(part, mesh=mesh)
    fully_shard(model, mesh=mesh)
    assert all(type(parameter).__name__ == "DTensor" for parameter in model.parameters())
    return model


def run(how: str, kind: str) -> dict[str, Any]:
    """What one process of several gets, and why layers did not run on the engine, if so."""
    model, x, target = model_and_data(kind)
    share = ROWS // dist.get_world_size()
    mine = slice(dist.get_rank() * share, (dist.get_rank() + 1) * share)
    refusals: set[str | None] = set()
    for layer in (model.encoder, model.decoder, model.cell):
        layer.register_forward_pre_hook(
            lambda layer, arguments: refusals.add(layer.refusal(*arguments))
        )
    return {**train(wrapped(model, how), x[mine], target[mine]), "refusals": refusals}


def main(rank: int, world_size: int, rendezvous: str, result: str) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # some machines' names lead nowhere
    dist.init_process_group(
        "gloo",
        init_method=Path(rendezvous).as_uri(),
        rank=rank,
        world_size=world_size,
        timeout=timedelta(seconds=90),
    )
    try:
        values = {(how, kind): run(how, kind) for how in HOW for kind in LAYERS}
        if rank == 0:
            torch.save(values, result)
        dist.barrier()
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
