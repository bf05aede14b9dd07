"""Callbacks: gensim's protocol, early stopping, progress, and errors in them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_corpora import zipfian

from fastrnn import Word2Vec
from fastrnn.word2vec import EncodedCorpus, callbacks

TINY = {"vector_size": 12, "min_count": 1, "workers": 1, "hs": 1, "negative": 0}


class Recorder:
    """No subclass of anything: the methods are what counts."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> object:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda model, *rest: self.calls.append(name)


def test_order_of_calls() -> None:
    recorder = Recorder()
    Word2Vec(zipfian(), epochs=2, callbacks=[recorder], **TINY)
    calls = [call for call in recorder.calls if call != "on_progress"]
    epoch = ["on_epoch_begin", "on_epoch_end"]
    assert calls == ["on_train_begin", *epoch, *epoch, "on_train_end"]
    assert recorder.calls.count("on_progress") >= 4


def test_gensims_own_callbacks() -> None:
    theirs = pytest.importorskip("gensim.models.callbacks")

    class Counter(theirs.CallbackAny2Vec):
        epochs = 0

        def on_epoch_end(self, model: Word2Vec) -> None:
            self.epochs += 1

    counter = Counter()
    model = Word2Vec(**TINY)
    model.build_vocab(zipfian())
    model.train(zipfian(), total_examples=300, epochs=3, callbacks=[counter])
    assert counter.epochs == 3


def test_progress_reaches_the_end() -> None:
    class Watcher(callbacks.CallbackAny2Vec):
        def __init__(self) -> None:
            self.seen: list[callbacks.Progress] = []

        def on_progress(self, model: Word2Vec, progress: callbacks.Progress) -> None:
            self.seen.append(progress)

    watcher = Watcher()
    Word2Vec(zipfian(), epochs=3, callbacks=[watcher], **TINY)
    words = [each.words for each in watcher.seen]
    assert words[0] == 0 and words == sorted(words) and words[-1] == 3 * 6000
    assert {each.total_words for each in watcher.seen} == {3 * 6000}
    assert watcher.seen[0].alpha == 0.025 and watcher.seen[-1].alpha < 0.005
    assert {each.epoch for each in watcher.seen} == {0, 1, 2}


def test_a_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    Word2Vec(zipfian(), epochs=2, progress=True, **TINY)
    shown = capsys.readouterr().err
    assert "epoch 2/2: 100%" in shown and "words/s" in shown and "alpha=" in shown
    Word2Vec(zipfian(), epochs=2, **TINY)
    assert capsys.readouterr() == ("", "")
    text = io.StringIO()
    bar = callbacks.ProgressBar(file=text, ascii=True)
    Word2Vec(zipfian(), epochs=2, callbacks=[bar], compute_loss=True, **TINY)
    bar.close()
    assert "loss=" in text.getvalue()


def test_an_exception_reaches_the_caller_and_training_goes_on_afterwards() -> None:
    class Failure(Exception):
        pass

    class Fails(callbacks.CallbackAny2Vec):
        def on_epoch_end(self, model: Word2Vec) -> None:
            if len(model.epoch_reports) == 2:
                raise Failure

    sentences = zipfian()
    settings = {**TINY, "epochs": 4, "strict": True}
    model = Word2Vec(**settings)
    model.build_vocab(sentences)
    with pytest.raises(Failure):
        model.train(sentences, total_examples=300, epochs=4, callbacks=[Fails()])
    assert model.training_position.epoch == 2 and not model.training_position.finished
    assert model.wv.most_similar("w0")
    model.train(sentences, resume=True)
    assert np.array_equal(model.wv.vectors, Word2Vec(sentences, **settings).wv.vectors)


def test_early_stopping_by_a_function() -> None:
    figures = iter([5.0, 4.0, 4.5, 4.2, 3.0, 9.0])
    stopping = callbacks.EarlyStopping(lambda model: next(figures), patience=1)
    model = Word2Vec(zipfian(), epochs=6, callbacks=[stopping], **TINY)
    assert stopping.history == [5.0, 4.0, 4.5, 4.2]
    assert stopping.stopped_epoch == 3 and stopping.best == 4.0
    assert len(model.epoch_reports) == 4 and model.training_position.epoch == 4
    rising = callbacks.EarlyStopping(lambda model: 0.5, mode="max")
    model.train(zipfian(), total_examples=300, epochs=9, callbacks=[rising])
    assert len(model.epoch_reports) == 2


