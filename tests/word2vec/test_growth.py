"""New words in a trained model: the old ones must not notice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpora import zipfian

from fastrnn import Word2Vec
from fastrnn.word2vec._growth import graft
from fastrnn.word2vec._tree import Tree, huffman_tree

TINY = {"vector_size": 12, "min_count": 1, "workers": 1}
NEW = [["fresh", "w0", "new"], ["fresh", "w1", "novel"], ["fresh", "w2", "new"]] * 4
CONTEXTS = [["w0", "w3"], ["w5"], ["w9", "w1", "w20"]]


@pytest.mark.parametrize("sg", [0, 1])
def test_old_words_keep_their_probabilities(sg: int) -> None:
    model = Word2Vec(zipfian(), sg=sg, hs=1, negative=0, epochs=3, **TINY)
    old = len(model.wv)
    vectors = model.wv.vectors.copy()
    before = np.array([model.word_probabilities(context) for context in CONTEXTS])
    model.build_vocab(NEW, update=True)
    after = np.array([model.word_probabilities(context) for context in CONTEXTS])

    assert len(model.wv) == old + 3
    assert np.array_equal(model.wv.vectors[:old], vectors)
    assert np.abs(model.wv.vectors[old:]).max() <= 1 / 12
    # One word was split and has half of its probability; all others have what they had. (The
    # tolerance is for NumPy's sums, whose order may change with a matrix's shape; that paths and
    # node vectors are the very same is tested below.)
    (split,) = np.flatnonzero((abs(after[:, :old] - before) > 0.1 * before).any(0))
    expected = before.copy()
    expected[:, split] /= 2
    np.testing.assert_allclose(after[:, :old], expected, rtol=1e-13)
    # The new words share what the split word gave; all turns below are even.
    np.testing.assert_allclose(after[:, old:].sum(1), before[:, split] / 2, rtol=1e-12)
    np.testing.assert_allclose(after.sum(1), 1, rtol=1e-12)
    # It is the word whose count was nearest to the new words' 12 + 8 + 4.
    distance = abs(model.counts[:old] - 24)
    assert distance[split] == distance.min()


def test_a_grown_model_trains_on() -> None:
    model = Word2Vec(zipfian(), hs=1, negative=0, **TINY)
    model.build_vocab(NEW, update=True)
    text = NEW * 20
    before = model.perplexity(text)
    model.train(text, total_examples=len(text), epochs=10)
    assert model.perplexity(text) < before / 2
    assert model.wv.get_vecattr("fresh", "count") == 12
    assert model.predict_output_word(["w1", "novel"], topn=1)[0][0] == "fresh"


def test_growing_twice_and_without_new_words() -> None:
    model = Word2Vec(zipfian(), hs=1, negative=0, **TINY)
    nodes = model.syn1.copy()
    w0 = model.wv.get_vecattr("w0", "count")
    model.build_vocab([["w0"] * 5], update=True)  # counts only
    assert np.array_equal(model.syn1, nodes)
    assert model.wv.get_vecattr("w0", "count") == w0 + 5
    for word in ("one", "two"):
        before = model.word_probabilities(["w1"])
        model.build_vocab_from_freq({word: 3}, update=True)
        after = model.word_probabilities(["w1"])[:-1]
        assert (abs(after / before - 1) < 1e-13).sum() == len(before) - 1
    model.tree.check()


def test_negative_sampling_grows_by_zero_rows() -> None:
    model = Word2Vec(zipfian(), **TINY)
    outputs = model.syn1neg.copy()
    model.build_vocab(NEW, update=True)
    assert np.array_equal(model.syn1neg[: len(outputs)], outputs)
    assert model.syn1neg.shape == (len(outputs) + 3, 12) and not model.syn1neg[-3:].any()


def test_lock_factors_grow_along() -> None:
    model = Word2Vec(zipfian(), **TINY)
    model.freeze(["w3"])
    model.build_vocab(NEW, update=True)
    assert model.wv.vectors_lockf.shape == (63,)
    assert model.wv.vectors_lockf.sum() == 62


def test_lock_factors_are_not_handed_to_other_words() -> None:
    model = Word2Vec(zipfian(), sample=0, **TINY)
    model.freeze(["w0"])
    model.init_weights()
    assert model.wv.vectors_lockf[model.wv.get_index("w0")] == 0  # the same words
    model.build_vocab(NEW)
    assert model.wv.vectors_lockf.tolist() == [1]
    before = model.wv.vectors.copy()
    model.train(NEW, total_examples=len(NEW), epochs=3)
    assert (model.wv.vectors != before).any(axis=1).all()


def test_rare_new_words_stay_out_but_count_for_old_ones() -> None:
    model = Word2Vec(zipfian(), hs=1, negative=0, **{**TINY, "min_count": 5})
    before = model.counts.copy()
    model.build_vocab([["rare", "w0"]], update=True)
    assert "rare" not in model.wv
    assert model.counts[0] == before[0] + 1 and np.array_equal(model.counts[1:], before[1:])


def test_growth_needs_something_to_grow() -> None:
    with pytest.raises(RuntimeError, match="You cannot do an online vocabulary-update"):
        Word2Vec(hs=1, negative=0).build_vocab(NEW, update=True)


@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=40),
    st.lists(st.integers(1, 10**6), min_size=1, max_size=40),
)
@settings(max_examples=150, deadline=None)
def test_a_grafted_tree_is_a_tree_of_the_same_paths(old: list[int], new: list[int]) -> None:
    counts = np.sort(np.array(old))[::-1].copy()
    new_counts = np.sort(np.array(new))[::-1].copy()
    tree = huffman_tree(counts)
    grown = graft(tree, counts, new_counts)
    grown.tree.check()
    assert grown.tree.num_words == len(old) + len(new)
    # Rows by falling count, 1 being the root, and each old row in one place.
    below = np.zeros(grown.tree.num_words, np.int64)
    everything = np.concatenate([counts, new_counts])
    np.add.at(below, grown.tree.path_rows, np.repeat(everything, grown.tree.lengths))
    assert (np.diff(below[1:]) <= 0).all()
    assert sorted(grown.old_rows[grown.old_rows >= 0]) == list(range(1, len(old)))
    storage = np.arange(16.0 * len(old), dtype=np.float32).reshape(-1, 16)
    moved = np.zeros((grown.tree.num_words, 16), np.float32)
    grown.regrow(storage, moved)
    for word in range(len(old)):
        rows, turns = tree.path(word)
        grown_rows, grown_turns = grown.tree.path(word)
        if word == grown.split_word:
            assert grown.old_rows[grown_rows[-1]] == -1 and grown_turns[-1] == 0
            grown_rows, grown_turns = grown_rows[:-1], grown_turns[:-1]
        assert np.array_equal(grown.old_rows[grown_rows], rows)
        assert np.array_equal(grown_turns, turns)
        assert np.array_equal(moved[grown_rows], storage[rows])


def comb(turns: int) -> Tree:
    """Words 0, 1, 2, ... at depths 1, 2, 3, ..., the last two at the deepest."""
    paths = [np.arange(1, word + 2) for word in range(turns)]
    paths.append(paths[-1])
    codes = [(1 << word) - 1 for word in range(turns)] + [(1 << turns) - 1]
    return Tree(
        path_offsets=np.cumsum([0, *map(len, paths)]),
        path_rows=np.concatenate(paths).astype(np.int32),
        codes=np.array(codes, np.uint64),
    ).check()


def test_paths_stay_within_64_turns() -> None:
    tree = comb(64)
    counts = np.full(65, 1000)
    counts[-1] = 1  # the nearest count, but at a depth of 64
    grown = graft(tree, counts, np.array([1]))
    assert grown.split_word < 63 and grown.tree.lengths.max() == 64
    # New words whose own tree takes all the room there is.
    fibonacci = [1, 1]
    while len(fibonacci) < 64:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    with pytest.raises(ValueError, match=r"no room for 64 more.*Train a new model"):
        graft(tree, counts, np.array(fibonacci[::-1]))
