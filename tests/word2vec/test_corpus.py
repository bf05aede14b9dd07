"""Encoded corpora: files of them, reuse, and other vocabularies of the same corpus."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.word2vec import _corpus
from fastrnn.word2vec._corpus import EncodedCorpus, count_words, encode_corpus, read_corpus
from fastrnn.word2vec._scan import split_sentences
from fastrnn.word2vec._vocabulary import RULE_DEFAULT, Vocabulary

TEXT = "b a b\n\nc a b d\nd b\n" * 4 + "e\n"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def same(left: EncodedCorpus, right: EncodedCorpus) -> bool:
    return (
        np.array_equal(left.ids, right.ids)
        and np.array_equal(left.offsets, right.offsets)
        and (left.total_words, left.total_sentences) == (right.total_words, right.total_sentences)
    )


def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("the source was read")

    for name in ("TextScan", "ListScan", "ArrayScan", "KnownListScan"):
        monkeypatch.setattr(_corpus, name, fail)


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("words", [["a", "wörd", "\ud800", "", " \n", "x" * 1000], None])
def test_saved_corpora_come_back(tmp_path: Path, mmap: bool, words: list[str] | None) -> None:
    vocabulary = None
    if words is not None:
        counts = np.arange(6, dtype=np.int64) + 1
        vocabulary = Vocabulary(words, counts, 30, 7, 9, 1, "gensim")
    ids = np.array([0, 5, 1, 1, 3], np.int32)
    corpus = EncodedCorpus(ids, np.array([0, 2, 2, 5]), vocabulary, 30, 7)
    corpus.save(tmp_path / "corpus")
    loaded = EncodedCorpus.load(tmp_path / "corpus", mmap=mmap)
    assert same(loaded, corpus)
    assert loaded.ids.flags.writeable is not mmap
    if vocabulary is not None:
        assert loaded.vocabulary is not None
        assert loaded.vocabulary.words == words
        assert loaded.vocabulary.digest == vocabulary.digest
        assert loaded.vocabulary.corpus_count == 7
        assert loaded.vocabulary.compat == "gensim"
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_every_truncation_and_damage_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "corpus"
    _, corpus = read_corpus([["a", "b"], ["a"]], min_count=1, threads=1)
    corpus.save(path)
    whole = path.read_bytes()
    for size in [*range(0, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="corpus"):
            EncodedCorpus.load(path)
    path.write_bytes(whole + b"more")
    with pytest.raises(ValueError, match="corpus"):
        EncodedCorpus.load(path)
    rng = np.random.default_rng(0)
    for _ in range(500):  # nothing but a ValueError, and no id or offset out of range
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(ValueError):
            loaded = EncodedCorpus.load(path)
            assert loaded.vocabulary is not None
            assert all(0 <= i < len(loaded.vocabulary) for i in loaded.ids.tolist())
            assert loaded.offsets[-1] == len(loaded.ids)


def test_wrong_arrays_are_refused() -> None:
    ids, offsets = np.array([0, 1], np.int32), np.array([0, 2])
    words = Vocabulary(["a"], np.array([1]))
    for arguments, error, message in [
        ((ids.astype(np.int64), offsets), TypeError, "ids must be a 1-D int32"),
        ((ids[None], offsets), TypeError, "ids must be a 1-D"),
        (([0, 1], offsets), TypeError, "not list"),
        ((ids, offsets.astype(np.int16)), TypeError, "offsets must be a 1-D int64"),
        ((ids, np.array([0, 1])), ValueError, "end with len"),
        ((ids, np.array([], np.int64)), ValueError, "begin with 0"),
        ((ids, np.array([0, 2, 1, 2])), ValueError, "must not fall"),
        ((-ids, offsets), ValueError, "at least 0"),
        ((ids, offsets, words), ValueError, "below 1"),
    ]:
        with pytest.raises(error, match=message):
            EncodedCorpus(*arguments)


# -- the cache ----------------------------------------------------------------------------------


def test_the_cache_is_used_again(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = text.with_name("cache")
    plain = read_corpus(text, min_count=2, threads=2)
    vocabulary, corpus = read_corpus(text, min_count=2, threads=2, cache=cache)
    assert isinstance(corpus.ids.base, np.memmap) or not corpus.ids.flags.writeable
    assert same(corpus, plain[1])
    no_reading(monkeypatch)
    again, found = read_corpus(str(text), min_count=2, threads=1, cache=cache)
    assert again.words == vocabulary.words == plain[0].words
    assert again.counts.tolist() == plain[0].counts.tolist()
    assert again.unique_words == plain[0].unique_words == 5
    assert same(found, corpus)
    # The vocabulary may come from anywhere.
    assert same(encode_corpus(text, plain[0], threads=1, cache=cache), corpus)
    loaded = EncodedCorpus.load(cache)
    assert read_corpus(loaded, min_count=2, threads=1)[1].ids is loaded.ids


@pytest.mark.parametrize(
    "change",
    [
        {"min_count": 1},
        {"max_final_vocab": 2},
        {"max_vocab_size": 3},
        {"sorted_vocab": False},
        {"compat": "gensim"},
        {"compat": "word2vec.c"},
        {"errors": "replace"},
        {"trim_rule": lambda word, count, min_count: RULE_DEFAULT},
    ],
    ids=str,
)
def test_other_settings_make_a_new_cache(text: Path, change: dict[str, Any]) -> None:
    cache = text.with_name("cache")
    settings_: dict[str, Any] = {"min_count": 2, "threads": 1}
    read_corpus(text, **settings_, cache=cache)
    before = cache.stat().st_ino
    vocabulary, corpus = read_corpus(text, **{**settings_, **change}, cache=cache)
    expected = read_corpus(text, **{**settings_, **change})
    assert vocabulary.words == expected[0].words
    assert same(corpus, expected[1])
    assert cache.stat().st_ino != before


def test_a_changed_text_is_read_again(text: Path) -> None:
    cache = text.with_name("cache")
    read_corpus(text, min_count=1, threads=1, cache=cache)
    text.write_text(TEXT + "new words\n")
    vocabulary, corpus = read_corpus(text, min_count=1, threads=1, cache=cache)
    assert "new" in vocabulary
    text.write_text(TEXT.replace("a", "d"))
    os.utime(text, ns=(1, 1))
    encoded = encode_corpus(text, vocabulary, threads=1, cache=cache)
    assert encoded.num_words < corpus.num_words
    assert not (encoded.ids == vocabulary.index["a"]).any()


def test_other_sources_only_use_the_cache_as_storage(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for words in (["a", "b"], ["c", "d"]):
        vocabulary, corpus = read_corpus([words], min_count=1, threads=1, cache=cache)
        assert vocabulary.words == words
        assert not corpus.ids.flags.writeable
        assert same(encode_corpus([words], vocabulary, threads=1, cache=cache), corpus)


def test_no_other_file_is_overwritten(text: Path) -> None:
    for content in (b"precious data", b"", EncodedCorpus):
        cache = text.with_name("cache")
        if isinstance(content, bytes):
            cache.write_bytes(content)
        else:
            cache.unlink()
            read_corpus(text, min_count=1, threads=1, cache=cache)
            content = cache.read_bytes()[:-40]
            cache.write_bytes(content)
        with pytest.raises(ValueError, match="cache"):
            read_corpus(text, min_count=1, threads=1, cache=cache)
        assert cache.read_bytes() == content


# -- encoded corpora as sources ----------------------------------------------------------------

_sentences = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=9), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(
    sentences=_sentences.filter(any),
    first=st.sampled_from([None, "gensim", "word2vec.c"]),
    least=st.integers(1, 4),
    max_final_vocab=st.none() | st.integers(1, 6),
)
def test_narrower_vocabularies_of_an_encoded_corpus(
    sentences: list[list[str]], first: str | None, least: int, max_final_vocab: int | None
) -> None:
    whole, corpus = read_corpus(sentences, min_count=1, threads=1, compat=first)
    options: dict[str, Any] = {
        "min_count": least,
        "max_final_vocab": max_final_vocab,
        "threads": 1,
        "compat": first,
    }
    try:
        expected = read_corpus(sentences, **options)
    except ValueError:
        with pytest.raises(ValueError, match="no word is left"):
            read_corpus(corpus, **options)
        return
    vocabulary, narrower = read_corpus(corpus, **options)
    assert vocabulary.words == expected[0].words
    assert vocabulary.counts.tolist() == expected[0].counts.tolist()
    assert vocabulary.corpus_count == expected[0].corpus_count
    assert vocabulary.corpus_total_words == expected[0].corpus_total_words
    assert vocabulary.unique_words == expected[0].unique_words
    assert same(narrower, expected[1])
    assert same(encode_corpus(corpus, vocabulary, threads=1), narrower)
    assert same(encode_corpus(corpus, whole, threads=1), corpus)
    counts = count_words(corpus, threads=1).as_dict()
    assert {w: n for w, n in counts.items() if w in vocabulary} == dict(
        zip(vocabulary.words, vocabulary.counts.tolist(), strict=True)
    )


def test_a_corpus_without_words_is_an_array_of_integers() -> None:
    corpus = EncodedCorpus(np.array([5, 3, 5], np.int32), np.array([0, 1, 3]))
    assert (corpus.total_words, corpus.total_sentences) == (3, 2)
    vocabulary, encoded = read_corpus(corpus, min_count=1, threads=1)
    assert vocabulary.words == ["5", "3"]
    assert encoded.ids.tolist() == [0, 1, 0]
    assert encode_corpus(corpus, vocabulary, threads=1).ids.tolist() == [0, 1, 0]


@given(
    lengths=st.lists(st.integers(0, 25), max_size=10),
    longest=st.integers(1, 12),
)
def test_split_sentences(lengths: list[int], longest: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(np.array(lengths, np.int64))]).astype(np.int64)
    expected = [0]
    for length in lengths:
        end = expected[-1] + length
        while end - expected[-1] > longest:
            expected.append(expected[-1] + longest)
        expected.append(end)
    assert split_sentences(offsets, longest).tolist() == expected


def test_words_that_no_text_can_hold(tmp_path: Path) -> None:
    vocabulary, _ = read_corpus([["", "a b", "a", "\ud800", "\n"]], min_count=1, threads=1)
    path = tmp_path / "text"
    path.write_text("a b a")
    corpus = encode_corpus(path, vocabulary, threads=1)
    assert corpus.ids.tolist() == [2, 2]
    assert corpus.total_words == 3


def test_progress_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    lists = [["a"]] * 20_000
    for source, options in (
        (lists, {}),
        (iter(lists), {}),
        (lists, {"max_vocab_size": 9}),
    ):
        seen.clear()
        count_words(
            source, threads=1, progress=lambda done, total: seen.append((done, total)), **options
        )
        total = 20_000 if source is lists else 0
        assert seen[-1] == (20_000, total)
