"""oneDNN's layouts against its equations, and against the primitive that torch calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from foreign_layers import assert_same_arrays, draw, random_layer, run_ops, sigmoid
from oracles import assert_exact, assert_within_budget

from fastrnn.convert_weights import OneDnnWeights, from_onednn, to_onednn

GATES = {
    "rnn_tanh": 1,
    "rnn_relu": 1,
    "lstm": 4,
    "peephole_lstm": 4,
    "gru_reset_before": 3,
    "gru": 3,
}


def primitive(cell: str, layers: int = 1, directions: int = 1, inputs: int = 3) -> OneDnnWeights:
    """Random arguments in ldigo, H = 5."""
    gates, lead = GATES[cell], (layers, directions)
    return OneDnnWeights(
        draw(*lead, inputs, gates, 5, seed=1),
        draw(*lead, 5, gates, 5, seed=2),
        draw(*lead, gates + (cell == "gru"), 5, seed=3),
        draw(*lead, 3, 5, seed=4) if cell == "peephole_lstm" else None,
    )


def onednn_layer(cell: str, x: Any, w: OneDnnWeights, h: Any, c: Any) -> Any:
    """Outputs [T, B, H] of the first layer and direction, by the developer guide's equations."""
    w_layer, w_iter, bias = w.layer[0, 0], w.iter[0, 0], w.bias[0, 0]  # type: ignore[index]
    peephole = np.zeros((3, 5)) if w.peephole is None else w.peephole[0, 0]
    outputs = []
    for step in x:
        a = [step @ w_layer[:, g] + bias[g] for g in range(GATES[cell])]
        if "gru" not in cell:
            a = [a[g] + h @ w_iter[:, g] for g in range(GATES[cell])]
        if cell.startswith("rnn"):
            h = np.tanh(a[0]) if cell == "rnn_tanh" else np.maximum(a[0], 0)
        elif "lstm" in cell:
            i, f = sigmoid(a[0] + peephole[0] * c), sigmoid(a[1] + peephole[1] * c)
            c = f * c + i * np.tanh(a[2])
            h = sigmoid(a[3] + peephole[2] * c) * np.tanh(c)
        else:
            u, r = sigmoid(a[0] + h @ w_iter[:, 0]), sigmoid(a[1] + h @ w_iter[:, 1])
            if cell == "gru":  # lbr_gru
                o = np.tanh(a[2] + r * (h @ w_iter[:, 2] + bias[3]))
            else:
                o = np.tanh(a[2] + (r * h) @ w_iter[:, 2])
            h = u * h + (1 - u) * o
        outputs.append(h)
    return np.stack(outputs)


@pytest.mark.parametrize("cell", list(GATES))
def test_against_the_equations(cell: str) -> None:
    weights = primitive(cell)
    x, h0, c0 = draw(7, 2, 3, seed=8), draw(2, 5, seed=9), draw(2, 5, seed=10)
    states = {"h0": h0, "c0": c0} if "lstm" in cell else {"h0": h0}
    (layer,) = from_onednn(cell, *weights)
    assert_exact(run_ops(layer, x, **states)[0], onednn_layer(cell, x, weights, h0, c0))


@pytest.mark.parametrize("cell", list(GATES))
def test_other_layout(cell: str) -> None:
    weights = primitive(cell, layers=2, directions=2, inputs=10)
    by_rows = [np.ascontiguousarray(np.moveaxis(w, 2, -1)) for w in weights[:2]]
    layers = from_onednn(cell, *by_rows, *weights[2:], layout="ldgoi")
    assert_same_arrays(to_onednn(layers, layout="ldgoi")[:2], by_rows)
    assert_same_arrays(to_onednn(layers)[:3], weights[:3])


@pytest.mark.parametrize("cell", list(GATES))
@pytest.mark.parametrize(("layers", "directions", "inputs"), [(1, 1, 3), (3, 1, 5), (2, 2, 10)])
@pytest.mark.parametrize("bias", [True, False])
def test_round_trip(cell: str, layers: int, directions: int, inputs: int, bias: bool) -> None:
    weights = primitive(cell, layers, directions, inputs)
    if not bias:
        weights = weights._replace(bias=None)
    read = from_onednn(cell, *weights)
    assert [layer.num_directions for layer in read] == [directions] * layers
    given = [array for array in weights if array is not None]
    for stack in (read, [layer.split_biases() for layer in read]) if bias else (read,):
        assert_same_arrays([array for array in to_onednn(stack) if array is not None], given)


