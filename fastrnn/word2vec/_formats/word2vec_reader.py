"""Reading word2vec's text and binary formats, and GloVe's text without a first line.

Nothing is allocated on the word of the file: a plain file must be long enough for what its first
line announces, and of others (compressed, pipes) room grows with what comes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastrnn.word2vec._formats.opening import Reader, reading
from fastrnn.word2vec._formats.rows import MAX_SIZE, MAX_WORD, Rows, WordVectors

_HEADER = re.compile(rb"\s*(\d{1,18})\s+(\d{1,18})\s*")
_MAX_NUMERAL = 64  # bytes a number may take on a line of text, on average
_MAX_FIRST_LINE = 1 << 24
_BLOCK_BYTES = 1 << 22
_BLOCK_LINES = 1 << 10


def read_word2vec(
    path: str | os.PathLike[str],
    *,
    binary: bool = False,
    encoding: str = "utf-8",
    unicode_errors: str = "strict",
    limit: int | None = None,
    datatype: DTypeLike = np.float32,
    no_header: bool = False,
) -> WordVectors:
    """All words and vectors of a file, or its first ``limit``.

    Binary rows may end in a line feed (as word2vec.c writes) or not (as gensim does); lines of
    text may end in a space.  Without a header (text only) the first line tells the vectors' size,
    and words may contain spaces.  Raises ``ValueError`` or ``EOFError``, with the file's name and
    the place, for anything else.
    """
    if no_header and binary:
        raise NotImplementedError("no_header only available for text-format files")
    kind = np.dtype(datatype)
    if kind.kind != "f":
        raise ValueError(f"datatype must be a floating-point type, not {kind}")
    limit = limit or None
    with reading(path) as file, _words_decodable(file):
        if no_header:
            return _read_glove(file, limit, kind, encoding, unicode_errors)
        count, vector_size = read_header(file)
        if limit is not None:
            count = min(count, limit)
        least = vector_size * 4 + 1 if binary else vector_size * 2 + 1
        # The last line of text may lack its line feed.
        if file.left is not None and count * least > file.left + 1:
            raise file.ended(
                f"{count} vectors of {vector_size} numbers take at least {count * least} bytes, "
                f"but {file.left} follow"
            )
        rows = Rows(count, vector_size, kind, trusted=file.left is not None)
        fill = _fill_binary if binary else _fill_text
        fill(file, rows, encoding, unicode_errors)
        return rows.finish()


def read_header(file: Reader) -> tuple[int, int]:
    """Number of vectors, and of numbers in each."""
    try:
        line = file.readline(256)
    except ValueError:
        line = b""
    match = _HEADER.fullmatch(line)
    if match is None:
        raise ValueError(
            f"{file.name!r}: the first line is not '<number of vectors> <vector size>' "
            f"but {line[:60]!r}"
        )
    count, vector_size = int(match[1]), int(match[2])
    if not 1 <= vector_size <= MAX_SIZE:
        raise ValueError(
            f"{file.name!r}: vectors of {vector_size} numbers (1 to {MAX_SIZE} allowed)"
        )
    return count, vector_size


def read_counts(
    path: str | os.PathLike[str], *, encoding: str = "utf-8", unicode_errors: str = "strict"
) -> dict[str, int]:
    """A vocabulary file, as word2vec.c's ``-save-vocab`` writes it: a word and its count a line."""
    counts: dict[str, int] = {}
    with reading(path) as file, _words_decodable(file):
        while line := file.readline(MAX_WORD):
            parts = line.rsplit(maxsplit=1)
            if len(parts) != 2 or not re.fullmatch(rb"\d{1,18}", parts[1]):
                raise file.wrong(f"no word and count but {line[:60]!r} before")
            counts[parts[0].strip().decode(encoding, unicode_errors)] = int(parts[1])
    return counts


@contextmanager
def _words_decodable(file: Reader) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        reason = (
            f"{error.reason}, in {file.name!r} before byte {file.position}; "
            "unicode_errors='ignore' or 'replace' reads on"
        )
        raise UnicodeDecodeError(
            error.encoding, error.object, error.start, error.end, reason
        ) from None


