"""The layers of haste (lmnt-com/haste, ``haste_pytorch`` and ``haste_tf``)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fastrnn.convert_weights._arrays import Array, recurrent_kernel, reorder, shaped
from fastrnn.convert_weights._layer import GATES, Direction, Layer

__all__ = ["from_haste", "to_haste"]

# haste: i, g, f, o; z, r, g
_GATES = {"lstm": "igfo", "gru": "zrn", "layer_norm_lstm": "igfo", "layer_norm_gru": "zrn"}
_NAMES = {
    "lstm": ("bias",),
    "gru": ("bias", "recurrent_bias"),
    "layer_norm_lstm": ("bias", "gamma", "gamma_h", "beta_h"),
    "layer_norm_gru": ("bias", "recurrent_bias", "gamma"),
}


def from_haste(cell: str, weights: Mapping[str, object]) -> Layer:
    """Read the weights of a layer of haste, by the names of its attributes.

    ===================  ==================  =======================================================
    haste's layer        ``cell``            weights
    ===================  ==================  =======================================================
    ``LSTM``             lstm                ``kernel`` [I, 4H], ``recurrent_kernel`` [H, 4H],
                                             ``bias`` [4H]; gates i, g, f, o
    ``GRU``              gru                 [I, 3H], [H, 3H], ``bias`` and ``recurrent_bias`` [3H];
                                             gates z, r, g, reset after the product
    ``LayerNormLSTM``    layer_norm_lstm     as ``LSTM``, ``gamma`` [2, 4H] of the input's product
                                             and of the recurrent one, ``gamma_h``, ``beta_h`` [H]
    ``LayerNormGRU``     layer_norm_gru      as ``GRU``, and ``gamma`` [2, 3H]
    ===================  ==================  =======================================================

    haste's ``forget_bias`` only initializes.  Its ``zoneout`` z and ``dropout`` (DropConnect on the
    recurrent kernel) are no weights: for an LSTM they are ``zoneout=(z, 0.0)``, as haste's keeps
    c, and ``weight_drop`` of the layers of `fastrnn.nn`.

    Raises:
        ValueError: another cell, other names, shapes or dtypes.

    >>> import numpy as np
    >>> weights = {"kernel": np.ones((3, 20)), "recurrent_kernel": np.zeros((5, 20))}
    >>> from_haste("lstm", {**weights, "bias": np.zeros(20)}).hidden_size
    5
    """
    order, names = _order(cell), ("kernel", "recurrent_kernel", *_NAMES[cell])
    if set(weights) != set(names):
        got = ", ".join(sorted(weights)) or "none"
        raise ValueError(f"weights: expected {', '.join(names)}, got {got}")
    recurrent = recurrent_kernel("recurrent_kernel", weights["recurrent_kernel"], len(order))
    hidden, rows = recurrent.shape
    dtype, ours = recurrent.dtype, GATES[cell]
    kernel = shaped("kernel", weights["kernel"], ("I", rows), dtype)
    shapes = {"bias": (rows,), "recurrent_bias": (rows,), "gamma": (2, rows)}
    shapes |= {"gamma_h": (hidden,), "beta_h": (hidden,)}
    read = {name: shaped(name, weights[name], shapes[name], dtype) for name in _NAMES[cell]}
    norm = None
    if "gamma" in read:
        scales = [reorder(gamma, order, ours) for gamma in read["gamma"]]
        of_cell = [read[name] for name in ("gamma_h", "beta_h") if name in read]
        norm = np.concatenate([*scales, *of_cell]).reshape(-1, hidden)
    biases = [read[name] for name in ("bias", "recurrent_bias") if name in read]
    bias_ih, bias_hh = (*[reorder(bias, order, ours) for bias in biases], None)[:2]
    matrices = reorder(kernel.T, order, ours), reorder(recurrent.T, order, ours)
    return Layer(cell, (Direction(*matrices, bias_ih, bias_hh, norm=norm),))


def to_haste(layer: Layer) -> dict[str, Array]:
    """Weights for a haste layer, see `from_haste`; biases of a layer without are zeros.

    Raises:
        ValueError: another cell, or two directions.
    """
    order = _order(layer.cell)
    if layer.num_directions != 1:
        raise ValueError("layer: expected one direction, haste has no other")
    names = _NAMES[layer.cell]
    source = layer if "recurrent_bias" in names else layer.merge_biases()
    (direction,) = source.split_biases().directions
    ours, hidden = GATES[layer.cell], layer.hidden_size
    found = {
        "kernel": direction.weight_ih,
        "recurrent_kernel": direction.weight_hh,
        "bias": direction.bias_ih,
        "recurrent_bias": direction.bias_hh,
    }
    result = {
        name: np.ascontiguousarray(reorder(array, ours, order).T)
        for name, array in found.items()
        if array is not None and name in ("kernel", "recurrent_kernel", *names)
    }
    if direction.norm is not None:
        scales = direction.norm[: 2 * len(ours)].reshape(2, len(ours) * hidden)
        result["gamma"] = reorder(scales, ours, order, axis=1)
        further = direction.norm[2 * len(ours) :]
        result |= {name: row.copy() for name, row in zip(("gamma_h", "beta_h"), further)}
    return result


def _order(cell: str) -> str:
    if cell not in _GATES:
        known = ", ".join(list(_GATES)[:-1])
        raise ValueError(f"cell: expected {known} or {list(_GATES)[-1]}, got {cell!r}")
    return _GATES[cell]