@pytest.mark.parametrize("cell", list(GATES))
def test_two_biases_become_one_primitive(cell: str) -> None:
    layer, x, zeros = random_layer(cell), draw(7, 2, 3, seed=8), np.zeros((2, 5))
    assert_exact(run_ops(layer, x)[0], onednn_layer(cell, x, to_onednn([layer]), zeros, zeros))


def test_against_the_lstm_that_torch_calls() -> None:
    """torch hands its weights to oneDNN as ldgoi: what that computes is what we read."""
    (layer,) = from_onednn("lstm", *(w if w is None else w.astype("f4") for w in primitive("lstm")))
    packed = to_onednn([layer], layout="ldgoi")
    x, zeros = draw(7, 2, 3, seed=8, dtype="f4"), torch.zeros(1, 2, 5)
    assert packed.bias is not None
    rows = (
        torch.from_numpy(packed.layer.reshape(20, 3)),
        torch.from_numpy(packed.iter.reshape(20, 5)),
    )
    biases = torch.from_numpy(packed.bias.reshape(20)), torch.zeros(20)
    y, *_ = torch.ops.aten.mkldnn_rnn_layer(
        *(torch.from_numpy(x), *rows, *biases, zeros[0], zeros[0]),
        *(False, [], 2, 5, 1, True, False, False, False),
    )
    exact = onednn_layer(
        "lstm", x.astype("f8"), primitive("lstm"), np.zeros((2, 5)), np.zeros((2, 5))
    )
    assert_within_budget(run_ops(layer, x)[0], y.numpy(), exact)
    np.testing.assert_allclose(y.numpy(), exact, rtol=0, atol=1e-6)  # a wrong gate is off by 0.1


@pytest.mark.parametrize(
    ("cell", "change", "message"),
    [
        ("augru", {}, "cell: expected one of rnn_tanh, .*got 'augru'"),
        ("lstm", {"layout": "ldgio"}, "layout: expected ldigo or ldgoi, got 'ldgio'"),
        ("lstm", {"layout": "ldgoi"}, r"iter: expected shape \(L, D, 4, H, H\)"),
        ("lstm", {"iter": np.ones((1, 3, 5, 4, 5))}, "iter: expected .* with D of 1 or 2"),
        ("lstm", {"iter": np.ones((1, 1, 6, 4, 5))}, r"iter: expected shape \(L, D, H, 4, H\)"),
        ("lstm", {"iter": np.ones((5, 4, 5))}, r"iter: expected shape \(L, D, H, 4, H\)"),
        ("lstm", {"layer": np.ones((1, 1, 3, 5, 4))}, r"layer: expected shape \(1, 1, I, 4, 5\)"),
        ("lstm", {"layer": np.ones((1, 1, 3, 4, 5), "f4")}, "layer: expected dtype float64"),
        ("lstm", {"bias": np.ones((1, 1, 3, 5))}, r"bias: expected shape \(1, 1, 4, 5\)"),
        ("gru", {"bias": np.ones((1, 1, 3, 5))}, r"bias: expected shape \(1, 1, 4, 5\)"),
        ("gru_reset_before", {"bias": np.ones((1, 1, 4, 5))}, r"bias: .* \(1, 1, 3, 5\)"),
        ("lstm", {"peephole": np.ones((1, 1, 3, 5))}, "peephole: expected None for lstm"),
        ("peephole_lstm", {"peephole": None}, "peephole: expected an array for peephole_lstm"),
        ("peephole_lstm", {"peephole": np.ones((1, 1, 5, 3))}, r"peephole: .* \(1, 1, 3, 5\)"),
    ],
)
def test_bad_weights(cell: str, change: dict[str, Any], message: str) -> None:
    given = {**primitive(cell if cell in GATES else "gru")._asdict(), **change}
    with pytest.raises(ValueError, match=message):
        from_onednn(cell, **given)


def test_layers_that_make_no_primitive() -> None:
    with pytest.raises(ValueError, match="expected one input_size, .* got 3, 5"):
        to_onednn([random_layer("lstm"), random_layer("lstm", 5)])
    with pytest.raises(ValueError, match="layout: expected ldigo or ldgoi"):
        to_onednn([random_layer("lstm")], layout="tnc")
