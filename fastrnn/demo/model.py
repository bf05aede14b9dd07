"""The network: embedding, one recurrent layer, a linear readout."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

LAYERS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}


class CharModel(nn.Module):
    """Predicts the next character; ``namespace`` is ``torch.nn`` or ``fastrnn.nn``.

    That argument is all that tells the two models of the demo apart.
    """

    def __init__(self, namespace: Any, cell: str, alphabet_size: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(alphabet_size, 64)
        self.recurrent = getattr(namespace, LAYERS[cell])(64, hidden_size)
        self.readout = nn.Linear(hidden_size, alphabet_size)

    def forward(self, characters: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """``characters [T, N]`` to scores ``[T, N, alphabet]`` and the state for what follows."""
        hidden, state = self.recurrent(self.embedding(characters), state)
        return self.readout(hidden), state

    def loss(self, characters: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats a character."""
        scores, _ = self(characters)
        return nn.functional.cross_entropy(scores.flatten(0, 1), targets.flatten())


@torch.no_grad()
def sample(model: CharModel, alphabet: str, prompt: str, length: int, seed: int) -> str:
    """Continue ``prompt``, one character a call; the state goes from call to call."""
    generator = torch.Generator().manual_seed(seed)
    known = [alphabet.index(character) for character in prompt if character in alphabet] or [0]
    characters, state, text = torch.tensor(known).unsqueeze(1), None, prompt
    for _ in range(length):
        scores, state = model(characters, state)
        chances = (scores[-1, 0] / 0.7).softmax(0)  # below 1: prefer what the model is sure of
        characters = torch.multinomial(chances, 1, generator=generator).unsqueeze(1)
        text += alphabet[int(characters)]
    return text
