"""Keras itself, on its torch backend: weights out of its layers and into them."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import pytest
from foreign_layers import assert_same_arrays, run_ops
from oracles import assert_within_budget

from fastrnn.convert_weights import Layer, from_keras, to_keras

pytestmark = pytest.mark.filterwarnings("default")

LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn_tanh": ("SimpleRNN", {}),
    "rnn_relu": ("SimpleRNN", {"activation": "relu"}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
    "gru_reset_before": ("GRU", {"reset_after": False}),
}


def keras_layer(cell: str, bidirectional: bool, bias: bool) -> Any:
    name, extra = LAYERS[cell]
    layer = getattr(keras.layers, name)(5, return_sequences=True, use_bias=bias, **extra)
    layer = keras.layers.Bidirectional(layer) if bidirectional else layer
    layer.build((2, 7, 3))
    rng = np.random.default_rng(0)  # biases are zeros, or ones, when Keras makes them
    layer.set_weights([rng.uniform(-1, 1, w.shape).astype("f4") for w in layer.get_weights()])
    return layer


@pytest.mark.parametrize("cell", list(LAYERS))
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_keras_computes_the_same(cell: str, bidirectional: bool, bias: bool) -> None:
    assert keras.backend.backend() == "torch"
    theirs = keras_layer(cell, bidirectional, bias)
    layer = from_keras(cell, theirs.get_weights())
    x = np.random.default_rng(1).uniform(-1, 1, (7, 2, 3)).astype("f4")
    expected = keras.ops.convert_to_numpy(theirs(x.swapaxes(0, 1))).swapaxes(0, 1)
    wide = Layer(
        cell, tuple(type(d)(*(widened(a) for a in vars(d).values())) for d in layer.directions)
    )
    exact = run_ops(wide, x.astype("f8"))[0]
    assert_within_budget(run_ops(layer, x)[0], expected, exact)
    np.testing.assert_allclose(expected, exact, rtol=0, atol=2e-6)  # a wrong gate is off by 0.1
    assert_same_arrays(to_keras(layer), theirs.get_weights())


@pytest.mark.parametrize("cell", list(LAYERS))
def test_keras_takes_what_we_write(cell: str) -> None:
    source, target = keras_layer(cell, True, True), keras_layer(cell, True, True)
    target.set_weights([np.zeros_like(w) for w in target.get_weights()])
    target.set_weights(to_keras(from_keras(cell, source.get_weights())))
    x = np.ones((2, 7, 3), "f4")
    one, other = (keras.ops.convert_to_numpy(layer(x)) for layer in (source, target))
    np.testing.assert_array_equal(one, other)


def test_the_forget_bias_of_ones_is_in_the_weights() -> None:
    lstm = keras.layers.LSTM(5)
    lstm.build((2, 7, 3))
    bias = from_keras("lstm", lstm.get_weights()).directions[0].bias_ih
    assert bias is not None
    np.testing.assert_array_equal(bias, np.repeat([0.0, 1.0, 0.0, 0.0], 5).astype("f4"))


def widened(array: Any) -> Any:
    return None if array is None else array.astype("f8")