def test_early_stopping_by_the_loss() -> None:
    stopping = callbacks.EarlyStopping("loss", min_delta=10.0)
    model = Word2Vec(zipfian(), compute_loss=True, callbacks=[stopping], **TINY)
    assert len(stopping.history) == 2  # nothing gains ten nats a word
    report = model.epoch_reports[0]
    assert stopping.history[0] == report.loss / report.pairs
    patient = callbacks.EarlyStopping("loss", patience=100)
    Word2Vec(zipfian(), compute_loss=True, callbacks=[patient], **TINY)
    assert len(patient.history) == 5 and patient.stopped_epoch is None


def test_vectors_seen_by_callbacks_are_the_current_ones() -> None:
    class Watcher(callbacks.CallbackAny2Vec):
        def __init__(self) -> None:
            self.similarities: list[float] = []

        def on_progress(self, model: Word2Vec, progress: callbacks.Progress) -> None:
            self.on_epoch_end(model)

        def on_epoch_end(self, model: Word2Vec) -> None:
            a, b = model.wv["w0"], model.wv["w1"]
            cosine = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
            found = dict(model.wv.most_similar("w0", topn=60))["w1"]
            assert found == pytest.approx(cosine, rel=1e-5)
            self.similarities.append(cosine)

    watcher = Watcher()
    Word2Vec(zipfian(), callbacks=[watcher], alpha=0.1, **TINY)
    # At the beginning, then as each epoch ends and the next one begins.
    assert len(set(watcher.similarities)) == 6
    assert len(watcher.similarities) >= 15


class Between:
    """The native trainer, and what is done before it trains: as if on a slow machine."""

    position = 0

    def __init__(self, trainer: Any, first: Callable[[Callable[..., None]], None]) -> None:
        self.trainer = trainer
        self.first = first
        self.begun = False

    def train(self, *, report: Callable[..., None], **options: Any) -> dict[str, Any]:
        if not self.begun:
            self.begun = True
            self.first(report)
        result: dict[str, Any] = self.trainer.train(report=report, **options)
        self.position = self.trainer.position
        return result


def test_vectors_seen_within_an_epoch_are_the_current_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Word2Vec(**TINY)
    model.build_vocab(zipfian())
    trainer_of = model._trainer
    norms = []

    def train_a_little(report: Callable[..., None]) -> None:
        for _ in range(2):
            model._inputs *= 2  # as the native trainer does, wv not knowing
            report(9, 9, 0.0, 0.02)

    class Watcher(callbacks.CallbackAny2Vec):
        def on_progress(self, model: Word2Vec, progress: callbacks.Progress) -> None:
            model.wv.most_similar("w0")  # keeps the norms
            norms.append(float(model.wv.norms[0]))

    monkeypatch.setattr(model, "_trainer", lambda text: Between(trainer_of(text), train_a_little))
    model.train(zipfian(), total_examples=300, epochs=1, callbacks=[Watcher()])
    assert norms[:3] == pytest.approx([norms[0], 2 * norms[0], 4 * norms[0]])


def test_a_pause_before_the_first_chunk_ends_no_epoch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A slow machine may find a checkpoint due before anything of the epoch is trained."""
    plain = Word2Vec(zipfian(), strict=True, epochs=2, **TINY)
    trainer_of = Word2Vec._trainer
    recorder = Recorder()

    def pause(report: Callable[..., None]) -> None:
        report(0, 0, 0.0, 0.025)

    monkeypatch.setattr(Word2Vec, "_trainer", lambda *each: Between(trainer_of(*each), pause))
    often = callbacks.Checkpoint(tmp_path / "model", seconds=0.0)
    model = Word2Vec(
        zipfian(), strict=True, epochs=2, callbacks=[recorder], checkpoint=often, **TINY
    )
    assert recorder.calls.count("on_epoch_begin") == recorder.calls.count("on_epoch_end") == 2
    assert [each.words for each in model.epoch_reports] == [6000, 6000]
    assert np.array_equal(model.wv.vectors, plain.wv.vectors)


def test_a_text_without_known_words_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    model = Word2Vec(zipfian(), **TINY)
    before = model.wv.vectors.copy()
    ids = EncodedCorpus(np.zeros(9, np.int32), np.array([0, 9]))  # words of digits
    for text in ([["unknown"]], ids):
        caplog.clear()
        assert model.train(text, total_examples=1, epochs=1)[0] == 0
        assert "no word of the text is in the vocabulary" in caplog.text
    assert np.array_equal(model.wv.vectors, before)
