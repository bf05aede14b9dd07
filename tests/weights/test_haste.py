"""haste's layers against their equations, written out here from its documentation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from foreign_layers import assert_same_arrays, draw, random_layer, run_ops, sigmoid
from oracles import assert_exact

from fastrnn.convert_weights import from_haste, to_haste, to_module

CELLS = ["lstm", "gru", "layer_norm_lstm", "layer_norm_gru"]
Weights = dict[str, Any]


def haste_weights(cell: str, inputs: int = 3, hidden: int = 5) -> Weights:
    rows = (4 if "lstm" in cell else 3) * hidden
    shapes: dict[str, tuple[int, ...]] = {
        "kernel": (inputs, rows),
        "recurrent_kernel": (hidden, rows),
        "bias": (rows,),
    }
    if "gru" in cell:
        shapes["recurrent_bias"] = (rows,)
    if "norm" in cell:
        shapes["gamma"] = (2, rows)
    if cell == "layer_norm_lstm":
        shapes |= {"gamma_h": (hidden,), "beta_h": (hidden,)}
    return {name: draw(*shape, seed=k) for k, (name, shape) in enumerate(shapes.items())}


def norm(v: Any, gain: Any) -> Any:
    """A row's mean and (biased) variance taken out; the epsilon is torch's."""
    deviation = np.sqrt(v.var(axis=1, keepdims=True) + 1e-5)
    return gain * (v - v.mean(axis=1, keepdims=True)) / deviation


def haste_layer(cell: str, x: Any, w: Weights, h: Any, c: Any, keep: float = 0.0) -> Any:
    """Outputs [T, B, H] and final states: gates i, g, f, o and z, r, g; zoneout outside of
    training, of h alone."""
    outputs = []
    for step in x:
        of_x, of_h = step @ w["kernel"], h @ w["recurrent_kernel"]
        if "norm" in cell:
            of_x, of_h = norm(of_x, w["gamma"][0]), norm(of_h, w["gamma"][1])
        of_x = of_x + w["bias"]
        if "lstm" in cell:
            i, g, f, o = np.split(of_x + of_h, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            seen = norm(c, w["gamma_h"]) + w["beta_h"] if "norm" in cell else c
            new = sigmoid(o) * np.tanh(seen)
        else:
            x_z, x_r, x_g = np.split(of_x, 3, axis=1)
            h_z, h_r, h_g = np.split(of_h + w["recurrent_bias"], 3, axis=1)
            z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
            new = z * h + (1 - z) * np.tanh(x_g + r * h_g)
        h = keep * h + (1 - keep) * new
        outputs.append(h)
    return [np.stack(outputs), h, c][: 3 if "lstm" in cell else 2]


def states(cell: str, batch: int = 2, hidden: int = 5) -> dict[str, Any]:
    names = ("h0", "c0") if "lstm" in cell else ("h0",)
    return {name: draw(batch, hidden, seed=20 + k) for k, name in enumerate(names)}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("hidden", [1, 5, 33])
def test_against_the_equations(cell: str, hidden: int) -> None:
    given, x = haste_weights(cell, hidden=hidden), draw(7, 2, 3, seed=8)
    initial = states(cell, hidden=hidden)
    expected = haste_layer(cell, x, given, initial["h0"], initial.get("c0"))
    ours = run_ops(from_haste(cell, given), x, **initial)
    rtol = 1e-9 if "norm" in cell and hidden == 1 else 1e-12
    for got, right in zip(ours, expected, strict=True):
        assert_exact(got, right, rtol=rtol)


@pytest.mark.parametrize("cell", CELLS)
def test_round_trip(cell: str) -> None:
    given, x = haste_weights(cell), draw(7, 2, 3, seed=8)
    assert_same_arrays(to_haste(from_haste(cell, given)), given)
    zeros = np.zeros((2, 5))
    ours = random_layer(cell)
    assert_exact(run_ops(ours, x)[0], haste_layer(cell, x, to_haste(ours), zeros, zeros)[0])
    bare = random_layer(cell, bias=False)
    assert not to_haste(bare)["bias"].any()


@pytest.mark.parametrize("cell", CELLS)
def test_zoneout_is_that_of_h_alone(cell: str) -> None:
    """Outside of training, where it is an expectation."""
    given, x = haste_weights(cell), draw(7, 2, 3, seed=8)
    layer = to_module([from_haste(cell, given)]).eval()
    rates = (0.25, 0.0) if "lstm" in cell else (0.25,)
    zoned = type(layer)(3, 5, zoneout=rates, dtype=torch.float64).eval()
    zoned.load_state_dict(layer.state_dict())
    initial = states(cell)
    hx = tuple(torch.from_numpy(state)[None] for state in initial.values())
    y, final = zoned(torch.from_numpy(x), hx if len(hx) == 2 else hx[0])
    expected = haste_layer(cell, x, given, initial["h0"], initial.get("c0"), keep=0.25)
    finals = final if isinstance(final, tuple) else (final,)
    for got, right in zip((y, *(state[0] for state in finals)), expected, strict=True):
        assert_exact(got, right)


@pytest.mark.parametrize("cell", CELLS)
def test_bad_weights(cell: str) -> None:
    given = haste_weights(cell)
    with pytest.raises(ValueError, match=r"recurrent_kernel: expected shape \(H, .\*H\)"):
        from_haste(cell, {**given, "recurrent_kernel": given["recurrent_kernel"][1:]})
    with pytest.raises(ValueError, match="weights: expected kernel, recurrent_kernel, bias"):
        from_haste(cell, {"kernel": given["kernel"]})
    for name in given:
        with pytest.raises(ValueError, match=f"^{name}: expected shape"):
            from_haste(cell, {**given, name: given[name][..., :-1]})
    with pytest.raises(ValueError, match="expected lstm, gru, layer_norm_lstm or layer_norm_gru"):
        from_haste("rnn_tanh", given)
    with pytest.raises(ValueError, match="layer: expected one direction"):
        to_haste(random_layer(cell, num_directions=2))
