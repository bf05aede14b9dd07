"""TensorFlow 1's cells and cuDNN's lists against their equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from foreign_layers import (
    assert_same_arrays,
    assert_same_layer,
    draw,
    random_layer,
    run_ops,
    sigmoid,
)
from oracles import assert_exact

from fastrnn.convert_weights import (
    Layer,
    from_cudnn,
    from_tensorflow,
    to_cudnn,
    to_haste,
    to_tensorflow,
)

Variables = dict[str, Any]
# Shapes of the variables, I = 3 and H = 5.
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "rnn_tanh": {"kernel": (8, 5), "bias": (5,)},
    "rnn_relu": {"kernel": (8, 5), "bias": (5,)},
    "lstm": {"kernel": (8, 20), "bias": (20,)},
    "peephole_lstm": {
        "kernel": (8, 20),
        "bias": (20,),
        "w_i_diag": (5,),
        "w_f_diag": (5,),
        "w_o_diag": (5,),
    },
    "gru_reset_before": {
        "gates/kernel": (8, 10),
        "gates/bias": (10,),
        "candidate/kernel": (8, 5),
        "candidate/bias": (5,),
    },
    "gru": {
        "gates/kernel": (8, 10),
        "gates/bias": (10,),
        "candidate/input_projection/kernel": (3, 5),
        "candidate/input_projection/bias": (5,),
        "candidate/hidden_projection/kernel": (5, 5),
        "candidate/hidden_projection/bias": (5,),
    },
}


def variables(cell: str, dtype: str = "f8") -> Variables:
    shapes = SHAPES[cell].items()
    return {name: draw(*shape, seed=k, dtype=dtype) for k, (name, shape) in enumerate(shapes)}


def tensorflow_layer(cell: str, x: Any, v: Variables, h: Any, c: Any, forget_bias: float) -> Any:
    """Outputs [T, B, H], by the calls of rnn_cell_impl.py."""
    outputs = []
    for step in x:
        both = np.concatenate([step, h], axis=1)
        if cell.startswith("rnn"):
            a = both @ v["kernel"] + v["bias"]
            h = np.tanh(a) if cell == "rnn_tanh" else np.maximum(a, 0)
        elif "lstm" in cell:
            i, j, f, o = np.split(both @ v["kernel"] + v["bias"], 4, axis=1)
            w_i, w_f, w_o = (v.get(f"w_{gate}_diag", 0) for gate in "ifo")
            c = sigmoid(f + forget_bias + w_f * c) * c + sigmoid(i + w_i * c) * np.tanh(j)
            h = sigmoid(o + w_o * c) * np.tanh(c)
        else:
            r, u = np.split(sigmoid(both @ v["gates/kernel"] + v["gates/bias"]), 2, axis=1)
            if cell == "gru_reset_before":
                inside = np.concatenate([step, r * h], axis=1)
                candidate = np.tanh(inside @ v["candidate/kernel"] + v["candidate/bias"])
            else:
                of_h = h @ v["candidate/hidden_projection/kernel"]
                of_x = step @ v["candidate/input_projection/kernel"]
                of_h, of_x = (
                    of_h + v["candidate/hidden_projection/bias"],
                    of_x + v["candidate/input_projection/bias"],
                )
                candidate = np.tanh(of_x + r * of_h)
            h = u * h + (1 - u) * candidate
        outputs.append(h)
    return np.stack(outputs)


@pytest.mark.parametrize("cell", list(SHAPES))
@pytest.mark.parametrize("forget_bias", [1.0, 0.0, -0.3])
def test_tensorflow_against_the_equations(cell: str, forget_bias: float) -> None:
    given = variables(cell)
    x, h0, c0 = draw(7, 2, 3, seed=8), draw(2, 5, seed=9), draw(2, 5, seed=10)
    states = {"h0": h0, "c0": c0} if "lstm" in cell else {"h0": h0}
    layer = from_tensorflow(cell, given, forget_bias=forget_bias)
    expected = tensorflow_layer(cell, x, given, h0, c0, forget_bias)
    assert_exact(run_ops(layer, x, **states)[0], expected)


@pytest.mark.parametrize("cell", list(SHAPES))
@pytest.mark.parametrize("forget_bias", [1.0, 0.0, -0.3])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_tensorflow_round_trip(cell: str, forget_bias: float, dtype: str) -> None:
    given = variables(cell, dtype)
    layer = from_tensorflow(cell, given, forget_bias=forget_bias)
    assert_same_arrays(to_tensorflow(layer, forget_bias=forget_bias), given)


@pytest.mark.parametrize("cell", list(SHAPES))
def test_a_layer_of_ours_in_tensorflow(cell: str) -> None:
    layer, x, zeros = random_layer(cell), draw(7, 2, 3, seed=8), np.zeros((2, 5))
    written = to_tensorflow(layer, forget_bias=0.5)
    assert_exact(run_ops(layer, x)[0], tensorflow_layer(cell, x, written, zeros, zeros, 0.5))


@pytest.mark.parametrize(
    ("cell", "change", "message"),
    [
        ("mlstm", {}, "cell: expected one of rnn_tanh, .*got 'mlstm'"),
        ("lstm", {"projection/kernel": np.ones((5, 2))}, "variables: expected kernel, bias, got"),
        ("lstm", {"bias": None}, "variables: expected kernel, bias, got kernel"),
        ("lstm", {"kernel": np.ones((8, 18))}, r"kernel: expected shape \(I\+H, 4\*H\)"),
        ("lstm", {"kernel": np.ones((5, 20))}, r"kernel: expected shape \(I\+H, 4\*H\), got \(5"),
        ("lstm", {"kernel": np.ones(20)}, r"kernel: expected shape \(I\+H, 4\*H\), got \(20,\)"),
        ("lstm", {"bias": np.ones(15)}, r"bias: expected shape \(20,\), got \(15,\)"),
        ("lstm", {"bias": np.ones(20, "f4")}, "bias: expected dtype float64"),
        ("peephole_lstm", {"w_f_diag": np.ones(4)}, r"w_f_diag: expected shape \(5,\)"),
        ("gru", {"candidate/hidden_projection/kernel": np.ones((3, 5))}, r"shape \(5, 5\)"),
        ("gru_reset_before", {"candidate/kernel": np.ones((5, 5))}, r"shape \(8, 5\)"),
    ],
)
def test_bad_variables(cell: str, change: Variables, message: str) -> None:
    given = {**variables(cell if cell in SHAPES else "lstm"), **change}
    given = {name: array for name, array in given.items() if array is not None}
    with pytest.raises(ValueError, match=message):
        from_tensorflow(cell, given)


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
def test_cudnn(cell: str) -> None:
    """Its gates are torch's; the lists only cut them apart."""
    layer = random_layer(cell)
    matrices, biases = to_cudnn(layer)
    gates = layer.num_gates
    assert [m.shape for m in matrices] == [(5, 3)] * gates + [(5, 5)] * gates
    (direction,) = layer.directions
    np.testing.assert_array_equal(matrices[gates - 1], direction.weight_ih[-5:])
    np.testing.assert_array_equal(matrices[gates], direction.weight_hh[:5])
    assert_same_layer(from_cudnn(cell, matrices, biases), layer)
    again = to_cudnn(from_cudnn(cell, matrices, biases))
    assert_same_arrays([*again[0], *again[1]], [*matrices, *biases])


