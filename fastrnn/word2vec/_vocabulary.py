"""Vocabularies: which words are kept, and under which ids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec._raw_counts import LINE_END, RawCounts
from fastrnn.word2vec._words import WordsField

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What a trim_rule returns; the numbers are gensim's.
RULE_DEFAULT = 0
RULE_DISCARD = 1
RULE_KEEP = 2

TrimRule = Callable[[str, int, int], int]

COMPATS = (None, "gensim", "word2vec.c")


def check_compat(compat: str | None) -> None:
    if compat not in COMPATS:
        raise ValueError(f"compat must be None, 'gensim' or 'word2vec.c', not {compat!r}")


def check_count(name: str, value: object, *, least: int) -> None:
    """Raises unless ``value`` is an integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def keep_word(word: str, count: int, min_count: int, trim_rule: TrimRule | None) -> bool:
    """Whether a word stays: as the rule says, and by its count where the rule leaves it open."""
    verdict = RULE_DEFAULT if trim_rule is None else trim_rule(word, count, min_count)
    if verdict == RULE_KEEP:
        return True
    if verdict == RULE_DISCARD:
        return False
    return count >= min_count


def _effective_min_count(
    counts: NDArray[np.int64], min_count: int, max_final_vocab: int | None
) -> int:
    """``min_count``, raised until at most ``max_final_vocab`` words reach it (as in gensim)."""
    if max_final_vocab is None or max_final_vocab >= len(counts):
        return min_count
    place = len(counts) - 1 - max_final_vocab
    return max(min_count, int(np.partition(counts, place)[place]) + 1)


def _order(counts: NDArray[np.int64], compat: str | None) -> NDArray[np.int64]:
    """Descending counts; ties by first appearance, in gensim by last first appearance."""
    if compat == "gensim":
        return np.argsort(counts, kind="stable")[::-1]
    return np.argsort(-counts, kind="stable")


def _kept_ids(
    raw: RawCounts, min_count: int, trim_rule: TrimRule | None, literal: NDArray[np.int64]
) -> NDArray[np.int64]:
    if trim_rule is None:
        keep = raw.counts >= min_count
    else:
        pairs = zip(raw.words, raw.counts.tolist(), strict=True)
        keep = np.fromiter(
            (keep_word(word, count, min_count, trim_rule) for word, count in pairs),
            dtype=np.bool_,
            count=len(raw),
        )
    keep[literal] = False
    return np.flatnonzero(keep)


def _literal_line_ends(raw: RawCounts, compat: str | None) -> NDArray[np.int64]:
    """Ids of the word </s> found in the text itself, where it means a line end."""
    if compat != "word2vec.c":
        return np.empty(0, np.int64)
    found = [i for i, word in enumerate(raw.words) if word == LINE_END]
    return np.array(found, np.int64)


