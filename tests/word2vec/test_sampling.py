from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.word2vec._sampling import alias_table, keep_thresholds, negative_weights

weight_lists = st.lists(st.just(0.0) | st.floats(1e-300, 1e300), min_size=1, max_size=80).filter(
    any
)


def probabilities(thresholds: np.ndarray, index: np.ndarray) -> list[Fraction]:
    """Exactly what the table draws, of 32 random bits per column."""
    masses = [0] * len(index)
    for column, (threshold, other) in enumerate(zip(thresholds.tolist(), index.tolist())):
        masses[column] += threshold
        masses[other] += 2**32 - threshold
    return [Fraction(mass, len(index) << 32) for mass in masses]


@settings(deadline=None)
@given(weights=weight_lists)
def test_alias_table_draws_by_weight(weights):
    drawn = probabilities(*alias_table(weights))
    total = sum(map(Fraction, weights))
    for chance, w in zip(drawn, weights):
        # A unit of mass from cutting to an integer, one from what was left over, and rounding.
        assert abs(chance - Fraction(w) / total) <= Fraction(3, len(weights) << 32) + Fraction(
            1, 2**50
        )
        if w == 0:
            assert chance == 0
    assert sum(drawn) == 1


def test_alias_table_of_a_large_vocabulary():
    weights = negative_weights((1e9 / np.arange(1, 200_001)).astype(np.int64))
    thresholds, index = alias_table(weights)
    masses = thresholds.astype(np.int64)
    np.add.at(masses, index, 2**32 - thresholds.astype(np.int64))
    drawn = masses / (len(weights) * 2.0**32)
    np.testing.assert_allclose(drawn, weights / weights.sum(), rtol=0, atol=2.0**-31)
    assert thresholds.dtype == np.uint32 and index.dtype == np.int32
    assert index.min() >= 0 and index.max() < len(weights)
    again = alias_table(weights)
    np.testing.assert_array_equal(thresholds, again[0])
    np.testing.assert_array_equal(index, again[1])


def test_alias_table_of_equal_weights_is_the_identity():
    thresholds, index = alias_table([2.5] * 8)
    assert np.all(thresholds == 2**32 - 1)
    np.testing.assert_array_equal(index, np.arange(8))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([], "empty"),
        ([1.0, -1e-9], "not negative"),
        ([1.0, float("nan")], "finite"),
        ([1.0, float("inf")], "finite"),
        ([0.0, 0.0], "all be zero"),
        ([[1.0]], "one dimension"),
        (3.0, "one dimension"),
    ],
)
def test_alias_table_refuses_bad_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        alias_table(weights)


@pytest.mark.parametrize("sample", [1e-3, 1e-5, 0.3])
def test_keep_thresholds_follow_the_formula(sample):
    counts = np.array([90_000, 9_000, 900, 90, 9, 1])
    share = counts / counts.sum()
    chances = np.minimum(np.sqrt(sample / share) + sample / share, 1)
    kept = keep_thresholds(counts, sample)
    assert kept.dtype == np.uint32
    np.testing.assert_allclose(kept / 2.0**32, chances, rtol=0, atol=2.0**-31)


def test_no_sampling_has_no_thresholds():
    assert keep_thresholds([5, 3], 0) is None
    assert keep_thresholds([5, 3], 0.0, compat="word2vec.c") is None


def test_words_not_counted_are_kept():
    assert keep_thresholds([1000, 0], 1e-3)[1] == 2**32 - 1


@pytest.mark.parametrize("sample", [1e-3, 1e-5, 1, 7, 20.5])
def test_keep_thresholds_are_gensims(sample):
    gensim = pytest.importorskip("gensim")
    counts = {f"w{i}": int(3000 / (i + 1)) for i in range(300)}
    model = gensim.models.Word2Vec(min_count=1, sample=sample)
    model.build_vocab_from_freq(counts)
    theirs = [model.wv.get_vecattr(word, "sample_int") for word in counts]
    ours = keep_thresholds(list(counts.values()), sample, compat="gensim")
    # gensim scales by 2**32 - 1.
    np.testing.assert_allclose(ours.astype(float), np.array(theirs, float), rtol=0, atol=2)


def test_sample_is_always_a_share_for_word2vec_c():
    counts = [1000, 10, 1]
    assert np.all(keep_thresholds(counts, 1.0, compat="word2vec.c") == 2**32 - 1)
    assert keep_thresholds(counts, 1.0)[0] < 2**31


@pytest.mark.parametrize("sample", [-1e-3, float("nan"), float("inf")])
def test_keep_thresholds_refuse_bad_samples(sample):
    with pytest.raises(ValueError, match="sample"):
        keep_thresholds([5, 3], sample)


@pytest.mark.parametrize("exponent", [0.75, 1.0, 0.5, 0.0, -0.5])
def test_negative_weights_are_powers(exponent):
    counts = np.array([1000, 300, 20, 1])
    weights = negative_weights(counts, exponent)
    expected = counts.astype(float) ** exponent
    np.testing.assert_allclose(weights / weights.sum(), expected / expected.sum(), rtol=1e-14)


def test_negative_weights_of_words_not_counted():
    np.testing.assert_array_equal(negative_weights([4, 0, 1], 0.5), [1, 0, 0.5])
    np.testing.assert_array_equal(negative_weights([4, 0, 1], -0.5), [0.5, 0, 1])
    np.testing.assert_array_equal(negative_weights([4, 0, 1], 0), [1, 1, 1])
    assert np.all(negative_weights([0, 0], 0.75) == 0)


def test_negative_weights_do_not_overflow():
    assert np.all(np.isfinite(negative_weights([2**62, 5], 40)))
    assert np.all(np.isfinite(negative_weights([2**62, 5], -40)))


def test_word2vec_c_draws_another_word_for_the_sentence_end():
    counts = np.array([50, 1000, 300, 20])
    weights = negative_weights(counts, compat="word2vec.c")
    powers = counts**0.75
    # word2vec.c draws uniformly among the others instead.
    expected = powers[1:] / powers.sum() + powers[0] / powers.sum() / 3
    assert weights[0] == 0
    np.testing.assert_allclose(weights[1:] / weights.sum(), expected, rtol=1e-14)


@pytest.mark.parametrize("exponent", [float("nan"), float("inf")])
def test_negative_weights_refuse_bad_exponents(exponent):
    with pytest.raises(ValueError, match="ns_exponent"):
        negative_weights([1, 2], exponent)
