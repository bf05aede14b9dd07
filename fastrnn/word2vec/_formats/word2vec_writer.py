"""Writing word2vec's text and binary formats, byte for byte as gensim or as word2vec.c."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fastrnn.word2vec._formats.numerals import shortest
from fastrnn.word2vec._formats.opening import writing

_BLOCK = 1 << 16  # numbers turned to text at a time


def write_word2vec(
    path: str | os.PathLike[str],
    words: Sequence[str],
    vectors: NDArray[Any],
    *,
    order: NDArray[np.int64] | None = None,
    binary: bool = False,
    style: str = "gensim",
    header: bool = True,
    total: int | None = None,
    prefix: str = "",
    append: bool = False,
) -> None:
    """Write the rows of ``vectors`` [V, d], in ``order`` if given, with their words.

    ``style`` decides what the two programs do differently: a binary row ends in a line feed
    ("word2vec.c") or in nothing ("gensim"); text has six decimals, each number followed by a
    space ("word2vec.c"), or as many digits as lead back to the number, separated by spaces
    ("gensim").  Either reads both.  Raises ``ValueError`` for a word with a space or a line feed,
    which would make the file unreadable, before anything is written.
    """
    if style not in {"gensim", "word2vec.c"}:
        raise ValueError(f"style must be 'gensim' or 'word2vec.c', not {style!r}")
    names = [_encoded(prefix, word) for word in words]
    chosen = np.arange(len(names)) if order is None else order
    with writing(path, append=append) as file:
        if header:
            count = len(names) if total is None else total
            file.write(b"%d %d\n" % (count, vectors.shape[1]))
        rows = max(1, _BLOCK // vectors.shape[1])
        for start in range(0, len(chosen), rows):
            part = chosen[start : start + rows]
            block = [names[index] for index in part.tolist()]
            if binary:
                _write_binary(file, block, vectors[part], b"\n" if style == "word2vec.c" else b"")
            elif style == "word2vec.c":
                _write_c_text(file, block, vectors[part])
            else:
                _write_text(file, block, vectors[part])


def write_counts(
    path: str | os.PathLike[str],
    words: Sequence[str],
    counts: Sequence[Any] | NDArray[Any],
    *,
    prefix: str = "",
    append: bool = False,
) -> None:
    """Write a vocabulary file: a word and its count a line."""
    lines = [_encoded(prefix, word) + f" {count}\n".encode() for word, count in zip(words, counts)]
    with writing(path, append=append) as file:
        file.writelines(lines)


def _encoded(prefix: str, word: Any) -> bytes:
    text = f"{prefix}{word}"
    if " " in text or "\n" in text:
        raise ValueError(
            f"the word {text!r} contains a space or line feed, which word2vec's formats cannot "
            "hold; save() can"
        )
    return text.encode("utf-8")


def _write_binary(file: BinaryIO, names: list[bytes], rows: NDArray[Any], end: bytes) -> None:
    rows = np.ascontiguousarray(rows, dtype="<f4")
    file.write(
        b"".join([b"%b %b%b" % (name, row.tobytes(), end) for name, row in zip(names, rows)])
    )


def _write_text(file: BinaryIO, names: list[bytes], rows: NDArray[Any]) -> None:
    numerals = shortest(rows.reshape(-1))
    size = rows.shape[1]
    file.write(
        b"".join(
            name + b" " + " ".join(numerals[i * size : (i + 1) * size]).encode() + b"\n"
            for i, name in enumerate(names)
        )
    )


def _write_c_text(file: BinaryIO, names: list[bytes], rows: NDArray[Any]) -> None:
    pattern = "%f " * rows.shape[1] + "\n"
    file.write(
        b"".join(
            name + b" " + (pattern % tuple(row)).encode() for name, row in zip(names, rows.tolist())
        )
    )
