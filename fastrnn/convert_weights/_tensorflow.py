"""TensorFlow 1's cells, whose checkpoints are still about, and cuDNN's canonical lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastrnn.convert_weights._arrays import (
    Array,
    add_biases,
    float_array,
    recurrent_kernel,
    reorder,
    shaped,
)
from fastrnn.convert_weights._layer import GATES, Direction, Layer

__all__ = ["from_cudnn", "from_tensorflow", "to_cudnn", "to_tensorflow"]

_LSTM = "igfo"  # TensorFlow: i, j, f, o, where j is the candidate
_PEEPHOLES = ("w_i_diag", "w_f_diag", "w_o_diag")
_NAMES = {
    "rnn_tanh": ("kernel", "bias"),
    "rnn_relu": ("kernel", "bias"),
    "lstm": ("kernel", "bias"),
    "peephole_lstm": ("kernel", "bias", *_PEEPHOLES),
    "gru_reset_before": ("gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias"),
    "gru": (
        *("gates/kernel", "gates/bias"),
        *("candidate/input_projection/kernel", "candidate/input_projection/bias"),
        *("candidate/hidden_projection/kernel", "candidate/hidden_projection/bias"),
    ),
}


def from_tensorflow(
    cell: str, variables: Mapping[str, object], *, forget_bias: float = 1.0
) -> Layer:
    """Read the variables of a TensorFlow 1 cell, under the names that follow the cell's scope.

    ====================  =====================================================================
    ``cell``              TensorFlow's cell and its variables
    ====================  =====================================================================
    rnn_tanh, rnn_relu    ``BasicRNNCell``: kernel [I+H, H], bias [H]
    lstm                  ``BasicLSTMCell``, ``LSTMCell``, ``LSTMBlockCell``: kernel [I+H, 4H]
                          in the order i, j, f, o (j the candidate), bias [4H]
    peephole_lstm         the same with w_i_diag, w_f_diag and w_o_diag, [H]
    gru_reset_before      ``GRUCell``: gates/kernel [I+H, 2H] in the order r, u; gates/bias;
                          candidate/kernel [I+H, H]; candidate/bias
    gru                   ``CudnnCompatibleGRUCell``: gates as before;
                          candidate/input_projection/kernel [I, H] and bias,
                          candidate/hidden_projection/kernel [H, H] and bias
    ====================  =====================================================================

    Rows of kernels are those of the input and then of the hidden state.  The LSTM cells add
    ``forget_bias`` when they run, so it is no part of their variables: here it becomes
    ``bias_hh``, 0 in the other gates, and `to_tensorflow` takes it away.

    Args:
        cell: which cell, by the table.
        variables: arrays by name; more than the table lists is an error.
        forget_bias: what the LSTM cell was constructed with: 1.0, or 0.0 for
            ``CudnnCompatibleLSTMCell``.

    Raises:
        ValueError: an unknown cell, missing or unknown variables (a projection is one), arrays of
            other shapes or dtypes.

    Source: ``rnn_cell_impl.py`` of TensorFlow 1.15, ``cudnn_rnn_ops.py`` of its contrib.

    >>> import numpy as np
    >>> layer = from_tensorflow("lstm", {"kernel": np.ones((8, 20)), "bias": np.zeros(20)})
    >>> layer.input_size, layer.hidden_size, float(layer.directions[0].bias_hh[5])
    (3, 5, 1.0)
    """
    names = _names(cell)
    if set(variables) != set(names):
        raise ValueError(
            f"variables: expected {', '.join(names)}, got {', '.join(sorted(variables)) or 'none'}"
        )
    if cell in ("gru", "gru_reset_before"):
        return Layer(cell, (_read_gru(cell, variables),))
    gates = len(GATES[cell])
    kernel, hidden = _kernel("kernel", variables["kernel"], gates)
    dtype = kernel.dtype
    bias = shaped("bias", variables["bias"], (gates * hidden,), dtype)
    if gates == 1:
        return Layer(cell, (Direction(*_two(kernel, hidden), bias.copy()),))
    ours = GATES[cell]
    peephole = None
    if cell == "peephole_lstm":
        peephole = np.stack([shaped(n, variables[n], (hidden,), dtype) for n in _PEEPHOLES])
    kernel = reorder(kernel, _LSTM, ours, axis=1)
    bias_ih, bias_hh = reorder(bias, _LSTM, ours), _forget(forget_bias, hidden, dtype)
    return Layer(cell, (Direction(*_two(kernel, hidden), bias_ih, bias_hh, peephole),))


def to_tensorflow(layer: Layer, *, forget_bias: float = 1.0) -> dict[str, Array]:
    """Variables of the TensorFlow cell, see `from_tensorflow`; biases of a layer without are 0.

    Raises:
        ValueError: a layer of two directions, which is two cells there, or of a cell that
            TensorFlow does not have in this form.

    >>> import numpy as np
    >>> layer = Layer("gru_reset_before", (Direction(np.ones((15, 3)), np.zeros((15, 5))),))
    >>> {name: array.shape for name, array in to_tensorflow(layer).items()}["gates/kernel"]
    (8, 10)
    """
    cell, hidden = layer.cell, layer.hidden_size
    names = _names(cell)
    if layer.num_directions != 1:
        raise ValueError(
            "layer: expected one direction, as TensorFlow has a cell each; give "
            "Layer(layer.cell, layer.directions[:1]) and then directions[1:]"
        )
    (direction,) = layer.split_biases().directions
    bias_ih, bias_hh = direction.bias_ih, direction.bias_hh
    assert bias_ih is not None
    assert bias_hh is not None
    weight_ih, weight_hh = direction.weight_ih.T, direction.weight_hh.T
    values: tuple[Array, ...]
    if "gru" in cell:
        split = 2 * hidden
        both = np.concatenate([weight_ih[:, :split], weight_hh[:, :split]])
        gates = both, add_biases(bias_ih[:split], bias_hh[:split])
        new_ih, new_hh = weight_ih[:, split:], weight_hh[:, split:]
        if cell == "gru":
            values = (*gates, new_ih, bias_ih[split:], new_hh, bias_hh[split:])
        else:
            new = np.concatenate([new_ih, new_hh])
            values = (*gates, new, add_biases(bias_ih[split:], bias_hh[split:]))
    else:
        kernel = np.concatenate([weight_ih, weight_hh])
        if len(GATES[cell]) == 1:
            values = kernel, add_biases(bias_ih, bias_hh)
        else:
            ours = GATES[cell]
            bias = add_biases(bias_ih, bias_hh - _forget(forget_bias, hidden, layer.dtype))
            values = reorder(kernel, ours, _LSTM, axis=1), reorder(bias, ours, _LSTM)
            if direction.peephole is not None:
                values = (*values, *direction.peephole)
    return {name: np.array(value, order="C") for name, value in zip(names, values)}


def from_cudnn(cell: str, matrices: Sequence[object], biases: Sequence[object]) -> Layer:
    """Read the canonical matrices and biases of one layer in one direction of cuDNN.

    ``matrices`` are 2*G: those on the input [H, I] and then those on the hidden state [H, H];
    ``biases`` are 2*G of [H] in the same order.  Gates are those of torch: i, f, g, o (LSTM),
    r, z, n (GRU, reset after the product).  TensorFlow's ``cudnn_rnn_params_to_canonical`` and
    ``cudnnGetRNNWeightParams`` give them so.

    Raises:
        ValueError: a cell that cuDNN has not, other counts, shapes or dtypes.

    >>> import numpy as np
    >>> matrices = [np.ones((5, 3))] * 3 + [np.zeros((5, 5))] * 3
    >>> from_cudnn("gru", matrices, [np.zeros(5)] * 6).input_size
    3
    """
    gates = _cudnn_gates(cell)
    if len(matrices) != 2 * gates or len(biases) != 2 * gates:
        raise ValueError(
            f"matrices, biases: expected {2 * gates} of each for {cell}, "
            f"got {len(matrices)} and {len(biases)}"
        )
    first = float_array("matrices[0]", matrices[0])
    hidden = shaped("matrices[0]", first, ("H", "I")).shape[0]
    shapes = [first.shape] * gates + [(hidden, hidden)] * gates
    read = [
        shaped(f"matrices[{k}]", m, shape, first.dtype)
        for k, (m, shape) in enumerate(zip(matrices, shapes))
    ]
    rows = [shaped(f"biases[{k}]", b, (hidden,), first.dtype) for k, b in enumerate(biases)]
    parts = (read[:gates], read[gates:], rows[:gates], rows[gates:])
    return Layer(cell, (Direction(*(np.concatenate(part) for part in parts)),))


def to_cudnn(layer: Layer) -> tuple[list[Array], list[Array]]:
    """``(matrices, biases)`` of a layer in one direction, see `from_cudnn`.

    Raises:
        ValueError: a cell that cuDNN has not, or two directions, which are two such lists there.
    """
    gates = _cudnn_gates(layer.cell)
    if layer.num_directions != 1:
        raise ValueError("layer: expected one direction, each has lists of its own")
    (direction,) = layer.split_biases().directions
    pairs: list[list[Array]] = [[], []]
    for index, name in enumerate(("weight_ih", "weight_hh", "bias_ih", "bias_hh")):
        blocks = np.split(getattr(direction, name), gates)
        pairs[index // 2] += [block.copy() for block in blocks]
    return pairs[0], pairs[1]


def _names(cell: str) -> tuple[str, ...]:
    if cell not in _NAMES:
        raise ValueError(f"cell: expected one of {', '.join(_NAMES)}, got {cell!r}")
    return _NAMES[cell]


def _cudnn_gates(cell: str) -> int:
    if cell not in ("rnn_tanh", "rnn_relu", "lstm", "gru"):
        raise ValueError(f"cell: expected rnn_tanh, rnn_relu, lstm or gru, got {cell!r}")
    return len(GATES[cell])


def _kernel(name: str, value: object, gates: int) -> tuple[Array, int]:
    """A kernel [I+H, G*H] and its H."""
    columns = f"{gates}*H" if gates > 1 else "H"
    kernel = shaped(name, value, ("I+H", columns))
    hidden = kernel.shape[1] // gates
    if kernel.shape[1] % gates or kernel.shape[0] <= hidden:
        raise ValueError(f"{name}: expected shape (I+H, {columns}), got {kernel.shape}")
    return kernel, hidden


def _two(kernel: Array, hidden: int) -> tuple[Array, Array]:
    """The input's and the hidden state's weights of a kernel [I+H, G*H]."""
    return np.array(kernel[:-hidden].T, order="C"), np.array(kernel[-hidden:].T, order="C")


def _read_gru(cell: str, variables: Mapping[str, object]) -> Direction:
    kernel, hidden = _kernel("gates/kernel", variables["gates/kernel"], 2)
    dtype, inputs = kernel.dtype, kernel.shape[0] - hidden
    gates_bias = shaped("gates/bias", variables["gates/bias"], (2 * hidden,), dtype)
    gates_ih, gates_hh = _two(kernel, hidden)

    def read(name: str, *shape: int) -> Array:
        return shaped(name, variables[name], shape, dtype)

    bias_hh = None
    if cell == "gru":
        side = "candidate/hidden_projection"
        new_hh = recurrent_kernel(f"{side}/kernel", read(f"{side}/kernel", hidden, hidden), 1).T
        bias_hh = np.concatenate([np.zeros_like(gates_bias), read(f"{side}/bias", hidden)])
        side = "candidate/input_projection"
        new_ih = read(f"{side}/kernel", inputs, hidden).T
    else:
        side = "candidate"
        new_ih, new_hh = _two(read("candidate/kernel", inputs + hidden, hidden), hidden)
    bias_ih = np.concatenate([gates_bias, read(f"{side}/bias", hidden)])
    return Direction(
        np.concatenate([gates_ih, new_ih]), np.concatenate([gates_hh, new_hh]), bias_ih, bias_hh
    )


def _forget(value: float, hidden: int, dtype: np.dtype[Any]) -> Array:
    """A bias of ``value`` in the forget gate alone, in our order."""
    return np.repeat(np.array([0, value, 0, 0], dtype), hidden)
