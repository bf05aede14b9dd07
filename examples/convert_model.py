"""Speed up a model that you already have: convert it, train it, restore it.

Run: ``python examples/convert_model.py``
"""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

import fastrnn


class Tagger(nn.Module):
    """A bidirectional GRU over word vectors, one label for each word; nothing but torch."""

    def __init__(self, words: int = 1000, labels: int = 10) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 64)
        self.encoder = nn.GRU(64, 96, num_layers=2, bidirectional=True, dropout=0.1)
        self.labels = nn.Linear(2 * 96, labels)

    def forward(self, words: Tensor) -> Tensor:
        encoded, _ = self.encoder(self.embedding(words))
        scores: Tensor = self.labels(encoded)
        return scores


def train(model: Tagger, steps: int) -> tuple[float, float]:
    """Last loss and seconds; the same data and dropout masks each time."""
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    start = time.perf_counter()
    loss = torch.zeros(())
    for _ in range(steps):
        words = torch.randint(1000, (30, 16))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(words).flatten(0, 1), words.flatten() % 10)
        loss.backward()
        optimizer.step()
    return loss.item(), time.perf_counter() - start


def main(steps: int = 30) -> None:
    """Train twice from the same weights, as torch's model and converted."""
    torch.manual_seed(0)
    model = Tagger()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    print("torch:   loss {:.6f}, {:.2f} s".format(*train(model, steps)))

    model.load_state_dict(weights)
    print(fastrnn.convert(model))
    print("fastrnn: loss {:.6f}, {:.2f} s".format(*train(model, steps)))

    fastrnn.restore(model)
    assert type(model.encoder) is nn.GRU  # as if nothing had happened; the training stays


if __name__ == "__main__":
    main()
