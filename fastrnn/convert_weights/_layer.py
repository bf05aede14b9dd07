"""The layout that all others are converted from and to: torch's names, shapes, gate orders."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from fastrnn.convert_weights._arrays import Array, add_biases, float_array

__all__ = ["GATES", "Direction", "Layer"]

# The cells of `fastrnn.ops` and their gates in the order of the rows of the weights.
GATES: dict[str, str] = {
    "rnn_tanh": "h",
    "rnn_relu": "h",
    "lstm": "ifgo",
    "gru": "rzn",
    "gru_reset_before": "rzn",
    "peephole_lstm": "ifgo",
    "rnn_sigmoid": "h",
    "coupled_lstm": "fgo",
    "ugrnn": "un",
    "multiplicative_lstm": "mifgo",
    "peephole_lstm_full": "ifgo",
    "layer_norm_lstm": "ifgo",
    "layer_norm_gru": "rzn",
}
# Gates that multiply their recurrent part, bias included: its bias cannot join the input's.
_APART = {"gru": "n", "multiplicative_lstm": "m", "layer_norm_gru": "n"}
PEEPHOLES = "ifo"
# Rows of ``norm``: a scale a gate on each side, and the LSTM's scale and shift of the cell state.
_NORM_ROWS = {"layer_norm_lstm": 10, "layer_norm_gru": 6}


@dataclass(frozen=True, eq=False)
class Direction:
    """Weights of one layer in one direction, as ``torch.nn`` lays them out.

    Attributes:
        weight_ih: [G*H, I], G gates in the order of the cell (LSTM i, f, g, o; GRU r, z, n).
        weight_hh: [G*H, H].
        bias_ih: [G*H], or None for zeros.
        bias_hh: [G*H], or None for zeros: a merged bias is all in ``bias_ih``.
        peephole: [3, H], rows p_i, p_f, p_o, of ``peephole_lstm`` alone; matrices V_i, V_f, V_o one
            after the other, [3*H, H], of ``peephole_lstm_full`` alone.
        norm: of the cells with layer normalization alone: [10, H] of ``layer_norm_lstm``, gamma_x
            of every gate, gamma_h of every gate, gamma_c, beta_c; [6, H] of ``layer_norm_gru``,
            gamma_x and gamma_h.
    """

    weight_ih: Array
    weight_hh: Array
    bias_ih: Array | None = None
    bias_hh: Array | None = None
    peephole: Array | None = None
    norm: Array | None = None


@dataclass(frozen=True, eq=False)
class Layer:
    """A recurrent layer of one direction or two: what ``from_...`` returns and ``to_...`` takes.

    Attributes:
        cell: a cell of `fastrnn.ops`, such as "lstm".
        directions: a `Direction` each; the second walks backward in time.
        reverse: whether a single direction walks backward, as ONNX and Keras (``go_backwards``)
            can have it; no layer of torch does.

    Raises:
        ValueError: an unknown cell, or arrays that are not floating-point, not of one dtype, or
            not of the shapes that `Direction` lists.

    >>> import numpy as np
    >>> from fastrnn import ops
    >>> layer = Layer("gru", (Direction(np.ones((15, 3)), np.zeros((15, 5))),))
    >>> layer.input_size, layer.hidden_size, layer.num_directions
    (3, 5, 1)
    >>> y, h_n = ops.gru(np.ones((7, 2, 3)), **layer.arguments())
    >>> y.shape
    (7, 2, 5)
    """

    cell: str
    directions: tuple[Direction, ...]
    reverse: bool = False

    def __post_init__(self) -> None:
        if self.cell not in GATES:
            raise ValueError(f"cell: expected one of {', '.join(GATES)}, got {self.cell!r}")
        directions = tuple(self.directions)
        if len(directions) not in (1, 2):
            raise ValueError(f"directions: expected 1 or 2, got {len(directions)}")
        if self.reverse and len(directions) != 1:
            raise ValueError("reverse: only a layer of one direction walks backward as a whole")
        for index, direction in enumerate(directions):
            _check(self.cell, direction, "" if index == 0 else " of the second direction")
        first, last = directions[0], directions[-1]
        for field in fields(Direction):
            one, other = getattr(first, field.name), getattr(last, field.name)
            if (one is None) != (other is None):
                raise ValueError(f"{field.name}: expected for both directions or none")
            if one is not None and (one.shape != other.shape or one.dtype != other.dtype):
                raise ValueError(
                    f"{field.name} of the second direction: expected {one.dtype} {one.shape} as "
                    f"of the first, got {other.dtype} {other.shape}"
                )
        object.__setattr__(self, "directions", directions)

    @classmethod
    def bidirectional(cls, forward: Layer, backward: Layer) -> Layer:
        """One layer of two directions from two layers of one.

        Raises:
            ValueError: they are not of one cell, or their weights not of the same shapes.
        """
        if forward.cell != backward.cell:
            raise ValueError(f"backward: expected a layer of {forward.cell}, got {backward.cell}")
        if forward.num_directions != 1 or backward.num_directions != 1:
            raise ValueError("forward and backward: expected layers of one direction")
        return cls(forward.cell, forward.directions + backward.directions)

    @property
    def num_gates(self) -> int:
        return len(GATES[self.cell])

    @property
    def num_directions(self) -> int:
        return len(self.directions)

    @property
    def input_size(self) -> int:
        return int(self.directions[0].weight_ih.shape[1])

    @property
    def hidden_size(self) -> int:
        return int(self.directions[0].weight_hh.shape[1])

    @property
    def bias(self) -> bool:
        first = self.directions[0]
        return first.bias_ih is not None or first.bias_hh is not None

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.directions[0].weight_ih.dtype

    def arguments(self) -> dict[str, Array]:
        """Weights as keyword arguments of the cell's function in `fastrnn.ops`.

        For two directions each has a leading axis of 2, as those functions want it.  Those of a
        ``reverse`` layer are for an input that has been flipped in time.
        """
        result = {}
        full = self.cell == "peephole_lstm_full"
        directions = [_beside(d) if full else d for d in self.directions]
        for field in fields(Direction):
            parts = [getattr(direction, field.name) for direction in directions]
            if parts[0] is not None:
                result[field.name] = np.stack(parts) if len(parts) == 2 else parts[0].copy()
        return result

    def merge_biases(self) -> Layer:
        """The same function with one bias, ``bias_ih``, as far as the cell allows.

        In ``gru`` and ``layer_norm_gru`` the candidate's recurrent bias is multiplied by the reset
        gate, and in ``multiplicative_lstm`` that of m by the input's part of m, so these stay in
        ``bias_hh``, beside zeros for the other gates.  Rounds once, in the layer's dtype.
        """
        merged = []
        apart = _APART.get(self.cell, "")
        joint = np.repeat([gate not in apart for gate in GATES[self.cell]], self.hidden_size)
        for direction in self.directions:
            bias_ih, bias_hh = direction.bias_ih, direction.bias_hh
            if bias_hh is not None:
                bias_ih = np.zeros_like(bias_hh) if bias_ih is None else bias_ih.copy()
                bias_ih[joint] = add_biases(bias_ih[joint], bias_hh[joint])
                bias_hh = np.where(joint, bias_hh.dtype.type(0), bias_hh) if apart else None
            merged.append(replace(direction, bias_ih=bias_ih, bias_hh=bias_hh))
        return Layer(self.cell, tuple(merged), self.reverse)

    def split_biases(self) -> Layer:
        """The same function with both biases present, zeros where there was none."""
        split = []
        for direction in self.directions:
            zeros = np.zeros(direction.weight_ih.shape[0], direction.weight_ih.dtype)
            biases = {
                name: zeros.copy()
                for name in ("bias_ih", "bias_hh")
                if getattr(direction, name) is None
            }
            split.append(replace(direction, **biases))
        return Layer(self.cell, tuple(split), self.reverse)


def _beside(direction: Direction) -> Direction:
    """With weight_hh [4*H, 2*H] for [h, c], as the ops of full peepholes have it: g sees no c."""
    peephole, weight_hh = direction.peephole, direction.weight_hh
    assert peephole is not None
    size = weight_hh.shape[1]
    seen = np.insert(peephole, np.full(size, 2 * size), 0, axis=0)
    return replace(direction, weight_hh=np.concatenate([weight_hh, seen], axis=1), peephole=None)


def _check(cell: str, direction: Direction, where: str) -> None:
    gates = len(GATES[cell])
    hidden = _two_axes("weight_hh" + where, direction.weight_hh)[1]
    _two_axes("weight_ih" + where, direction.weight_ih)
    expected: dict[str, tuple[int, ...]] = {
        "weight_hh": (gates * hidden, hidden),
        "weight_ih": (gates * hidden, direction.weight_ih.shape[1]),
        "bias_ih": (gates * hidden,),
        "bias_hh": (gates * hidden,),
    }
    rows = {"peephole_lstm": len(PEEPHOLES), "peephole_lstm_full": len(PEEPHOLES) * hidden}
    for name, further in (("peephole", rows), ("norm", _NORM_ROWS)):
        if cell in further:
            expected[name] = (further[cell], hidden)
            if getattr(direction, name) is None:
                raise ValueError(f"{name}{where}: expected an array {expected[name]}, got None")
        elif getattr(direction, name) is not None:
            raise ValueError(f"{name}{where}: expected None for {cell}")
    for name, shape in expected.items():
        array = getattr(direction, name)
        if array is None:
            continue
        float_array(name + where, array, direction.weight_ih.dtype)
        if array.shape != shape:
            raise ValueError(
                f"{name}{where}: expected shape {shape} for {cell} ({gates} gates) with "
                f"hidden_size {hidden}, got {array.shape}"
            )


def _two_axes(name: str, value: object) -> tuple[int, int]:
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{name}: expected a NumPy array, got {type(value).__name__}")
    if value.ndim != 2 or 0 in value.shape:
        raise ValueError(f"{name}: expected 2 axes, none of them empty, got shape {value.shape}")
    return value.shape[0], value.shape[1]
