"""Corpora that are encoded already: their counts, other words of them, other ids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec._encoded import EncodedCorpus
from fastrnn.word2vec._raw_counts import RawCounts
from fastrnn.word2vec._scan import encode_chunks, split_sentences
from fastrnn.word2vec._vocabulary import Vocabulary, select_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_CHUNK = 1 << 20


def counts_of(corpus: EncodedCorpus, vocabulary: Vocabulary) -> RawCounts:
    """Counts of a corpus encoded with this vocabulary; raw ids are the corpus's."""
    counts = np.zeros(len(vocabulary), np.int64)
    for chunk in _chunks(corpus.ids):
        counts += np.bincount(chunk, minlength=len(vocabulary))
    if vocabulary.compat == "word2vec.c":
        counts[0] = vocabulary.counts[0]  # line ends, which are no words of sentences
    return RawCounts.from_words(
        vocabulary.words,
        counts,
        sentences=corpus.total_sentences,
        total_words=corpus.total_words,
        line_ends=0,
    )


def reselect(
    corpus: EncodedCorpus, known: Vocabulary, rules: dict[str, Any], longest: int
) -> tuple[Vocabulary, EncodedCorpus]:
    """The vocabulary anew, of the words that an encoded corpus still has."""
    counts = counts_of(corpus, known)
    first = 1 if known.compat == "word2vec.c" else 0
    rising = bool((np.diff(counts.counts[first:]) > 0).any())
    # Sorted anew, gensim's order would turn words of the same count round each time.
    sort = bool(rules["sort"]) and (rising or known.compat != rules["compat"])
    vocabulary, final_ids = select_words(counts, **{**rules, "sort": sort})
    vocabulary = replace(vocabulary, unique_words=known.unique_words)
    return vocabulary, reencode(corpus, vocabulary, final_ids, longest)


def reencode(
    corpus: EncodedCorpus, vocabulary: Vocabulary, final_ids: NDArray[np.int32], longest: int
) -> EncodedCorpus:
    """The corpus with other ids; without a copy where they are the same."""
    first = 1 if vocabulary.compat == "word2vec.c" else 0
    same = np.arange(first, len(final_ids), dtype=np.int32)
    if np.array_equal(final_ids[first:], same):
        ids, offsets = corpus.ids, split_sentences(corpus.offsets, longest)
    else:
        ends = np.asarray(corpus.offsets[1:])
        ids, offsets = encode_chunks(_chunks(corpus.ids), ends, final_ids, longest)
    return EncodedCorpus(ids, offsets, vocabulary, corpus.total_words, corpus.total_sentences)


def _chunks(ids: NDArray[np.int32]) -> Iterator[NDArray[np.int32]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
