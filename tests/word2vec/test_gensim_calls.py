"""Code written for gensim, run with nothing but the import changed.

The calls are those of gensim's tutorial and docstrings; what they must give back is what a reader
of those would expect.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_corpora import TOPICS, topical, zipfian

from fastrnn.word2vec import (
    KeyedVectors,
    LineSentence,
    PathLineSentences,
    Text8Corpus,
    Word2Vec,
)
from fastrnn.word2vec.callbacks import CallbackAny2Vec


@pytest.fixture(scope="module")
def texts() -> list[list[str]]:
    return topical()


@pytest.fixture(scope="module")
def trained(texts: list[list[str]]) -> Word2Vec:
    return Word2Vec(
        sentences=texts, vector_size=24, window=4, min_count=1, workers=2, epochs=15, alpha=0.05,
        sample=0,
    )  # fmt: skip


class MyCorpus:
    """An iterable that yields sentences from a file, one at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[list[str]]:
        with self.path.open() as lines:
            for line in lines:
                yield line.lower().split()


@pytest.fixture
def text_file(tmp_path: Path, texts: list[list[str]]) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(" ".join(sentence) for sentence in texts) + "\n")
    return path


def test_docstring_examples(tmp_path: Path) -> None:
    sentences = [["cat", "say", "meow"], ["dog", "say", "woof"]]
    model = Word2Vec(sentences=sentences, vector_size=100, window=5, min_count=1, workers=4)
    model.save(str(tmp_path / "word2vec.model"))
    model = Word2Vec.load(str(tmp_path / "word2vec.model"))
    assert model.train([["hello", "world"]], total_examples=1, epochs=1) == (0, 2)

    vector = model.wv["cat"]
    assert vector.shape == (100,) and vector.dtype == np.float32
    assert len(model.wv.most_similar("cat", topn=3)) == 3

    model = Word2Vec(min_count=1)
    model.build_vocab(sentences)
    kept, words = model.train(sentences, total_examples=model.corpus_count, epochs=model.epochs)
    assert words == 30 and 0 <= kept <= 30
    assert (model.corpus_count, model.corpus_total_words) == (2, 6)

    word_vectors = model.wv
    word_vectors.save(str(tmp_path / "word2vec.wordvectors"))
    wv = KeyedVectors.load(str(tmp_path / "word2vec.wordvectors"), mmap="r")
    assert np.array_equal(wv["cat"], model.wv["cat"])


def test_a_streamed_corpus(text_file: Path) -> None:
    model = Word2Vec(sentences=MyCorpus(text_file), sample=0, alpha=0.05, epochs=15, window=4)
    assert model.corpus_count == 600
    vec_cat = model.wv["cat"]
    assert vec_cat.any()
    for index, word in enumerate(model.wv.index_to_key):
        assert model.wv.key_to_index[word] == index
    assert model.wv.index_to_key[0] in {"the", "a"}
    with pytest.raises(KeyError, match="cameroon"):
        model.wv["cameroon"]


def test_the_queries_of_the_tutorial(trained: Word2Vec, texts: list[list[str]]) -> None:
    wv = trained.wv
    near, far = wv.similarity("cat", "dog"), wv.similarity("cat", "storm")
    assert near > far
    assert {word for word, _ in wv.most_similar(positive=["hammer", "saw"], topn=4)} <= {
        *TOPICS["tools"],
        "the",
        "a",
    }
    odd = wv.doesnt_match(["rain", "snow", "wrench", "fog"])
    assert odd == "wrench"
    assert wv.most_similar(positive=["cat", "rain"], negative=["dog"])[0][0] in TOPICS["weather"]
    assert "cat" in wv and "submarine" not in wv
    assert wv.get_vecattr("cat", "count") == sum(each.count("cat") for each in texts)
    assert len(wv) == len(wv.index_to_key) == len(wv.vectors) == 26


def test_min_count_and_vector_size(texts: list[list[str]]) -> None:
    rare = [*texts, ["once"]]
    assert "once" not in Word2Vec(rare, min_count=10).wv
    assert Word2Vec(rare, min_count=1, vector_size=7).wv["once"].shape == (7,)
    assert len(Word2Vec(texts, max_final_vocab=5).wv) <= 5


def test_resuming_with_more_sentences(tmp_path: Path, trained: Word2Vec) -> None:
    trained.save(str(tmp_path / "model"))
    model = Word2Vec.load(str(tmp_path / "model"))
    more = [["cat", "eats", "submarine", "dog", "drives", "submarine"]] * 30
    model.build_vocab(more, update=True)
    model.train(more, total_examples=model.corpus_count, epochs=model.epochs)
    assert "submarine" in model.wv and len(model.wv) == len(trained.wv) + 3
    assert model.corpus_count == 30


