"""Weights of ONNX's operators LSTM, GRU and RNN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastrnn.convert_weights._arrays import Array, reorder, shaped
from fastrnn.convert_weights._layer import GATES, Direction, Layer

__all__ = ["OnnxWeights", "from_onnx", "to_onnx"]

_OPERATORS = {"LSTM": "iofg", "GRU": "zrn", "RNN": "h"}  # ONNX: i, o, f, c; z, r, h
_PEEPHOLES = "iof"
_ACTIVATIONS = {"LSTM": ("sigmoid", "tanh", "tanh"), "GRU": ("sigmoid", "tanh"), "RNN": ("tanh",)}
_DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
_CELLS = (
    *("rnn_tanh", "rnn_relu", "rnn_sigmoid", "lstm", "peephole_lstm", "coupled_lstm"),
    *("gru", "gru_reset_before"),
)


class OnnxWeights(NamedTuple):
    """Inputs of an ONNX operator and the attributes that go with them; D directions.

    Attributes:
        op_type: "LSTM", "GRU" or "RNN".
        W: [D, G*H, I].
        R: [D, G*H, H].
        B: [D, 2*G*H], first the input's biases and then the recurrent ones; or None.
        P: [D, 3*H], peepholes in the order i, o, f; or None.
        attributes: ``hidden_size`` and whatever differs from the operator's defaults.
    """

    op_type: str
    W: Array
    R: Array
    B: Array | None
    P: Array | None
    attributes: dict[str, Any]


def from_onnx(
    op_type: str,
    W: object,
    R: object,
    B: object = None,
    P: object = None,
    *,
    direction: str = "forward",
    hidden_size: int | None = None,
    linear_before_reset: int = 0,
    activations: Sequence[str | bytes] | None = None,
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    clip: float | None = None,
    input_forget: int = 0,
    layout: int = 0,
    output_sequence: int = 0,  # noqa: ARG001 - an attribute that nodes have
) -> Layer:
    """Read the inputs W, R, B and P of an ONNX node, given its attributes under their names.

    The cell is ``lstm``, ``peephole_lstm`` with P or ``coupled_lstm`` with ``input_forget=1``;
    ``gru`` or, for ``linear_before_reset=0`` (ONNX's default), ``gru_reset_before``; ``rnn_tanh``,
    ``rnn_relu`` or ``rnn_sigmoid``.  ``layout`` and ``output_sequence`` say how the node's other
    inputs and outputs lie, not its weights.

    Args:
        op_type: "LSTM" (gates i, o, f, c), "GRU" (z, r, h) or "RNN".
        W: weights on the input, as in `OnnxWeights`; so are the others.
        R: weights on the hidden state.
        B: biases, or None.
        P: peepholes, or None.
        direction: "forward", "reverse" or "bidirectional".
        hidden_size: checked against R, if given.
        linear_before_reset: 1 for torch's GRU.
        activations: names, for both directions one after the other; None for the defaults.
        activation_alpha: parameters of activations that no cell here has: must be empty.
        activation_beta: the same.
        clip: must be None.
        input_forget: 1 where f = 1 - i, so that the rows of f count for nothing; not with P.  The
            gate here is f: its rows are those of i, negated.
        layout: 0 or 1; changes nothing here.
        output_sequence: of the first opset; changes nothing here.

    Raises:
        ValueError: another operator or attribute; arrays of other shapes or dtypes; or what no
            cell computes: ``input_forget=1`` with P, ``clip``, activations other than the defaults
            (and Relu and Sigmoid for RNN).

    Source: onnx/docs/Operators.md, opset 22.

    >>> import numpy as np
    >>> layer = from_onnx("GRU", np.ones((1, 15, 3)), np.zeros((1, 15, 5)), linear_before_reset=1)
    >>> layer.cell, layer.input_size, layer.hidden_size
    ('gru', 3, 5)
    """
    if op_type not in _OPERATORS:
        raise ValueError(f"op_type: expected LSTM, GRU or RNN, got {op_type!r}")
    direction = _text(direction)
    if direction not in _DIRECTIONS:
        raise ValueError(
            f"direction: expected forward, reverse or bidirectional, got {direction!r}"
        )
    if layout not in (0, 1) or linear_before_reset not in (0, 1) or input_forget not in (0, 1):
        raise ValueError(
            "layout, linear_before_reset, input_forget: expected 0 or 1, got "
            f"{layout}, {linear_before_reset}, {input_forget}"
        )
    if input_forget and (op_type != "LSTM" or P is not None):
        what = "with P" if op_type == "LSTM" else f"for {op_type}"
        raise ValueError(f"input_forget: expected 0 {what}, got 1")
    if clip is not None:
        raise ValueError(f"clip: expected none, as no cell here clips its gates, got {clip}")
    directions = _DIRECTIONS[direction]
    cell = _cell(op_type, directions, activations, activation_alpha, activation_beta)
    if op_type == "GRU" and not linear_before_reset:
        cell = "gru_reset_before"
    if P is not None:
        if op_type != "LSTM":
            raise ValueError(f"P: expected None, {op_type} has no peepholes")
        cell = "peephole_lstm"
    if input_forget:
        cell = "coupled_lstm"

    order = _OPERATORS[op_type]
    recurrent = shaped("R", R, (directions, f"{len(order)}*H", "H"))
    hidden, rows, dtype = recurrent.shape[2], recurrent.shape[1], recurrent.dtype
    if rows != len(order) * hidden:
        raise ValueError(f"R: expected shape (D, {len(order)}*H, H), got {recurrent.shape}")
    if hidden_size is not None and hidden_size != hidden:
        raise ValueError(f"hidden_size: expected {hidden}, which R has, got {hidden_size}")
    kernel = shaped("W", W, (directions, rows, "I"), dtype)
    bias = None if B is None else shaped("B", B, (directions, 2 * rows), dtype)
    peephole = None if P is None else shaped("P", P, (directions, 3 * hidden), dtype)

    def ours(array: Array) -> Array:
        return _coupled(array) if input_forget else reorder(array, order, GATES[cell])

    return Layer(
        cell,
        tuple(
            Direction(
                ours(kernel[d]),
                ours(recurrent[d]),
                None if bias is None else ours(bias[d, :rows]),
                None if bias is None else ours(bias[d, rows:]),
                None if peephole is None else _peephole(peephole[d], _PEEPHOLES, "ifo", hidden),
            )
            for d in range(directions)
        ),
        reverse=direction == "reverse",
    )


def to_onnx(layer: Layer) -> OnnxWeights:
    """Lay a layer's weights out as inputs of an ONNX node; see `OnnxWeights`.

    Raises:
        ValueError: a cell that ONNX does not have in this form.

    >>> import numpy as np
    >>> weights = to_onnx(Layer("gru", (Direction(np.ones((15, 3)), np.zeros((15, 5))),)))
    >>> weights.op_type, weights.W.shape, weights.attributes
    ('GRU', (1, 15, 3), {'hidden_size': 5, 'linear_before_reset': 1})
    """
    cell, hidden = layer.cell, layer.hidden_size
    if cell not in _CELLS:
        raise ValueError(f"layer: expected a cell of {', '.join(_CELLS)}, got {cell}")
    op_type = "LSTM" if "lstm" in cell else "GRU" if "gru" in cell else "RNN"
    order, ours = _OPERATORS[op_type], GATES[cell]
    attributes: dict[str, Any] = {"hidden_size": hidden}
    if layer.num_directions == 2 or layer.reverse:
        attributes["direction"] = "reverse" if layer.reverse else "bidirectional"
    if cell == "gru":
        attributes["linear_before_reset"] = 1
    if cell in ("rnn_relu", "rnn_sigmoid"):
        attributes["activations"] = [cell[4:].title()] * layer.num_directions
    if cell == "coupled_lstm":
        attributes["input_forget"] = 1
    source = layer.split_biases() if layer.bias else layer

    def theirs(array: Array) -> Array:
        return _uncoupled(array) if cell == "coupled_lstm" else reorder(array, ours, order)

    def stacked(name: str) -> Array:
        return np.stack([theirs(getattr(d, name)) for d in source.directions])

    bias = peephole = None
    if layer.bias:
        bias = np.concatenate([stacked("bias_ih"), stacked("bias_hh")], axis=1)
    if cell == "peephole_lstm":
        rows = [d.peephole for d in layer.directions if d.peephole is not None]
        peephole = np.stack([_peephole(p, "ifo", _PEEPHOLES, hidden).ravel() for p in rows])
    return OnnxWeights(
        op_type, stacked("weight_ih"), stacked("weight_hh"), bias, peephole, attributes
    )


def _coupled(array: Array) -> Array:
    """Rows f g o of ONNX's i o f g, where f = 1 - i: s(-a) = 1 - s(a)."""
    i, o, _, g = np.split(array, 4)
    return np.concatenate([-i, g, o])


def _uncoupled(array: Array) -> Array:
    """The inverse; rows of f, which count for nothing, are zero."""
    f, g, o = np.split(array, 3)
    return np.concatenate([-f, o, np.zeros_like(f), g])


def check_attributes(attributes: Mapping[str, Any]) -> None:
    """Raise ValueError for an attribute that `from_onnx` has no argument for."""
    unknown = set(attributes) - set(from_onnx.__kwdefaults__ or ())
    if unknown:
        raise ValueError(f"attributes: {', '.join(sorted(unknown))} unknown")


def _peephole(array: Array, old: str, new: str, hidden: int) -> Array:
    return reorder(array.reshape(3, hidden), old, new)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _cell(
    op_type: str,
    directions: int,
    activations: Sequence[str | bytes] | None,
    alpha: Sequence[float],
    beta: Sequence[float],
) -> str:
    """The cell that the activations make; parameters of activations are for ones not here."""
    default = _ACTIVATIONS[op_type] * directions
    given = default if not activations else tuple(_text(name).lower() for name in activations)
    known = {default: {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn_tanh"}[op_type]}
    if op_type == "RNN":
        known[("relu",) * directions] = "rnn_relu"
        known[("sigmoid",) * directions] = "rnn_sigmoid"
    if given not in known:
        expected = " or ".join(", ".join(name.title() for name in names) for names in known)
        got = ", ".join(name.title() for name in given)
        raise ValueError(f"activations: expected {expected}, got {got}")
    if len(alpha) or len(beta):
        raise ValueError("activation_alpha, activation_beta: expected none for these activations")
    return known[given]
