"""The multiplicative LSTM of the "sentiment neuron", Radford et al. 2017."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fastrnn.convert_weights._arrays import Array, recurrent_kernel, reorder, shaped
from fastrnn.convert_weights._layer import Direction, Layer

__all__ = ["from_sentiment_neuron"]

_MATRICES = ("wx", "wh", "wmx", "wmh")
_SCALES = ("gx", "gh", "gmx", "gmh")
_THEIRS, _OURS = "ifog", "ifgo"  # theirs: i, f, o, u


def from_sentiment_neuron(weights: Mapping[str, object]) -> Layer:
    """Read the variables of ``mlstm`` in ``openai/generating-reviews-discovering-sentiment``.

    Its equations, products ``x @ w``::

        m = (x @ wmx) * (h @ wmh)
        i, f, o, u = split(x @ wx + m @ wh + b)        s, s, s, tanh of them
        c' = f*c + i*u
        h' = o*tanh(c')

    With weight normalization each column of a matrix w is ``g * w / |w|``: gx, gh, gmx, gmh.  That
    product is what is kept here: it is computed in float64 and rounded to the weights' dtype.

    Args:
        weights: ``wx`` [I, 4H], ``wh`` [H, 4H], ``wmx`` [I, H], ``wmh`` [H, H], ``b`` [4H] and,
            all or none, ``gx`` and ``gh`` [4H], ``gmx`` and ``gmh`` [H].

    The published files ``model/0.npy`` to ``14.npy`` are the embedding, wx, four parts of wh to be
    joined along axis 1, wmx, wmh, b, gx, gh, gmx, gmh, and the output's w and b.

    Raises:
        ValueError: other names, shapes or dtypes.

    Source: Radford, Jozefowicz & Sutskever, "Learning to generate reviews and discovering
    sentiment", 2017, and its code, ``encoder.py``.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> shapes = {"wx": (3, 20), "wh": (5, 20), "wmx": (3, 5), "wmh": (5, 5), "b": (20,)}
    >>> layer = from_sentiment_neuron({name: rng.normal(size=s) for name, s in shapes.items()})
    >>> layer.cell, layer.input_size, layer.hidden_size
    ('multiplicative_lstm', 3, 5)
    """
    names = {*_MATRICES, "b"}
    if set(weights) not in (names, names | set(_SCALES)):
        got = ", ".join(sorted(weights)) or "none"
        raise ValueError(
            f"weights: expected {', '.join(_MATRICES)}, b and all of {', '.join(_SCALES)} or none "
            f"of them, got {got}"
        )
    wh = recurrent_kernel("wh", weights["wh"], 4)
    hidden, dtype = wh.shape[0], wh.dtype
    wx = shaped("wx", weights["wx"], ("I", 4 * hidden), dtype)
    found = {"wh": wh, "wx": wx}
    for name, rows in (("wmx", wx.shape[0]), ("wmh", hidden)):
        found[name] = shaped(name, weights[name], (rows, hidden), dtype)
    if "gx" in weights:
        for name, scale in zip(_MATRICES, _SCALES, strict=True):
            matrix = found[name]
            read = shaped(scale, weights[scale], (matrix.shape[1],), dtype)
            found[name] = _normalized(matrix, read)
    bias = reorder(shaped("b", weights["b"], (4 * hidden,), dtype), _THEIRS, _OURS)

    def joined(m: Array, gates: Array) -> Array:
        return np.concatenate([m.T, reorder(gates.T, _THEIRS, _OURS)])

    direction = Direction(
        joined(found["wmx"], found["wx"]),
        joined(found["wmh"], found["wh"]),
        np.concatenate([np.zeros(hidden, dtype), bias]),
    )
    return Layer("multiplicative_lstm", (direction,))


def _normalized(matrix: Array, scale: Array) -> Array:
    """Columns of length ``scale``; as TensorFlow's ``l2_normalize``, a tiny one stays tiny."""
    wide = matrix.astype(np.float64)
    squares = np.maximum((wide**2).sum(axis=0), 1e-12)
    result: Array = (wide / np.sqrt(squares) * scale.astype(np.float64)).astype(matrix.dtype)
    return result
