"""What one pass over a corpus counted, before any word is dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from fastrnn.word2vec._words import PackedWords

#: word2vec.c's word for a line end.
LINE_END = "</s>"


@dataclass(frozen=True)
class RawCounts:
    """Counts of all words of a corpus, in order of first appearance.

    Attributes:
        counts: int64, of each word.
        total_words: words read, those counted and those pruned along the way.
        sentences: as gensim's ``corpus_count``: lines with words, each 10,000 words a new one.
        line_ends: newlines read (sentences, where the corpus is not text).
        words_at: the words of these ids; the native reader makes strings only when asked.
        packed_at: the same without strings, where the reader can.
    """

    counts: NDArray[np.int64]
    total_words: int
    sentences: int
    line_ends: int
    words_at: Callable[[NDArray[np.int64]], list[str]] = field(repr=False, compare=False)
    packed_at: Callable[[NDArray[np.int64]], PackedWords] | None = field(
        default=None, repr=False, compare=False
    )

    @cached_property
    def words(self) -> list[str]:
        return self.words_at(np.arange(len(self.counts), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.counts)

    def as_dict(self) -> dict[str, int]:
        """Word to count, as gensim's ``raw_vocab``."""
        return dict(zip(self.words, self.counts.tolist(), strict=True))

    @classmethod
    def from_words(
        cls,
        words: list[str],
        counts: NDArray[np.int64],
        *,
        sentences: int = 0,
        total_words: int | None = None,
        line_ends: int | None = None,
    ) -> RawCounts:
        total = int(counts.sum()) if total_words is None else total_words

        def words_at(ids: NDArray[np.int64]) -> list[str]:
            return [words[i] for i in ids.tolist()]

        ends = sentences if line_ends is None else line_ends
        return cls(counts, total, sentences, ends, words_at)

    @classmethod
    def from_mapping(cls, counts: Mapping[str, int], *, compat: str | None = None) -> RawCounts:
        """Counts given by the user, whose order counts as that of first appearance.

        With ``compat="word2vec.c"`` the count of ``</s>`` is that of line ends, as in the files
        that its ``-save-vocab`` writes, and may be 0.

        Raises:
            TypeError: if a key is no string or a count no integer.
            ValueError: if a count is below 1.
        """
        line_ends = 0
        if compat == "word2vec.c" and LINE_END in counts:
            ends = counts[LINE_END]
            if ends != 0:
                line_ends = int(cls.from_mapping({LINE_END: ends}).counts[0])
            counts = {word: count for word, count in counts.items() if word != LINE_END}
        words = list(counts)
        for word, count in counts.items():
            if not isinstance(word, str):
                raise TypeError(f"words must be strings, not {type(word).__name__}: {word!r}")
            if isinstance(count, bool) or not isinstance(count, (int, np.integer)):
                raise TypeError(f"the count of {word!r} must be an integer, not {count!r}")
            if count < 1:
                raise ValueError(f"the count of {word!r} must be at least 1, not {count}")
        try:
            values = np.fromiter((int(c) for c in counts.values()), np.int64, len(words))
        except OverflowError:
            raise ValueError("counts must be below 2**63") from None
        if line_ends + sum(map(int, counts.values())) >= 2**63:
            raise ValueError("the sum of all counts must be below 2**63")
        return cls.from_words(words, values, sentences=line_ends)
