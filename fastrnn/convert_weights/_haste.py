"""The layers of haste (lmnt-com/haste, ``haste_pytorch`` and ``haste_tf``)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fastrnn.convert_weights._arrays import Array, recurrent_kernel, reorder, shaped
from fastrnn.convert_weights._layer import GATES, Direction, Layer

__all__ = ["from_haste", "to_haste"]

_GATES = {"lstm": "igfo", "gru": "zrn"}  # haste: i, g, f, o; z, r, g


def from_haste(cell: str, weights: Mapping[str, object]) -> Layer:
    """Read ``kernel``, ``recurrent_kernel``, ``bias`` and, for a GRU, ``recurrent_bias`` of haste.

    Kernels are [I, G*H] and [H, G*H], gates i, g, f, o (``LSTM``) and z, r, g (``GRU``, reset
    after the product).  haste's ``forget_bias`` only initializes.

    Raises:
        ValueError: another cell, other names, shapes or dtypes.

    >>> import numpy as np
    >>> weights = {"kernel": np.ones((3, 20)), "recurrent_kernel": np.zeros((5, 20))}
    >>> from_haste("lstm", {**weights, "bias": np.zeros(20)}).hidden_size
    5
    """
    order, names = _order(cell)
    if set(weights) != set(names):
        got = ", ".join(sorted(weights)) or "none"
        raise ValueError(f"weights: expected {', '.join(names)}, got {got}")
    recurrent = recurrent_kernel("recurrent_kernel", weights["recurrent_kernel"], len(order))
    rows, dtype = recurrent.shape[1], recurrent.dtype
    kernel = shaped("kernel", weights["kernel"], ("I", rows), dtype)
    ours = GATES[cell]
    biases = [shaped(name, weights[name], (rows,), dtype) for name in names[2:]]
    return Layer(
        cell,
        (Direction(*(reorder(a, order, ours) for a in (kernel.T, recurrent.T, *biases))),),
    )


def to_haste(layer: Layer) -> dict[str, Array]:
    """Weights for a haste layer, see `from_haste`; biases of a layer without are zeros.

    Raises:
        ValueError: another cell, or two directions.
    """
    order, names = _order(layer.cell)
    if layer.num_directions != 1:
        raise ValueError("layer: expected one direction, haste has no other")
    source = layer if layer.cell == "gru" else layer.merge_biases()
    (direction,) = source.split_biases().directions
    arrays = direction.weight_ih, direction.weight_hh, direction.bias_ih, direction.bias_hh
    ours = GATES[layer.cell]
    return {
        name: np.ascontiguousarray(reorder(array, ours, order).T)
        for name, array in zip(names, arrays)
        if array is not None
    }


def _order(cell: str) -> tuple[str, tuple[str, ...]]:
    if cell not in _GATES:
        raise ValueError(f"cell: expected lstm or gru, got {cell!r}")
    names = ("kernel", "recurrent_kernel", "bias")
    return _GATES[cell], (*names, "recurrent_bias") if cell == "gru" else names
