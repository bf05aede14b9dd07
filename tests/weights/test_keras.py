"""Keras' weights against Keras' equations, written out here from its documentation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from foreign_layers import assert_same_arrays, draw, random_layer, run_ops, sigmoid
from oracles import assert_exact

from fastrnn.convert_weights import from_keras, to_keras

CELLS = ["rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_before"]
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3, "gru_reset_before": 3}
Weights = list[np.ndarray[Any, Any]]


def keras_weights(cell: str, directions: int = 1, bias: bool = True, dtype: Any = "f8") -> Weights:
    """Random arrays in the shapes of ``get_weights()``, I = 3, H = 5."""
    rows = GATES[cell] * 5
    shapes: list[tuple[int, ...]] = [(3, rows), (5, rows)]
    if bias:
        shapes.append((2, rows) if cell == "gru" else (rows,))
    return [draw(*shape, seed=k, dtype=dtype) for k, shape in enumerate(shapes * directions)]


def keras_step(cell: str, x: Any, h: Any, c: Any, weights: Weights) -> tuple[Any, Any]:
    kernel, recurrent, *rest = weights
    bias = rest[0] if rest else np.zeros((2, kernel.shape[1]) if cell == "gru" else kernel.shape[1])
    if cell.startswith("rnn"):
        a = x @ kernel + bias + h @ recurrent
        return (np.tanh(a) if cell == "rnn_tanh" else np.maximum(a, 0)), c
    if cell == "lstm":
        i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    if cell == "gru":  # reset_after=True: recurrent_h = r * (h @ U_h + recurrent bias)
        x_z, x_r, x_h = np.split(x @ kernel + bias[0], 3, axis=1)
        h_z, h_r, h_h = np.split(h @ recurrent + bias[1], 3, axis=1)
        z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
        candidate = np.tanh(x_h + r * h_h)
    else:
        x_z, x_r, x_h = np.split(x @ kernel + bias, 3, axis=1)
        u_z, u_r, u_h = np.split(recurrent, 3, axis=1)
        z, r = sigmoid(x_z + h @ u_z), sigmoid(x_r + h @ u_r)
        candidate = np.tanh(x_h + (r * h) @ u_h)
    return z * h + (1 - z) * candidate, c


def keras_layer(cell: str, x: Any, weights: Weights, h: Any, c: Any) -> Any:
    """Outputs of all steps, [T, B, H]."""
    outputs = []
    for step in x:
        h, c = keras_step(cell, step, h, c, weights)
        outputs.append(h)
    return np.stack(outputs)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_against_the_equations(cell: str, bias: bool) -> None:
    weights = keras_weights(cell, bias=bias)
    x, h0, c0 = draw(7, 2, 3, seed=8), draw(2, 5, seed=9), draw(2, 5, seed=10)
    states = {"h0": h0, "c0": c0} if cell == "lstm" else {"h0": h0}
    y = run_ops(from_keras(cell, weights), x, **states)[0]
    assert_exact(y, keras_layer(cell, x, weights, h0, c0))


@pytest.mark.parametrize("cell", CELLS)
def test_bidirectional_and_backward(cell: str) -> None:
    weights, zeros = keras_weights(cell, directions=2), np.zeros((2, 5))
    forward, backward = weights[:3], weights[3:]
    x = draw(7, 2, 3, seed=8)
    expected = keras_layer(cell, x[::-1], backward, zeros, zeros)[::-1]
    y = run_ops(from_keras(cell, weights), x)[0]
    assert_exact(y[..., :5], keras_layer(cell, x, forward, zeros, zeros))
    assert_exact(y[..., 5:], expected)
    alone = from_keras(cell, backward, reverse=True)
    assert alone.reverse
    assert_exact(run_ops(alone, x)[0], expected)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_round_trip(cell: str, directions: int, bias: bool, dtype: str) -> None:
    weights = keras_weights(cell, directions, bias, dtype)
    layer = from_keras(cell, weights)
    assert_same_arrays(to_keras(layer), weights)
    if bias:  # as torch holds them, with two biases
        assert_same_arrays(to_keras(layer.split_biases()), weights)


@pytest.mark.parametrize("cell", CELLS)
def test_two_biases_become_one(cell: str) -> None:
    layer, x, zeros = random_layer(cell), draw(7, 2, 3, seed=8), np.zeros((2, 5))
    weights = to_keras(layer)
    assert weights[2].shape == ((2, 15) if cell == "gru" else (GATES[cell] * 5,))
    assert_exact(run_ops(layer, x)[0], keras_layer(cell, x, weights, zeros, zeros))


@pytest.mark.parametrize(
    ("cell", "change", "message"),
    [
        ("peephole_lstm", {}, "cell: expected one of rnn_tanh, .*, got 'peephole_lstm'"),
        ("lstm", {0: np.ones((3, 19))}, r"kernel: expected shape \(I, 20\), got \(3, 19\)"),
        ("lstm", {0: np.ones(20)}, r"kernel: expected shape \(I, 20\), got \(20,\)"),
        ("lstm", {1: np.ones((5, 15))}, r"recurrent_kernel: expected shape \(H, 4\*H\)"),
        ("lstm", {2: np.ones((2, 20))}, r"bias: expected shape \(20,\), got \(2, 20\)"),
        ("lstm", {0: np.ones((3, 20), "f4")}, "kernel: expected dtype float64"),
        ("lstm", {0: np.ones((3, 20), int)}, "kernel: expected a floating-point array"),
        ("lstm", {0: [[1.0], [1.0, 2.0]]}, "kernel: cannot be read as an array"),
        ("gru", {2: np.ones(15)}, r"bias: expected shape \(2, 15\).*reset_after=False"),
        ("gru_reset_before", {2: np.ones((2, 15))}, r"expected shape \(15,\).*reset_after=True"),
    ],
)
def test_bad_weights(cell: str, change: dict[int, Any], message: str) -> None:
    weights: list[Any] = list(keras_weights(cell if cell in GATES else "lstm"))
    for index, array in change.items():
        weights[index] = array
    with pytest.raises(ValueError, match=message):
        from_keras(cell, weights)


def test_bad_counts_and_cells() -> None:
    with pytest.raises(ValueError, match="2, 3, 4 or 6 arrays, got 5"):
        from_keras("lstm", keras_weights("lstm") + keras_weights("lstm")[:2])
    with pytest.raises(ValueError, match=r"backward kernel: expected shape \(I, 20\)"):
        weights = keras_weights("lstm", 2)
        weights[3] = weights[3][:, 1:]
        from_keras("lstm", weights)
    with pytest.raises(ValueError, match="cell: expected one of"):
        to_keras(random_layer("peephole_lstm"))
