"""Bad arguments and bad texts: a clear error, and nothing lost."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_corpora import zipfian

from fastrnn import Word2Vec
from fastrnn.word2vec import callbacks


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"alpha": math.nan}, ValueError, "alpha must be finite, not nan"),
        ({"alpha": math.inf}, ValueError, "alpha must be finite"),
        ({"alpha": -0.1}, ValueError, "alpha must not be negative"),
        ({"alpha": 0}, ValueError, "alpha must not be zero"),
        ({"alpha": "fast"}, TypeError, "alpha must be a number, not 'fast'"),
        ({"min_alpha": math.nan}, ValueError, "min_alpha must be finite"),
        ({"min_alpha": -1}, ValueError, "min_alpha must not be negative"),
        ({"window": 0}, ValueError, "window must be at least 1, not 0"),
        ({"window": 10**9}, ValueError, "window must be at most 100000"),
        ({"window": 2.5}, TypeError, "window must be an integer, not 2.5"),
        ({"vector_size": 0}, ValueError, "vector_size must be at least 1, not 0"),
        ({"vector_size": -1}, ValueError, "vector_size must be at least 1, not -1"),
        ({"vector_size": "100"}, TypeError, "vector_size must be an integer"),
        ({"workers": 0}, ValueError, "workers must be at least 1, not 0"),
        ({"workers": -1}, ValueError, "workers must be at least 1, not -1"),
        ({"threads": 0}, ValueError, "threads must be at least 1, not 0"),
        ({"min_count": -1}, ValueError, "min_count must be at least 0"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"sample": -1e-3}, ValueError, "sample must not be negative"),
        ({"sample": math.nan}, ValueError, "sample must be finite"),
        ({"negative": -5}, ValueError, "negative must be at least 0"),
        ({"negative": 0}, ValueError, "You must set either 'hs' or 'negative'"),
        ({"hs": 2}, ValueError, "hs must be 0 or 1, not 2"),
        ({"sg": "cbow"}, TypeError, "sg must be an integer"),
        ({"ns_exponent": math.inf}, ValueError, "ns_exponent must be finite"),
        ({"seed": 2**70}, ValueError, "seed must be at most"),
        ({"max_final_vocab": 0}, ValueError, "max_final_vocab must be at least 1"),
        ({"max_vocab_size": -3}, ValueError, "max_vocab_size must be at least 1"),
        ({"compat": "fasttext"}, ValueError, "compat must be None, 'word2vec.c' or 'gensim'"),
        ({"sigmoid": "hard"}, ValueError, "sigmoid must be 'exact' or 'table'"),
        ({"cbow_grad": "right"}, ValueError, "cbow_grad must be 'gensim' or 'corrected'"),
        ({"checkpoint": ("x", -1)}, ValueError, "seconds must be finite and not negative"),
    ],
)
def test_settings(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Word2Vec(zipfian(), **settings)


@pytest.mark.parametrize("text", ["the quick brown fox", b"the quick brown fox"])
def test_a_string_is_no_list_of_sentences(text: str | bytes) -> None:
    with pytest.raises(TypeError, match="sentences must be lists of words, not one string"):
        Word2Vec(text, min_count=1)


@pytest.mark.parametrize(
    "sentences", [[], [[]], [["once", "upon", "a", "time"]], (each for each in [["a"]])]
)
def test_no_usable_word(sentences: Any) -> None:
    with pytest.raises(ValueError, match="the corpus is empty|no word is left"):
        Word2Vec(sentences)


def test_sources_none_two_and_missing(tmp_path: Path) -> None:
    model = Word2Vec()
    with pytest.raises(TypeError, match="Either one of corpus_file or corpus_iterable"):
        model.build_vocab()
    with pytest.raises(TypeError, match="must not be provided at the same time"):
        model.build_vocab([["a"]], corpus_file="x")
    with pytest.raises(TypeError, match="corpus_file must be a path"):
        Word2Vec(corpus_file=[["a"]])
    with pytest.raises(FileNotFoundError):
        Word2Vec(corpus_file=tmp_path / "missing.txt")
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    with pytest.raises(ValueError, match="empty"):
        Word2Vec(corpus_file=empty)


def test_training_wants_what_gensim_wants() -> None:
    model = Word2Vec(min_count=1)
    with pytest.raises(RuntimeError, match="you must first build vocabulary before training"):
        model.train(zipfian(), total_examples=300, epochs=1)
    model.build_vocab(zipfian())
    with pytest.raises(ValueError, match="You must specify either total_examples or total_words"):
        model.train(zipfian(), epochs=1)
    with pytest.raises(ValueError, match="You must specify an explicit epochs count"):
        model.train(zipfian(), total_examples=300)
    with pytest.raises(TypeError, match="Either one of corpus_file"):
        model.train(total_examples=300, epochs=1)
    for wrong in ({"start_alpha": math.nan}, {"start_alpha": 0.0}, {"end_alpha": -1.0}):
        with pytest.raises(ValueError, match="alpha must"):
            model.train(zipfian(), total_examples=300, epochs=1, **wrong)
    with pytest.raises(ValueError, match="total_examples must be at least 1"):
        model.train(zipfian(), total_examples=-3, epochs=1)
    with pytest.raises(RuntimeError, match="no interrupted training"):
        model.train(zipfian(), resume=True)


def test_objectives_changed_afterwards() -> None:
    model = Word2Vec(min_count=1)
    model.build_vocab(zipfian())
    model.hs = 1
    with (
        pytest.raises(RuntimeError, match="switched on after the vocabulary"),
        pytest.warns(UserWarning, match="Both"),
    ):
        model.train(zipfian(), total_examples=300, epochs=1)
    model.hs = model.negative = 0
    with pytest.raises(ValueError, match="You must set either 'hs' or 'negative'"):
        model.train(zipfian(), total_examples=300, epochs=1)


def test_text_without_a_known_word_trains_nothing() -> None:
    model = Word2Vec(zipfian(), min_count=1)
    before = model.wv.vectors.copy()
    assert model.train([["hello", "world"]], total_examples=1, epochs=1) == (0, 2)
    assert np.array_equal(model.wv.vectors, before)


@pytest.mark.parametrize(
    "arguments",
    [("accuracy",), ("loss", -1), ("loss", 0, -0.5), ("loss", 0, math.nan), ("loss", 0, 0.0, "up")],
)
def test_early_stopping_arguments(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="must"):
        callbacks.EarlyStopping(*arguments)


def test_early_stopping_needs_the_loss() -> None:
    with pytest.raises(ValueError, match="needs compute_loss=True"):
        Word2Vec(zipfian(), min_count=1, callbacks=[callbacks.EarlyStopping()])


def test_scoring_needs_a_tree_and_a_vocabulary() -> None:
    with pytest.raises(RuntimeError, match="you must first build vocabulary"):
        Word2Vec(hs=1, negative=0).score([["a"]])
    with pytest.raises(RuntimeError, match="not found"):
        Word2Vec().predict_output_word(["a"])
    model = Word2Vec(zipfian(), min_count=1)
    for call in (
        lambda: model.score([["w0"]]),
        lambda: model.word_probabilities(["w0"]),
        lambda: model.perplexity([["w0"]]),
        lambda: model.predict_output_word(["w0"], output="hs"),
    ):
        with pytest.raises(RuntimeError, match="hs=1"):
            call()
    with pytest.raises(ValueError, match="output must be"):
        model.predict_output_word(["w0"], output="both")
