"""Corpora in files, with gensim's names: one sentence a line, words separated by white space.

Iterating yields lists of words, as in gensim. :class:`fastrnn.Word2Vec` does not iterate over
them, though: it recognizes them and reads their files in C++.
"""

from __future__ import annotations

import io
import itertools
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

from fastrnn.word2vec._text_files import decode_line, open_text

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_WORDS_IN_BATCH = 10_000  # gensim's name for the longest sentence

_Path = str | os.PathLike[str]


def _check_length(max_sentence_length: int) -> int:
    if max_sentence_length < 1:
        raise ValueError(f"max_sentence_length must be at least 1, not {max_sentence_length}")
    return max_sentence_length


def _lines(file: IO[bytes] | IO[str], name: str, limit: int | None) -> Iterator[str]:
    offset = 0
    lines: Iterator[bytes | str] = itertools.islice(file, limit)
    for line in lines:
        if isinstance(line, str):
            yield line
        else:
            yield decode_line(line, name, offset)
            offset += len(line)


def _sentences(
    file: IO[bytes] | IO[str], name: str, limit: int | None, length: int
) -> Iterator[list[str]]:
    for line in _lines(file, name, limit):
        words = line.split()
        for start in range(0, len(words), length):
            yield words[start : start + length]


class LineSentence:
    r"""Sentences of one file: a line is a sentence, its words are separated by white space.

    Args:
        source: a path (also .gz, .bz2, .xz, .zst) or an open file that can ``seek(0)``.
        max_sentence_length: longer lines are cut into pieces of this many words.
        limit: read this many lines at most.

    Lines without words yield no sentence.

    Example:
        >>> import io
        >>> list(LineSentence(io.BytesIO(b"the quick fox\n\njumps\n")))
        [['the', 'quick', 'fox'], ['jumps']]
    """

    def __init__(
        self,
        source: _Path | IO[bytes] | IO[str],
        max_sentence_length: int = MAX_WORDS_IN_BATCH,
        limit: int | None = None,
    ) -> None:
        self.source = source
        self.max_sentence_length = _check_length(max_sentence_length)
        self.limit = limit

    def __iter__(self) -> Iterator[list[str]]:
        if isinstance(self.source, (str, os.PathLike)):
            path = os.fspath(self.source)
            with open_text(path) as file:
                yield from _sentences(file, path, self.limit, self.max_sentence_length)
        else:
            self.source.seek(0)
            name = str(getattr(self.source, "name", "the open file"))
            yield from _sentences(self.source, name, self.limit, self.max_sentence_length)


class PathLineSentences:
    """Like :class:`LineSentence`, for all files of a folder, in alphabetical order.

    Args:
        source: a folder (its subfolders are left out) or one file.
        max_sentence_length: longer lines are cut into pieces of this many words.
        limit: read this many lines of each file at most.

    Raises:
        ValueError: if ``source`` is neither a file nor a folder.
    """

    def __init__(
        self,
        source: _Path,
        max_sentence_length: int = MAX_WORDS_IN_BATCH,
        limit: int | None = None,
    ) -> None:
        self.source = os.fspath(source)
        self.max_sentence_length = _check_length(max_sentence_length)
        self.limit = limit
        if Path(self.source).is_dir():
            self.input_files = folder_files(self.source)
        elif Path(self.source).is_file():
            self.input_files = [self.source]
        else:
            raise ValueError(f"input is neither a file nor a path: {self.source!r}")

    def __iter__(self) -> Iterator[list[str]]:
        for path in self.input_files:
            with open_text(path) as file:
                yield from _sentences(file, path, self.limit, self.max_sentence_length)


def folder_files(folder: str) -> list[str]:
    """The files of a folder, by name."""
    return sorted(str(path) for path in Path(folder).iterdir() if not path.is_dir())


class Text8Corpus:
    """The words of one file, cut into sentences of equal length; line ends mean nothing.

    For files like text8, which is one line of a hundred megabytes.

    Args:
        fname: the file's path (also .gz, .bz2, .xz, .zst).
        max_sentence_length: words in a sentence; the last one may be shorter.
    """

    def __init__(self, fname: _Path, max_sentence_length: int = MAX_WORDS_IN_BATCH) -> None:
        self.fname = fname
        self.max_sentence_length = _check_length(max_sentence_length)

    def __iter__(self) -> Iterator[list[str]]:
        path = os.fspath(self.fname)
        sentence: list[str] = []
        with open_text(path) as file:
            for words in _word_blocks(file, path):
                sentence.extend(words)
                start = 0
                while len(sentence) - start >= self.max_sentence_length:
                    yield sentence[start : start + self.max_sentence_length]
                    start += self.max_sentence_length
                del sentence[:start]
        if sentence:
            yield sentence


def _word_blocks(file: IO[bytes], name: str) -> Iterator[list[str]]:
    """Words of a file that may be one long line, a block of it at a time."""
    rest, offset = b"", 0
    while block := file.read(io.DEFAULT_BUFFER_SIZE * 8):
        text = rest + block
        cut = max(text.rfind(b" "), text.rfind(b"\n")) + 1
        yield decode_line(text[:cut], name, offset).split()
        rest = text[cut:]
        offset += cut
    yield decode_line(rest, name, offset).split()
