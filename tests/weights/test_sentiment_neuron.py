"""The multiplicative LSTM against the equations of the sentiment neuron (Radford et al. 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from foreign_layers import draw, run_ops, sigmoid
from oracles import assert_exact

from fastrnn.convert_weights import from_sentiment_neuron, to_module

Weights = dict[str, Any]


def variables(scales: bool = True, hidden: int = 5, dtype: Any = "f8") -> Weights:
    rows = 4 * hidden
    shapes: dict[str, tuple[int, ...]] = {
        "wx": (3, rows),
        "wh": (hidden, rows),
        "wmx": (3, hidden),
        "wmh": (hidden, hidden),
        "b": (rows,),
    }
    if scales:
        shapes |= {"gx": (rows,), "gh": (rows,), "gmx": (hidden,), "gmh": (hidden,)}
    found = shapes.items()
    return {name: draw(*shape, seed=k, dtype=dtype) for k, (name, shape) in enumerate(found)}


def sentiment_layer(x: Any, v: Weights, h: Any, c: Any) -> list[Any]:
    """Hidden states [T, B, H] and both final ones; weights are normalized where there are g."""
    wx, wh, wmx, wmh = (
        v[name] / np.linalg.norm(v[name], axis=0) * v["g" + name[1:]] if "gx" in v else v[name]
        for name in ("wx", "wh", "wmx", "wmh")
    )
    outputs = []
    for step in x:
        m = (step @ wmx) * (h @ wmh)
        i, f, o, u = np.split(step @ wx + m @ wh + v["b"], 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(u)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return [np.stack(outputs), h, c]


@pytest.mark.parametrize("scales", [True, False])
@pytest.mark.parametrize("hidden", [1, 5, 33])
def test_against_the_equations(scales: bool, hidden: int) -> None:
    given, x = variables(scales, hidden), draw(9, 2, 3, seed=20)
    h0, c0 = draw(2, hidden, seed=21), draw(2, hidden, seed=22)
    layer = from_sentiment_neuron(given)
    expected = sentiment_layer(x, given, h0, c0)
    for got, right in zip(run_ops(layer, x, h0=h0, c0=c0), expected, strict=True):
        assert_exact(got, right)
    module = to_module([layer])
    y, (h_n, c_n) = module(torch.from_numpy(x), (torch.tensor(h0)[None], torch.tensor(c0)[None]))
    for got, right in zip((y, h_n[0], c_n[0]), expected, strict=True):
        assert_exact(got, right)


def test_gradients_of_the_fused_layer() -> None:
    """To the input and the states, by differences of the equations."""
    given, hidden, step = variables(), 5, 1e-6
    arrays = [draw(4, 2, 3, seed=20), draw(2, hidden, seed=21), draw(2, hidden, seed=22)]
    weight = draw(4, 2, hidden, seed=23)
    x, h0, c0 = (torch.from_numpy(a).requires_grad_() for a in arrays)
    y, _ = to_module([from_sentiment_neuron(given)])(x, (h0[None], c0[None]))
    (y * torch.from_numpy(weight)).sum().backward()
    for number, leaf in enumerate((x, h0, c0)):
        expected = np.zeros(leaf.shape)
        for index in np.ndindex(*leaf.shape):
            losses = []
            for sign in (1, -1):
                moved = [a.copy() for a in arrays]
                moved[number][index] += sign * step
                losses.append((sentiment_layer(moved[0], given, *moved[1:])[0] * weight).sum())
            expected[index] = (losses[0] - losses[1]) / (2 * step)
        np.testing.assert_allclose(leaf.grad, expected, rtol=1e-6, atol=1e-8)


def test_weights_are_normalized_once_and_rounded_once() -> None:
    narrow = variables(dtype="f4")
    wide = {name: value.astype("f8") for name, value in narrow.items()}
    (direction,) = from_sentiment_neuron(narrow).directions
    (exact,) = from_sentiment_neuron(wide).directions
    assert direction.weight_ih.dtype == np.float32
    np.testing.assert_array_equal(direction.weight_ih, exact.weight_ih.astype("f4"))
    np.testing.assert_array_equal(direction.weight_hh, exact.weight_hh.astype("f4"))
    lengths = np.linalg.norm(exact.weight_hh, axis=1)[:5]
    np.testing.assert_allclose(lengths, np.abs(wide["gmh"]), rtol=1e-12)
    zero = {**wide, "wmh": np.zeros((5, 5))}
    assert not from_sentiment_neuron(zero).directions[0].weight_hh[:5].any()


def test_bad_variables() -> None:
    given = variables()
    for name, value in given.items():
        with pytest.raises(ValueError, match=f"^{name}: expected shape"):
            wrong = value[:, :-1] if value.ndim == 2 else value[:-1]
            from_sentiment_neuron({**given, name: wrong})
        with pytest.raises(ValueError, match="weights: expected wx, wh, wmx, wmh, b and all of gx"):
            from_sentiment_neuron({k: v for k, v in given.items() if k != name})
    with pytest.raises(ValueError, match="expected dtype float64 as the other weights"):
        from_sentiment_neuron({**given, "gx": given["gx"].astype("f4")})
