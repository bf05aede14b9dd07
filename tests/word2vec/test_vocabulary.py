"""Which words are kept, in which order: against gensim and against plain Python."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.word2vec._corpus import count_words, read_corpus
from fastrnn.word2vec._raw_counts import RawCounts
from fastrnn.word2vec._vocabulary import (
    RULE_DEFAULT,
    RULE_DISCARD,
    RULE_KEEP,
    Vocabulary,
    select_words,
)

gensim: Any = pytest.importorskip("gensim.models.word2vec")

_words = st.text("abc", min_size=1, max_size=3)
_corpora = st.lists(st.lists(_words, max_size=12), min_size=1, max_size=15).filter(any)


def theirs(sentences: list[list[str]], trim_rule: Any = None, **options: Any) -> Any:
    model = gensim.Word2Vec(vector_size=1, **options)
    model.build_vocab(sentences, trim_rule=trim_rule)
    return model


def counts_in(model: Any) -> list[int]:
    return [model.wv.get_vecattr(word, "count") for word in model.wv.index_to_key]


def odd_rule(word: str, count: int, min_count: int) -> int:
    assert count >= 1
    assert min_count >= 1
    if word.startswith("b"):
        return RULE_DISCARD
    return RULE_KEEP if word.endswith("c") else RULE_DEFAULT


@settings(max_examples=150, deadline=None)
@given(
    sentences=_corpora,
    min_count=st.integers(1, 3),
    max_vocab_size=st.none() | st.integers(1, 12),
    max_final_vocab=st.none() | st.integers(1, 12),
    trim_rule=st.none() | st.just(odd_rule),
    sorted_vocab=st.booleans(),
    as_text=st.booleans(),
)
def test_vocabularies_are_gensims(
    tmp_path_factory: pytest.TempPathFactory,
    sentences: list[list[str]],
    min_count: int,
    max_vocab_size: int | None,
    max_final_vocab: int | None,
    trim_rule: Any,
    sorted_vocab: bool,
    as_text: bool,
) -> None:
    options: dict[str, Any] = {
        "min_count": min_count,
        "max_vocab_size": max_vocab_size,
        "max_final_vocab": max_final_vocab,
    }
    if as_text:
        path = tmp_path_factory.mktemp("text") / "text"
        path.write_text("".join(" ".join(line) + "\n" for line in sentences))
        sentences = list(gensim.LineSentence(str(path)))
    model = theirs(sentences, trim_rule, sorted_vocab=int(sorted_vocab), **options)

    def read(source: Any) -> Any:
        return read_corpus(
            source,
            trim_rule=trim_rule,
            sorted_vocab=sorted_vocab,
            compat="gensim",
            threads=2,
            **options,
        )

    if not model.wv.index_to_key:
        with pytest.raises(ValueError, match="is left|is empty"):
            read(path if as_text else sentences)
        return
    sources = [path] if as_text else [sentences, iter(sentences)]
    for source in sources:
        vocabulary, corpus = read(source)
        assert vocabulary.words == model.wv.index_to_key
        assert vocabulary.counts.tolist() == counts_in(model)
        assert vocabulary.corpus_count == model.corpus_count
        assert vocabulary.corpus_total_words == model.corpus_total_words
        index = model.wv.key_to_index
        known = [[index[word] for word in line if word in index] for line in sentences]
        assert corpus.ids.tolist() == [i for line in known for i in line]
        assert np.diff(corpus.offsets).tolist() == [len(line) for line in known]


@settings(max_examples=100, deadline=None)
@given(sentences=_corpora, min_count=st.integers(0, 3))
def test_ties_go_by_first_appearance(sentences: list[list[str]], min_count: int) -> None:
    counts = Counter(word for line in sentences for word in line)
    kept = [word for word, count in counts.most_common() if count >= min_count]
    if not kept:
        with pytest.raises(ValueError, match=f"least count of {min_count} .the most frequent"):
            Vocabulary.from_counts(counts, min_count=min_count)
        return
    vocabulary = Vocabulary.from_counts(counts, min_count=min_count)
    assert vocabulary.words == kept
    assert vocabulary.counts.dtype == np.int64
    assert vocabulary.counts.tolist() == [counts[word] for word in kept]
    assert vocabulary.index == {word: i for i, word in enumerate(kept)}
    assert vocabulary.retained_words == sum(counts[word] for word in kept)
    assert vocabulary.unique_words == len(counts)
    assert vocabulary.corpus_total_words == counts.total()
    assert len(vocabulary) == len(kept)
    assert kept[0] in vocabulary
    assert "not there" not in vocabulary
    unsorted = Vocabulary.from_counts(counts, min_count=min_count, sort=False)
    assert unsorted.words == [word for word in counts if counts[word] >= min_count]


def test_word2vec_c_puts_the_line_end_first() -> None:
    counts = {"a": 1, "b": 3, "</s>": 1, "c": 3}
    vocabulary = Vocabulary.from_counts(counts, min_count=2, compat="word2vec.c")
    assert vocabulary.words == ["</s>", "b", "c"]
    assert vocabulary.counts.tolist() == [1, 3, 3]
    assert (vocabulary.corpus_count, vocabulary.corpus_total_words) == (1, 7)
    none = Vocabulary.from_counts({**counts, "</s>": 0}, min_count=2, compat="word2vec.c")
    assert none.words == ["</s>", "b", "c"]
    assert none.counts.tolist() == [0, 3, 3]
    more = none.updated({"</s>": 5, "c": 1}, min_count=1, compat="word2vec.c")
    assert more.counts.tolist() == [5, 3, 4]
    vocabulary, corpus = read_corpus(
        [["b", "a", "b"], ["</s>", "b"], ["c", "</s>", "c"]],
        min_count=2,
        threads=1,
        compat="word2vec.c",
    )
    assert vocabulary.words == ["</s>", "b", "c"]
    assert vocabulary.counts.tolist() == [3 + 2, 3, 2]
    sentences = np.split(corpus.ids, corpus.offsets[1:-1])
    assert [s.tolist() for s in sentences] == [[1, 1], [], [1], [2], [2]]


@pytest.mark.parametrize(
    ("counts", "error", "text"),
    [
        ({"a": 0}, ValueError, "at least 1"),
        ({"a": -3}, ValueError, "at least 1"),
        ({"a": 2.0}, TypeError, "the count of 'a' must be an integer"),
        ({"a": True}, TypeError, "must be an integer"),
        ({3: 1}, TypeError, "words must be strings, not int"),
        ({"a": 2**63}, ValueError, "below 2"),
        ({"a": 2**62, "b": 2**62}, ValueError, "sum of all counts"),
        ({}, ValueError, "is empty"),
    ],
)
def test_bad_counts_are_refused(counts: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Vocabulary.from_counts(counts, min_count=1)


@pytest.mark.parametrize("ends", [-1, 1.5, True, 2**63, 2**63 - 1])
def test_bad_counts_of_line_ends_are_refused(ends: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Vocabulary.from_counts({"</s>": ends, "a": 1}, min_count=1, compat="word2vec.c")
    with pytest.raises(ValueError, match="at least 1"):
        Vocabulary.from_counts({"</s>": 0, "a": 1}, min_count=1)


def test_large_counts_and_gensims_rule_constants() -> None:
    utils = gensim.utils
    vocabulary = Vocabulary.from_counts({"a": np.int64(2**61), "b": 2**62}, min_count=1)
    assert vocabulary.words == ["b", "a"]
    assert vocabulary.retained_words == 2**61 + 2**62
    rules = (utils.RULE_DEFAULT, utils.RULE_DISCARD, utils.RULE_KEEP)
    assert rules == (RULE_DEFAULT, RULE_DISCARD, RULE_KEEP)


# -- growing ----------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(old=_corpora, new=_corpora, min_count=st.integers(1, 3))
def test_updates_are_gensims(old: list[list[str]], new: list[list[str]], min_count: int) -> None:
    model = theirs(old, min_count=min_count)
    if not model.wv.index_to_key:
        return
    model.build_vocab(new, update=True)
    vocabulary, _ = read_corpus(old, min_count=min_count, threads=1, compat="gensim")
    raw = count_words(new, threads=1)
    grown = vocabulary.updated(raw, min_count=min_count, compat="gensim")
    assert grown.words == model.wv.index_to_key
    assert grown.counts.tolist() == counts_in(model)
    assert grown.corpus_count == model.corpus_count
    assert grown.corpus_total_words == model.corpus_total_words
    assert vocabulary.words == grown.words[: len(vocabulary)]  # and unchanged


def test_new_words_are_appended_by_count() -> None:
    vocabulary = Vocabulary.from_counts({"a": 5, "b": 3}, min_count=1)
    new = {"x": 2, "b": 1, "y": 7, "z": 2, "rare": 1}
    grown = vocabulary.updated(new, min_count=2)
    assert grown.words == ["a", "b", "y", "x", "z"]
    assert grown.counts.tolist() == [5, 4, 7, 2, 2]
    assert vocabulary.counts.tolist() == [5, 3]
    by_rule = vocabulary.updated(new, min_count=9, trim_rule=lambda w, c, m: RULE_KEEP)
    assert by_rule.words == ["a", "b", "y", "x", "z", "rare"]
    none = vocabulary.updated({"rare": 1}, min_count=2)
    assert none.words == ["a", "b"]
    lines = Vocabulary(["</s>", "a"], np.array([4, 9]), compat="word2vec.c")
    raw = RawCounts.from_words(["a", "b"], np.array([1, 2]), sentences=3)
    grown = lines.updated(raw, min_count=1, compat="word2vec.c")
    assert grown.words == ["</s>", "a", "b"]
    assert grown.counts.tolist() == [7, 10, 2]


def test_digests_tell_vocabularies_apart() -> None:
    base = Vocabulary(["ab", "c"], np.array([2, 1]))
    same = Vocabulary(["ab", "c"], np.array([2, 1]), corpus_count=7)
    assert base.digest == same.digest
    for words, counts in ((["a", "bc"], [2, 1]), (["ab", "c"], [2, 2]), (["c", "ab"], [2, 1])):
        assert Vocabulary(words, np.array(counts)).digest != base.digest


def test_select_words_numbers_raw_words() -> None:
    raw = RawCounts.from_words(["a", "b", "c"], np.array([1, 3, 2]))
    vocabulary, final_ids = select_words(raw, min_count=2)
    assert vocabulary.words == ["b", "c"]
    assert final_ids.tolist() == [-1, 0, 1]
    assert final_ids.dtype == np.int32
