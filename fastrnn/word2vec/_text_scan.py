"""Reading text natively: plain files by C++ itself, compressed ones and streams in blocks."""

from __future__ import annotations

import codecs
import os
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fastrnn._native import core
from fastrnn.word2vec._raw_counts import RawCounts
from fastrnn.word2vec._text_files import decompressor, is_plain, named_errors, undecodable
from fastrnn.word2vec._vocabulary import TrimRule, keep_word
from fastrnn.word2vec._words import PackedWords
from fastrnn.word2vec.sentences import MAX_WORDS_IN_BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from fastrnn.word2vec._inputs import Text
    from fastrnn.word2vec._scan import Progress

_BLOCK = 1 << 22
ERRORS = ("strict", "ignore", "replace")


class TextScan:
    """Text after one pass.

    Args:
        text: what to read.
        threads: how many count.
        max_vocab_size: prune rare words beyond so many different ones, exactly as gensim does
            (on one thread, since what is pruned depends on the order).
        trim_rule: asked about each word when pruning.
        keep_ids: whether to encode later.
        vocabulary: encode with these words, without counting.
        as_word2vec_c: separate at space, tab and line ends only.
        errors: ``"strict"``, ``"ignore"`` or ``"replace"`` bytes that are no UTF-8.
    """

    def __init__(
        self,
        text: Text,
        *,
        threads: int,
        max_vocab_size: int | None = None,
        trim_rule: TrimRule | None = None,
        keep_ids: bool = True,
        vocabulary: list[str] | None = None,
        as_word2vec_c: bool = False,
        errors: str = "strict",
        progress: Progress | None = None,
    ) -> None:
        if errors not in ERRORS:
            raise ValueError(f"errors must be one of {ERRORS}, not {errors!r}")
        self._text = text
        self._errors = errors
        self._progress = progress
        self._total = 0 if text.stream else sum(Path(path).stat().st_size for path in text.paths)
        self._before = 0  # bytes of the files read already
        self._reader = core.word2vec.TextReader(
            threads=threads,
            max_words=max_vocab_size or 0,
            keep_ids=keep_ids,
            lines=text.lines,
            as_word2vec_c=as_word2vec_c,
            prune=None if trim_rule is None else _prune_by(trim_rule),
            vocabulary=vocabulary,
        )
        if text.stream is not None:
            self._feed(text.stream, str(getattr(text.stream, "name", "the open file")), None)
        for path in text.paths:
            self._read(path)
        self._report(0)

    @property
    def complete(self) -> bool:
        return not self._reader.pruned

    @property
    def raw(self) -> RawCounts:
        reader = self._reader
        return RawCounts(
            counts=reader.counts(),
            total_words=reader.total_words,
            sentences=self.sentences,
            line_ends=reader.line_ends,
            words_at=reader.words,
            packed_at=lambda ids: PackedWords(*reader.packed_words(ids)),
        )

    @property
    def sentences(self) -> int:
        return self._reader.sentences(self._text.longest_raw or MAX_WORDS_IN_BATCH)

    @property
    def total_words(self) -> int:
        return self._reader.total_words

    def encode(
        self, final_ids: NDArray[np.int32], longest: int
    ) -> tuple[NDArray[np.int32], NDArray[np.signedinteger[Any]]]:
        return self._reader.encode(final_ids, longest, self._text.longest_raw)

    def _read(self, path: str) -> None:
        with named_errors(path), Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if self._errors == "strict" and is_plain(path) and hasattr(os, "pread"):
                try:
                    bad = self._reader.read_file(file.fileno(), size, self._report)
                except OSError as error:
                    raise OSError(error.errno, error.strerror, path) from None
                self._check(bad, path)
                self._check(self._reader.end_file(), path)
            else:
                reader = decompressor(file, path)
                with nullcontext() if reader is file else reader:
                    self._feed(reader, path, file)
            self._before += size

    def _feed(self, stream: IO[bytes] | IO[str], name: str, file: IO[bytes] | None) -> None:
        for block in self._blocks(stream):
            self._check(self._reader.feed(block), name)
            if file is not None and file.seekable():
                self._report(file.tell())
        self._check(self._reader.end_file(), name)

    def _blocks(self, stream: IO[Any]) -> Iterator[bytes]:
        decoder = None
        if self._errors != "strict":
            decoder = codecs.getincrementaldecoder("utf-8")(self._errors)
        while block := stream.read(_BLOCK):
            if isinstance(block, str):
                block = block.encode("utf-8")
            elif decoder is not None:
                block = decoder.decode(block).encode("utf-8")
            yield block
        if decoder is not None:
            yield decoder.decode(b"", True).encode("utf-8")

    def _report(self, done: int) -> None:
        if self._progress is not None:
            self._progress(self._before + done, self._total)

    def _check(self, bad: tuple[int, bytes] | None, name: str) -> None:
        if bad is not None:
            raise undecodable(bad[1], name, bad[0])


def _prune_by(rule: TrimRule) -> Callable[[list[str], list[int], int], list[bool]]:
    def verdicts(words: list[str], counts: list[int], least: int) -> list[bool]:
        return [keep_word(w, c, least, rule) for w, c in zip(words, counts, strict=True)]

    return verdicts
