"""KeyedVectors against gensim's, call by call; and files and objects handed over both ways."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from fastrnn.word2vec import KeyedVectors

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    gensim_vectors = pytest.importorskip("gensim.models.keyedvectors").KeyedVectors

TEXT = """
the cat sat on the mat and the dog sat on the log while the cat saw the dog and the dog saw the cat
a king and a queen sat in the hall and the king saw a man and the queen saw a woman in the hall
"""


def random_vectors() -> KeyedVectors:
    rng = np.random.default_rng(3)
    wv = KeyedVectors(17)
    wv.add_vectors([f"w{i}" for i in range(300)], rng.standard_normal((300, 17)))
    wv.expandos["count"] = np.sort(rng.integers(1, 50, 300))[::-1].copy()
    return wv


def counted_vectors() -> KeyedVectors:
    """Small but real: words by their neighbors in a text, singular vectors of the logarithm."""
    tokens = TEXT.split()
    words = sorted(set(tokens), key=lambda word: (-tokens.count(word), word))
    pairs = np.zeros((len(words), len(words)))
    for i, word in enumerate(tokens):
        for other in tokens[max(0, i - 2) : i] + tokens[i + 1 : i + 3]:
            pairs[words.index(word), words.index(other)] += 1
    left, sizes, _ = np.linalg.svd(np.log1p(pairs))
    wv = KeyedVectors(6)
    wv.add_vectors(words, left[:, :6] * np.sqrt(sizes[:6]))
    wv.expandos["count"] = np.array([tokens.count(word) for word in words])
    return wv


@pytest.fixture(params=[random_vectors, counted_vectors], ids=["random", "counted"])
def pair(request):
    ours = request.param()
    return ours, ours.to_gensim()


def close(ours, theirs):
    if isinstance(theirs, list) and theirs and isinstance(theirs[0], tuple):
        assert [type(part) for part in ours[0]] in ([str, float], [float, str])
        scores = [
            [next(p for p in row if not isinstance(p, str)) for row in x] for x in (ours, theirs)
        ]
        np.testing.assert_allclose(scores[0], scores[1], rtol=2e-5, atol=2e-6)
        # Equally similar keys may stand in either order.
        if len(set(np.round(scores[1], 5))) == len(scores[1]):
            names = [
                [next(p for p in row if isinstance(p, str)) for row in x] for x in (ours, theirs)
            ]
            assert names[0] == names[1]
    elif isinstance(theirs, (list, str, int)) or theirs is None:
        assert ours == theirs
    else:
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)
        assert np.shape(ours) == np.shape(theirs)


VECTOR = object()  # stands for a vector of the right size
QUERIES = [
    ("most_similar", (["{0}"],), {}),
    ("most_similar", ("{0}",), {}),
    ("most_similar", (3,), {}),
    ("most_similar", ([3, "{5}"],), {"topn": 4}),
    ("most_similar", ("{3}",), {"topn": 10**6}),
    ("most_similar", (["{0}", "{1}"], ["{2}"]), {"topn": 3}),
    ("most_similar", (["{0}", "{1}"], "{2}"), {"topn": None}),
    ("most_similar", ([("{0}", 2.0), "{1}"], [("{2}", -0.3)]), {}),
    ("most_similar", (None, ["{4}"]), {}),
    ("most_similar", (["{4}", VECTOR],), {}),
    ("most_similar", (VECTOR,), {"topn": 1}),
    ("most_similar", (["{4}"],), {"topn": 0}),
    ("most_similar", (["{4}"],), {"topn": -2}),
    ("most_similar", (["{4}"],), {"restrict_vocab": 7}),
    ("most_similar", (["{4}"],), {"restrict_vocab": 7, "clip_start": 5}),
    ("most_similar", (["{4}"],), {"clip_start": 3, "clip_end": 11}),
    ("most_similar", (["{4}"],), {"clip_start": 3, "clip_end": 11, "topn": None}),
    ("similar_by_word", ("{2}",), {"topn": 5}),
    ("similar_by_word", ("{2}", 5, 9), {}),
    ("similar_by_key", ("{2}", None), {}),
    ("similar_by_vector", (VECTOR,), {"topn": 5}),
    ("similar_by_vector", (VECTOR, 4, 6), {}),
    ("most_similar_to_given", ("{1}", ["{2}", "{3}", "{4}"]), {}),
    ("similarity", ("{1}", "{2}"), {}),
    ("similarity", ("{1}", "{1}"), {}),
    ("similarity", (1, "{2}"), {}),
    ("distance", ("{1}", "{2}"), {}),
    ("distances", ("{1}",), {}),
    ("distances", ("{1}", ["{2}", "{5}"]), {}),
    ("distances", (VECTOR, ("{2}",)), {}),
    ("n_similarity", (["{1}", "{2}"], ["{3}"]), {}),
    ("n_similarity", (["{1}", "{2}", "no"], ["{3}", "{4}"]), {}),
    ("doesnt_match", (["{1}", "{2}", "{3}", "{4}"],), {}),
    ("doesnt_match", (["{1}", "no", "{3}", "{4}"],), {}),
    ("rank_by_centrality", (["{1}", "{2}", "{3}", "{4}"],), {}),
    ("rank_by_centrality", (["{1}", "{2}", "{3}", "{4}"], False), {}),
    ("rank", ("{1}", "{4}"), {}),
    ("rank", ("{1}", "{1}"), {}),
    ("closer_than", ("{1}", "{4}"), {}),
    ("get_mean_vector", (["{1}", "{4}"],), {}),
    ("get_mean_vector", (["{1}", "{4}", "no"], [0.5, -2.0, 1.0]), {}),
    ("get_mean_vector", ([VECTOR, 4],), {"pre_normalize": False, "post_normalize": True}),
    ("get_vector", ("{1}",), {}),
    ("get_vector", ("{1}",), {"norm": True}),
    ("get_index", ("{3}",), {}),
    ("get_index", (3,), {}),
    ("get_index", ("no", 7), {}),
    ("get_index", ("no", -1), {}),
    ("has_index_for", ("no",), {}),
    ("has_index_for", ("{2}",), {}),
    ("has_index_for", (5,), {}),
    ("get_vecattr", ("{2}", "count"), {}),
    ("get_normed_vectors", (), {}),
    ("relative_cosine_similarity", ("{1}", "{2}"), {}),
    ("relative_cosine_similarity", ("{1}", "{2}", 3), {}),
    ("most_similar_cosmul", (["{0}", "{1}"], ["{2}"]), {}),
    ("most_similar_cosmul", ("{0}", "{2}"), {"topn": 4}),
    ("most_similar_cosmul", (["{0}"],), {"topn": None}),
    ("__getitem__", ("{0}",), {}),
    ("__getitem__", (0,), {}),
    ("__getitem__", (["{0}", 3],), {}),
    ("__contains__", ("{0}",), {}),
    ("__len__", (), {}),
]


def fill(value, wv):
    if value is VECTOR:
        return np.linspace(-1, 2, wv.vector_size, dtype=np.float32)
    if isinstance(value, str):
        return wv.index_to_key[int(value[1:-1])] if value.startswith("{") else value
    if isinstance(value, (list, tuple)):
        return type(value)(fill(item, wv) for item in value)
    return value


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # gensim calls its own init_sims
@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_queries(pair, query):
    ours, theirs = pair
    name, arguments, options = query
    arguments = fill(arguments, ours)
    close(getattr(ours, name)(*arguments, **options), getattr(theirs, name)(*arguments, **options))


ERRORS = [
    ("__getitem__", ("no",)),
    ("__getitem__", (10**6,)),
    ("__getitem__", (-1,)),
    ("__getitem__", (["{1}", "no"],)),
    ("get_index", ("no",)),
    ("get_vector", ("no",)),
    ("most_similar", ("no",)),
    ("most_similar", (["{1}"], ["no"])),
    ("most_similar", ()),
    ("most_similar", ([],)),
    ("similarity", ("{1}", "no")),
    ("distances", ("{1}", ["no"])),
    ("rank", ("{1}", "no")),
    ("n_similarity", ([], ["{1}"])),
    ("doesnt_match", ([],)),
    ("doesnt_match", (["no"],)),
    ("get_mean_vector", ([],)),
    ("get_mean_vector", (["{1}"], [1.0, 2.0])),
    ("get_mean_vector", (["no"], None, True, False, False)),
    ("get_vecattr", ("{1}", "nothing")),
    ("get_vecattr", ("no", "count")),
    ("set_vecattr", ("{1}", "count", 1.5)),
    ("most_similar_cosmul", ()),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("query", ERRORS, ids=str)
def test_errors_have_gensims_types_and_texts(pair, query):
    ours, theirs = pair
    name, arguments = query
    arguments = fill(arguments, ours)
    with pytest.raises(Exception) as expected:
        getattr(theirs, name)(*arguments)
    with pytest.raises(type(expected.value)) as found:
        getattr(ours, name)(*arguments)
    assert str(found.value) == str(expected.value)


def same(ours, theirs):
    assert ours.index_to_key == theirs.index_to_key
    assert ours.key_to_index == theirs.key_to_index
    np.testing.assert_array_equal(ours.vectors, theirs.vectors)
    assert ours.vectors.dtype == theirs.vectors.dtype
    assert ours.expandos.keys() == theirs.expandos.keys()
    for attr, values in theirs.expandos.items():
        np.testing.assert_array_equal(ours.expandos[attr], values)
        assert ours.expandos[attr].dtype == values.dtype


@pytest.mark.filterwarnings("ignore:Adding single vectors")
def test_changes(pair):
    ours, theirs = pair
    size = ours.vector_size
    for wv in pair:
        wv.set_vecattr("new" if "new" in wv else 0, "tag", "x")
        wv.add_vector("new", np.arange(size))
        wv.add_vectors([wv.index_to_key[0], "newer"], np.ones((2, size)))
        wv.add_vectors([wv.index_to_key[1], "newest"], [np.ones(size)] * 2, replace=True)
        wv["new"] = np.full(size, 2.0)
        wv[["new", "fresh"]] = np.full((2, size), 3.0)
        wv.set_vecattr("fresh", "count", 4)
        wv.set_vecattr("fresh", "rare", True)
        wv.set_vecattr(1, "weight", 0.5)
        wv.allocate_vecattrs()
    same(ours, theirs)
    for wv in pair:
        wv.sort_by_descending_frequency()
    same(ours, theirs)
    for wv in pair:
        wv.norms = None  # gensim forgets to
        wv.unit_normalize_all()
    np.testing.assert_allclose(ours.vectors, theirs.vectors, rtol=1e-6)


def test_rooms_made_beforehand():
    ours, theirs = KeyedVectors(2, 3), gensim_vectors(2, 3)
    for wv in (ours, theirs):
        assert len(wv) == 3 and wv.index_to_key == [None] * 3
        assert wv.add_vector("a", [1, 2]) == 0 and wv.add_vector("b", [3, 4]) == 1
        wv.add_vectors(["c"], [np.array([5, 6])])
    same(ours, theirs)
    assert ours.next_index == theirs.next_index


@pytest.mark.parametrize("copy", [False, True])
def test_vectors_for_all(pair, copy):
    ours, theirs = pair
    keys = [ours.index_to_key[i] for i in (5, 2, 5, 0)] + ["no"]
    same(
        ours.vectors_for_all(keys, copy_vecattrs=copy),
        theirs.vectors_for_all(keys, copy_vecattrs=copy),
    ) if copy else close(ours.vectors_for_all(keys).vectors, theirs.vectors_for_all(keys).vectors)


def test_cosine_similarities(pair):
    ours, theirs = pair
    close(
        ours.cosine_similarities(ours[2], ours.vectors),
        theirs.cosine_similarities(ours[2], ours.vectors),
    )


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("ending", ["", ".gz", ".bz2"])
def test_files_both_ways(pair, tmp_path, binary, ending):
    ours, theirs = pair
    mine, its = tmp_path / f"mine{ending}", str(tmp_path / f"its{ending}")
    vocabularies = tmp_path / "mine.vocab", str(tmp_path / "its.vocab")
    ours.save_word2vec_format(mine, fvocab=vocabularies[0], binary=binary)
    theirs.save_word2vec_format(its, fvocab=vocabularies[1], binary=binary)
    if not ending:
        assert mine.read_bytes() == (tmp_path / "its").read_bytes()
    assert vocabularies[0].read_bytes() == (tmp_path / "its.vocab").read_bytes()
    for fvocab in (None, str(vocabularies[0])):
        same(
            KeyedVectors.load_word2vec_format(its, fvocab=fvocab, binary=binary),
            gensim_vectors.load_word2vec_format(str(mine), fvocab=fvocab, binary=binary),
        )


def test_options_of_the_writer_give_gensims_bytes(pair, tmp_path):
    ours, theirs = pair
    for wv in pair:
        wv.expandos["rank"] = np.arange(len(wv)) % 5
    options = [
        {"write_header": False},
        {"total_vec": 12345, "prefix": "*d_"},
        {"sort_attr": "rank"},
        {"sort_attr": "none of these", "binary": True},
    ]
    for option in options:
        for append in (False, True):
            ours.save_word2vec_format(tmp_path / "a", append=append, **option)
            theirs.save_word2vec_format(str(tmp_path / "b"), append=append, **option)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_gensim_reads_the_style_of_word2vec_c(pair, tmp_path):
    ours, _ = pair
    for binary in (False, True):
        path = tmp_path / "x"
        ours.save_word2vec_format(path, binary=binary, style="word2vec.c")
        same(
            KeyedVectors.load_word2vec_format(path, binary=binary),
            gensim_vectors.load_word2vec_format(str(path), binary=binary),
        )


# gensim leaves the file open that it counted lines in.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_files_of_float16_and_limits(pair, tmp_path):
    ours, _ = pair
    path = tmp_path / "x"
    ours.save_word2vec_format(path, write_header=False)
    options = {"no_header": True, "limit": 5, "datatype": np.float16}
    same(
        KeyedVectors.load_word2vec_format(path, **options),
        gensim_vectors.load_word2vec_format(str(path), **options),
    )
    half = KeyedVectors.load_word2vec_format(path, **options)
    half.save_word2vec_format(tmp_path / "a")
    half.to_gensim().save_word2vec_format(str(tmp_path / "b"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_objects_both_ways(pair):
    ours, theirs = pair
    back = KeyedVectors.from_gensim(theirs)
    same(back, theirs)
    same(ours, theirs)
    theirs.vectors[0] = 0
    theirs.expandos["count"][0] = 0
    assert back.vectors[0].any() and ours.vectors[0].any()
    assert back.expandos["count"][0] and ours.expandos["count"][0]


def test_signatures_are_gensims():
    """Every public name, and the arguments of each method in the same order first."""
    import inspect

    left_out = {
        "add_lifecycle_event", "index2entity", "index2word", "log_accuracy", "vectors_norm",
        "log_evaluate_word_pairs", "similarity_unseen_docs", "vocab",
    }  # fmt: skip
    for name, theirs in inspect.getmembers(gensim_vectors):
        if name.startswith("_") or name in left_out:
            continue
        ours = getattr(KeyedVectors, name)
        if not callable(theirs) or name in {
            "save",
            "load",
            "init_sims",
            "word_vec",
            "words_closer_than",
        }:
            continue
        wanted = list(inspect.signature(theirs).parameters.values())
        found = list(inspect.signature(ours).parameters.values())
        assert [p.name for p in found[: len(wanted)]] == [p.name for p in wanted], name
        for mine, its in zip(found, wanted):
            assert mine.default == its.default or name == "load_word2vec_format", (name, mine)
