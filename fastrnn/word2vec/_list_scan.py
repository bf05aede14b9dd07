"""Reading lists of words: numbered by a dictionary while they stream by."""

from __future__ import annotations

import marshal
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, count
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec._inputs import Lists, check_sentence
from fastrnn.word2vec._raw_counts import RawCounts
from fastrnn.word2vec._scan import encode_chunks
from fastrnn.word2vec._vocabulary import TrimRule, keep_word

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastrnn.word2vec._scan import Progress

_BATCH = 1 << 17  # words turned into ids at once


class _Numbered:
    """Sentences as ids of a dictionary, in chunks."""

    def __init__(self, lists: Lists, numbers: dict[Any, int], progress: Progress | None) -> None:
        self.chunks: list[NDArray[np.int32]] = []
        ends: list[NDArray[np.int64]] = []
        self.total_words = 0
        for words, lengths in _batches(lists, progress):
            try:
                self.chunks.append(np.fromiter(map(numbers.__getitem__, words), np.int32))
            except TypeError as error:
                if "unhashable" not in str(error):
                    raise
                raise TypeError(f"words must be strings, but there is an {error}") from error
            ends.append(self.total_words + np.cumsum(lengths, dtype=np.int64))
            self.total_words += len(self.chunks[-1])
        self.ends = np.concatenate(ends) if ends else np.empty(0, np.int64)

    def encode(
        self, final_ids: NDArray[np.int32], longest: int
    ) -> tuple[NDArray[np.int32], NDArray[np.signedinteger[Any]]]:
        return encode_chunks(self._drain(), self.ends, final_ids, longest)

    def _drain(self) -> Iterator[NDArray[np.int32]]:
        self.chunks.reverse()
        while self.chunks:
            yield self.chunks.pop()


class ListScan:
    """Lists of words after one pass."""

    complete = True

    def __init__(self, lists: Lists, *, progress: Progress | None = None) -> None:
        numbers: defaultdict[Any, int] = defaultdict(count().__next__)
        self._numbered = _Numbered(lists, numbers, progress)
        counts = np.zeros(len(numbers), np.int64)
        for chunk in self._numbered.chunks:
            counts += np.bincount(chunk, minlength=len(numbers))
        sentences = len(self._numbered.ends)
        self.raw = RawCounts.from_words(as_words(numbers), counts, sentences=sentences)

    def encode(
        self, final_ids: NDArray[np.int32], longest: int
    ) -> tuple[NDArray[np.int32], NDArray[np.signedinteger[Any]]]:
        return self._numbered.encode(final_ids, longest)


class PrunedListScan:
    """Counts of lists of words with rare ones pruned on the way, sentence by sentence as gensim."""

    def __init__(
        self,
        lists: Lists,
        max_vocab_size: int,
        trim_rule: TrimRule | None,
        *,
        progress: Progress | None = None,
    ) -> None:
        counts: defaultdict[Any, int] = defaultdict(int)
        least, total, number = 1, 0, 0
        for number, sentence in enumerate(lists.sentences, 1):
            words = as_list(sentence, number - 1)
            for word in words:
                counts[word] += 1
            total += len(words)
            if len(counts) > max_vocab_size:
                for word in list(counts):
                    if not keep_word(word, counts[word], least, trim_rule):
                        del counts[word]
                least += 1
            if progress is not None and number % 10_000 == 0:
                progress(number, lists.count)
        values = np.fromiter(counts.values(), np.int64, len(counts))
        self.raw = RawCounts.from_words(
            as_words(counts), values, sentences=number, total_words=total
        )


class _Index(dict[Any, int]):
    """Ids of words, also of integers by their digits; -1 for all others, which are not kept."""

    def __missing__(self, word: Any) -> int:
        return -1 if type(word) is str else self.get(_one_word(word), -1)


class KnownListScan:
    """Lists of words after a pass that looked them up in a vocabulary, numbering no others."""

    def __init__(self, lists: Lists, index: dict[str, int]) -> None:
        self._numbered = _Numbered(lists, _Index(index), None)
        self.total_words = self._numbered.total_words
        self.sentences = len(self._numbered.ends)

    def encode(
        self, final_ids: NDArray[np.int32], longest: int
    ) -> tuple[NDArray[np.int32], NDArray[np.signedinteger[Any]]]:
        return self._numbered.encode(final_ids, longest)


def as_list(sentence: Any, number: int) -> list[Any] | tuple[Any, ...]:
    """A sentence that has a length; raises for what is none."""
    if isinstance(sentence, (list, tuple)):
        return sentence
    check_sentence(sentence, number)
    if isinstance(sentence, np.ndarray):
        return list(sentence.tolist())
    return list(sentence)


def as_words(keys: Iterable[Any]) -> list[str]:
    """Different words as strings: integers by their digits.

    Raises:
        TypeError: for anything else, or a mixture.
    """
    words = list(keys)
    if all(type(word) is str for word in words):
        return words
    if all(isinstance(word, str) for word in words):
        return [str(word) for word in words]
    if any(isinstance(word, str) for word in words):
        odd = next(word for word in words if not isinstance(word, str))
        raise TypeError(f"words must be strings, not {type(odd).__name__}: {odd!r:.60}")
    return [_one_word(word) for word in words]


def _one_word(word: Any) -> str:
    if isinstance(word, str):
        return word
    if isinstance(word, (int, np.integer)) and not isinstance(word, bool):
        if word < 0:
            raise ValueError(f"ids of words must not be negative: {word}")
        return str(int(word))
    hint = "; decode it first" if isinstance(word, bytes) else ""
    raise TypeError(f"words must be strings, not {type(word).__name__}: {word!r:.60}{hint}")


def _batches(lists: Lists, progress: Progress | None) -> Iterator[tuple[Iterable[Any], list[int]]]:
    """Many sentences' words in a row, with the sentences' lengths."""
    batch: list[Any] = []
    lengths: list[int] = []
    words = number = 0
    for number, sentence in enumerate(lists.sentences, 1):
        # Most sentences are lists; the test is spelled out because it is what takes the time.
        known = sentence if type(sentence) is list else as_list(sentence, number - 1)
        batch.append(known)
        size = len(known)
        lengths.append(size)
        words += size
        if words >= _BATCH or len(batch) >= _BATCH:
            yield chain.from_iterable(batch), lengths
            batch, lengths, words = [], [], 0
            if progress is not None:
                progress(number, lists.count)
    if batch:
        yield chain.from_iterable(batch), lengths
    if progress is not None:
        progress(number, lists.count)


class Spool:
    """Sentences of an iterator, kept in a temporary file for a second pass."""

    def __init__(self, lists: Lists) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115, closed by close()
        self._count = 0
        for number, sentence in enumerate(lists.sentences):
            self._count += 1
            words = [_plain(word) for word in as_list(sentence, number)]
            marshal.dump(words, self._file)  # read by this process only

    def __iter__(self) -> Iterator[list[Any]]:
        self._file.seek(0)
        for _ in range(self._count):
            yield marshal.load(self._file)

    def close(self) -> None:
        self._file.close()


def _plain(word: Any) -> str | int:
    """A word that marshal can write."""
    if isinstance(word, str):
        return str(word)
    return int(_one_word(word))
