"""The loss that training reports, against sums computed here in float64.

With everything frozen the weights stand still, so that what the trainer added up along the way can
be computed from them afterwards, pair by pair.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from small_corpora import zipfian

from fastrnn import Word2Vec
from fastrnn.word2vec import callbacks
from fastrnn.word2vec._sampling import alias_table, negative_weights

SENTENCES = zipfian(60, 15, 40)
G = 0x9E3779B97F4A7C15
MASK = 2**64 - 1


def mix(z: int) -> int:
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def frozen(scale: float = 1.0, **options: object) -> Word2Vec:
    """A model with large weights that training does not change."""
    model = Word2Vec(
        **{
            "vector_size": 20,
            "min_count": 1,
            "sample": 0,
            "window": 3,
            "shrink_windows": False,
            "workers": 1,
            **options,
        }
    )
    model.build_vocab(SENTENCES)
    rng = np.random.default_rng(0)
    model.wv.vectors[...] = rng.normal(0, scale, model.wv.vectors.shape)
    for name in ("syn1", "syn1neg"):
        if hasattr(model, name):
            setattr(model, name, rng.normal(0, scale, getattr(model, name).shape))
    model.freeze()
    model.freeze(outputs=True)
    return model


def predictions(model: Word2Vec) -> list[tuple[int, int, int, np.ndarray]]:
    """(token, context's place in its window, center, hidden vector) of every prediction."""
    vectors = model.wv.vectors.astype(np.float64)
    result, token = [], 0
    for sentence in SENTENCES:
        ids = [model.wv.key_to_index[word] for word in sentence]
        for place, center in enumerate(ids):
            first = max(0, place - model.window)
            around = ids[first:place] + ids[place + 1 : place + 1 + model.window]
            if model.sg:
                pairs = enumerate(vectors[around])
                result += [(token, c, center, hidden) for c, hidden in pairs]
            else:
                hidden = vectors[around].sum(0) / (len(around) if model.cbow_mean else 1)
                result.append((token, 0, center, hidden))
            token += 1
    return result


def tree_loss(model: Word2Vec) -> float:
    nodes = model._nodes[:, : model.vector_size].astype(np.float64)
    total = 0.0
    for _, _, center, hidden in predictions(model):
        rows, turns = model.tree.path(center)
        products = nodes[rows] @ hidden
        total += sum(softplus(f if turn else -f) for f, turn in zip(products, turns))
    return total


def sampling_loss(model: Word2Vec, epoch: int) -> float:
    outputs = model.syn1neg.astype(np.float64)
    weights = negative_weights(model.counts, model.ns_exponent)
    thresholds, index = (each.tolist() for each in alias_table(weights))
    key = mix((mix((model.seed + G) & MASK) + G * (epoch + 1)) & MASK)
    total = 0.0
    for token, context, center, hidden in predictions(model):
        total += softplus(-float(outputs[center] @ hidden))
        r = mix((key + G * (token + 1)) & MASK)
        for draw in range(context * model.negative, (context + 1) * model.negative):
            z = mix((r + G * (draw + 1)) & MASK)
            column = (z >> 32) * len(outputs) >> 32
            target = column if z & 0xFFFFFFFF < thresholds[column] else index[column]
            if target != center:
                total += softplus(float(outputs[target] @ hidden))
    return total


@pytest.mark.parametrize("scale", [0.1, 3.0])  # the latter mostly beyond ±6
@pytest.mark.parametrize(
    "options", [{"sg": 1}, {"sg": 1, "window": 8}, {"sg": 0}, {"sg": 0, "cbow_mean": 0}]
)
@pytest.mark.parametrize(
    "how",
    [{}, {"workers": 3}, {"strict": True}, {"deterministic": True, "workers": 2}],
    ids=["fast", "threads", "strict", "deterministic"],
)
def test_hierarchical_softmax(
    scale: float, options: dict[str, int], how: dict[str, object]
) -> None:
    model = frozen(scale, hs=1, negative=0, **options, **how)
    before = model.wv.vectors.copy()
    expected = tree_loss(model)
    model.train(SENTENCES, total_examples=60, epochs=2, compute_loss=True)
    assert np.array_equal(model.wv.vectors, before)
    # The products are sums of 20 float32 terms.
    assert model.loss_history == pytest.approx([expected, expected], rel=3e-6)
    assert model.get_latest_training_loss() == pytest.approx(2 * expected, rel=3e-6)
    assert [report.pairs for report in model.epoch_reports] == [len(predictions(model))] * 2


@pytest.mark.parametrize("scale", [0.1, 3.0])
@pytest.mark.parametrize("options", [{"sg": 1}, {"sg": 0}])
@pytest.mark.parametrize("how", [{"strict": True}, {"deterministic": True, "workers": 2}, {}])
def test_negative_sampling(scale: float, options: dict[str, int], how: dict[str, object]) -> None:
    model = frozen(scale, negative=4, seed=11, **options, **how)
    expected = [sampling_loss(model, epoch) for epoch in range(2)]
    assert expected[0] != expected[1]
    model.train(SENTENCES, total_examples=60, epochs=2, compute_loss=True)
    assert model.loss_history == pytest.approx(expected, rel=3e-6)


@pytest.mark.filterwarnings("ignore:Both hierarchical")
def test_both_objectives_add_up() -> None:
    model = frozen(hs=1, negative=2, sg=1)
    expected = tree_loss(model) + sampling_loss(model, 0)
    model.train(SENTENCES, total_examples=60, epochs=1, compute_loss=True)
    assert model.get_latest_training_loss() == pytest.approx(expected, rel=3e-6)


def test_the_loss_falls_and_is_zero_unless_asked_for() -> None:
    model = Word2Vec(SENTENCES, min_count=1, sample=0, hs=1, negative=0, compute_loss=True)
    assert len(model.loss_history) == 5 and model.loss_history[-1] < model.loss_history[0]
    assert model.get_latest_training_loss() == model.running_training_loss
    assert model.get_latest_training_loss() == pytest.approx(sum(model.loss_history))
    model.train(SENTENCES, total_examples=60, epochs=2, compute_loss=False)
    assert model.loss_history == [0.0, 0.0] and model.get_latest_training_loss() == 0


def test_the_constructors_wish_holds_for_train() -> None:
    model = Word2Vec(min_count=1, compute_loss=True)
    model.build_vocab(SENTENCES)
    model.train(SENTENCES, total_examples=60, epochs=1)
    assert model.get_latest_training_loss() > 0


def test_callbacks_see_the_loss_grow_over_the_epochs() -> None:
    class Losses(callbacks.CallbackAny2Vec):
        def __init__(self) -> None:
            self.seen: list[float] = []

        def on_epoch_end(self, model: Word2Vec) -> None:
            self.seen.append(model.get_latest_training_loss())

    losses = Losses()
    model = Word2Vec(SENTENCES, min_count=1, compute_loss=True, callbacks=[losses])
    assert np.diff([0, *losses.seen]) == pytest.approx(model.loss_history)