def test_loss_callbacks_as_people_write_them(
    texts: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    class LossLogger(CallbackAny2Vec):
        def __init__(self) -> None:
            self.epoch = 0
            self.loss_previous_step = 0.0

        def on_epoch_end(self, model: Word2Vec) -> None:
            loss = model.get_latest_training_loss()
            print(f"Loss after epoch {self.epoch}: {loss - self.loss_previous_step}")
            self.epoch += 1
            self.loss_previous_step = loss

    model = Word2Vec(
        texts, min_count=1, compute_loss=True, hs=0, sg=1, seed=42, callbacks=[LossLogger()],
        sample=0,
    )  # fmt: skip
    printed = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()]
    assert printed == pytest.approx(model.loss_history)
    assert printed[-1] < printed[0]


def test_saving_each_epoch(tmp_path: Path, texts: list[list[str]]) -> None:
    class EpochSaver(CallbackAny2Vec):
        def __init__(self, path_prefix: str) -> None:
            self.path_prefix = path_prefix
            self.epoch = 0

        def on_epoch_end(self, model: Word2Vec) -> None:
            model.save(f"{self.path_prefix}_epoch{self.epoch}.model")
            self.epoch += 1

    Word2Vec(texts, epochs=3, callbacks=[EpochSaver(str(tmp_path / "m"))])
    models = [Word2Vec.load(tmp_path / f"m_epoch{i}.model") for i in range(3)]
    assert not np.array_equal(models[0].wv.vectors, models[2].wv.vectors)


