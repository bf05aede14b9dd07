"""The native trainer, in its strict mode, against the NumPy reference."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from word2vec_cases import copied, epoch_arguments, trainer_arguments, zipf_corpus

from fastrnn import _core
from fastrnn.word2vec import reference

MATRICES = ("vectors", "node_vectors", "negative_vectors")
OUTPUTS = [(True, 0), (False, 4), (True, 3)]  # hs, negative


def train_both(
    arguments: dict[str, Any], epochs: int = 2, **others: Any
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The matrices of the native trainer, of the reference in float64, and what the latter says."""
    ours, theirs = copied(arguments), copied(arguments, np.float64)
    native = _core.word2vec.Trainer(**ours)
    oracle = reference.ReferenceTrainer(**theirs)
    tokens = len(arguments["ids"])
    result: dict[str, Any] = {}
    for epoch in range(epochs):
        call = epoch_arguments(epochs * tokens, epoch=epoch, done=epoch * tokens, **others)
        said, result = native.train(**call), oracle.train(**call)
        assert (said["words"], said["kept"], said["pairs"]) == (
            result["words"],
            result["kept"],
            result["pairs"],
        )
        assert said["loss"] == pytest.approx(result["loss"], rel=2e-5)
        assert said["alpha"] == pytest.approx(result["alpha"], rel=1e-6)
        assert native.position == oracle.position
    np.testing.assert_array_equal(native.chunk_starts, oracle.chunk_starts)
    return ours, theirs, result


def assert_follows(arguments: dict[str, Any], atol: float = 1e-5, **others: Any) -> None:
    ours, theirs, result = train_both(arguments, **others)
    assert result["pairs"] > 0
    size = arguments["vector_size"]
    for name in MATRICES:
        if arguments.get(name) is None:
            continue
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=atol, err_msg=name)
        assert not ours[name][:, size:].any()
        trained = name == "vectors" or arguments.get("train_outputs", True)
        assert np.any(ours[name] != arguments[name]) == trained, name


@pytest.fixture(scope="module")
def corpus() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return zipf_corpus(150, 800)


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("sigmoid", ["exact", "table"])
@pytest.mark.parametrize(("hs", "negative"), OUTPUTS)
@pytest.mark.parametrize("sg", [True, False])
def test_every_instruction_set(corpus, sg, hs, negative, sigmoid):
    arguments = trainer_arguments(
        *corpus, size=20, sg=sg, hs=hs, negative=negative, sigmoid=sigmoid, sample=0.01, window=4
    )
    assert_follows(arguments)


@pytest.mark.parametrize("size", [1, 7, 16, 100, 129])
@pytest.mark.parametrize(("hs", "negative"), OUTPUTS)
@pytest.mark.parametrize("sg", [True, False])
def test_sizes(corpus, sg, hs, negative, size):
    assert_follows(trainer_arguments(*corpus, size=size, sg=sg, hs=hs, negative=negative))


@pytest.mark.parametrize("shrink_windows", [True, False])
@pytest.mark.parametrize("compat", [None, "word2vec.c", "gensim"])
@pytest.mark.parametrize("train_outputs", [True, False])
@pytest.mark.parametrize("lockf", [True, False])
@pytest.mark.parametrize(("hs", "negative"), OUTPUTS)
@pytest.mark.parametrize("sg", [True, False])
def test_options(corpus, sg, hs, negative, lockf, train_outputs, compat, shrink_windows):
    ids, offsets, counts = corpus
    arguments = trainer_arguments(
        ids[: offsets[20]], offsets[:21], counts, sg=sg, hs=hs, negative=negative, compat=compat,
        train_outputs=train_outputs, shrink_windows=shrink_windows, sample=0.02,
        sigmoid="table" if compat else "exact",
    )  # fmt: skip
    if lockf:
        factors = np.random.default_rng(0).uniform(0, 1.5, len(counts)).astype(np.float32)
        arguments["vectors_lockf"] = factors
    assert_follows(arguments, epochs=1, c_schedule=compat == "word2vec.c")


@pytest.mark.parametrize("divide", [True, False])
@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize(("hs", "negative"), OUTPUTS)
def test_means_and_sums(corpus, hs, negative, mean, divide):
    assert_follows(
        trainer_arguments(
            *corpus, hs=hs, negative=negative, cbow_mean=mean, cbow_divide=divide, scale=2.0
        )
    )


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("sigmoid", ["exact", "table"])
@pytest.mark.parametrize(("hs", "negative"), OUTPUTS)
@pytest.mark.parametrize("sg", [True, False])
def test_saturation(corpus, sg, hs, negative, sigmoid, skip):
    ids, offsets, counts = corpus
    arguments = trainer_arguments(
        ids[: offsets[15]], offsets[:16], counts, sg=sg, hs=hs, negative=negative, sigmoid=sigmoid,
        skip_saturated_negatives=skip, scale=30.0,
    )  # fmt: skip
    products = arguments["vectors"] @ arguments["node_vectors" if hs else "negative_vectors"].T
    assert 0.3 < np.mean(np.abs(products) > 6) < 0.9
    assert_follows(arguments, epochs=1, atol=1e-4, alpha_start=0.003)  # of weights up to 3


