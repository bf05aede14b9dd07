"""Passing on what happens while an epoch is trained."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fastrnn.word2vec.callbacks import Checkpoint, Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastrnn.word2vec._corpus import EncodedCorpus
    from fastrnn.word2vec._schedule import TrainingPosition
    from fastrnn.word2vec._state import ModelState


class Pause(Exception):  # noqa: N818
    """Stops the trainer between two chunks, so that a checkpoint can be written."""


class EpochPart:
    """One call of the trainer: passes on its reports, and asks for a pause to save."""

    def __init__(
        self,
        model: ModelState,
        corpus: EncodedCorpus,
        position: TrainingPosition,
        watchers: Sequence[Any],
    ) -> None:
        self.model = model
        self.corpus = corpus
        self.watchers = watchers
        self.epoch = position.epoch
        self.epochs = position.epochs
        self.first = position.sentence
        self.before = model.epoch_reports[-1]  # of the epoch's earlier parts
        self.earlier_loss = sum(each.loss for each in model.epoch_reports)
        self.saver: Checkpoint | None = None
        self.result: dict[str, Any] | None = None
        self.last = (0, 0.0, model.min_alpha_yet_reached)  # kept, loss, alpha
        self.begun = time.perf_counter()

    def __call__(self, words: int, kept: int, loss: float, alpha: float) -> None:
        self.last = (kept, loss, alpha)
        self.model.min_alpha_yet_reached = alpha
        self.model._running_loss = self.earlier_loss + loss
        self.tell(self.before.words + words, self.before.loss + loss, alpha)
        for watcher in self.watchers:
            if isinstance(watcher, Checkpoint) and watcher.due:
                self.saver = watcher
                raise Pause

    def tell(self, words: int, loss: float, alpha: float, epoch_ended: bool = False) -> None:
        self.model.wv.norms = None  # a watcher's question made them, of vectors trained since
        done = self.epoch * self.corpus.num_words
        now = Progress(
            epoch=self.epoch,
            epochs=self.epochs,
            words=done + (self.corpus.num_words if epoch_ended else words),
            total_words=self.epochs * self.corpus.num_words,
            loss=loss,
            alpha=alpha,
        )
        call_all(self.watchers, "on_progress", self.model, now)

    def known(self, trainer: Any) -> dict[str, Any]:
        """What the trainer returned; of a call that was cut short, what is known."""
        if self.result is not None:
            return self.result
        last: dict[str, Any] | None = getattr(trainer, "last", None)
        if last:
            return last
        kept, loss, alpha = self.last
        offsets = self.corpus.offsets
        return {
            "words": int(offsets[trainer.position] - offsets[self.first]),
            "kept": kept,
            "pairs": 0,
            "loss": loss,
            "seconds": time.perf_counter() - self.begun,
            "alpha": alpha,
        }


def as_checkpoint(value: Any) -> Checkpoint | None:
    """None, a ``Checkpoint``, a path, or a path and the seconds between saves."""
    if value is None or isinstance(value, Checkpoint):
        return value
    if isinstance(value, tuple):
        return Checkpoint(*value)
    return Checkpoint(value)


def call_all(watchers: Sequence[Any], method: str, *arguments: Any) -> None:
    for watcher in watchers:
        function = getattr(watcher, method, None)  # on_progress is not in gensim's
        if function is not None:
            function(*arguments)
