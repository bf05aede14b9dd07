"""The NumPy reference against gensim, run beside it, and against results of word2vec.c."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from word2vec_cases import copied, epoch_arguments, trainer_arguments, zipf_corpus

from fastrnn.word2vec.reference import ReferenceTrainer, _scores, score_sentences
from fastrnn.word2vec.reference import _numbers as numbers

TREE = ("path_offsets", "path_rows", "codes")


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


def start_as_word2vec_c(arguments: dict[str, Any]) -> None:
    for name in ("node_vectors", "negative_vectors"):
        if name in arguments:
            arguments[name][:] = 0
    state = 1
    for at in np.ndindex(len(arguments["vectors"]), 5):
        state = (state * 25214903917 + 11) & 0xFFFFFFFFFFFFFFFF
        arguments["vectors"][at] = ((state & 0xFFFF) / 65536 - 0.5) / 5


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
    start_as_word2vec_c(arguments)
    return arguments


@pytest.mark.parametrize("sg", [True, False])
def test_trains_as_word2vec_c(sg):
    arguments = word2vec_c_arguments(sg=sg)
    # Its learning rate changes every 10,000 words, so here it stands still.
    ReferenceTrainer(**arguments).train(**epoch_arguments(144, alpha_start=0.5, c_schedule=True))
    expected = np.array(PRINTED[sg].split(), dtype=float).reshape(16, 5)
    np.testing.assert_allclose(arguments["vectors"][:, :5], expected, rtol=0, atol=1.5e-6)


# Both objectives at once, on twelve lines of 2 to 6 times "a" and with -negative 3: as its draws
# of `</s>` are replaced by the other word, which is the center and so left out, no random number
# matters here either.
ONE_WORD = {
    True: [1.662011, 0.517600, 0.116263, -1.982426, 1.220464],
    False: [1.812668, 0.564519, 0.126802, -2.162128, 1.331096],
}


@pytest.mark.parametrize("sg", [True, False])
def test_trains_both_objectives_as_word2vec_c(sg):
    lengths = [2 + i % 5 for i in range(12)]
    ids = np.ones(sum(lengths), dtype=np.int32)
    arguments = trainer_arguments(
        ids, np.cumsum([0, *lengths]), np.array([12, len(ids)]), size=5, negative=3,
        compat="word2vec.c", window=1, sg=sg, sigmoid="table",
    )  # fmt: skip
    start_as_word2vec_c(arguments)
    ReferenceTrainer(**arguments).train(
        **epoch_arguments(len(ids), alpha_start=0.5, c_schedule=True)
    )
    np.testing.assert_allclose(arguments["vectors"][1, :5], ONE_WORD[sg], rtol=0, atol=1.5e-6)
