"""The NumPy reference against calculus and plain counting."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import numpy as np
import pytest
from word2vec_cases import aligned, copied, epoch_arguments, trainer_arguments, zipf_corpus

from fastrnn.word2vec._tree import huffman_tree
from fastrnn.word2vec.reference import (
    ReferenceTrainer,
    score_sentences,
    word_log_probability,
    word_probabilities,
)
from fastrnn.word2vec.reference import _numbers as numbers

TREE = ("path_offsets", "path_rows", "codes")
MATRICES = ("vectors", "node_vectors", "negative_vectors")


def tree_of(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: arguments[name] for name in TREE}


# -- calculus: one step is minus the gradient of the loss ----------------------------------------


def stated_loss(matrices, tree, center, contexts, drawn, *, sg, mean) -> float:
    """The loss of one center, written with the exact probabilities and nothing of the trainer."""
    vectors, nodes, negatives = matrices
    if sg:
        hidden = [vectors[c] for c in contexts]
    else:
        hidden = [sum(vectors[c] for c in contexts) / (len(contexts) if mean else 1)]
    loss = 0.0
    for h, draws in zip(hidden, drawn):
        if nodes is not None:
            loss -= word_log_probability(h, center, node_vectors=nodes, **tree)
        if negatives is not None:
            loss += math.log1p(math.exp(-float(negatives[center] @ h)))
            loss += sum(math.log1p(math.exp(float(negatives[d] @ h))) for d in draws)
    return loss


def gradients(loss, matrices, step=1e-6) -> list[np.ndarray | None]:
    result = []
    for matrix in matrices:
        if matrix is None:
            result.append(None)
            continue
        gradient = np.zeros_like(matrix)
        for at in np.ndindex(*matrix.shape):
            value = matrix[at]
            matrix[at] = value + step
            above = loss()
            matrix[at] = value - step
            gradient[at] = (above - loss()) / (2 * step)
            matrix[at] = value
        result.append(gradient)
    return result


@pytest.mark.parametrize("lockf", [False, True])
@pytest.mark.parametrize(("hs", "negative"), [(True, 0), (False, 3), (True, 3)])
@pytest.mark.parametrize(
    ("sg", "mean", "divide", "factor"),
    [
        (True, False, False, 1),  # skip-gram
        (False, True, True, 1),  # the corrected gradient of the mean
        (False, False, False, 1),  # the sum
        (False, True, False, 3),  # word2vec.c's mean: too large by the number of contexts
        (False, False, True, 1 / 3),  # gensim's sum: too small
    ],
)
def test_steps_follow_the_gradient(sg, mean, divide, factor, hs, negative, lockf):
    ids, offsets, counts = zipf_corpus(6, 200)
    arguments = trainer_arguments(
        ids, offsets, counts, size=4, hs=hs, negative=negative, scale=2.0, sg=sg,
        cbow_mean=mean, cbow_divide=divide,
    )  # fmt: skip
    if lockf:
        arguments["vectors_lockf"] = np.array([1, 0, 0.5, 1, 2, 1], dtype=np.float32)
    # At a learning rate this small the order of a step's parts does not matter.
    alpha = 1e-6
    arguments = copied(arguments, np.float64)
    trainer = ReferenceTrainer(**arguments)
    center, contexts, random = 2, [0, 4, 0], 123456789
    drawn = [
        [d for d in draws if d != center]
        for c in range(3)
        for draws in [[trainer.draw(random, c * negative + j) for j in range(negative)]]
    ]
    matrices = [
        None if arguments.get(name) is None else arguments[name][:, :4] for name in MATRICES
    ]
    before = [None if m is None else m.copy() for m in matrices]
    tree = tree_of(arguments) if hs else None
    expected = gradients(
        lambda: stated_loss(matrices, tree, center, contexts, drawn, sg=sg, mean=mean), matrices
    )
    loss = stated_loss(matrices, tree, center, contexts, drawn, sg=sg, mean=mean)
    step = trainer.skip_gram if sg else trainer.cbow
    step(center, contexts, random, np.float64(alpha))
    assert trainer.loss == pytest.approx(loss, rel=1e-5)
    scale = factor * (arguments["vectors_lockf"][:, None] if lockf else 1)
    for i, (matrix, old, gradient) in enumerate(zip(matrices, before, expected)):
        if matrix is not None:
            wanted = -gradient * (scale if i == 0 else 1)
            np.testing.assert_allclose((matrix - old) / alpha, wanted, rtol=0, atol=3e-5)
    assert np.abs(expected[0]).max() > 0.01


# -- random numbers ---------------------------------------------------------------------------


def test_mix_is_splitmix64():
    # The generator's first outputs for seed 0, whose state grows by the golden ratio.
    outputs = [numbers.mix(numbers.GOLDEN * i) for i in (1, 2, 3)]
    assert outputs == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_draws_keep_windows_and_negatives_have_their_frequencies():
    ids, offsets, counts = zipf_corpus(20, 20_000)
    trainer = ReferenceTrainer(
        **trainer_arguments(ids, offsets, counts, hs=False, negative=5, sample=1e-3, window=5)
    )
    trainer.key = numbers.epoch_key(1, 0)
    kept = np.zeros(20)
    reach = np.zeros(6)
    drawn = np.zeros(20)
    for token in range(len(ids)):
        random = numbers.token_random(trainer.key, token)
        kept[ids[token]] += (random & numbers.LOW) <= trainer.keep[ids[token]]
        reach[5 - ((random >> 32) * 5 >> 32)] += 1
        drawn[trainer.draw(random, token % 50)] += 1

    def check(observed: np.ndarray, chances: np.ndarray, trials: Any) -> None:
        error = (observed - trials * chances) / np.sqrt(trials * chances * (1 - chances) + 1e-9)
        assert np.abs(error).max() < 4.5

    check(kept, (trainer.keep + 1.0) / 2**32, counts)
    check(reach[1:], np.full(5, 0.2), len(ids))
    check(drawn, counts**0.75 / (counts**0.75).sum(), len(ids))


def test_epochs_and_seeds_draw_differently():
    keys = {numbers.epoch_key(seed, epoch) for seed in range(50) for epoch in range(50)}
    assert len(keys) == 2500


# -- the corpus ---------------------------------------------------------------------------------


def recording(arguments: dict[str, Any]) -> tuple[ReferenceTrainer, list]:
    trainer = ReferenceTrainer(**arguments)
    seen: list[tuple[int, list[int]]] = []
    trainer.cbow = lambda center, contexts, *_: seen.append(  # type: ignore[method-assign]
        (center, list(contexts))
    )
    return trainer, seen


def test_windows_are_cut_at_sentences():
    ids = np.arange(7, dtype=np.int32)
    offsets = np.array([0, 4, 4, 5, 7])
    trainer, seen = recording(
        trainer_arguments(ids, offsets, np.ones(7, int), window=2, shrink_windows=False)
    )
    result = trainer.train(**epoch_arguments(7))
    assert seen == [
        (0, [1, 2]),
        (1, [0, 2, 3]),
        (2, [0, 1, 3]),
        (3, [1, 2]),
        (5, [6]),
        (6, [5]),
    ]
    assert (result["words"], result["kept"]) == (7, 7)


def test_long_sentences_go_on_as_new_ones():
    ids = np.arange(7, dtype=np.int32)
    trainer, seen = recording(
        trainer_arguments(
            ids, np.array([0, 7]), np.ones(7, int), window=2, shrink_windows=False, max_kept=3
        )
    )
    trainer.train(**epoch_arguments(7))
    assert [center for center, _ in seen] == [0, 1, 2, 3, 4, 5]
    assert seen[2] == (2, [0, 1]) and seen[3] == (3, [4, 5])


def test_dropped_words_widen_the_windows():
    ids, offsets, counts = zipf_corpus(20, 2000)
    arguments = trainer_arguments(ids, offsets, counts, shrink_windows=False, window=1)
    arguments["keep"] = np.where(np.arange(20) % 2, 2**32 - 1, 0).astype(np.uint32)
    trainer, seen = recording(arguments)
    result = trainer.train(**epoch_arguments(2000))
    assert result["kept"] == (ids % 2).sum()
    assert all(center % 2 and all(c % 2 for c in contexts) for center, contexts in seen)


@pytest.mark.parametrize("num_tokens", [50, 3000, 50_000])
def test_chunks_are_whole_sentences_of_enough_words(num_tokens):
    _, offsets, _ = zipf_corpus(20, num_tokens)
    starts = numbers.chunk_starts(offsets)
    size = min(max(num_tokens // 64, 256), 10_000)
    assert starts[0] == 0 and np.all(np.diff(starts) > 0)
    assert starts[-1] == len(offsets) - 1
    words = np.diff(offsets[starts])
    assert np.all(words[:-1] >= size) and words.sum() == num_tokens
    last = [offsets[start] - offsets[start - 1] for start in starts[1:-1]]
    assert np.all(words[:-1] - last < size)  # no sentence more than needed


def test_learning_rate_falls_chunk_by_chunk():
    ids, offsets, counts = zipf_corpus(20, 3000)
    trainer = ReferenceTrainer(**trainer_arguments(ids, offsets, counts))
    starts = trainer.chunk_starts
    words, sentences = offsets[starts], len(offsets) - 1
    assert len(words) > 5

    def check(expected: np.ndarray, **others: Any) -> None:
        used: list[float] = []
        trainer.train_piece = lambda tokens, alpha: used.append(  # type: ignore[method-assign]
            float(alpha)
        )
        reported: list[float] = []
        result = trainer.train(
            **epoch_arguments(6000, **others),
            report=lambda *seen: reported.append(seen[3]),
            interval=0,
        )
        assert [*dict.fromkeys(used)] == pytest.approx([*dict.fromkeys(expected[:-1])], rel=1e-6)
        assert reported == pytest.approx(expected[1:], rel=1e-12)
        assert result["alpha"] == reported[-1]

    check(0.025 - 0.0249 * words / 6000)
    check(0.025 - 0.0249 * (3000 + words) / 6000, done=3000)
    check(np.full(len(words), 0.0001), done=6000)  # never below the end
    check(0.025 * (1 - words / 6001), c_schedule=True)
    check(np.full(len(words), 0.025e-4), c_schedule=True, done=6001)
    check(0.025 - 0.0249 * starts / sentences, by_sentences=True, total=sentences)


# -- loss and probabilities ----------------------------------------------------------------------


@pytest.mark.parametrize(("sg", "mean"), [(True, True), (False, True), (False, False)])
def test_the_loss_without_learning_is_the_likelihood(sg, mean):
    ids, offsets, counts = zipf_corpus(20, 500)
    arguments = trainer_arguments(
        ids, offsets, counts, sg=sg, cbow_mean=mean, shrink_windows=False, scale=20
    )
    arguments = copied(arguments, np.float64)
    names = ("vectors", "node_vectors", "vector_size", "ids", "offsets", "window", "sg")
    scores = score_sentences(
        **{name: arguments[name] for name in names}, cbow_mean=mean, **tree_of(arguments)
    )
    result = ReferenceTrainer(**arguments).train(**epoch_arguments(500, alpha_start=0, alpha_end=0))
    assert result["loss"] == pytest.approx(-scores.sum(), rel=1e-12)


@pytest.mark.parametrize("num_words", [1, 2, 3, 50])
def test_probabilities_sum_to_one(num_words):
    rng = np.random.default_rng(0)
    tree = huffman_tree(rng.integers(1, 99, num_words))
    chances = word_probabilities(
        rng.normal(size=6),
        node_vectors=rng.normal(size=(num_words, 6)) * 3,
        path_offsets=tree.path_offsets,
        path_rows=tree.path_rows,
        codes=tree.codes,
    )
    assert chances.sum() == pytest.approx(1, abs=1e-12)
    assert np.all(chances > 0)


def test_training_learns():
    ids = (np.arange(3000) % 20).astype(np.int32)  # each word predicts its neighbors
    offsets = np.arange(0, 3001, 50)
    trainer = ReferenceTrainer(**trainer_arguments(ids, offsets, np.full(20, 150), window=1))
    losses = [
        trainer.train(**epoch_arguments(3000, epoch=epoch, alpha_start=0.2))["loss"]
        for epoch in range(4)
    ]
    assert all(later < before for before, later in itertools.pairwise(losses))
    assert losses[-1] < 0.3 * losses[0]


# -- what stays, and where a run goes on -----------------------------------------------------------


@pytest.mark.parametrize("sg", [True, False])
def test_frozen_outputs_stay(sg):
    ids, offsets, counts = zipf_corpus(20, 500)
    arguments = trainer_arguments(ids, offsets, counts, negative=3, sg=sg, train_outputs=False)
    before = copied(arguments)
    ReferenceTrainer(**arguments).train(**epoch_arguments(500))
    np.testing.assert_array_equal(arguments["node_vectors"], before["node_vectors"])
    np.testing.assert_array_equal(arguments["negative_vectors"], before["negative_vectors"])
    assert np.any(arguments["vectors"] != before["vectors"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_padding_stays_zero(dtype):
    ids, offsets, counts = zipf_corpus(20, 500)
    arguments = copied(trainer_arguments(ids, offsets, counts, negative=3), dtype)
    ReferenceTrainer(**arguments).train(**epoch_arguments(500))
    for name in MATRICES:
        assert arguments[name].dtype == dtype
        assert not arguments[name][:, 10:].any()


def test_goes_on_where_it_was_interrupted():
    ids, offsets, counts = zipf_corpus(20, 3000)
    arguments = trainer_arguments(ids, offsets, counts, negative=2, sample=0.05)
    whole = copied(arguments)
    complete = ReferenceTrainer(**whole).train(**epoch_arguments(3000))
    trainer = ReferenceTrainer(**arguments)
    calls = []

    def report(words: int, kept: int, loss: float, alpha: float) -> None:
        calls.append((words, kept, loss, alpha))
        if len(calls) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.train(**epoch_arguments(3000), report=report, interval=0)
    position = trainer.position
    assert position == trainer.chunk_starts[4] and calls[-1][0] == offsets[position]
    rest = trainer.train(**epoch_arguments(3000), first_sentence=position)
    assert calls[-1][0] + rest["words"] == 3000 == complete["words"]
    assert calls[-1][2] + rest["loss"] == pytest.approx(complete["loss"])
    for name in MATRICES:
        np.testing.assert_array_equal(arguments[name], whole[name])
    with pytest.raises(ValueError, match="first of a chunk"):
        trainer.train(**epoch_arguments(3000), first_sentence=int(trainer.chunk_starts[1]) + 1)


@pytest.mark.parametrize("num_words", [1, 2])
@pytest.mark.parametrize("sg", [True, False])
def test_tiny_vocabularies(num_words, sg):
    ids = np.zeros(30, dtype=np.int32)
    ids[::2] = num_words - 1
    arguments = trainer_arguments(
        ids, np.array([0, 30]), np.bincount(ids), negative=2, sg=sg, vectors=aligned(num_words, 10)
    )
    result = ReferenceTrainer(**arguments).train(**epoch_arguments(30))
    assert result["loss"] > 0 and math.isfinite(result["loss"])


def test_reports_no_oftener_than_asked():
    ids, offsets, counts = zipf_corpus(20, 3000)
    trainer = ReferenceTrainer(**trainer_arguments(ids, offsets, counts))
    calls: list[Any] = []
    begun = time.monotonic()
    trainer.train(**epoch_arguments(3000), report=lambda *a: calls.append(a), interval=0.05)
    assert len(calls) <= (time.monotonic() - begun) / 0.05
