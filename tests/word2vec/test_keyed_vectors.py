"""KeyedVectors where it has no gensim to follow: storage, batches, files, threads, odd input."""

from __future__ import annotations

import copy
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from fastrnn.word2vec import KeyedVectors
from fastrnn.word2vec._formats.aligned import padded_storage
from fastrnn.word2vec._formats.container import read_arrays, write_arrays
from fastrnn.word2vec.keyed_vectors._neighbors import largest


def make(count: int = 50, size: int = 9, seed: int = 0) -> KeyedVectors:
    rng = np.random.default_rng(seed)
    wv = KeyedVectors(size)
    wv.add_vectors([f"w{i}" for i in range(count)], rng.standard_normal((count, size)))
    return wv


def test_vectors_are_a_view_of_padded_storage():
    storage = padded_storage(3, 20)
    wv = KeyedVectors._from_parts(["a", "b", "c"], storage, 20, [3, 2, 1])
    storage[1, 4] = 7
    assert wv["b"][4] == 7 and wv.vectors.base is not None and wv.vectors.shape == (3, 20)
    assert wv.get_vecattr("a", "count") == 3
    for words, matrix in ((["a"], storage), (["a", "b", "c"], storage[:, :10])):
        with pytest.raises(ValueError, match="does not hold"):
            KeyedVectors._from_parts(words, matrix, 20)
    with pytest.raises(ValueError, match="same word twice"):
        KeyedVectors._from_parts(["a", "a", "c"], storage, 20)
    # What grows by itself stays padded, too.
    wv = make(5, 20)
    assert wv.vectors.strides[0] == 128 and wv.vectors.ctypes.data % 64 == 0


def test_vectors_given_out_are_read_only():
    wv = make()
    for vector in (wv["w1"], wv.get_vector("w1", norm=True)):
        with pytest.raises(ValueError, match="read-only"):
            vector[0] = 1


def test_new_vectors_forget_old_norms():
    wv = make()
    wv.fill_norms()
    wv.vectors = wv.vectors * 2
    assert wv.norms is None
    wv.fill_norms()
    wv.add_vector("new", np.ones(9))
    assert wv.similarity("new", "new") == pytest.approx(1)
    assert wv.most_similar("new", topn=1)[0][0] in wv
    norms = np.linalg.norm(wv.vectors, axis=1)
    np.testing.assert_allclose(wv.norms, norms, rtol=1e-6)


def test_adding_one_by_one_does_not_copy_each_time():
    wv = KeyedVectors(3)
    places = set()
    for i in range(500):
        assert wv.add_vector(f"w{i}", [i, 1, 2]) == i
        places.add(wv.vectors.ctypes.data)
    assert len(places) < 40
    assert np.array_equal(wv.vectors[:, 0], np.arange(500))
    assert wv.add_vector("w3", [9, 9, 9]) == 3 and wv["w3"][0] == 3


def test_adding_what_does_not_fit_changes_nothing():
    wv = make(3)
    for keys, rows, extras in (
        (["a"], np.ones((1, 8)), None),
        (["a", "b"], np.ones((1, 9)), None),
        (["a"], np.ones((1, 9)), {"x": np.ones(2)}),
    ):
        with pytest.raises(ValueError, match="keys"):
            wv.add_vectors(keys, rows, extras)
    assert len(wv) == 3 and "a" not in wv and wv.expandos == {}


def test_adding_with_attributes_and_repeats():
    wv = make(2, 2)
    wv.add_vectors(
        ["w0", "a", "a"],
        [[1, 1], [2, 2], [3, 3]],
        extras={"n": np.array([7, 8, 9])},
    )
    assert wv["a"].tolist() == [2, 2] and len(wv) == 3
    assert wv.expandos["n"].tolist() == [0, 0, 8]
    wv.add_vectors(["w0", "a"], [[4, 4], [5, 5]], extras={"n": np.array([1, 2])}, replace=True)
    assert wv["w0"].tolist() == [4, 4] and wv.expandos["n"].tolist() == [1, 0, 2]


def test_lock_factors_follow_the_rows():
    wv = make(3, 2)
    wv.vectors_lockf = np.array([0, 0.5, 1], np.float32)
    wv.expandos["count"] = np.array([1, 2, 3])
    wv.sort_by_descending_frequency()
    assert wv.index_to_key == ["w2", "w1", "w0"]
    assert wv.vectors_lockf.tolist() == [1, 0.5, 0]
    wv.add_vector("new", [1, 1])
    assert wv.vectors_lockf.tolist() == [1, 0.5, 0, 1]


