"""A character language model in few lines: train it on a text, let it write.

Run: ``python examples/char_lm.py [TEXT_FILE]``; without a file it learns this one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

import fastrnn.nn


def main(source: Path, steps: int = 300, hidden_size: int = 128) -> tuple[float, str]:
    """Return the last loss and what the model wrote."""
    text = source.read_text(encoding="utf-8")
    alphabet = sorted(set(text))
    data = torch.tensor([alphabet.index(character) for character in text])

    torch.manual_seed(0)
    embedding = nn.Embedding(len(alphabet), 32)
    gru = fastrnn.nn.GRU(32, hidden_size)
    readout = nn.Linear(hidden_size, len(alphabet))
    parameters = [*embedding.parameters(), *gru.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=5e-3)
    loss = torch.zeros(())
    for _ in range(steps):
        starts = torch.randint(len(data) - 50, (16,))
        windows = data[starts + torch.arange(51).unsqueeze(1)]  # [seq_len + 1, batch_size]
        hidden, _ = gru(embedding(windows[:-1]))
        loss = nn.functional.cross_entropy(readout(hidden).flatten(0, 1), windows[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    written, state = [data[:1].unsqueeze(1)], None
    with torch.no_grad():
        for _ in range(200):  # one step a call, the state carried along
            hidden, state = gru(embedding(written[-1]), state)
            written.append(torch.multinomial(readout(hidden[-1]).softmax(-1), 1))
    sample = "".join(alphabet[int(character)] for character in written)
    print(f"loss {loss.item():.3f}\n{sample}")
    return loss.item(), sample


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else __file__))
