"""Exact probabilities of hierarchical softmax, and gensim's score on the same weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpora import zipfian

from fastrnn import Word2Vec
from fastrnn.word2vec._probability import (
    TreeNodes,
    likeliest_words,
    log_probabilities,
    num_predictions,
)
from fastrnn.word2vec._tree import huffman_tree

TINY = {"vector_size": 12, "min_count": 1, "workers": 1}
HELD_OUT = [["w0", "w4", "w1", "unknown", "w9", "w0", "w2"], ["w3", "w0"], ["w8"], []]


def trained(**options: object) -> Word2Vec:
    settings = {"hs": 1, "negative": 0, "alpha": 0.1, "epochs": 5, **TINY, **options}
    return Word2Vec(zipfian(), **settings)


def by_hand(model: Word2Vec, hidden: np.ndarray, word: int) -> float:
    """The log-probability of a word, turn by turn."""
    rows, turns = model.tree.path(word)
    total = 0.0
    for row, turn in zip(rows, turns):
        product = float(hidden @ model._nodes[row, : len(hidden)].astype(np.float64))
        total -= math.log1p(math.exp(product if turn else -product))
    return total


def score_by_hand(model: Word2Vec, sentence: list[str]) -> float:
    ids = [model.wv.key_to_index[word] for word in sentence if word in model.wv]
    vectors = model.wv.vectors.astype(np.float64)
    total = 0.0
    for place, center in enumerate(ids):
        around = ids[max(0, place - model.window) : place] + ids[place + 1 :][: model.window]
        if model.sg:
            total += sum(by_hand(model, vectors[context], center) for context in around)
        elif around:
            hidden = vectors[around].sum(0) / (len(around) if model.cbow_mean else 1)
            total += by_hand(model, hidden, center)
    return total


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=60),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.1, 1.0, 30.0]),
)
@settings(max_examples=100, deadline=None)
def test_the_search_finds_the_sorted_distribution(
    counts: list[int], seed: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    tree = huffman_tree(np.sort(np.array(counts))[::-1].copy())
    nodes = TreeNodes(tree)
    vectors = rng.normal(0, scale, (len(counts), 16)).astype(np.float32)
    hidden = rng.normal(0, 1, 16)
    logs = log_probabilities(nodes, vectors, hidden)
    assert np.exp(logs).sum() == pytest.approx(1, abs=1e-12)
    found = list(likeliest_words(nodes, vectors, hidden))
    assert sorted(word for word, _ in found) == list(range(len(counts)))
    values = np.array([value for _, value in found])
    assert (np.diff(values) <= 0).all()
    np.testing.assert_allclose(values, np.sort(logs)[::-1], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(values, logs[[word for word, _ in found]], rtol=1e-12, atol=1e-12)


def test_equally_likely_words_come_in_order() -> None:
    tree = huffman_tree(np.ones(8, np.int64))
    vectors = np.zeros((8, 16), np.float32)
    found = list(likeliest_words(TreeNodes(tree), vectors, np.ones(16)))
    assert [word for word, _ in found] == list(range(8))
    assert [value for _, value in found] == pytest.approx([-math.log(8)] * 8)


def test_probabilities_sum_to_one_and_follow_the_paths() -> None:
    model = trained()
    probabilities = model.word_probabilities(["w0", "w3", "unknown"])
    assert probabilities.shape == (60,) and probabilities.dtype == np.float64
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)
    hidden = model.wv[["w0", "w3"]].astype(np.float64).mean(0)
    for word in (0, 7, 59):
        assert math.log(probabilities[word]) == pytest.approx(by_hand(model, hidden, word))
    both = model.word_probabilities([["w0", "w3"], ["w5"]])
    assert both.shape == (2, 60)
    np.testing.assert_allclose(both[0], probabilities, rtol=1e-12)
    with pytest.raises(ValueError, match="no word of the context"):
        model.word_probabilities(["unknown"])


@pytest.mark.parametrize("cbow_mean", [0, 1])
def test_predictions_are_the_top_of_the_distribution(cbow_mean: int) -> None:
    model = trained(cbow_mean=cbow_mean)
    context = ["w0", "w3", "w3"]
    probabilities = model.word_probabilities(context)
    found = model.predict_output_word(context, topn=7)
    order = np.argsort(-probabilities, kind="stable")[:7]
    assert [word for word, _ in found] == [model.wv.index_to_key[i] for i in order]
    np.testing.assert_allclose([p for _, p in found], probabilities[order], rtol=1e-12)
    assert len(model.predict_output_word(context, topn=None)) == 60
    assert model.predict_output_word(["unknown"]) is None


@pytest.mark.parametrize("cbow_mean", [0, 1])
def test_negative_sampling_predicts_as_gensim(cbow_mean: int) -> None:
    pytest.importorskip("gensim")
    model = Word2Vec(zipfian(), cbow_mean=cbow_mean, **TINY)
    ours = model.predict_output_word(["w0", "w3", 5], topn=6)
    theirs = model.to_gensim().predict_output_word(["w0", "w3", 5], topn=6)
    assert [word for word, _ in ours] == [word for word, _ in theirs]
    np.testing.assert_allclose([p for _, p in ours], [p for _, p in theirs], rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Both hierarchical")
def test_with_both_outputs_one_can_choose() -> None:
    model = Word2Vec(zipfian(), hs=1, **TINY)
    exact = model.predict_output_word(["w0"], topn=1, output="hs")
    assert exact[0][1] == pytest.approx(model.word_probabilities(["w0"]).max())
    assert model.predict_output_word(["w0"]) == model.predict_output_word(["w0"], output="negative")


@pytest.mark.parametrize("options", [{"sg": 1}, {"sg": 0}, {"cbow_mean": 0}])
def test_scores_are_sums_of_log_probabilities(options: dict[str, int]) -> None:
    model = trained(window=2, **options)
    scores = model.score(HELD_OUT)
    assert scores.dtype == np.float64
    expected = [score_by_hand(model, sentence) for sentence in HELD_OUT]
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-12)
    assert model.log_likelihood(HELD_OUT) == pytest.approx(scores.sum())
    assert len(model.score(iter(HELD_OUT), total_sentences=2)) == 2
    predictions = 6 + 2 if not model.sg else 2 * (5 + 4) + 2
    assert model.perplexity(HELD_OUT) == pytest.approx(math.exp(-scores.sum() / predictions))
    with pytest.raises(ValueError, match="no sentence with two words"):
        model.perplexity([["w0"], ["unknown", "w1"]])


@pytest.mark.parametrize("options", [{"sg": 1}, {"sg": 0}, {"cbow_mean": 0}])
def test_scores_are_gensims_on_the_same_weights(options: dict[str, int]) -> None:
    pytest.importorskip("gensim")
    model = trained(window=3, alpha=0.025, **options)
    sentences = zipfian(30, seed=1)
    theirs = model.to_gensim().score(sentences, total_sentences=30)
    # gensim looks logarithms up in a table of a thousand steps from -6 to 6; how far off that
    # leaves a sum of so many is computed here, not guessed.
    turns = 20 * 6 * model.tree.lengths.max()
    np.testing.assert_allclose(model.score(sentences), theirs, atol=turns * 12 / 1000)
    assert np.corrcoef(model.score(sentences), theirs)[0, 1] > 0.999


def test_the_perplexity_of_untrained_and_trained_models() -> None:
    fresh = Word2Vec(hs=1, negative=0, **TINY)
    fresh.build_vocab(zipfian())
    fresh.wv.vectors[...] = 0
    # All turns are even, so a word has probability 2**-length; Huffman's mean length is within a
    # bit of the entropy.
    text = zipfian()
    lengths = dict(zip(fresh.wv.index_to_key, fresh.tree.lengths))
    mean = np.mean([lengths[word] for sentence in text for word in sentence])
    assert fresh.perplexity(text) == pytest.approx(2**mean, rel=1e-9)
    frequencies = fresh.counts / fresh.counts.sum()
    entropy = -(frequencies * np.log2(frequencies)).sum()
    assert entropy <= mean <= entropy + 1
    # The words have no order, so no model does better than their frequencies by much.
    assert trained(alpha=0.025, sample=0).perplexity(text) == pytest.approx(2**entropy, rel=0.1)


def test_long_sentences_are_scored_whole() -> None:
    model = trained()
    sentence = [f"w{i % 60}" for i in range(10_003)]
    (score,) = model.score([sentence])
    halves = model.score([sentence[:5001], sentence[5001:]])
    assert score == pytest.approx(halves.sum(), rel=1e-2) and score != halves.sum()


def test_a_single_word() -> None:
    model = Word2Vec([["only"] * 4], hs=1, negative=0, **TINY)
    assert model.word_probabilities(["only"]).tolist() == [1.0]
    assert model.predict_output_word(["only"]) == [("only", 1.0)]
    assert model.score([["only", "only"]]).tolist() == [0.0]


@pytest.mark.parametrize("window", [1, 2, 5])
def test_num_predictions(window: int) -> None:
    lengths = np.arange(12)
    pairs = [sum(0 < abs(i - j) <= window for i in range(n) for j in range(n)) for n in lengths]
    assert num_predictions(lengths, window, sg=True) == sum(pairs)
    assert num_predictions(lengths, window, sg=False) == sum(n for n in lengths if n > 1)