def test_corpus_files_and_readers(tmp_path: Path, text_file: Path, texts: list[list[str]]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    lines = text_file.read_text().splitlines(keepends=True)
    (folder / "a.txt").write_text("".join(lines[:250]))
    (folder / "b.txt").write_text("".join(lines[250:]))
    settings = {"vector_size": 8, "deterministic": True, "hs": 1, "negative": 0}
    expected = Word2Vec(texts, **settings).wv.vectors
    for model in (
        Word2Vec(corpus_file=str(text_file), **settings),
        Word2Vec(LineSentence(str(text_file)), **settings),
        Word2Vec(PathLineSentences(str(folder)), **settings),
        Word2Vec(text_file, **settings),
        Word2Vec(folder, **settings),
        Word2Vec((sentence for sentence in texts), **settings),
    ):
        assert np.array_equal(model.wv.vectors, expected)
    running = Word2Vec(Text8Corpus(str(text_file)), **settings)
    assert running.corpus_count == 1 and running.corpus_total_words == 7200


def test_two_steps_over_a_file(text_file: Path) -> None:
    model = Word2Vec(vector_size=24, min_count=1, sg=1, hs=1, negative=0, workers=2)
    model.build_vocab(corpus_file=str(text_file), progress_per=1000)
    model.train(
        corpus_file=str(text_file),
        total_words=model.corpus_total_words,
        total_examples=model.corpus_count,
        epochs=model.epochs,
        report_delay=1,
    )
    assert model.score([["cat", "dog", "cow"]])[0] > model.score([["cat", "storm", "saw"]])[0]


def test_the_trim_rule_is_asked_while_pruning() -> None:
    gensim = pytest.importorskip("gensim.models")
    text = [["keep"], *([f"once{i}"] for i in range(9)), ["often", "often", "drop", "drop"]]

    def rule(word: str, count: int, min_count: int) -> int:
        return {"keep": 2, "drop": 1}.get(word, 0)

    found = []
    for kind in (Word2Vec, gensim.Word2Vec):
        for chosen in (None, rule):
            model = kind(vector_size=4, min_count=1, max_vocab_size=3)
            model.build_vocab(text, trim_rule=chosen)
            found.append(sorted(model.wv.index_to_key))
    assert found[:2] == found[2:]
    assert "keep" in found[1] and "keep" not in found[0]  # pruned before min_count is asked


def test_build_vocab_splits_text_as_the_constructor_does(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("a\x0cb c\nc d\x0bd c\n", encoding="utf-8")
    for compat, words in (
        ("word2vec.c", ["</s>", "c", "a\x0cb", "d\x0bd"]),
        (None, ["c", "d", "a", "b"]),
    ):
        whole = Word2Vec(path, vector_size=4, min_count=1, compat=compat)
        parts = Word2Vec(vector_size=4, min_count=1, compat=compat)
        parts.build_vocab(corpus_file=str(path))
        parts.train(corpus_file=str(path), total_examples=parts.corpus_count, epochs=5)
        assert parts.wv.index_to_key == whole.wv.index_to_key == words
        assert parts.counts.tolist() == whole.counts.tolist()
        assert parts.epoch_reports[0].words == whole.epoch_reports[0].words > 0


def test_trim_rule_and_frequencies() -> None:
    def rule(word: str, count: int, min_count: int) -> int:
        return {"keep": 2, "drop": 1}.get(word, 0)

    model = Word2Vec(min_count=3)
    model.build_vocab([["keep"], ["drop"] * 9, ["often"] * 4], trim_rule=rule)
    assert set(model.wv.index_to_key) == {"keep", "often"}
    model = Word2Vec(min_count=1)
    model.build_vocab_from_freq({"apple": 5, "pear": 9}, corpus_count=3)
    assert model.wv.index_to_key == ["pear", "apple"] and model.corpus_count == 3


def test_manual_learning_rates(caplog: pytest.LogCaptureFixture) -> None:
    texts = zipfian()
    model = Word2Vec(min_count=1, hs=1, negative=0)
    model.build_vocab(texts)
    alpha = 0.025
    for _ in range(3):
        model.train(
            texts, total_examples=model.corpus_count, epochs=1, start_alpha=alpha, end_alpha=alpha
        )
        assert model.min_alpha_yet_reached == pytest.approx(alpha)
        alpha -= 0.002
    assert model.alpha == 0.025  # as gensim documents, though not as it does
    with caplog.at_level(logging.WARNING):
        model.train(texts, total_examples=10 * len(texts), epochs=1)
    assert "supplied total_examples (3000) did not equal" in caplog.text
    assert model.min_alpha_yet_reached > 0.02  # the slope is as long as the caller says


def test_to_gensim_and_back(texts: list[list[str]]) -> None:
    pytest.importorskip("gensim")
    ours = Word2Vec(texts, vector_size=24, sample=0, hs=1, negative=0, sg=1, epochs=10)
    theirs = ours.to_gensim()
    mine, other = ours.wv.most_similar("cat"), theirs.wv.most_similar("cat")
    assert [word for word, _ in mine] == [word for word, _ in other]
    np.testing.assert_allclose([s for _, s in mine], [s for _, s in other], rtol=1e-5)
    assert theirs.score([["cat", "dog"]])[0] == pytest.approx(
        ours.score([["cat", "dog"]])[0], abs=0.3
    )
    theirs.train(texts, total_examples=600, epochs=1)  # gensim goes on with it
    assert not np.array_equal(theirs.wv.vectors, ours.wv.vectors)

    back = Word2Vec.from_gensim(theirs, deterministic=True)
    assert back.wv.index_to_key == ours.wv.index_to_key and back.deterministic
    assert np.array_equal(back.wv.vectors, theirs.wv.vectors)
    assert np.array_equal(back.syn1, theirs.syn1)
    for word in range(len(back.wv)):
        for a, b in zip(back.tree.path(word), ours.tree.path(word)):
            assert np.array_equal(a, b)
    assert np.array_equal(back.counts, ours.counts)
    back.train(texts, total_examples=600, epochs=1)


@pytest.mark.parametrize("mode", [{"hs": 1, "negative": 0}, {"negative": 5}])
def test_a_model_that_gensim_trained(mode: dict[str, int], texts: list[list[str]]) -> None:
    gensim = pytest.importorskip("gensim.models")
    theirs = gensim.Word2Vec(texts, vector_size=24, **mode)
    ours = Word2Vec.from_gensim(theirs)
    context = ["cat", "dog"]
    if ours.hs:
        np.testing.assert_allclose(ours.score([context]), theirs.score([context]), rtol=0, atol=0.3)
    else:
        found, expected = ours.predict_output_word(context), theirs.predict_output_word(context)
        assert [word for word, _ in found] == [word for word, _ in expected]
    again = ours.to_gensim()
    assert np.array_equal(again.wv.vectors, theirs.wv.vectors)
    if ours.hs:
        for key in ("code", "point"):
            for a, b in zip(again.wv.expandos[key], theirs.wv.expandos[key]):
                assert np.array_equal(a, b)


def test_from_gensim_with_other_choices(texts: list[list[str]]) -> None:
    """The words stay gensim's: none of them stands for line ends."""
    gensim = pytest.importorskip("gensim.models")
    theirs = gensim.Word2Vec(texts, vector_size=8, negative=1, ns_exponent=9, sample=0)
    ours = Word2Vec.from_gensim(theirs, compat="word2vec.c", epochs=1, seed=3)
    first = ours.wv.index_to_key[0]
    alone = [[word, word] for word in ours.wv.index_to_key[5:]] * 20
    before = ours.syn1neg[0].copy()
    ours.train(alone, total_examples=len(alone), epochs=1)
    assert not np.array_equal(ours.syn1neg[0], before)  # drawn, being the most frequent by far
    ours.train([[first, "cat"]] * 9, total_examples=9, epochs=1)
    assert ours.epoch_reports[0].words == 18


def test_from_gensim_refuses_other_things() -> None:
    with pytest.raises(TypeError, match=r"gensim\.models\.Word2Vec"):
        Word2Vec.from_gensim([1, 2])
    gensim = pytest.importorskip("gensim.models")
    with pytest.raises(ValueError, match="no vocabulary"):
        Word2Vec.from_gensim(gensim.Word2Vec())