def test_zero_vectors_are_similar_to_nothing():
    wv = KeyedVectors(2)
    wv.add_vectors(["zero", "a", "b"], [[0, 0], [1, 0], [-1, 0]])
    assert wv.similarity("zero", "a") == 0 and wv.distance("zero", "zero") == 1
    assert wv.most_similar("a") == [("zero", 0.0), ("b", -1.0)]
    assert wv.distances("zero").tolist() == [1, 1, 1]
    assert not wv.get_normed_vectors()[0].any()
    wv.unit_normalize_all()
    assert wv.vectors.tolist() == [[0, 0], [1, 0], [-1, 0]]


def test_huge_and_tiny_vectors_have_norms():
    wv = KeyedVectors(2)
    wv.add_vectors(["huge", "tiny", "a"], [[3e30, 4e30], [3e-30, 4e-30], [3, 4]])
    wv.fill_norms()
    np.testing.assert_allclose(wv.norms, [5e30, 5e-30, 5], rtol=1e-6)
    assert wv.similarity("huge", "tiny") == pytest.approx(1)


@pytest.mark.parametrize("topn", [0, 1, 5, 10**6, None])
def test_batches_answer_as_single_queries_do(topn):
    wv = make(400)
    positive = ["w3", 7, ["w1", "w2"], [("w1", 0.5), "w9"], np.ones(9, np.float32)]
    negative = [None, "w2", ["w5"], [("w6", -2.0)], None]
    options = {"topn": topn, "clip_start": 2, "clip_end": 300}
    found = wv.most_similar_batch(positive, negative, **options)
    assert len(found) == 5
    for answer, wanted, unwanted in zip(found, positive, negative):
        single = wv.most_similar(wanted, unwanted, **options)
        if topn is None:
            np.testing.assert_allclose(answer, single, rtol=1e-5, atol=1e-6)
        else:
            assert [key for key, _ in answer] == [key for key, _ in single]
            np.testing.assert_allclose(
                [value for _, value in answer], [value for _, value in single], rtol=1e-5, atol=1e-6
            )
    rows = wv.most_similar_batch(wv.vectors[:4], topn=1, restrict_vocab=4)
    assert [row[0][0] for row in rows] == ["w0", "w1", "w2", "w3"]
    assert wv.most_similar_batch([]) == []
    with pytest.raises(ValueError, match="1 positive but 2 negative"):
        wv.most_similar_batch(["w1"], ["w2", "w3"])
    with pytest.raises(KeyError, match="Key 'no' not present in vocabulary"):
        wv.most_similar_batch(["w1", "no"], topn=3)


@settings(deadline=None)
@given(
    hnp.arrays("<f4", st.integers(1, 300), elements=st.sampled_from([0, 1, 2, 3, -1, np.nan])),
    st.integers(1, 20),
)
def test_the_largest(values, count):
    low = np.where(np.isnan(values), -np.inf, values)
    expected = np.lexsort((np.arange(len(values)), -low))[:count]
    found = largest(values, count)
    assert np.array_equal(low[found], low[expected])
    if not np.isnan(values).any():
        assert np.array_equal(found, expected)


def test_cosmul_takes_integers_and_vectors():
    wv = make()
    first = wv.most_similar_cosmul(["w1", "w2"], ["w3"])
    assert wv.most_similar_cosmul([1, 2], [3]) == first
    vectors = wv.most_similar_cosmul([wv["w1"] * 3, wv["w2"]], [wv["w3"]], topn=13)
    assert [key for key, _ in vectors if key not in {"w1", "w2", "w3"}][:10] == [
        k for k, _ in first
    ]
    assert len(wv.most_similar_cosmul("w1", restrict_vocab=4)) == 3
    with pytest.raises(KeyError, match="'no'"):
        wv.most_similar_cosmul("no")


def test_an_indexer_answers():
    class Indexer:
        def most_similar(self, vector, topn):
            return [(round(float(np.linalg.norm(vector)), 5), topn)]

    assert make().most_similar("w1", topn=3, indexer=Indexer()) == [(1.0, 3)]


def test_integer_keys():
    wv = KeyedVectors(1)
    wv.add_vectors([10, "ten"], [[1.0], [2.0]])
    assert wv[10] == 1 and wv[1] == 2 and wv.most_similar(10)[0][0] == "ten"
    with pytest.raises(KeyError, match="Key '2' not present"):
        wv[2]


def brute_force_transport(costs):
    from itertools import permutations

    n = len(costs)
    return min(sum(costs[i, p[i]] for i in range(n)) for p in permutations(range(n))) / n


