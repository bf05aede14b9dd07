"""The text: unpacked once, counted once by means that no contestant supplies, and split."""

from __future__ import annotations

import gzip
import itertools
import shutil
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: Share of the lines, at the end, that the likelihood is measured on.
HELD_OUT = 0.02


@dataclass(frozen=True)
class Corpus:
    """A plain text file, one sentence a line, and its sizes."""

    path: Path
    lines: int
    words: int
    types: int
    min_count: int
    vocabulary: int  # words of at least min_count occurrences ...
    in_vocabulary: int  # ... and how often they occur altogether

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "path": self.path.name}


def unpack(source: Path, folder: Path) -> Path:
    """The text as a plain file: itself, or unpacked into ``folder``."""
    if source.suffix != ".gz":
        return source.resolve()
    target = folder / source.stem
    with gzip.open(source, "rb") as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    return target


def measure(path: Path, min_count: int) -> Corpus:
    """Count with Python's own Counter."""
    counts: Counter[bytes] = Counter()
    lines = 0
    with path.open("rb") as file:
        for line in file:
            lines += 1
            counts.update(line.split())
    kept = [count for count in counts.values() if count >= min_count]
    return Corpus(path, lines, sum(counts.values()), len(counts), min_count, len(kept), sum(kept))


def split(path: Path, folder: Path, share: float = HELD_OUT) -> tuple[Path, Path]:
    """Files with the first lines, and with the last ``share`` of them."""
    with path.open("rb") as file:
        lines = sum(1 for _ in file)
    held = max(1, round(lines * share))
    if lines < 2:
        raise ValueError(f"{path} has {lines} lines; holding some out takes two")
    first, last = folder / "training.txt", folder / "held_out.txt"
    with path.open("rb") as file, first.open("wb") as one, last.open("wb") as two:
        one.writelines(itertools.islice(file, lines - held))
        two.writelines(file)
    return first, last