def _fill_binary(file: Reader, rows: Rows, encoding: str, errors: str) -> None:
    size = rows.vector_size * 4
    pending = b""
    while rows.seen < rows.count:
        new = file.read(max(_BLOCK_BYTES, size))
        data = pending + new
        words, starts, position = [], [], 0
        for _ in range(rows.count - rows.seen):
            space = data.find(b" ", position, position + MAX_WORD + 1)
            if space < 0 or space + 1 + size > len(data):
                break
            words.append(data[position:space].lstrip(b"\n").decode(encoding, errors))
            starts.append(space + 1)
            position = space + 1 + size
        else:
            space = 0
        if space < 0 and len(data) - position > MAX_WORD:
            raise file.wrong(
                f"no space within {MAX_WORD} bytes after word {rows.seen + len(words)} "
                "(is this really the binary format?)"
            )
        if words:
            rows.add(words, _gather(data, starts, size))
        if not new and rows.seen < rows.count:
            raise file.ended(f"only {rows.seen} of {rows.count} vectors are there")
        pending = data[position:]


def _gather(data: bytes, starts: list[int], size: int) -> NDArray[Any]:
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), size)
    rows: NDArray[Any] = windows[np.array(starts)].view("<f4")
    return rows


def _fill_text(file: Reader, rows: Rows, encoding: str, errors: str) -> None:
    longest = MAX_WORD + rows.vector_size * _MAX_NUMERAL
    block = max(1, min(_BLOCK_LINES, _BLOCK_BYTES // (4 * rows.vector_size)))
    while rows.seen < rows.count:
        wanted = min(block, rows.count - rows.seen)
        words: list[str] = []
        matrix = np.empty((wanted, rows.vector_size))
        for place in range(wanted):
            line = file.readline(longest)
            if not line:
                raise file.ended(f"only {rows.seen + place} of {rows.count} vectors are there")
            parts = line.rstrip().split(b" ")
            _parse(file, parts, matrix[place], rows.seen + place)
            words.append(parts[0].decode(encoding, errors))
        rows.add(words, matrix)


def _parse(file: Reader, parts: list[bytes], row: NDArray[np.float64], index: int) -> None:
    if len(parts) != len(row) + 1:
        raise file.wrong(
            f"vector {index} has {len(parts) - 1} numbers, not {len(row)} "
            "(is this really the text format?)"
        )
    try:
        row[:] = list(map(float, parts[1:]))
    except ValueError as error:
        raise file.wrong(f"vector {index}: {error}") from None


def _read_glove(
    file: Reader, limit: int | None, kind: np.dtype[Any], encoding: str, errors: str
) -> WordVectors:
    first = file.readline(_MAX_FIRST_LINE)
    if not first:
        raise file.ended("the file is empty")
    vector_size = _numbers_at_end(first)
    if not 1 <= vector_size <= MAX_SIZE:
        raise file.wrong(f"the first line holds {vector_size} numbers (1 to {MAX_SIZE} allowed)")
    longest = MAX_WORD + vector_size * _MAX_NUMERAL
    rows = Rows(limit or 1 << 62, vector_size, kind, trusted=False)
    block = max(1, min(_BLOCK_LINES, _BLOCK_BYTES // (4 * vector_size)))
    line = first
    while line and rows.seen < rows.count:
        words: list[str] = []
        matrix = np.empty((min(block, rows.count - rows.seen), vector_size))
        while line and len(words) < len(matrix):
            parts = line.rstrip().rsplit(b" ", vector_size)
            _parse(file, parts, matrix[len(words)], rows.seen + len(words))
            words.append(parts[0].decode(encoding, errors))
            line = file.readline(longest)
        rows.add(words, matrix[: len(words)])
    return rows.finish()


def _numbers_at_end(line: bytes) -> int:
    """How many numbers a line holds after its word, which may itself be a number."""
    return len(line.rstrip().split(b" ")) - 1