@pytest.mark.parametrize("seed", range(8))
def test_word_movers_distance(seed):
    wv = make(40, 4, seed)
    rng = np.random.default_rng(seed)
    # Six places each, some words twice: every solution is a mixture of one-to-one assignments.
    left = [f"w{i}" for i in rng.integers(0, 20, 6)]
    right = [f"w{i}" for i in rng.integers(0, 40, 6)]
    costs = np.array([[np.linalg.norm(wv[a] - wv[b]) for b in right] for a in left])
    expected = brute_force_transport(costs)
    assert wv.wmdistance(left, right, norm=False) == pytest.approx(expected, rel=1e-6)
    assert wv.wmdistance([*left, "no"], right * 3, norm=False) == pytest.approx(expected, rel=1e-6)
    assert wv.wmdistance(left, left) == pytest.approx(0, abs=1e-6)
    assert wv.wmdistance(left, ["no"]) == np.inf


def test_word_movers_distance_of_unlike_lengths():
    wv = KeyedVectors(1)
    wv.add_vectors(["0", "1", "3"], [[0.0], [1.0], [3.0]])
    assert wv.wmdistance(["0"], ["1", "3"], norm=False) == pytest.approx(2)
    assert wv.wmdistance(["0", "0", "1"], ["3"], norm=False) == pytest.approx(8 / 3)
    assert wv.wmdistance(["0", "1"], ["1", "3"], norm=False) == pytest.approx(1.5)


def test_resizing():
    wv = make(2, 3)
    old = wv.vectors.copy()
    wv.index_to_key.append("new")
    wv.key_to_index["new"] = 2
    wv.resize_vectors(seed=4)
    assert np.array_equal(wv.vectors[:2], old) and (np.abs(wv["new"]) <= 1 / 3).all()
    assert wv["new"].any()


@pytest.mark.parametrize("old", ["word_vec", "words_closer_than", "init_sims"])
def test_deprecated_names(old):
    wv = make(5)
    arguments = {"word_vec": ["w1"], "words_closer_than": ["w1", "w2"], "init_sims": [True]}[old]
    with pytest.warns(DeprecationWarning, match="instead of"):
        getattr(wv, old)(*arguments)


def test_bad_sizes():
    for size, count in ((0, 0), (-1, 0), (3, -1)):
        with pytest.raises(ValueError, match="vector_size"):
            KeyedVectors(size, count)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda wv: pickle.loads(pickle.dumps(wv))]
)
def test_copies_are_whole(tmp_path, duplicate):
    wv = make(6, 5)
    wv.add_vector("new", np.ones(5))  # leaves spare room behind
    new = duplicate(wv)
    assert new.index_to_key == wv.index_to_key and np.array_equal(new.vectors, wv.vectors)
    new.vectors[1] = 7
    new.norms = None
    new.save(tmp_path / "x")
    assert (KeyedVectors.load(tmp_path / "x")["w1"] == 7).all()
    assert (wv["w1"] == 7).all() == (duplicate is copy.copy)


def test_vectors_of_ones_own_are_what_is_saved_and_sorted(tmp_path):
    wv = make(3, 16)
    wv._vectors = wv.vectors.copy()  # as after a change behind our back
    wv.vectors[0] = 7
    wv.expandos["count"] = np.array([1, 2, 3])
    wv.save(tmp_path / "x")
    assert (KeyedVectors.load(tmp_path / "x")["w0"] == 7).all()
    wv.sort_by_descending_frequency()
    assert (wv["w0"] == 7).all() and wv.get_index("w0") == 2


def test_an_empty_one():
    wv = KeyedVectors(3)
    assert len(wv) == 0 and "a" not in wv and str(wv) == "KeyedVectors<vector_size=3, 0 keys>"
    assert wv.most_similar(np.ones(3)) == []
    wv.sort_by_descending_frequency()
    wv.fill_norms()
    assert wv.distances(np.ones(3)).shape == (0,)


@pytest.mark.parametrize("mmap", [None, "r", "c"])
def test_saving_and_loading(tmp_path, mmap):
    wv = make(30, 20)
    wv.add_vectors([5, "ü x"], np.ones((2, 20)))
    wv.expandos["count"] = np.arange(32)
    wv.set_vecattr("w1", "tag", "é")
    wv.vectors_lockf = np.linspace(0, 1, 32, dtype=np.float32)
    path = tmp_path / "wv"
    wv.save(path)
    back = KeyedVectors.load(path, mmap=mmap)
    assert back.index_to_key == wv.index_to_key and back.key_to_index == wv.key_to_index
    assert np.array_equal(back.vectors, wv.vectors) and np.array_equal(back[5], np.ones(20))
    assert back.expandos["tag"].tolist() == wv.expandos["tag"].tolist()
    assert back.expandos["count"].dtype == np.int64
    assert np.array_equal(back.expandos["count"], wv.expandos["count"])
    assert np.array_equal(back.vectors_lockf, wv.vectors_lockf)
    assert back.most_similar("w1") == wv.most_similar("w1")
    assert back.vectors.ctypes.data % 64 == 0 and back.vectors.strides == (128, 4)
    if mmap == "r":
        for change in (
            back.unit_normalize_all,
            lambda: back.add_vectors(["w1"], np.zeros((1, 20)), replace=True),
        ):
            with pytest.raises(ValueError, match="mapped read-only: load them with mmap=None"):
                change()
        back.add_vector("new", np.zeros(20))  # into a copy
        assert len(back) == 33
    else:
        back.vectors[0] = 9
    assert np.array_equal(KeyedVectors.load(path).vectors, wv.vectors)
    back.save(path)  # over the file that it is mapped from
    assert len(KeyedVectors.load(path)) == len(back)


