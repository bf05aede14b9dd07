"""Forecast a noisy signal with an LSTM: many inputs to one output.

Run: ``python examples/forecast.py``
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import fastrnn.nn


class Forecaster(nn.Module):
    """Reads a window and predicts the value that comes next, from the last hidden state."""

    def __init__(self, hidden_size: int = 48) -> None:
        super().__init__()
        self.lstm = fastrnn.nn.LSTM(1, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, 1)

    def forward(self, windows: Tensor) -> Tensor:
        _, (h_n, _) = self.lstm(windows.unsqueeze(-1))
        values: Tensor = self.head(h_n[-1]).squeeze(-1)
        return values


def signal(length: int, generator: torch.Generator) -> Tensor:
    """Two waves of unrelated periods, and noise."""
    t = torch.arange(length, dtype=torch.float32)
    waves = torch.sin(t / 5) + 0.5 * torch.sin(t / 13.7)
    return waves + 0.05 * torch.randn(length, generator=generator)


def main(steps: int = 200) -> tuple[float, float]:
    """Train on the first part; return the error on the last one and that of repeating the past."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    windows = signal(2000, generator).unfold(0, 41, 1)  # 40 values and the one after them
    train, test = windows[:1600], windows[1600:]
    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(steps):
        batch = train[torch.randint(len(train), (64,), generator=generator)]
        loss = nn.functional.mse_loss(model(batch[:, :-1]), batch[:, -1])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        error = nn.functional.mse_loss(model(test[:, :-1]), test[:, -1]).sqrt().item()
    naive = nn.functional.mse_loss(test[:, -2], test[:, -1]).sqrt().item()
    print(f"error {error:.3f}; predicting the last value again {naive:.3f}; noise 0.050")
    return error, naive


if __name__ == "__main__":
    main()