@dataclass(frozen=True)
class Vocabulary:
    """Words with their counts; the position of a word is its id.

    Attributes:
        words: of each id; given packed, they become strings when first asked for.
        counts: int64, of each word.
        corpus_total_words: words of the corpus, dropped ones included.
        corpus_count: sentences of the corpus.
        unique_words: different words of the corpus before any was dropped.
        min_count: the least count kept, as raised by ``max_final_vocab``.
        compat: the order it was made in; with ``"word2vec.c"`` word 0 is ``</s>``, which stands
            for line ends and appears in no encoded sentence.
    """

    words: list[str]
    counts: NDArray[np.int64]
    corpus_total_words: int = 0
    corpus_count: int = 0
    unique_words: int = 0
    min_count: int = 1
    compat: str | None = None

    def __len__(self) -> int:
        return len(self.counts)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    @cached_property
    def index(self) -> dict[str, int]:
        """Word to id."""
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def retained_words(self) -> int:
        """Words of the corpus that are in the vocabulary."""
        return int(self.counts.sum())

    @cached_property
    def digest(self) -> str:
        """A hash of words and counts."""
        state = hashlib.blake2b(digest_size=16)
        state.update(np.array([len(w) for w in self.words], "<i8").tobytes())
        state.update("".join(self.words).encode("utf-8", "surrogatepass"))
        state.update(self.counts.astype("<i8").tobytes())
        return state.hexdigest()

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int],
        *,
        min_count: int,
        max_final_vocab: int | None = None,
        trim_rule: TrimRule | None = None,
        sort: bool = True,
        compat: str | None = None,
    ) -> Vocabulary:
        """A vocabulary of given counts (gensim's ``build_vocab_from_freq``).

        Args:
            counts: word to count; its order takes the place of first appearance.  With
                ``compat="word2vec.c"`` that of ``</s>`` is the number of line ends.
            min_count: words that are rarer are dropped.
            max_final_vocab: raises ``min_count`` until at most so many words are left.
            trim_rule: called with (word, count, min_count); returns ``RULE_KEEP``,
                ``RULE_DISCARD`` or ``RULE_DEFAULT``.
            sort: by descending count; otherwise in the order of ``counts``.
            compat: ``"gensim"`` or ``"word2vec.c"``: order as there.

        Raises:
            TypeError: if a key is no string or a count no integer.
            ValueError: if no word is kept.

        Example:
            >>> Vocabulary.from_counts({"a": 2, "b": 5, "c": 1}, min_count=2).words
            ['b', 'a']
        """
        raw = RawCounts.from_mapping(counts, compat=compat)
        vocabulary, _ = select_words(
            raw,
            min_count=min_count,
            max_final_vocab=max_final_vocab,
            trim_rule=trim_rule,
            sort=sort,
            compat=compat,
        )
        return vocabulary

    def updated(
        self,
        new: RawCounts | Mapping[str, int],
        *,
        min_count: int,
        max_final_vocab: int | None = None,
        trim_rule: TrimRule | None = None,
        sort: bool = True,
        compat: str | None = None,
    ) -> Vocabulary:
        """Return this vocabulary with the words of another corpus.

        Words that are here keep their ids, and their new counts are added, however small. Other
        words are appended if kept by the rules of :meth:`from_counts`, by descending count
        (``compat="gensim"`` or ``sort=False``: in order of first appearance).
        """
        check_compat(compat)
        raw = new if isinstance(new, RawCounts) else RawCounts.from_mapping(new, compat=compat)
        check_count("min_count", min_count, least=0)
        counts = self.counts.copy()
        old_ids = np.array([self.index.get(word, -1) for word in raw.words], np.int64)
        known = old_ids >= 0
        counts[old_ids[known]] += raw.counts[known]
        if compat == "word2vec.c" and self.words[:1] == [LINE_END]:
            counts[0] += raw.line_ends
        least = _effective_min_count(raw.counts, min_count, max_final_vocab)
        kept = _kept_ids(raw, least, trim_rule, np.flatnonzero(known))
        if sort and compat != "gensim":
            kept = kept[_order(raw.counts[kept], compat)]
        return Vocabulary(
            words=self.words + raw.words_at(kept),
            counts=np.concatenate([counts, raw.counts[kept]]),
            corpus_total_words=raw.total_words,
            corpus_count=raw.sentences,
            unique_words=len(raw),
            min_count=least,
            compat=self.compat,
        )


Vocabulary.words = WordsField()  # type: ignore[assignment]


def select_words(
    raw: RawCounts,
    *,
    min_count: int,
    max_final_vocab: int | None = None,
    trim_rule: TrimRule | None = None,
    sort: bool = True,
    compat: str | None = None,
) -> tuple[Vocabulary, NDArray[np.int32]]:
    """The vocabulary, and the final id of every raw one (-1: dropped, -2: a sentence's end)."""
    check_compat(compat)
    check_count("min_count", min_count, least=0)
    if max_final_vocab is not None:
        check_count("max_final_vocab", max_final_vocab, least=1)
    literal = _literal_line_ends(raw, compat)
    candidates = np.delete(raw.counts, literal)
    least = _effective_min_count(candidates, min_count, max_final_vocab)
    kept = _kept_ids(raw, least, trim_rule, literal)
    if not len(kept):
        raise ValueError(_nothing_kept(raw, least))
    if sort:
        kept = kept[_order(raw.counts[kept], compat)]
    words: Any = (raw.packed_at or raw.words_at)(kept)
    counts, first = raw.counts[kept], 0
    if compat == "word2vec.c":
        ends = raw.line_ends + int(raw.counts[literal].sum())
        words = [LINE_END, *raw.words_at(kept)]
        counts, first = np.concatenate([[ends], counts]), 1
    final_ids = np.full(len(raw), -1, np.int32)
    final_ids[kept] = np.arange(first, first + len(kept), dtype=np.int32)
    final_ids[literal] = -2
    vocabulary = Vocabulary(words, counts, raw.total_words, raw.sentences, len(raw), least, compat)
    return vocabulary, final_ids


def _nothing_kept(raw: RawCounts, min_count: int) -> str:
    if not len(raw):
        return "the corpus is empty: there is no word in it"
    most = int(raw.counts.argmax())
    word = raw.words_at(np.array([most]))[0]
    return (
        f"no word is left: none of the {len(raw):,} different words was kept at a least count of "
        f"{min_count} (the most frequent, {word[:40]!r}, appears {int(raw.counts[most])} times). "
        "Lower min_count, or give more text"
    )