def test_bad_cudnn_lists() -> None:
    matrices, biases = to_cudnn(random_layer("gru"))
    with pytest.raises(ValueError, match="expected 6 of each for gru, got 5 and 6"):
        from_cudnn("gru", matrices[1:], biases)
    with pytest.raises(ValueError, match=r"matrices\[3\]: expected shape \(5, 5\)"):
        from_cudnn("gru", matrices[:3] * 2, biases)
    with pytest.raises(ValueError, match=r"biases\[1\]: expected shape \(5,\), got \(4,\)"):
        from_cudnn("gru", matrices, [biases[0], biases[1][1:], *biases[2:]])
    for call in (
        lambda: to_cudnn(random_layer("gru_reset_before")),
        lambda: from_cudnn("x", [], []),
    ):
        with pytest.raises(ValueError, match="cell: expected rnn_tanh, rnn_relu, lstm or gru"):
            call()


def test_one_direction_at_a_time() -> None:
    both = random_layer("gru", num_directions=2)
    for write in (to_tensorflow, to_cudnn, to_haste):
        with pytest.raises(ValueError, match="layer: expected one direction"):
            write(both)
    with pytest.raises(ValueError, match="got 'multiplicative_lstm'"):
        to_tensorflow(random_layer("multiplicative_lstm"))
    halves = [Layer("gru", both.directions[d : d + 1]) for d in range(2)]
    read = [from_tensorflow("gru", to_tensorflow(half)) for half in halves]
    x = draw(7, 2, 3, seed=8)
    assert_exact(run_ops(Layer.bidirectional(*read), x)[0], run_ops(both, x)[0])
