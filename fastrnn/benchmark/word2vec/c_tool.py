"""A binary of word2vec.c: run it, and take its training speed from its own progress lines.

With ``-debug 2`` the tool prints ``Progress: P%`` and flushes whenever a thread has trained 10,000
more words.  The speed is the progress between the first and the last such line over the wall
clock between them: reading the vocabulary, the initial weights, the table of negatives and
writing the vectors are all left out, and so are the first and last ten thousand words of threads.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from fastrnn.benchmark.word2vec.corpus import Corpus
from fastrnn.benchmark.word2vec.settings import C_TOOL, MODES, Training

PROGRESS = re.compile(rb"Progress: ([0-9.]+)%")
WORDS = re.compile(rb"Words in train file: ([0-9]+)")


def arguments(training: Training, corpus: Path, vectors: Path | None) -> list[str]:
    """The tool's flags; without ``vectors`` they go nowhere."""
    mode = MODES[training.mode]
    given: dict[str, Any] = {
        "train": corpus,
        "output": vectors or os.devnull,
        "cbow": 1 - mode.sg,
        "hs": mode.hs,
        "negative": mode.negative,
        "size": training.dim,
        "window": training.window,
        "sample": training.sample,
        "min-count": training.min_count,
        "threads": training.threads,
        "iter": training.epochs,
        "alpha": training.alpha,
        "binary": 1,
        "debug": 2,
    }
    return [text for name, value in given.items() for text in (f"-{name}", str(value))]


class CTool:
    """Trains with the binary at ``path``."""

    def __init__(self, label: str, path: Path) -> None:
        if not os.access(path, os.X_OK) or not path.is_file():
            raise ValueError(f"{path} is not an executable file")
        self.name = f"{C_TOOL} {label}"
        self.path = path.resolve()

    def train(self, training: Training, corpus: Corpus, vectors: Path | None) -> dict[str, Any]:
        command = [str(self.path), *arguments(training, corpus.path, vectors)]
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
            assert child.stdout
            try:
                marks, output = _watch(child.stdout.fileno())
            except BaseException:
                child.kill()
                raise
        total = time.perf_counter() - began
        if child.returncode:
            raise RuntimeError(f"{self.name} failed: {output.decode(errors='replace')[-500:]}")
        (first, done_before), (last, done) = marks[0], marks[-1]
        if last <= first or done <= done_before:
            raise RuntimeError(
                f"{self.name} was done before it showed progress: more text is needed"
            )
        seconds = last - first
        words = (done - done_before) * corpus.in_vocabulary * training.epochs
        found = WORDS.search(output)
        return {
            "words": words,
            "seconds": seconds,
            "words_per_second": words / seconds,
            "process_seconds": total,
            # With one </s> a line, which are not counted as words here.
            "words_in_train_file": int(found[1]) if found else None,
        }


def _watch(descriptor: int) -> tuple[list[tuple[float, float]], bytes]:
    """First and last progress with the time they came, and the output's beginning and end."""
    marks: list[tuple[float, float]] = []
    output = rest = b""
    while block := os.read(descriptor, 1 << 16):
        now = time.perf_counter()
        rest = (rest + block)[-1000:] if len(block) < 1000 else block
        if len(output) < 4000:
            output += block
        if found := PROGRESS.findall(rest):
            mark = (now, float(found[-1]) / 100)
            if not marks or mark[1] > marks[-1][1]:
                marks[1:] = [mark] if marks else []
                marks = marks or [mark]
    return marks or [(0.0, 0.0)], output + rest
