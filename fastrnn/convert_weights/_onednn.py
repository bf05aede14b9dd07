"""oneDNN's RNN primitives: five-axis weights of all layers and directions at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastrnn.convert_weights._arrays import Array, reorder, shaped
from fastrnn.convert_weights._layer import GATES, Direction, Layer
from fastrnn.convert_weights._stack import check_stack

__all__ = ["OneDnnWeights", "from_onednn", "to_onednn"]

_GATES = {
    "rnn_tanh": "h",
    "rnn_relu": "h",
    "lstm": "ifgo",  # oneDNN: i, f, c~, o
    "peephole_lstm": "ifgo",
    "gru_reset_before": "zrn",  # oneDNN: u, r, o
    "gru": "zrn",
}
_LAYOUTS = ("ldigo", "ldgoi")


class OneDnnWeights(NamedTuple):
    """Arguments of an RNN primitive: L layers, D directions, G gates.

    Attributes:
        layer: ``DNNL_ARG_WEIGHTS_LAYER``, [L, D, I, G, H] (ldigo) or [L, D, G, H, I] (ldgoi).
        iter: ``DNNL_ARG_WEIGHTS_ITER``, [L, D, H, G, H] or [L, D, G, H, H].
        bias: ``DNNL_ARG_BIAS``, [L, D, G, H] (ldgo), G + 1 of them for lbr_gru; or None.
        peephole: ``DNNL_ARG_WEIGHTS_PEEPHOLE``, [L, D, 3, H] in the order i, f, o; or None.
    """

    layer: Array
    iter: Array
    bias: Array | None = None
    peephole: Array | None = None


def from_onednn(
    cell: str,
    layer: object,
    iter: object,  # noqa: A002 - oneDNN's name
    bias: object = None,
    peephole: object = None,
    *,
    layout: str = "ldigo",
) -> list[Layer]:
    """Read the weights of an RNN primitive; a `Layer` for each of its layers.

    ====================  =======================================================
    ``cell``              primitive and its gates
    ====================  =======================================================
    rnn_tanh, rnn_relu    vanilla_rnn
    lstm, peephole_lstm   lstm: i, f, c, o; peepholes i, f, o
    gru_reset_before      gru: u, r, o (z, r, n here)
    gru                   lbr_gru: u, r, o; the fourth bias is the candidate's
                          inside the product with r (b_hn)
    ====================  =======================================================

    The update gate has torch's sign, ``h' = u*h + (1-u)*o``.  AUGRU (attention) and projections
    have no cell here.

    Args:
        cell: which primitive, by the table.
        layer: weights on the input, as in `OneDnnWeights`; so are the others.
        iter: weights on the hidden state.
        bias: biases, or None.
        peephole: peepholes, or None.
        layout: "ldigo" or "ldgoi".

    Raises:
        ValueError: an unknown cell or layout, other shapes or dtypes.

    Source: oneDNN's developer guide, "RNN".

    >>> import numpy as np
    >>> (layer,) = from_onednn("lstm", np.ones((1, 1, 3, 4, 5)), np.zeros((1, 1, 5, 4, 5)))
    >>> layer.input_size, layer.hidden_size
    (3, 5)
    """
    order, ours = _order(cell), GATES.get(cell, "")
    gates = len(order)
    axis = _gate_axis(layout)
    names = ("L", "D", "H", gates, "H") if axis == 3 else ("L", "D", gates, "H", "H")
    recurrent = shaped("iter", iter, names)
    layers, directions, hidden = recurrent.shape[0], recurrent.shape[1], recurrent.shape[-1]
    square = (hidden, gates, hidden) if axis == 3 else (gates, hidden, hidden)
    if recurrent.shape[2:] != square or directions > 2:
        raise ValueError(
            f"iter: expected shape ({', '.join(map(str, names))}) with D of 1 or 2, "
            f"got {recurrent.shape}"
        )
    dtype, lead = recurrent.dtype, (layers, directions)
    inputs = ("I", gates, hidden) if axis == 3 else (gates, hidden, "I")
    kernel = shaped("layer", layer, (*lead, *inputs), dtype)
    biases = gates + (cell == "gru")
    if bias is not None:
        bias = shaped("bias", bias, (*lead, biases, hidden), dtype)
    if (peephole is None) == (cell == "peephole_lstm"):
        raise ValueError(
            f"peephole: expected {'an array' if peephole is None else 'None'} for {cell}"
        )
    if peephole is not None:
        peephole = shaped("peephole", peephole, (*lead, 3, hidden), dtype)

    def direction(k: int, d: int) -> Direction:
        rows = [_rows(a[k, d], axis, gates * hidden, order, ours) for a in (kernel, recurrent)]
        bias_ih = bias_hh = None
        if isinstance(bias, np.ndarray):
            bias_ih = reorder(bias[k, d, :gates].reshape(-1), order, ours)
            if cell == "gru":
                bias_hh = np.zeros_like(bias_ih)
                bias_hh[2 * hidden :] = bias[k, d, gates]
        peep = peephole[k, d].copy() if isinstance(peephole, np.ndarray) else None
        return Direction(rows[0], rows[1], bias_ih, bias_hh, peep)

    return [Layer(cell, tuple(direction(k, d) for d in range(directions))) for k in range(layers)]


def to_onednn(layers: Sequence[Layer], *, layout: str = "ldigo") -> OneDnnWeights:
    """Lay a stack of layers out for one RNN primitive, see `from_onednn`.

    Biases are merged as far as the cell allows (`Layer.merge_biases`).

    Raises:
        ValueError: layers of different input sizes, which take a primitive each; an unknown
            layout; layers that do not stack.

    >>> import numpy as np
    >>> layer = Layer("gru", (Direction(np.ones((15, 3)), np.zeros((15, 5)), np.zeros(15)),))
    >>> weights = to_onednn([layer])
    >>> weights.layer.shape, weights.bias.shape
    ((1, 1, 3, 3, 5), (1, 1, 4, 5))
    """
    stack = check_stack(layers)
    axis = _gate_axis(layout)
    first = stack[0]
    if any(layer.input_size != first.input_size for layer in stack):
        sizes = ", ".join(str(layer.input_size) for layer in stack)
        raise ValueError(f"layers: expected one input_size, a primitive has no other, got {sizes}")
    cell, hidden, gates = first.cell, first.hidden_size, first.num_gates
    order, ours = _order(cell), GATES[cell]
    columns: dict[str, list[Array]] = {"layer": [], "iter": [], "bias": [], "peephole": []}
    for layer in stack:
        for direction in layer.merge_biases().directions:
            for name, weight in (("layer", direction.weight_ih), ("iter", direction.weight_hh)):
                rows = reorder(weight, ours, order)
                block = rows.reshape(gates, hidden, -1)
                columns[name].append(block if axis == 2 else np.moveaxis(block, 2, 0))
            if direction.bias_ih is not None:
                blocks = reorder(direction.bias_ih, ours, order).reshape(gates, hidden)
                if cell == "gru":
                    inside = np.zeros(hidden, layer.dtype)
                    if direction.bias_hh is not None:
                        inside = direction.bias_hh[2 * hidden :]
                    blocks = np.concatenate([blocks, inside[None]])
                columns["bias"].append(blocks)
            if direction.peephole is not None:
                columns["peephole"].append(direction.peephole)
    lead = (len(stack), first.num_directions)
    result = {
        name: np.ascontiguousarray(np.stack(blocks)).reshape(*lead, *blocks[0].shape)
        for name, blocks in columns.items()
        if blocks
    }
    return OneDnnWeights(**result)


def _order(cell: str) -> str:
    if cell not in _GATES:
        raise ValueError(f"cell: expected one of {', '.join(_GATES)}, got {cell!r}")
    return _GATES[cell]


def _gate_axis(layout: str) -> int:
    if layout not in _LAYOUTS:
        raise ValueError(f"layout: expected ldigo or ldgoi, got {layout!r}")
    return layout.index("g")


def _rows(block: Array, axis: int, rows: int, order: str, ours: str) -> Array:
    """[I, G, H] or [G, H, I] as [G*H, I] in our order."""
    last = np.moveaxis(block, 0, 2) if axis == 3 else block
    return reorder(np.ascontiguousarray(last).reshape(rows, -1), order, ours)
