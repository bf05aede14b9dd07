"""A bar while vectors train: share, words a second, time left."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from fastrnn.word2vec.callbacks import CallbackAny2Vec

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastrnn.word2vec import Word2Vec, callbacks


@final
class Bar(CallbackAny2Vec):
    """A callback of Word2Vec that is also a context; on stderr, and only on a terminal."""

    def __init__(self, shown: bool = True, on_begin: Callable[[Word2Vec], None] | None = None):
        console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>5.1f} %  {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not (shown and console.is_terminal),
        )
        self.on_begin = on_begin
        self.task: TaskID | None = None
        self.began = 0.0

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def on_train_begin(self, model: Word2Vec) -> None:
        if self.on_begin:
            self.on_begin(model)  # the vocabulary is there
        self.began = time.perf_counter()
        self.task = self.progress.add_task("training", total=None, rate="")

    def on_progress(self, model: Word2Vec, progress: callbacks.Progress) -> None:  # noqa: ARG002
        assert self.task is not None
        seconds = max(time.perf_counter() - self.began, 1e-9)
        self.progress.update(
            self.task,
            description=f"epoch {progress.epoch + 1}/{progress.epochs}",
            completed=progress.words,
            total=progress.total_words,
            rate=f"{progress.words / seconds / 1e6:.2f} M words/s, alpha {progress.alpha:.5f}",
        )
