"""The constructor, the weights, and what a model does with its settings."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_corpora import TOPICS, topical, zipfian
from subprocesses import python_output

from fastrnn import KeyedVectors, Word2Vec
from fastrnn.word2vec import EncodedCorpus, _memory, callbacks
from fastrnn.word2vec._words import PackedWords

MODES = [
    {"sg": 0, "hs": 1, "negative": 0},
    {"sg": 1, "hs": 1, "negative": 0},
    {"sg": 0, "negative": 5},
    {"sg": 1, "negative": 5},
]
HS = {"hs": 1, "negative": 0}
TINY = {"vector_size": 12, "min_count": 1, "workers": 1}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("extra", [{}, {"strict": True}, {"deterministic": True}])
def test_words_of_one_topic_become_neighbors(mode: dict[str, int], extra: dict[str, bool]) -> None:
    model = Word2Vec(
        topical(), vector_size=24, window=4, sample=0, alpha=0.05, epochs=12, **mode, **extra
    )
    for words in TOPICS.values():
        neighbors = [word for word, _ in model.wv.most_similar(words[0], topn=len(words) - 1)]
        assert len(set(neighbors) & set(words)) >= len(words) - 2


def test_both_objectives_are_trained_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="Both hierarchical softmax and negative") as warned:
        model = Word2Vec(zipfian(), hs=1, **TINY)
    assert model.negative == 5
    assert model.syn1.any() and model.syn1neg.any()
    assert [each.filename for each in warned] == [__file__]  # where the user's call is


def test_a_seed_decides_everything_in_deterministic_mode() -> None:
    settings = {"vector_size": 12, "min_count": 1, "deterministic": True, **HS}
    first = Word2Vec(zipfian(), workers=1, seed=3, **settings)
    second = Word2Vec(zipfian(), workers=4, seed=3, **settings)
    third = Word2Vec(zipfian(), workers=1, seed=4, **settings)
    assert np.array_equal(first.wv.vectors, second.wv.vectors)
    assert np.array_equal(first.syn1, second.syn1)
    assert not np.allclose(first.wv.vectors, third.wv.vectors)


@pytest.mark.parametrize("window", [5, 5000])
@pytest.mark.parametrize("mode", MODES)
def test_threads_that_share_out_columns_agree(mode: dict[str, int], window: int) -> None:
    # 100 dimensions are enough for two threads, whose parts are of different width.
    settings = {"vector_size": 100, "min_count": 1, "deterministic": True, "window": window, **mode}
    one, two = (Word2Vec(zipfian(), workers=workers, **settings) for workers in (1, 2))
    assert np.array_equal(one.wv.vectors, two.wv.vectors)
    for outputs in ("_nodes", "_negatives"):
        if getattr(one, outputs) is not None:
            assert getattr(one, outputs).any()
            assert np.array_equal(getattr(one, outputs), getattr(two, outputs))


def test_the_defaults_are_gensims() -> None:
    gensim = pytest.importorskip("gensim.models")
    theirs = inspect.signature(gensim.Word2Vec).parameters
    ours = inspect.signature(Word2Vec).parameters
    shared = {name: each.default for name, each in ours.items() if name in theirs}
    assert shared == {name: each.default for name, each in theirs.items()}
    assert list(ours)[: len(theirs)] == list(theirs)
    for method in ("train", "build_vocab_from_freq", "predict_output_word"):
        theirs = inspect.signature(getattr(gensim.Word2Vec, method)).parameters
        names = [name for name in theirs if name != "kwargs"]
        assert list(inspect.signature(getattr(Word2Vec, method)).parameters)[: len(names)] == names


def test_first_vectors_are_gensims_with_compat() -> None:
    gensim = pytest.importorskip("gensim.models")
    ours = Word2Vec(compat="gensim", seed=5, **TINY)
    ours.build_vocab(zipfian())
    theirs = gensim.Word2Vec(seed=5, **TINY)
    theirs.build_vocab(zipfian())
    assert ours.wv.index_to_key == theirs.wv.index_to_key
    assert np.array_equal(ours.wv.vectors, theirs.wv.vectors)


def test_first_vectors_are_small_and_depend_on_the_seed_only() -> None:
    def start(seed: int, compat: str | None = None, size: int = 128) -> np.ndarray:
        model = Word2Vec(vector_size=size, min_count=1, seed=seed, compat=compat)
        model.build_vocab([[f"w{i}" for i in range(1200)]])
        return model.wv.vectors

    drawn = start(1) * 128
    assert -1 <= drawn.min() < -0.999 and 0.999 < drawn.max() < 1
    assert abs(drawn.mean()) < 0.01 and abs(drawn.var() - 1 / 3) < 0.004
    assert len(np.unique(drawn[:, 0])) > 1195  # no row comes twice
    assert np.array_equal(start(1), start(1))
    assert not np.array_equal(start(1), start(2))
    # word2vec.c knows one seed; its first values, computed by hand from its generator.
    c = start(7, "word2vec.c", size=4)
    state, expected = 1, []
    for _ in range(4):
        state = (state * 25214903917 + 11) % 2**64
        expected.append(((state & 0xFFFF) / 65536 - 0.5) / 4)
    assert np.array_equal(c[0], np.float32(expected))


def test_training_makes_no_dictionary_of_words() -> None:
    model = Word2Vec(zipfian(), **HS, **TINY)
    assert model.wv._key_to_index is None
    assert model.wv.key_to_index == {word: i for i, word in enumerate(model.wv.index_to_key)}
    assert model.wv.key_to_index is model.wv.key_to_index


def test_training_on_a_file_makes_no_strings_of_words(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("\n".join(" ".join(sentence) for sentence in zipfian()), encoding="utf-8")
    model = Word2Vec(corpus_file=str(text), **HS, **TINY)
    words = Word2Vec(zipfian(), **HS, **TINY).wv.index_to_key
    assert isinstance(model.wv._keys, PackedWords) and len(model.wv) == len(words)
    before = model.estimate_memory()["vocab"]
    assert before < Word2Vec(zipfian(), **HS, **TINY).estimate_memory()["vocab"] / 2
    twin = pickle.loads(pickle.dumps(model.wv))
    model.train(corpus_file=text, total_examples=model.corpus_count, epochs=1)
    assert model.wv.index_to_key == words and type(model.wv.index_to_key) is list
    assert twin.index_to_key == words and twin.key_to_index == model.wv.key_to_index
    assert model.wv.index_to_key is model.wv.index_to_key
    model.wv.index_to_key[0] = "changed"  # gensim's is a plain list, too; the vocabulary is not
    with pytest.raises(ValueError, match="keys of wv"):
        model.train(corpus_file=text, total_examples=model.corpus_count, epochs=1)
    assert model._vocabulary.words == words


def test_rows_are_padded_and_the_padding_stays_zero() -> None:
    model = Word2Vec(zipfian(), **HS, **TINY)
    for storage in (model._inputs, model._nodes):
        assert storage.shape == (60, 16)
        assert storage.ctypes.data % 64 == 0
        assert not storage[:, 12:].any()
    assert np.shares_memory(model.wv.vectors, model._inputs)
    assert model.syn1.shape == (60, 12)
    assert not model.syn1[-1].any()  # gensim's unused row
    assert np.array_equal(model.syn1[58], model._nodes[1, :12])  # the root


def test_vectors_that_the_user_assigned_are_trained() -> None:
    model = Word2Vec(negative=0, hs=1, **TINY)
    sentences = zipfian()
    model.build_vocab(sentences)
    assigned = np.full((60, 12), 0.01, np.float32)
    model.wv.vectors = assigned.copy()
    model.train(sentences, total_examples=300, epochs=1)
    assert not np.array_equal(model.wv.vectors, assigned)
    assert np.shares_memory(model.wv.vectors, model._inputs)
    model.syn1 = np.zeros((60, 12))
    assert not model._nodes.any()


def test_a_reordered_wv_is_refused() -> None:
    sentences = zipfian()
    model = Word2Vec(sentences, sorted_vocab=0, **HS, **TINY)
    model.wv.sort_by_descending_frequency()
    with pytest.raises(ValueError, match="keys of wv are not those"):
        model.train(sentences, total_examples=300, epochs=1)


def test_freezing_words_and_outputs() -> None:
    sentences = zipfian()
    model = Word2Vec(sentences, **HS, **TINY)
    vectors, nodes = model.wv.vectors.copy(), model.syn1.copy()

    model.freeze(["w0", "w7"])
    model.freeze(outputs=True)
    model.train(sentences, total_examples=300, epochs=1)
    changed = (model.wv.vectors != vectors).any(1)
    still = [model.wv.key_to_index[word] for word in ("w0", "w7")]
    assert not changed[still].any() and changed.sum() > 50
    assert np.array_equal(model.syn1, nodes)

    vectors = model.wv.vectors.copy()
    model.unfreeze()
    model.freeze()
    model.train(sentences, total_examples=300, epochs=1)
    assert np.array_equal(model.wv.vectors, vectors)
    assert not np.array_equal(model.syn1, nodes)

    model.wv.vectors_lockf = np.ones(3, np.float32)
    with pytest.raises(ValueError, match="vectors_lockf"):
        model.train(sentences, total_examples=300, epochs=1)


def test_a_warm_start_copies_shared_words() -> None:
    known = KeyedVectors(12)
    known.add_vectors(["w0", "w1", "elsewhere"], np.eye(3, 12, dtype=np.float32))
    sentences = zipfian()
    model = Word2Vec(**HS, **TINY)
    with pytest.raises(RuntimeError, match="build vocabulary"):
        model.init_from(known)
    model.build_vocab(sentences)
    assert model.init_from(known, freeze=True) == 2
    model.train(sentences, total_examples=300, epochs=1)
    assert np.array_equal(model.wv["w1"], np.eye(3, 12)[1])
    assert "elsewhere" not in model.wv
    with pytest.raises(ValueError, match="vector_size is 12, not 5"):
        model.init_from(KeyedVectors(5))


def test_vectors_read_from_a_file_can_stay_fixed(tmp_path: Path) -> None:
    known = KeyedVectors(12)
    known.add_vectors(["w0", "w1"], np.eye(2, 12, dtype=np.float32))
    known.save_word2vec_format(tmp_path / "known.txt")
    model = Word2Vec(**HS, **TINY)
    model.build_vocab(zipfian())
    model.wv.vectors_lockf = np.ones(len(model.wv), np.float32)
    model.wv.intersect_word2vec_format(tmp_path / "known.txt", lockf=0.0)
    model.train(zipfian(), total_examples=300, epochs=1)
    assert np.array_equal(model.wv["w1"], np.eye(2, 12)[1])
    assert np.abs(model.wv["w2"]).max() > 0.5 / 12


def test_an_encoded_corpus_serves_many_models(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(map(" ".join, zipfian())))
    settings = {"deterministic": True, **HS, **TINY}
    expected = Word2Vec(zipfian(), **settings)
    cached = Word2Vec(corpus_file=path, cache=tmp_path / "ids", **settings)
    assert np.array_equal(cached.wv.vectors, expected.wv.vectors)
    corpus = EncodedCorpus.load(tmp_path / "ids")
    for sentences in (corpus, path):
        model = Word2Vec(sentences, cache=tmp_path / "ids", **settings)
        assert np.array_equal(model.wv.vectors, expected.wv.vectors)
    model = Word2Vec(**settings)
    model.build_vocab(corpus)
    model.train(corpus, total_examples=model.corpus_count, epochs=5)
    assert np.array_equal(model.wv.vectors, expected.wv.vectors)


def test_walks_of_integers() -> None:
    ids = np.array([[int(word[1:]) for word in sentence] for sentence in zipfian()])
    settings = {"deterministic": True, **HS, **TINY}
    walks = Word2Vec(ids, **settings)
    words = Word2Vec([[str(i) for i in row] for row in ids.tolist()], **settings)
    assert walks.wv.index_to_key == words.wv.index_to_key
    assert np.array_equal(walks.wv.vectors, words.wv.vectors)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_models_of_their_own(copied: Callable[[Word2Vec], Word2Vec]) -> None:
    model = Word2Vec(zipfian(), deterministic=True, **HS, **TINY)
    other = copied(model)
    before = model.wv.vectors.copy()
    for each in (other, model):
        each.train(zipfian(), total_examples=300, epochs=1)
        if each is other:
            assert np.array_equal(model.wv.vectors, before)
    assert np.array_equal(other.wv.vectors, model.wv.vectors)
    assert np.array_equal(other.syn1, model.syn1)
    assert not np.array_equal(other.wv.vectors, before)


def test_the_learning_rate_falls_to_its_end() -> None:
    seen: list[float] = []

    class Watcher:
        def on_progress(self, model: Word2Vec, progress: callbacks.Progress) -> None:
            seen.append(progress.alpha)

    model = Word2Vec(
        zipfian(), alpha=0.05, min_alpha=0.01, epochs=4, callbacks=[Watcher()], **HS, **TINY
    )
    assert seen[0] == 0.05 and seen == sorted(seen, reverse=True)
    chunk = 256 / (4 * 6000)  # of the run, within which the rate is constant
    assert 0.01 <= seen[-1] <= 0.01 + 2 * chunk * 0.04
    assert model.min_alpha_yet_reached == seen[-1]


def test_the_memory_estimate_counts_what_is_there() -> None:
    model = Word2Vec(zipfian(), **HS, **TINY)
    report = model.estimate_memory()
    assert report["total"] == sum(v for k, v in report.items() if k != "total")
    assert report["vectors"] == model._inputs.nbytes
    assert report["syn1"] == model._nodes.nbytes
    tree = model.tree
    assert report["tree"] == tree.nbytes
    assert report["ids"] == 6000 * 4 + 301 * 4
    assert "syn1neg" not in report
    larger = model.estimate_memory(vocab_size=1000, report={"mine": 5}, corpus_words=10**6)
    assert larger["mine"] == 5 and larger["vectors"] == 1000 * 64
    assert larger["ids"] > 4 * 10**6


def test_what_does_not_fit_is_refused_before_it_is_allocated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_memory, "available_memory", lambda: 16 * 10**9)
    model = Word2Vec(vector_size=10**9, min_count=1)
    with pytest.raises(MemoryError, match=r"60 words in 1,000,000,000 dimensions need 480.* GB"):
        model.build_vocab(zipfian())
    small = Word2Vec(zipfian(), **HS, **TINY)
    before = small.wv.vectors.copy()
    monkeypatch.setattr(_memory, "available_memory", lambda: 10)
    with pytest.raises(MemoryError, match="smaller vector_size"):
        small.build_vocab([["new"] * 5], update=True)
    assert np.array_equal(small.wv.vectors, before) and "new" not in small.wv


def test_available_memory_is_known_here() -> None:
    available = _memory.available_memory()
    assert available is not None and 10**6 < available < 10**15


def test_str_and_older_names() -> None:
    model = Word2Vec(zipfian(), **HS, **TINY)
    assert str(model) == "Word2Vec<vocab=60, vector_size=12, alpha=0.025>"
    assert model.threads == model.workers == 1 and model.layer1_size == 12
    with pytest.raises(AttributeError, match="no longer needed"):
        model.init_sims()
    with pytest.raises(AttributeError, match=r"model\.wv\.most_similar"):
        model.most_similar("w0")
    with pytest.raises(AttributeError, match=r"syn1neg exists with negative > 0"):
        _ = model.syn1neg
    assert hasattr(model, "syn1") and not hasattr(model, "syn1neg")
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = model.nonsense


def test_reset_from_takes_the_vocabulary_and_new_weights() -> None:
    trained = Word2Vec(zipfian(), **HS, **TINY)
    other = Word2Vec(**{**TINY, "vector_size": 7})
    other.reset_from(trained)
    assert other.wv.index_to_key == trained.wv.index_to_key
    assert other.wv.vectors.shape == (60, 7)
    assert other.corpus_count == 300
    other.train(zipfian(), total_examples=300, epochs=1)
    assert other.syn1neg.any()


def test_nothing_but_numpy_is_needed() -> None:
    code = """
import sys
from fastrnn import Word2Vec
model = Word2Vec([["a", "b"]] * 5, hs=1, negative=0, vector_size=4)
model.wv.most_similar("a"), model.score([["a", "b"]]), model.predict_output_word(["a"])
print(sorted({"torch", "gensim", "tqdm", "scipy", "sklearn", "matplotlib"} & set(sys.modules)))
"""
    assert python_output(code) == "[]"


def test_docstring_examples() -> None:
    import doctest

    from fastrnn.word2vec import model

    assert doctest.testmod(model).attempted >= 4
    assert doctest.testmod(model).failed == 0
