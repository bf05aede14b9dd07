"""The NumPy reference against calculus, gensim, word2vec.c and plain counting."""

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
    _scores,
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


# -- gensim -----------------------------------------------------------------------------------


def gensim_pair(seed: int, scale: float, **options: Any) -> tuple[Any, dict[str, Any], list]:
    """A gensim model and our arguments: one corpus, tree and set of weights."""
    gensim = pytest.importorskip("gensim")
    ids, offsets, _ = zipf_corpus(30, 150, seed)
    sentences = [[f"w{i}" for i in ids[a:b]] for a, b in zip(offsets[:-1], offsets[1:]) if b > a]
    model = gensim.models.Word2Vec(
        vector_size=8, window=3, min_count=1, sample=0, workers=1, shrink_windows=False, **options
    )
    model.build_vocab(sentences)
    order = [model.wv.key_to_index[f"w{i}"] for i in range(30)]
    counts = np.array([model.wv.get_vecattr(i, "count") for i in range(30)])
    negative = options["negative"]
    arguments = trainer_arguments(
        np.array(order, dtype=np.int32)[ids], offsets, counts, size=8, hs=bool(options["hs"]),
        negative=negative, compat="gensim", scale=scale, sg=bool(options["sg"]), window=3,
        shrink_windows=False, sigmoid="table", cbow_mean=bool(options.get("cbow_mean", 1)),
        cbow_divide=not options.get("cbow_mean", 1), seed=seed,
    )  # fmt: skip
    model.wv.vectors[:] = arguments["vectors"][:, :8]
    if options["hs"]:
        model.syn1[:] = arguments["node_vectors"][::-1, :8]
    if negative:
        model.syn1neg[:] = arguments["negative_vectors"][:, :8]
        # Both draw one word only: gensim by the first entry of its table that reaches the draw.
        word = 7
        model.cum_table[:] = 0
        model.cum_table[word:] = 2**31 - 1
        arguments["alias_threshold"] = np.zeros(30, np.uint32)
        arguments["alias_index"] = np.full(30, word, np.int32)
    lockf = np.random.default_rng(seed).uniform(0, 1.5, 30).astype(np.float32)
    model.wv.vectors_lockf = lockf
    arguments["vectors_lockf"] = lockf
    return model, arguments, sentences


@pytest.mark.parametrize("scale", [1.0, 20.0])  # 20: many products pass 6
@pytest.mark.parametrize(
    "options",
    [
        {"sg": 1, "hs": 1, "negative": 0},
        {"sg": 0, "hs": 1, "negative": 0},
        {"sg": 0, "hs": 1, "negative": 0, "cbow_mean": 0},
        {"sg": 1, "hs": 0, "negative": 3},
        {"sg": 0, "hs": 0, "negative": 3},
        {"sg": 0, "hs": 0, "negative": 3, "cbow_mean": 0},
    ],
    ids=str,
)
def test_trains_as_gensim(options, scale):
    model, arguments, sentences = gensim_pair(seed=3, scale=scale, **options)
    before = copied(arguments)
    trainer = ReferenceTrainer(**arguments)
    result = trainer.train(**epoch_arguments(150, alpha_start=0.1, alpha_end=0.1))
    model.train(sentences, total_examples=len(sentences), epochs=1, start_alpha=0.1, end_alpha=0.1)
    assert result["pairs"] > 100
    close = {"rtol": 0, "atol": 3e-6 * scale}
    np.testing.assert_allclose(arguments["vectors"][:, :8], model.wv.vectors, **close)
    assert np.abs(before["vectors"] - arguments["vectors"]).max() > 0.01 * scale
    if options["hs"]:
        np.testing.assert_allclose(arguments["node_vectors"][::-1, :8], model.syn1, **close)
    else:
        np.testing.assert_allclose(arguments["negative_vectors"][:, :8], model.syn1neg, **close)


def gensim_softplus(x: np.ndarray) -> np.ndarray:
    """Minus gensim's log sigmoid of -x: its table's value, and nothing beyond 6."""
    table = -np.log(numbers.sigmoid_table(np.dtype(np.float32)))
    index = ((np.clip(-x, -6, 6) + 6) * 83).astype(int)
    return np.where(np.abs(x) < 6, table[index], 0)


@pytest.mark.parametrize("scale", [2.0, 25.0])
@pytest.mark.parametrize(("sg", "cbow_mean"), [(1, 1), (0, 1), (0, 0)])
def test_scores_as_gensim(sg, cbow_mean, scale, monkeypatch):
    options = {"sg": sg, "hs": 1, "negative": 0, "cbow_mean": cbow_mean}
    model, arguments, sentences = gensim_pair(seed=5, scale=scale, **options)
    names = ("vectors", "node_vectors", "vector_size", "ids", "window", *TREE)
    lengths = np.cumsum([0, *map(len, sentences)])
    monkeypatch.setattr(_scores, "softplus", gensim_softplus)  # ours is exact
    ours = score_sentences(
        **{name: arguments[name] for name in names},
        offsets=lengths,
        sg=bool(sg),
        cbow_mean=bool(cbow_mean),
    )
    theirs = model.score(sentences, total_sentences=len(sentences))
    np.testing.assert_allclose(ours, theirs[: len(ours)], rtol=1e-4)


