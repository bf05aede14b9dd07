"""Interrupted training that goes on ends where uninterrupted training does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_corpora import zipfian

from fastrnn import Word2Vec
from fastrnn.word2vec import callbacks

SENTENCES = zipfian(1500, 20, 80)
STRICT = {"vector_size": 12, "min_count": 1, "strict": True, "epochs": 4, "alpha": 0.05}
MODES = [{"hs": 1, "negative": 0}, {"negative": 3}, {"hs": 1, "negative": 0, "sg": 1}]


class Stop(Exception):
    pass


class StopsAt(callbacks.CallbackAny2Vec):
    """Raises in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_progress(self, model: Word2Vec, progress: callbacks.Progress) -> None:
        done = progress.words / progress.total_words * progress.epochs - progress.epoch
        if progress.epoch == self.epoch and 0 < done < 1:
            raise Stop


def assert_same(first: Word2Vec, second: Word2Vec) -> None:
    assert np.array_equal(first.wv.vectors, second.wv.vectors)
    for name in ("syn1", "syn1neg"):
        assert hasattr(first, name) == hasattr(second, name)
        if hasattr(first, name):
            assert np.array_equal(getattr(first, name), getattr(second, name))


@pytest.fixture
def always_reporting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports at every chance, so that small texts can be stopped in mid-epoch."""
    monkeypatch.setattr("fastrnn.word2vec._running.REPORT_SECONDS", 0.0)


@pytest.mark.parametrize("mode", MODES)
def test_strict_training_resumes_bit_by_bit(mode: dict[str, int], tmp_path: Path) -> None:
    whole = Word2Vec(SENTENCES, **STRICT, **mode)
    model = Word2Vec(**STRICT, **mode)
    model.build_vocab(SENTENCES)

    def stop_after_first(model: Word2Vec) -> float:
        model.stop_training = True
        return 0.0

    stopping = callbacks.EarlyStopping(stop_after_first)
    model.train(SENTENCES, total_examples=1500, epochs=4, callbacks=[stopping])
    assert model.training_position.epoch == 1
    model.save(tmp_path / "stopped")
    loaded = Word2Vec.load(tmp_path / "stopped")
    assert loaded.training_position == model.training_position
    loaded.train(SENTENCES, resume=True)
    assert loaded.training_position.finished
    assert_same(loaded, whole)
    assert loaded.train(SENTENCES, resume=True) == (0, 0)  # nothing is left to do
    assert_same(loaded, whole)


@pytest.mark.usefixtures("always_reporting")
@pytest.mark.parametrize("mode", MODES)
def test_in_the_middle_of_an_epoch(mode: dict[str, int], tmp_path: Path) -> None:
    text = zipfian(10_000, 20, 500)  # long enough to be caught in mid-epoch
    settings = {**STRICT, **mode, "epochs": 2, "compute_loss": True}
    settings["vector_size"] = 128 if "sg" in mode else 640
    whole = Word2Vec(text, **settings)
    model = Word2Vec(**settings)
    model.build_vocab(text)
    with pytest.raises(Stop):
        model.train(text, total_examples=10_000, epochs=2, callbacks=[StopsAt(epoch=1)])
    position = model.training_position
    assert position.epoch == 1 and 0 < position.sentence < 10_000
    assert model.epoch_reports[1].words == position.sentence * 20
    assert not np.array_equal(model.wv.vectors, whole.wv.vectors)
    assert model.wv.most_similar("w0")
    model.save(tmp_path / "stopped")

    loaded = Word2Vec.load(tmp_path / "stopped")
    kept, words = loaded.train(text, resume=True)
    assert_same(loaded, whole)
    assert [each.words for each in loaded.epoch_reports] == [200_000, 200_000]
    assert loaded.loss_history == pytest.approx(whole.loss_history, rel=1e-12)
    assert 0 < kept < words == 200_000 - position.sentence * 20


@pytest.mark.usefixtures("always_reporting")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ["strict", "deterministic"])
def test_checkpoints_change_nothing(mode: dict[str, int], how: str, tmp_path: Path) -> None:
    settings = {**STRICT, "strict": how == "strict", "deterministic": how != "strict", **mode}
    plain = Word2Vec(SENTENCES, compute_loss=True, **settings)
    path = tmp_path / "checkpoint"
    saved = []

    class Counting(callbacks.Checkpoint):
        def save(self, model: Word2Vec) -> None:
            super().save(model)
            saved.append(model.training_position.as_dict())

    model = Word2Vec(
        SENTENCES, compute_loss=True, checkpoint=Counting(path, seconds=0.0), **settings
    )
    assert_same(model, plain)
    assert model.loss_history == pytest.approx(plain.loss_history, rel=1e-12)
    ends = [place for place in saved if place["sentence"] == 0]
    assert [place["epoch"] for place in ends][-1] == 4
    assert_same(Word2Vec.load(path), plain)


@pytest.mark.parametrize("mode", MODES)
def test_the_last_checkpoint_of_a_crash_goes_on(mode: dict[str, int], tmp_path: Path) -> None:
    class Crash(callbacks.CallbackAny2Vec):
        def on_epoch_begin(self, model: Word2Vec) -> None:
            if len(model.epoch_reports) == 2:
                raise Stop

    path = tmp_path / "checkpoint"
    with pytest.raises(Stop):
        Word2Vec(SENTENCES, callbacks=[Crash()], checkpoint=path, **STRICT, **mode)
    model = Word2Vec.load(path)
    assert model.training_position.epoch == 2
    assert len(model.loss_history) == 2
    model.train(SENTENCES, resume=True)
    assert len(model.loss_history) == 4
    assert_same(model, Word2Vec(SENTENCES, **STRICT, **mode))


def test_two_trainings_differ_from_each_other_but_not_after_loading(tmp_path: Path) -> None:
    model = Word2Vec(SENTENCES, hs=1, negative=0, **STRICT)
    model.save(tmp_path / "model")
    loaded = Word2Vec.load(tmp_path / "model")
    for each in (model, loaded):
        each.train(SENTENCES, total_examples=1500, epochs=2)
    assert_same(model, loaded)


def test_another_text_is_refused() -> None:
    model = Word2Vec(SENTENCES, **STRICT)
    with pytest.raises(ValueError, match="not the text of the run to be resumed"):
        model.train(SENTENCES[:-1], resume=True)
    model.build_vocab([["new"] * 3], update=True)
    with pytest.raises(RuntimeError, match="no interrupted training"):
        model.train(SENTENCES, resume=True)
