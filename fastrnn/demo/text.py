"""The text that is learned: by default the standard library's own prose."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


def builtin_text() -> str:
    """465 KB of English that every Python carries: the topics of ``help()``."""
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    return "\n\n".join(topics[name] for name in sorted(topics))


@dataclass(frozen=True)
class Corpus:
    """A text as character numbers; the last twentieth is held out."""

    alphabet: str
    train: Tensor
    held_out: Tensor

    def batch(
        self, data: Tensor, seq_len: int, batch_size: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Random windows ``[seq_len, batch_size]`` and, one character later, their targets."""
        starts = torch.randint(len(data) - seq_len, (batch_size,), generator=generator)
        windows = data[starts + torch.arange(seq_len + 1).unsqueeze(1)]
        return windows[:-1], windows[1:]


def load_corpus(path: Path | None, seq_len: int) -> Corpus:
    """Read ``path``, or the built-in text; ValueError when it is too short to train on."""
    text = builtin_text() if path is None else path.read_text(encoding="utf-8")
    alphabet = "".join(sorted(set(text)))
    number = {character: index for index, character in enumerate(alphabet)}
    data = torch.tensor([number[character] for character in text])
    split = len(data) - len(data) // 20
    corpus = Corpus(alphabet, data[:split], data[split:])
    if len(corpus.held_out) <= seq_len:
        raise ValueError(
            f"the text has {len(text)} characters; at least {20 * (seq_len + 1)} are needed"
        )
    return corpus