@pytest.mark.parametrize("negative", [1, 5, 20])
@pytest.mark.parametrize("num_words", [2, 3, 10])
@pytest.mark.parametrize("sg", [True, False])
def test_words_drawn_more_than_once(sg, num_words, negative):
    # Each draw sees what the draw before has changed.
    ids, offsets, counts = zipf_corpus(num_words, 300)
    arguments = trainer_arguments(
        ids, offsets, counts, sg=sg, hs=False, negative=negative, scale=2.0, window=2
    )
    assert_follows(arguments, epochs=1, alpha_start=0.05)


@pytest.mark.parametrize("sg", [True, False])
def test_words_twice_in_a_window(sg):
    ids, offsets, counts = zipf_corpus(3, 300)
    assert_follows(
        trainer_arguments(ids, offsets, counts, sg=sg, negative=2, scale=2.0), alpha_start=0.05
    )


@pytest.mark.parametrize("num_words", [1, 2])
@pytest.mark.parametrize(("hs", "negative"), OUTPUTS)
@pytest.mark.parametrize("sg", [True, False])
def test_tiny_vocabularies(num_words, sg, hs, negative):
    ids = np.zeros(40, dtype=np.int32)
    ids[::3] = num_words - 1
    arguments = trainer_arguments(
        ids, np.array([0, 0, 1, 40, 40]), np.bincount(ids), sg=sg, hs=hs, negative=negative
    )
    ours, theirs, _ = train_both(arguments)
    for name in MATRICES:
        if arguments.get(name) is not None:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("window", [1, 2, 30, 1000])
@pytest.mark.parametrize("max_kept", [1, 2, 7, 1000])
@pytest.mark.parametrize("sg", [True, False])
def test_windows_and_pieces(sg, max_kept, window):
    ids, offsets, counts = zipf_corpus(50, 250, longest=80)
    arguments = trainer_arguments(
        ids, offsets, counts, sg=sg, negative=2, window=window, max_kept=max_kept, sample=0.05
    )
    ours, theirs, _ = train_both(arguments, epochs=1)
    for name in MATRICES:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1])
def test_seeds(corpus, seed):
    arguments = trainer_arguments(*corpus, negative=3, sample=0.01)
    arguments["seed"] = seed
    assert_follows(arguments)


@pytest.mark.parametrize("by_sentences", [True, False])
@pytest.mark.parametrize("c_schedule", [True, False])
def test_schedules(c_schedule, by_sentences):
    arguments = trainer_arguments(*zipf_corpus(150, 2000), scale=2.0)
    assert len(reference.ReferenceTrainer(**arguments).chunk_starts) > 3
    assert_follows(
        arguments, c_schedule=c_schedule, by_sentences=by_sentences, alpha_start=0.3, alpha_end=0.01
    )


def test_deep_paths():
    fibonacci = [1, 1]
    while len(fibonacci) < 60:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 60, 600).astype(np.int32)
    for sg in (True, False):
        arguments = trainer_arguments(
            ids, np.array([0, 300, 600]), np.array(fibonacci[::-1]), sg=sg, scale=2.0
        )
        assert np.diff(arguments["path_offsets"]).max() == 59
        assert_follows(arguments)


@pytest.mark.parametrize(
    ("sg", "hs", "negative"), [(sg, *out) for sg, out in itertools.product([True, False], OUTPUTS)]
)
@pytest.mark.parametrize("sigmoid", ["table", "exact"])
def test_thousands_of_steps(sg, hs, negative, sigmoid):
    ids, offsets, counts = zipf_corpus(500, 10_000, seed=4)
    arguments = trainer_arguments(
        ids, offsets, counts, size=50, sg=sg, hs=hs, negative=negative, sigmoid=sigmoid,
        sample=0.003, window=3,
    )  # fmt: skip
    assert_follows(arguments, epochs=1, alpha_start=0.025)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("sg", [True, False])
def test_scores(corpus, sg, mean, threads):
    ids, offsets, counts = corpus
    arguments = trainer_arguments(ids, offsets, counts, size=20, scale=20.0)
    names = ("vectors", "node_vectors", "vector_size", "ids", "offsets", "window")
    call = {name: arguments[name] for name in (*names, "path_offsets", "path_rows", "codes")}
    call.update(sg=sg, cbow_mean=mean)
    ours = _core.word2vec.score_sentences(**call, threads=threads)
    theirs = reference.score_sentences(**call)
    assert ours.dtype == np.float64 and ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)
