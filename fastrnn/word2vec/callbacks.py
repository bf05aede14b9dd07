"""What may watch, save or stop a training run.

A callback is any object with some of the methods of ``CallbackAny2Vec``; gensim's own callbacks
are.  Pass them to ``Word2Vec(..., callbacks=[...])`` or ``train(callbacks=[...])``.  An exception
from a callback ends the training and reaches the caller; the model keeps what was learned, and
``train(corpus, resume=True)`` goes on.
"""

from __future__ import annotations

import importlib
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from fastrnn.word2vec.model import Word2Vec

__all__ = ["CallbackAny2Vec", "Checkpoint", "EarlyStopping", "Progress", "ProgressBar"]


@dataclass(frozen=True)
class Progress:
    """Where a run stands, as an epoch begins and ends and about twice a second in between."""

    epoch: int  # from 0
    epochs: int
    words: int  # in-vocabulary words trained in all epochs so far
    total_words: int  # of the whole run
    loss: float  # of this epoch so far, a sum in nats; 0 unless it is computed
    alpha: float  # current learning rate


class CallbackAny2Vec:
    """Base class with gensim's four methods, and one more; all do nothing.

    Example::

        class Neighbors(CallbackAny2Vec):
            def on_epoch_end(self, model):
                print(model.wv.most_similar("king", topn=3))
    """

    def on_train_begin(self, model: Word2Vec) -> None:
        """Before the first epoch."""

    def on_train_end(self, model: Word2Vec) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, model: Word2Vec) -> None:
        """Before each epoch."""

    def on_epoch_end(self, model: Word2Vec) -> None:
        """After each epoch, whose figures are ``model.epoch_reports[-1]``."""

    def on_progress(self, model: Word2Vec, progress: Progress) -> None:
        """Now and then while an epoch is trained (not in gensim).

        The model's vectors are in use then: they change, and in deterministic mode lie out of
        order.
        """


class EarlyStopping(CallbackAny2Vec):
    """Ends training after an epoch when a figure has stopped falling.

    Args:
        monitor: ``"loss"``, the mean loss of an epoch's predictions (needs ``compute_loss``), or
            a function of the model, such as ``lambda model: model.perplexity(held_out)``.
        patience: epochs without improvement that are put up with.
        min_delta: what counts as an improvement.
        mode: ``"min"``, or ``"max"`` for a figure that should rise, such as an accuracy.

    ``history`` has the figure of each epoch, ``best`` the best of them, and ``stopped_epoch`` the
    epoch (from 0) after which training was ended, or None.
    """

    def __init__(
        self,
        monitor: str | Callable[[Any], float] = "loss",
        patience: int = 0,
        min_delta: float = 0.0,
        mode: str = "min",
    ) -> None:
        """See the class."""
        if isinstance(monitor, str) and monitor != "loss":
            raise ValueError(f'monitor must be "loss" or a function, not {monitor!r}')
        if patience < 0:
            raise ValueError(f"patience must not be negative, not {patience}")
        if not min_delta >= 0:
            raise ValueError(f"min_delta must not be negative, not {min_delta}")
        if mode not in ("min", "max"):
            raise ValueError(f'mode must be "min" or "max", not {mode!r}')
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.mode = mode
        self._start()

    def _start(self) -> None:
        self.history: list[float] = []
        self.best = math.inf if self.mode == "min" else -math.inf
        self.stopped_epoch: int | None = None
        self._waited = 0

    def on_train_begin(self, model: Word2Vec) -> None:
        """Forget an earlier run."""
        if self.monitor == "loss" and not model.compute_loss:
            raise ValueError('EarlyStopping("loss") needs compute_loss=True')
        self._start()

    def on_epoch_end(self, model: Word2Vec) -> None:
        """Look at the figure; ask the model to stop if it has not improved for long enough."""
        if callable(self.monitor):
            value = float(self.monitor(model))
        else:
            report = model.epoch_reports[-1]
            value = report.loss / max(1, report.pairs)
        self.history.append(value)
        gain = self.best - value if self.mode == "min" else value - self.best
        if gain > self.min_delta:
            self.best = value
            self._waited = 0
            return
        self._waited += 1
        if self._waited > self.patience:
            self.stopped_epoch = len(model.epoch_reports) - 1
            model.stop_training = True


class Checkpoint(CallbackAny2Vec):
    """Saves the model now and then, with its place in the corpus.

    Each file replaces the one before it only when it is complete.  After a crash,
    ``Word2Vec.load(path).train(corpus, resume=True)`` goes on from the last one.

    Args:
        path: file to write.
        seconds: time between two saves inside an epoch; None: only after epochs.
        epochs: epochs between two saves; None: only by time.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        seconds: float | None = 600.0,
        epochs: int | None = 1,
    ) -> None:
        """See the class."""
        if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"seconds must be finite and not negative, not {seconds}")
        if epochs is not None and epochs < 1:
            raise ValueError(f"epochs must be at least 1, not {epochs}")
        self.path = path
        self.seconds = seconds
        self.epochs = epochs
        self._saved = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to save inside an epoch."""
        return self.seconds is not None and time.monotonic() - self._saved >= self.seconds

    def save(self, model: Any) -> None:
        """Save now."""
        model.save(self.path)
        self._saved = time.monotonic()

    def on_train_begin(self, model: Word2Vec) -> None:  # noqa: ARG002
        """Start the clock."""
        self._saved = time.monotonic()

    def on_epoch_end(self, model: Word2Vec) -> None:
        """Save every ``epochs`` epochs."""
        if self.epochs is not None and len(model.epoch_reports) % self.epochs == 0:
            self.save(model)


class ProgressBar(CallbackAny2Vec):
    """A tqdm bar with words a second and the time left; keywords go to tqdm.

    Raises ImportError without tqdm (``pip install fastrnn[word2vec]``).
    """

    def __init__(self, **keywords: Any) -> None:
        """See the class."""
        try:
            self._tqdm = importlib.import_module("tqdm.auto").tqdm
        except ImportError as error:
            raise ImportError(
                "a progress bar needs tqdm: pip install fastrnn[word2vec]", name="tqdm"
            ) from error
        self._keywords = keywords
        self._bar: Any = None

    def on_progress(self, model: Word2Vec, progress: Progress) -> None:
        """Move the bar."""
        if self._bar is None:
            # What was trained before a resumed run counts as done, but not towards the speed.
            self._bar = self._tqdm(
                **{
                    "total": progress.total_words,
                    "initial": progress.words,
                    "unit": "words",
                    "unit_scale": True,
                    "dynamic_ncols": True,
                    **self._keywords,
                }
            )
        self._bar.set_description(f"epoch {progress.epoch + 1}/{progress.epochs}", refresh=False)
        shown = {"alpha": f"{progress.alpha:.5f}"}
        if model.compute_loss:
            shown["loss"] = f"{progress.loss:.4g}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(progress.words - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