def test_saving_vectors_that_are_not_padded(tmp_path):
    wv = make(4, 5)
    wv.vectors = np.ascontiguousarray(wv.vectors).astype(np.float64)
    wv.save(tmp_path / "wv")
    back = KeyedVectors.load(tmp_path / "wv")
    assert back.vectors.dtype == np.float64 and np.array_equal(back.vectors, wv.vectors)


def test_what_cannot_be_saved(tmp_path):
    wv = KeyedVectors(2, 3)
    wv.add_vector("a", [1, 2])
    with pytest.raises(ValueError, match="2 of 3 rows made room for have no key"):
        wv.save(tmp_path / "x")
    wv = make(2)
    wv.expandos["o"] = np.array([1, "a"], dtype=object)
    with pytest.raises(TypeError, match="sequence of str"):
        wv.save(tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_files_that_hold_something_else(tmp_path):
    path = tmp_path / "odd"
    wv = make(3, 4)
    wv.expandos["count"] = np.arange(3)
    wv.save(path)
    header, arrays, strings = read_arrays(path)
    changes = [
        ({"vector_size": 5}, {"storage": arrays["storage"][:, :4]}, {}),
        ({"vector_size": "4"}, {}, {}),
        ({"vector_size": 17}, {}, {}),
        ({}, {"storage": arrays["storage"][:2]}, {}),
        ({}, {"storage": np.zeros((3, 16), np.int32)}, {}),
        ({}, {"integer_keys": np.array([99])}, {}),
        ({}, {"integer_keys": np.array([0])}, {}),  # "w0" is no integer
        ({}, {"vecattr:count": np.arange(2)}, {}),
        ({}, {}, {"keys": ["a", "a", "b"]}),
        ({}, {}, {"vecattr:tag": ["only one"]}),
        ({}, {"unset:tag": np.array([3])}, {"vecattr:tag": ["a", "b", "c"]}),
        ({}, {"unset:tag": np.array([[0.5]])}, {"vecattr:tag": ["a", "b", "c"]}),
    ]
    for head, array, string in changes:
        write_arrays(path, header | head, arrays | array, strings | string, kind="keyed_vectors")
        with pytest.raises(ValueError, match="odd"):
            KeyedVectors.load(path)
    write_arrays(path, header, arrays, strings, kind="word2vec")
    with pytest.raises(ValueError, match="of kind 'word2vec', not 'keyed_vectors'"):
        KeyedVectors.load(path)


@pytest.mark.parametrize("binary", [False, True])
def test_intersecting(tmp_path, binary):
    wv, other = make(4, 3), make(3, 3, seed=1)
    other.index_to_key[2] = "elsewhere"
    other.save_word2vec_format(tmp_path / "x", binary=binary)
    old = wv.vectors.copy()
    wv.fill_norms()
    wv.intersect_word2vec_format(tmp_path / "x", binary=binary, lockf=0.25)
    assert np.array_equal(wv.vectors[:2], other.vectors[:2])
    assert np.array_equal(wv.vectors[2:], old[2:]) and "elsewhere" not in wv
    assert wv.vectors_lockf.tolist() == [0.25, 0.25, 1, 1] and wv.norms is None
    make(2, 4).save_word2vec_format(tmp_path / "x")
    with pytest.raises(ValueError, match="incompatible vector size 4 in file"):
        wv.intersect_word2vec_format(tmp_path / "x")


def test_gensim_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim.models.keyedvectors", None)
    with pytest.raises(ImportError, match="pip install gensim"):
        make().to_gensim()


def test_many_threads_ask_at_once():
    expected = [make(2000).most_similar(f"w{i}") for i in range(40)]
    wv = make(2000)  # its norms are not computed yet
    before = wv.vectors.copy()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(wv.most_similar, [f"w{i}" for i in range(40)]))
    assert found == expected and np.array_equal(wv.vectors, before)