# -- word2vec.c -------------------------------------------------------------------------------

TEXT = """\
the of bridge new bridge and new old the the
the and the
the the stone of the water of old the
river the the water the the grey water of light
water river the birds the light of the of
of of new
the bridge of of new and of and stone the
light
new the old of river the
stone
light the old under under of of and old the
old of of and birds the and of the of stone the
of the the the bridge tower the the grey and of
stone of the bridge
the crosses the
of the grey river the crosses of the
the new of and tower water
and and stone and of of the of grey
river and of
and and
water of old old bridge bridge old of stone
new of grey stone light
"""

# What word2vec.c 0.1c (2013, built with gcc -O3) writes after
#   -size 5 -window 1 -sample 0 -hs 1 -negative 0 -threads 1 -iter 1 -min-count 1 -alpha 0.5
#   -binary 0 -cbow 0 (first) or 1 (second)
# on the text above: windows of 1 need no random numbers. Words of the same count are in the order
# in which its sort left them.
WORDS = "</s> the of and old stone bridge new water river grey light birds under tower crosses"
PRINTED = {
    True: """
0.080054 0.088388 -0.076605 -0.065561 0.027332
0.130658 1.067355 0.740033 -0.686739 -0.548195
0.402438 -0.084652 -0.086112 -0.202871 -0.116728
0.923678 0.569203 0.258620 -0.781215 -0.437616
0.490867 0.619007 0.204282 -0.564644 -0.312890
0.835406 0.239160 0.023597 -0.561508 -0.267780
0.756013 0.273679 -0.111610 -0.582341 -0.259406
0.582596 0.571064 0.234603 -0.584348 -0.344797
0.532768 0.646746 0.410811 -0.724894 -0.431703
0.569313 0.311692 0.132191 -0.528043 -0.233673
0.382830 0.590676 0.285552 -0.620569 -0.279060
0.405751 0.472610 0.321384 -0.505608 -0.292993
0.204815 -0.156217 -0.049405 0.047528 -0.005459
0.448141 0.313814 -0.081789 -0.412615 -0.078504
0.101627 0.079965 0.058707 -0.058092 -0.071650
0.670885 0.187309 0.053697 -0.429575 -0.232419
""",
    False: """
0.080054 0.088388 -0.076605 -0.065561 0.027332
0.454024 1.051242 0.185768 -1.081958 -0.149481
0.322933 0.034029 0.005800 -0.146630 -0.044800
0.548786 0.950153 0.206386 -0.919427 -0.217759
0.299078 0.449831 0.038721 -0.472549 -0.007905
0.361872 0.389668 0.130861 -0.450476 -0.128110
0.342697 0.314898 -0.007427 -0.471308 -0.103612
0.427427 0.620155 0.083230 -0.634372 -0.135710
0.290273 0.506904 0.191947 -0.645973 -0.135393
0.126308 0.198220 0.137332 -0.281635 -0.029718
0.345361 0.711535 0.146550 -0.846398 -0.118318
0.032724 0.116496 0.097291 -0.042984 -0.011513
-0.030083 -0.463457 -0.007191 0.468460 0.139113
0.174346 0.348172 -0.106564 -0.357928 -0.009597
-0.037366 -0.121208 -0.000318 0.147748 0.078202
0.383374 0.373188 0.096441 -0.491042 -0.172948
""",
}


def word2vec_c_arguments(*, sg: bool) -> dict[str, Any]:
    words = WORDS.split()
    lines = [line.split() for line in TEXT.splitlines()]
    ids = np.array([words.index(word) for line in lines for word in line], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, lines)])
    counts = np.bincount(ids, minlength=len(words))
    counts[0] = len(lines)
    arguments = trainer_arguments(
        ids, offsets, counts, size=5, compat="word2vec.c", window=1, sg=sg, sigmoid="table"
    )
    arguments["node_vectors"][:] = 0
    state = 1
    for at in np.ndindex(len(words), 5):
        state = (state * 25214903917 + 11) & 0xFFFFFFFFFFFFFFFF
        arguments["vectors"][at] = ((state & 0xFFFF) / 65536 - 0.5) / 5
    return arguments


@pytest.mark.parametrize("sg", [True, False])
def test_trains_as_word2vec_c(sg):
    arguments = word2vec_c_arguments(sg=sg)
    # Its learning rate changes every 10,000 words, so here it does not.
    ReferenceTrainer(**arguments).train(**epoch_arguments(144, alpha_start=0.5, c_schedule=True))
    expected = np.array(PRINTED[sg].split(), dtype=float).reshape(16, 5)
    np.testing.assert_allclose(arguments["vectors"][:, :5], expected, rtol=0, atol=1.5e-6)


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
