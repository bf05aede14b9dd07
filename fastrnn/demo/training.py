"""Both models trained in one loop, step by step in turns, on the same batches."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from fastrnn.demo.model import CharModel
from fastrnn.demo.text import Corpus

TORCH, OURS = "torch.nn", "fastrnn.nn"
SEQ_LEN, BATCH_SIZE = 64, 32
LEARNING_RATE, MAX_GRADIENT_NORM = 3e-3, 1.0


@dataclass
class Run:
    """One model with its optimizer and what was measured of it."""

    model: CharModel
    optimizer: torch.optim.Optimizer
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def step(self, characters: torch.Tensor, targets: torch.Tensor) -> None:
        """One whole training step: forward, backward, clipping, Adam."""
        start = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model.loss(characters, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.losses.append(loss.item())
        self.seconds.append(time.perf_counter() - start)


def make_runs(namespaces: dict[str, Any], sizes: tuple[str, int, int], seed: int) -> dict[str, Run]:
    """A run for each namespace; ``sizes`` is cell, alphabet size, hidden size."""
    runs = {}
    for name, namespace in namespaces.items():
        torch.manual_seed(seed)
        model = CharModel(namespace, *sizes)
        runs[name] = Run(model, torch.optim.Adam(model.parameters(), LEARNING_RATE))
    return runs


def same_weights(runs: dict[str, Run]) -> bool:
    """Whether all models hold bit-identical weights, as they must before the first step."""
    first, *others = (run.model.state_dict() for run in runs.values())
    return all(
        first.keys() == other.keys() and all(torch.equal(first[k], other[k]) for k in first)
        for other in others
    )


def train(runs: dict[str, Run], corpus: Corpus, steps: int, seed: int) -> Iterator[int]:
    """Train all runs in turns, so that whatever else the machine does hits them alike.

    Who goes first is drawn anew at each step.  Yields the number of finished steps.
    """
    batches = torch.Generator().manual_seed(seed)
    turns = random.Random(seed)
    for run in runs.values():  # warm up: threads start, code is generated
        run.model.loss(
            *corpus.batch(corpus.train, SEQ_LEN, BATCH_SIZE, torch.Generator())
        ).backward()
    names = list(runs)
    for step in range(steps):
        characters, targets = corpus.batch(corpus.train, SEQ_LEN, BATCH_SIZE, batches)
        turns.shuffle(names)
        for name in names:
            runs[name].step(characters, targets)
        yield step + 1


@torch.no_grad()
def held_out_loss(model: CharModel, corpus: Corpus, seed: int) -> float:
    """Loss on text that was not trained on."""
    generator = torch.Generator().manual_seed(seed)
    return model.loss(*corpus.batch(corpus.held_out, SEQ_LEN, 4 * BATCH_SIZE, generator)).item()
