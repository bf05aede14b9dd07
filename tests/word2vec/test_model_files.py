"""Whole models in files: nothing is lost, damage is noticed, the old file survives."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from small_corpora import zipfian

from fastrnn import Word2Vec

TINY = {"vector_size": 12, "min_count": 1, "workers": 1}
MODES = [{"hs": 1, "negative": 0}, {"negative": 5}]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mmap", [None, "r"])
def test_everything_comes_back(mode: dict[str, int], mmap: str | None, tmp_path: Path) -> None:
    model = Word2Vec(
        zipfian(), sg=1, window=3, seed=9, comment="mine", compute_loss=True, **mode, **TINY
    )
    model.freeze(["w3"])
    model.save(tmp_path / "model")
    loaded = Word2Vec.load(tmp_path / "model", mmap=mmap)
    assert np.array_equal(loaded.wv.vectors, model.wv.vectors)
    assert loaded.wv.index_to_key == model.wv.index_to_key
    assert np.array_equal(loaded.counts, model.counts)
    assert np.array_equal(loaded.wv.vectors_lockf, model.wv.vectors_lockf)
    for name in ("sg", "window", "seed", "comment", "hs", "negative", "corpus_count", "epochs"):
        assert getattr(loaded, name) == getattr(model, name)
    assert loaded.loss_history == model.loss_history
    assert loaded.get_latest_training_loss() == model.get_latest_training_loss() > 0
    assert loaded.training_position == model.training_position
    if model.hs:
        assert np.array_equal(loaded.syn1, model.syn1)
        assert np.array_equal(loaded.word_probabilities(["w1"]), model.word_probabilities(["w1"]))
        assert np.array_equal(loaded.score(zipfian(5)), model.score(zipfian(5)))
    else:
        assert np.array_equal(loaded.syn1neg, model.syn1neg)
    loaded.train(zipfian(), total_examples=300, epochs=1)  # a mapped model is copied first
    assert not np.array_equal(loaded.wv.vectors, model.wv.vectors)
    assert np.array_equal(Word2Vec.load(tmp_path / "model").wv.vectors, model.wv.vectors)


def test_models_without_vocabulary_or_training(tmp_path: Path) -> None:
    Word2Vec(**TINY, alpha=0.5).save(tmp_path / "empty")
    loaded = Word2Vec.load(tmp_path / "empty")
    assert loaded.alpha == 0.5 and len(loaded.wv) == 0
    loaded.build_vocab(zipfian())
    loaded.save(tmp_path / "built")
    built = Word2Vec.load(tmp_path / "built")
    built.train(zipfian(), total_examples=300, epochs=1)


def test_a_grown_model_comes_back(tmp_path: Path) -> None:
    model = Word2Vec(zipfian(), hs=1, negative=0, **TINY)
    model.build_vocab([["new", "newer"]], update=True)
    model.save(tmp_path / "grown")
    loaded = Word2Vec.load(tmp_path / "grown")
    context = ["w0", "new"]
    assert np.array_equal(loaded.word_probabilities(context), model.word_probabilities(context))


def test_a_vocabulary_comes_back_as_what_it_is(tmp_path: Path) -> None:
    """A model of compat word2vec.c may have words that another kind of model chose."""
    for compat, source in (("word2vec.c", None), (None, "word2vec.c")):
        other = Word2Vec(zipfian(), compat=source, **TINY)
        model = Word2Vec(compat=compat, **TINY)
        model.reset_from(other)
        model.save(tmp_path / "model")
        loaded = Word2Vec.load(tmp_path / "model")
        assert (loaded.compat, loaded._vocabulary.compat) == (compat, source)
        for each in (model, loaded):
            each.train(zipfian(), total_examples=300, epochs=1)
        assert model.epoch_reports[0].words == sum(map(len, zipfian()))  # w0 among them
        assert loaded.epoch_reports[0].words == model.epoch_reports[0].words
        assert np.array_equal(loaded.wv.vectors, model.wv.vectors)
        model.build_vocab([["w0", "new\x0cword", "</s>"]], update=True)
        lines = int(source == "word2vec.c")
        assert model.wv.index_to_key[len(loaded.wv) :] == ["new\x0cword", "</s>"][: 2 - lines]


def test_an_objective_switched_off_comes_back(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Both hierarchical softmax"):
        model = Word2Vec(zipfian(), hs=1, negative=5, **TINY)
    model.hs = 0
    model.train(zipfian(), total_examples=300, epochs=1)
    model.save(tmp_path / "model")
    loaded = Word2Vec.load(tmp_path / "model")
    assert loaded.hs == 0
    assert np.array_equal(loaded.syn1, model.syn1)
    assert np.array_equal(loaded.score(zipfian(5)), model.score(zipfian(5)))


def test_pickles_are_refused_with_advice(tmp_path: Path) -> None:
    for protocol in (2, 4, 5):
        (tmp_path / "theirs").write_bytes(pickle.dumps({"a": 1}, protocol))
        with pytest.raises(ValueError, match=r"from_gensim\(gensim\.models\.Word2Vec\.load"):
            Word2Vec.load(tmp_path / "theirs")


def test_other_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Word2Vec.load(tmp_path / "missing")
    path = tmp_path / "file"
    for content in (b"", b"60 12\nw0 0.1", b"\x93fastrnn"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="file"):
            Word2Vec.load(path)
    Word2Vec(zipfian(), hs=1, negative=0, **TINY).save(path)
    whole = path.read_bytes()
    for size in (40, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="file"):
            Word2Vec.load(path)
    changed = whole.replace(b'"vector_size":12', b'"vector_size":99')
    assert changed != whole
    path.write_bytes(changed)
    with pytest.raises(ValueError, match="no whole word2vec model"):
        Word2Vec.load(path)
    vectors = tmp_path / "vectors"
    Word2Vec(zipfian(), **TINY).wv.save(vectors)
    with pytest.raises(ValueError, match="kind"):
        Word2Vec.load(vectors)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Word2Vec(zipfian(), **TINY)
    path = tmp_path / "model"
    model.save(path)
    before = path.read_bytes()
    model.train(zipfian(), total_examples=300, epochs=1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fastrnn.word2vec._formats.container._write_array", full)
    with pytest.raises(OSError, match="No space left"):
        model.save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["model"]
