"""Analogies and word pairs: gensim's scores, sections and messages; SciPy's correlations."""

from __future__ import annotations

import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from fastrnn.word2vec import KeyedVectors
from fastrnn.word2vec.keyed_vectors._correlation import incomplete_beta, pearson, ranks, spearman


def gensims():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("gensim.models.keyedvectors").KeyedVectors


def planted(seed: int = 0) -> KeyedVectors:
    """Ten pairs along one direction with noise, some words in two spellings, and others."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((10, 12))
    direction = rng.standard_normal(12)
    words, rows = [], []
    for i in range(10):
        words += [f"man{i}", f"woman{i}"]
        rows += [base[i], base[i] + direction + 0.5 * rng.standard_normal(12)]
    for i in range(5):
        words += [f"Man{i}", f"WOMAN{i}"]
        rows += [rows[2 * i] + 0.05, rows[2 * i + 1] - 0.05]
    words += [f"other{i}" for i in range(40)]
    rows += list(rng.standard_normal((40, 12)))
    order = rng.permutation(len(words))
    wv = KeyedVectors(12)
    wv.add_vectors([words[i] for i in order], np.array(rows)[order])
    return wv


def write_analogies(path, seed=0):
    rng = np.random.default_rng(seed)
    lines = [": empty", ": family"]
    for _ in range(120):
        i, j = rng.integers(0, 10, 2)
        lines.append(f"man{i} woman{i} man{j} woman{j}")
    lines += ["man1 woman1 unknown woman2", "too few words", "", ": mixed  case "]
    for _ in range(60):
        i, j = rng.integers(0, 6, 2)
        lines.append(f"Man{i} WOMAN{i} man{j} Woman{j}")
        lines.append("\t".join(f"other{k}" for k in rng.integers(0, 40, 4)))
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("restrict_vocab", [None, 300000, 50, 30])
@pytest.mark.parametrize("case_insensitive", [True, False])
@pytest.mark.parametrize("dummy4unknown", [True, False])
def test_analogies_are_gensims(tmp_path, seed, restrict_vocab, case_insensitive, dummy4unknown):
    gensims()
    wv = planted(seed)
    write_analogies(tmp_path / "a", seed)
    options = (restrict_vocab, case_insensitive, dummy4unknown)
    score, sections = wv.evaluate_word_analogies(tmp_path / "a", *options)
    expected = wv.to_gensim().evaluate_word_analogies(str(tmp_path / "a"), *options)
    assert (score, sections) == expected
    assert [s["section"] for s in sections] == ["empty", "family", "mixed  case", "Total accuracy"]
    if restrict_vocab is None and case_insensitive:
        assert 0.1 < score < 0.9  # both outcomes occur


def test_analogies_by_products(tmp_path):
    wv = planted()
    write_analogies(tmp_path / "a")
    score, sections = wv.evaluate_word_analogies(
        tmp_path / "a", case_insensitive=False, similarity_function="most_similar_cosmul"
    )
    correct = 0
    table = sections[-1]["correct"] + sections[-1]["incorrect"]
    for a, b, c, d in table:
        correct += wv.most_similar_cosmul([b, c], [a], topn=1)[0][0] == d
    assert score == correct / len(table)
    with pytest.raises(ValueError, match="similarity_function must be"):
        wv.evaluate_word_analogies(tmp_path / "a", similarity_function="nearest")


def test_analogies_in_few_words(tmp_path):
    (tmp_path / "a").write_text(": s\na b c a\na b a b\n")
    wv = KeyedVectors(2)
    wv.add_vectors(["a", "b", "c"], [[1, 0], [0, 1], [1, 1]])
    score, sections = wv.evaluate_word_analogies(tmp_path / "a")
    assert score == 0 and len(sections[-1]["incorrect"]) == 2


def test_bad_analogy_files(tmp_path):
    wv = planted()
    path = tmp_path / "a"
    path.write_text("man1 woman1 man2 woman2\n")
    with pytest.raises(ValueError, match="Missing section header before line #0 in .*a"):
        wv.evaluate_word_analogies(path)
    path.write_text(": only a section\n")
    with pytest.raises(ValueError, match="no analogies found in .*a"):
        wv.evaluate_word_analogies(path)
    path.write_bytes(b"x" * 100_000)
    with pytest.raises(ValueError, match="a line of more than"):
        wv.evaluate_word_analogies(path)
    with pytest.raises(FileNotFoundError):
        wv.evaluate_word_analogies(tmp_path / "none")


def write_pairs(path, delimiter="\t"):
    rng = np.random.default_rng(1)
    lines = ["# a comment", "no number\tat all\tx", "two\twords"]
    for _ in range(40):
        i, j = rng.integers(0, 40, 2)
        lines.append(delimiter.join([f"Other{i}", f"other{j}", str(rng.integers(0, 8))]))
    lines += [delimiter.join(["unknown", "other1", "3"]), delimiter.join(["man1", "Man2", "4.5"])]
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("restrict_vocab", [None, 60])
@pytest.mark.parametrize("case_insensitive", [True, False])
@pytest.mark.parametrize("dummy4unknown", [True, False])
@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_pairs_are_gensims(tmp_path, restrict_vocab, case_insensitive, dummy4unknown, delimiter):
    gensims()
    wv = planted()
    write_pairs(tmp_path / "p", delimiter)
    options = {
        "delimiter": delimiter,
        "restrict_vocab": restrict_vocab,
        "case_insensitive": case_insensitive,
        "dummy4unknown": dummy4unknown,
    }
    if not case_insensitive and not dummy4unknown:  # one pair is left: nothing to correlate
        with pytest.raises(ValueError, match="No valid similarity judgements found in"):
            wv.evaluate_word_pairs(tmp_path / "p", **options)
        return
    linear, ranked, share = wv.evaluate_word_pairs(tmp_path / "p", **options)
    its = wv.to_gensim().evaluate_word_pairs(str(tmp_path / "p"), **options)
    assert share == its[2]
    np.testing.assert_allclose(linear, [its[0].statistic, its[0].pvalue], rtol=1e-5)
    np.testing.assert_allclose(ranked, [its[1].statistic, its[1].pvalue], rtol=1e-9)
    assert linear.statistic == linear[0] and ranked.pvalue == ranked[1]


def test_no_pairs(tmp_path):
    (tmp_path / "p").write_text("a\tb\t1\n")
    with pytest.raises(ValueError, match="No valid similarity judgements found in .*p: either"):
        planted().evaluate_word_pairs(tmp_path / "p")


numbers = st.floats(-100, 100).map(lambda x: round(x, 1))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=60))
def test_correlations_are_scipys(pairs):
    stats = pytest.importorskip("gensim") and pytest.importorskip("scipy.stats")
    x, y = np.array(pairs).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constants, for which both give NaN
        expected = [stats.pearsonr(x, y), stats.spearmanr(x, y)]
    for ours, theirs in zip([pearson(x, y), spearman(x, y)], expected):
        np.testing.assert_allclose(ours.statistic, theirs.statistic, rtol=1e-9, atol=1e-12)
        if abs(ours.statistic) < 1 - 1e-9:  # beyond, the last bits of r decide
            np.testing.assert_allclose(ours.pvalue, theirs.pvalue, rtol=1e-6, atol=1e-300)


def test_correlation_by_hand():
    x, y = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 4, 3, 5])
    # rho = 1 - 6 * 4 / (5 * 24); p = P(|t| > 0.8 sqrt(3 / 0.36)) at 3 degrees of freedom.
    assert spearman(x, y).statistic == pytest.approx(0.8)
    assert spearman(x, y).pvalue == pytest.approx(0.10408803866182788, rel=1e-12)
    assert ranks(np.array([3.0, 1, 3, 2])).tolist() == [3.5, 1, 3.5, 2]
    assert pearson(x, x).statistic == 1 and pearson(x, x).pvalue == 0
    assert np.isnan(pearson(x, np.ones(5)).statistic)
    odd = np.full(3, 2.8)
    assert odd.mean() != 2.8  # rounded
    assert np.isnan(pearson(odd, x[:3]).statistic) and np.isnan(pearson(x[:3], odd).pvalue)
    assert pearson(x[:2], y[:2]).pvalue == 1
    with pytest.raises(ValueError, match="two pairs"):
        pearson(x[:1], y[:1])


def test_the_incomplete_beta_function():
    # I_x(a, 1) = x^a; I_x(1, b) = 1 - (1 - x)^b; I_{1/2}(a, a) = 1/2.
    for x in (0.0, 1e-9, 0.2, 0.5, 0.9, 1.0):
        assert incomplete_beta(3.5, 1, x) == pytest.approx(x**3.5, rel=1e-13)
        assert incomplete_beta(1, 0.5, x) == pytest.approx(
            -np.expm1(0.5 * np.log1p(-x)) if x < 1 else 1
        )
    assert incomplete_beta(1000.5, 1000.5, 0.5) == pytest.approx(0.5, rel=1e-11)
