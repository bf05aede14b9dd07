"""Keras' ``SimpleRNN``, ``LSTM`` and ``GRU``, alone or inside ``Bidirectional``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastrnn.convert_weights._arrays import Array, float_array, recurrent_kernel, reorder, shaped
from fastrnn.convert_weights._layer import GATES, Direction, Layer

__all__ = ["from_keras", "to_keras"]

# Keras' names: z, r, h of the GRU; i, f, c, o of the LSTM, whose c is g here.
_GATES = {
    "rnn_tanh": "h",
    "rnn_relu": "h",
    "lstm": "ifgo",
    "gru": "zrn",
    "gru_reset_before": "zrn",
}


def from_keras(cell: str, weights: Sequence[object], *, reverse: bool = False) -> Layer:
    """Read the weights of a Keras layer, ``layer.get_weights()``.

    ======================  ================  ==============================================
    Keras layer             ``cell``          weights, a direction after the other
    ======================  ================  ==============================================
    ``SimpleRNN`` (tanh)    rnn_tanh          kernel [I, H], recurrent [H, H], bias [H]
    ``SimpleRNN`` (relu)    rnn_relu          the same
    ``LSTM``                lstm              [I, 4H], [H, 4H], [4H]; gates i, f, c, o
    ``GRU``                 gru               [I, 3H], [H, 3H], [2, 3H]; gates z, r, h
    ``reset_after=False``   gru_reset_before  [I, 3H], [H, 3H], [3H]; gates z, r, h
    ======================  ================  ==============================================

    The products are ``x @ kernel``, so kernels are transposed.  Keras' ``unit_forget_bias`` only
    initializes the bias, which holds the ones afterward: nothing is added here.

    Args:
        cell: which cell it is, by the table; ``reset_after`` cannot be told without a bias.
        weights: 2 or 3 arrays (without and with bias), or 4 or 6 of a ``Bidirectional``.
        reverse: the layer has ``go_backwards=True``.  (Keras returns its outputs in the order in
            which it computed them, last step first.)

    Raises:
        ValueError: a cell that Keras has no layer for, a wrong number of arrays, or arrays of
            other shapes or dtypes than above.

    Source: keras/src/layers/rnn in Keras 3.

    >>> import numpy as np
    >>> kernel, recurrent, bias = np.ones((3, 20)), np.zeros((5, 20)), np.zeros(20)
    >>> layer = from_keras("lstm", [kernel, recurrent, bias])
    >>> layer.directions[0].weight_ih.shape
    (20, 3)
    """
    order = _order(cell)
    count = len(weights)
    if count not in (2, 3, 4, 6):
        raise ValueError(
            "weights: expected kernel, recurrent_kernel and perhaps bias, "
            f"for one direction or two: 2, 3, 4 or 6 arrays, got {count}"
        )
    directions = 2 if count in (4, 6) else 1
    per = count // directions
    return Layer(
        cell,
        tuple(
            _read(cell, order, weights[d * per : (d + 1) * per], "backward " if d else "")
            for d in range(directions)
        ),
        reverse,
    )


def to_keras(layer: Layer) -> list[Array]:
    """Lay a layer's weights out for ``set_weights`` of the Keras layer, see `from_keras`.

    The two biases become one (their sum), but for ``gru``, whose Keras layer has both.  Without
    biases the Keras layer must have ``use_bias=False``.

    Raises:
        ValueError: Keras has no such layer (peepholes).

    >>> import numpy as np
    >>> weights = [np.ones((3, 15)), np.zeros((5, 15)), np.zeros((2, 15))]
    >>> [array.shape for array in to_keras(from_keras("gru", weights))]
    [(3, 15), (5, 15), (2, 15)]
    """
    order = _order(layer.cell)
    ours = GATES[layer.cell]
    both = layer.cell == "gru"
    source = (layer.split_biases() if both else layer.merge_biases()) if layer.bias else layer
    result = []
    for direction in source.directions:
        weights = direction.weight_ih, direction.weight_hh
        result += [np.ascontiguousarray(reorder(weight, ours, order).T) for weight in weights]
        if layer.bias:
            biases = [b for b in (direction.bias_ih, direction.bias_hh) if b is not None]
            rows = [reorder(bias, ours, order) for bias in biases]
            result.append(np.stack(rows) if both else rows[0])
    return result


def _order(cell: str) -> str:
    if cell not in _GATES:
        raise ValueError(f"cell: expected one of {', '.join(_GATES)}, got {cell!r}")
    return _GATES[cell]


def _read(cell: str, order: str, weights: Sequence[object], which: str) -> Direction:
    gates = len(order)
    recurrent = recurrent_kernel(f"{which}recurrent_kernel", weights[1], gates)
    rows, dtype = recurrent.shape[1], recurrent.dtype
    kernel = shaped(f"{which}kernel", weights[0], ("I", rows), dtype)
    biases: list[Array | None] = [None, None]
    if len(weights) == 3:
        bias = float_array(f"{which}bias", weights[2], dtype)
        hint = ""
        if cell == "gru" and bias.ndim == 1:
            hint = '; one axis belongs to reset_after=False, the cell "gru_reset_before"'
        elif cell == "gru_reset_before" and bias.ndim == 2:
            hint = '; two axes belong to reset_after=True, the cell "gru"'
        bias = shaped(f"{which}bias", bias, (2, rows) if cell == "gru" else (rows,), dtype, hint)
        biases = [bias[0], bias[1]] if cell == "gru" else [bias, None]
    ours = GATES[cell]
    return Direction(
        reorder(kernel.T, order, ours),
        reorder(recurrent.T, order, ours),
        *(None if bias is None else reorder(bias, order, ours) for bias in biases),
    )
