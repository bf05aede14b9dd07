"""Stacks of layers from and to torch: state dicts of arrays, and modules (these need torch)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.convert_weights._arrays import Array, float_array
from fastrnn.convert_weights._layer import GATES, Direction, Layer
from fastrnn.convert_weights._stack import check_stack

if TYPE_CHECKING:
    from torch.nn import Module

__all__ = ["from_module", "from_state_dict", "load_module", "to_module", "to_state_dict"]

# Of parameters in a state dict, and what they are called in a `Direction`.
_KINDS = {name: name for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
_KINDS["weight_peephole"] = "peephole"
# These are rows of `Direction.norm` one after the other.
_NORMS = ("weight_norm_ih", "weight_norm_hh", "weight_norm_cell", "bias_norm_cell")
_NAME = re.compile(rf"({'|'.join([*_KINDS, *_NORMS])}|weight_hr)_l(\d+)(_reverse)?")
# The class of a cell in fastrnn.nn, and the option of its constructor that asks for the cell.
_MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn_tanh": ("RNN", {"nonlinearity": "tanh"}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "rnn_sigmoid": ("RNN", {"nonlinearity": "sigmoid"}),
    "lstm": ("LSTM", {}),
    "peephole_lstm": ("PeepholeLSTM", {}),
    "peephole_lstm_full": ("PeepholeLSTM", {"peephole": "full"}),
    "coupled_lstm": ("CoupledLSTM", {}),
    "multiplicative_lstm": ("MultiplicativeLSTM", {}),
    "gru": ("GRU", {}),
    "gru_reset_before": ("GRU", {"reset_after": False}),
    "ugrnn": ("UGRNN", {}),
    "layer_norm_lstm": ("LayerNormLSTM", {}),
    "layer_norm_gru": ("LayerNormGRU", {}),
}
_IN_TORCH = ("rnn_tanh", "rnn_relu", "lstm", "gru")


def from_state_dict(cell: str, state: Mapping[str, object], prefix: str = "") -> list[Layer]:
    """Read a stack of layers from names such as ``weight_ih_l0`` and ``bias_hh_l1_reverse``.

    Args:
        cell: a cell of `fastrnn.ops`, such as "lstm", which a state dict does not tell.
        state: arrays, or tensors of the CPU, by name; names without ``prefix`` are passed over.
        prefix: what stands before the names, such as "encoder.".

    Raises:
        ValueError: no such names, missing ones, a projection (``weight_hr``), or arrays of other
            shapes or dtypes.

    >>> import numpy as np
    >>> state = {"rnn.weight_ih_l0": np.ones((5, 3)), "rnn.weight_hh_l0": np.zeros((5, 5))}
    >>> (layer,) = from_state_dict("rnn_tanh", state, "rnn.")
    >>> layer.input_size, layer.hidden_size
    (3, 5)
    """
    if cell not in GATES:
        raise ValueError(f"cell: expected one of {', '.join(GATES)}, got {cell!r}")
    found: dict[tuple[int, int], dict[str, Array]] = {}
    for name, value in state.items():
        match = _NAME.fullmatch(name[len(prefix) :]) if name.startswith(prefix) else None
        if match:
            if match[1] == "weight_hr":
                raise ValueError(f"{name}: no layer here has a projection (proj_size)")
            place = int(match[2]), int(match[3] is not None)
            found.setdefault(place, {})[match[1]] = float_array(name, _cpu(value))
    if not found:
        raise ValueError(f"state: expected names like {prefix}weight_ih_l0, found none")
    directions = 1 + max(d for _, d in found)
    layers = []
    for k in range(1 + max(k for k, _ in found)):
        parts = []
        for d in range(directions):
            arrays = found.get((k, d), {})
            for kind in ("weight_ih", "weight_hh"):
                if kind not in arrays:
                    name = f"{prefix}{kind}_l{k}{'_reverse' if d else ''}"
                    raise ValueError(f"state: expected {name}, which is missing")
            where = f"_l{k}{'_reverse' if d else ''}"
            norm = _joined_norm(cell, arrays, prefix, where)
            given = {_KINDS[kind]: a.copy() for kind, a in arrays.items() if kind in _KINDS}
            parts.append(Direction(**given, norm=norm))
        layers.append(Layer(cell, tuple(parts)))
    return check_stack(layers)


def _joined_norm(cell: str, arrays: Mapping[str, Array], prefix: str, where: str) -> Array | None:
    """`Direction.norm` of the parameters that a layer with normalization has."""
    hidden = arrays["weight_hh"].shape[-1]
    gates = len(GATES[cell]) * hidden
    sizes = dict(zip(_NORMS, (gates, gates, hidden, hidden)))
    names = [name for name in _NORMS if cell == "layer_norm_lstm" or not name.endswith("cell")]
    if not cell.startswith("layer_norm"):
        names = []
    for name in _NORMS:
        if (name in names) != (name in arrays):
            verb = "which is missing" if name in names else f"got it for {cell}"
            wanted = "expected" if name in names else "expected no"
            raise ValueError(f"state: {wanted} {prefix}{name}{where}, {verb}")
        if name in names and arrays[name].shape != (sizes[name],):
            raise ValueError(
                f"{prefix}{name}{where}: expected shape ({sizes[name]},), got {arrays[name].shape}"
            )
    return np.concatenate([arrays[n] for n in names]).reshape(-1, hidden) if names else None


def _split_norm(norm: Array) -> dict[str, Array]:
    """The inverse."""
    gates = 4 if len(norm) == 10 else 3  # LSTM or GRU
    parts = np.split(norm, [gates, 2 * gates, 2 * gates + 1])
    return {name: part.reshape(-1) for name, part in zip(_NORMS, parts) if part.size}


def to_state_dict(layers: Sequence[Layer], prefix: str = "") -> dict[str, Array]:
    """Arrays under torch's names, in the order of torch's parameters; see `from_state_dict`.

    Torch has both biases or none: one that is missing beside the other becomes zeros.

    Raises:
        ValueError: layers that do not stack.

    >>> import numpy as np
    >>> layer = Layer("gru", (Direction(np.ones((15, 3)), np.zeros((15, 5)), np.ones(15)),))
    >>> list(to_state_dict([layer]))
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """
    state = {}
    for k, layer in enumerate(check_stack(layers)):
        source = layer.split_biases() if layer.bias else layer
        for direction, suffix in zip(source.directions, ("", "_reverse")):
            for kind, field in _KINDS.items():
                array = getattr(direction, field)
                if array is not None:
                    state[f"{prefix}{kind}_l{k}{suffix}"] = np.array(array, order="C")
            norms = {} if direction.norm is None else _split_norm(direction.norm)
            for kind, array in norms.items():
                state[f"{prefix}{kind}_l{k}{suffix}"] = array.copy()
    return state


def from_module(module: Module) -> list[Layer]:
    """Read the weights of a layer or a cell of `fastrnn.nn` or ``torch.nn``.

    Parametrized and pruned weights are read as the layer would use them.

    Raises:
        ValueError: another module, a projection, or a dtype that NumPy does not have (bfloat16).

    >>> import torch
    >>> [layer.cell for layer in from_module(torch.nn.LSTM(3, 5, num_layers=2))]
    ['lstm', 'lstm']
    """
    from torch.nn.modules.rnn import RNNBase, RNNCellBase

    if isinstance(module, RNNBase) and module.mode.lower() in GATES:
        names = [name for names in module._all_weights for name in names]
        state = {name: getattr(module, name) for name in names}
        return from_state_dict(module.mode.lower(), state)
    if isinstance(module, RNNCellBase) and (cell := _cell_name(module)) in GATES:
        state = {f"{kind}_l0": getattr(module, kind, None) for kind in (*_KINDS, *_NORMS)}
        given = {name: value for name, value in state.items() if value is not None}
        return from_state_dict(cell, given)
    raise ValueError(
        f"module: expected an RNN, LSTM, GRU or their cell, got {type(module).__name__}"
    )


def _cell_name(module: Any) -> str:
    """Of a single-step module, ours or torch's."""
    from torch.nn import GRUCell, LSTMCell, RNNCell

    if hasattr(module, "_cell"):
        from fastrnn._plan import CELL_INFO

        number = module._cell()
        return "" if number is None else CELL_INFO[number]["name"]
    for cls, cell in ((RNNCell, "rnn_"), (LSTMCell, "lstm"), (GRUCell, "gru")):
        if isinstance(module, cls):
            return cell + (str(module.nonlinearity) if cls is RNNCell else "")
    return ""


def load_module(module: Module, layers: Sequence[Layer]) -> None:
    """Copy a stack of layers into a layer of `fastrnn.nn` or ``torch.nn``, in its own dtype.

    Raises:
        ValueError: the module is of another kind, or its number of layers, sizes, directions or
            biases differ; a module without biases takes no layer with them.  A layer with
            ``reverse`` does not load: flip its input in time instead.

    >>> import torch, fastrnn
    >>> ours = fastrnn.nn.GRU(3, 5, bidirectional=True)
    >>> load_module(ours, from_module(torch.nn.GRU(3, 5, bidirectional=True)))
    """
    import torch
    from torch.nn.modules.rnn import RNNBase

    stack = check_stack(layers)
    kind, _ = _module_of(stack)
    if not isinstance(module, RNNBase) or module.mode.lower() not in GATES:
        raise ValueError(f"module: expected an RNN, LSTM or GRU, got {type(module).__name__}")
    first = stack[0]
    asked = {
        "cell": (module.mode.lower(), first.cell),
        "input_size": (module.input_size, first.input_size),
        "hidden_size": (module.hidden_size, first.hidden_size),
        "num_layers": (module.num_layers, len(stack)),
        "bidirectional": (module.bidirectional, first.num_directions == 2),
        "proj_size": (module.proj_size, 0),
    }
    for name, (have, given) in asked.items():
        if have != given:
            raise ValueError(f"module: expected {name} {given} of the weights, got {have}")
    if first.bias and not module.bias:
        raise ValueError(f"module: expected a {kind} with bias, as the weights have one")
    state = to_state_dict([layer.split_biases() for layer in stack] if module.bias else stack)
    with torch.no_grad():
        for name, array in state.items():
            getattr(module, name).copy_(torch.from_numpy(array))


def to_module(
    layers: Sequence[Layer],
    *,
    batch_first: bool = False,
    dropout: float = 0.0,
    library: str = "fastrnn",
) -> Any:
    """A new layer of `fastrnn.nn` (or ``torch.nn``) with these weights, in their dtype.

    Args:
        layers: a stack of layers; one is a list of one.
        batch_first: as in the module's constructor.
        dropout: as there.
        library: "fastrnn" or "torch".

    Raises:
        ValueError: layers that do not stack, or of a cell that torch does not have where its
            library is asked for; a ``reverse`` layer.

    >>> import numpy as np
    >>> kernel, recurrent, bias = np.ones((3, 15)), np.zeros((5, 15)), np.zeros((2, 15))
    >>> from fastrnn.convert_weights import from_keras
    >>> to_module([from_keras("gru", [kernel, recurrent, bias])], batch_first=True)
    GRU(3, 5, batch_first=True)
    """
    import torch

    import fastrnn.nn

    if library not in ("fastrnn", "torch"):
        raise ValueError(f"library: expected fastrnn or torch, got {library!r}")
    stack = check_stack(layers)
    (name, options), first = _module_of(stack), stack[0]
    if library == "torch" and first.cell not in _IN_TORCH:
        raise ValueError(f"layers: torch has no layer of {first.cell}")
    module = getattr(fastrnn.nn if library == "fastrnn" else torch.nn, name)(
        first.input_size,
        first.hidden_size,
        len(stack),
        bias=first.bias,
        batch_first=batch_first,
        dropout=dropout,
        bidirectional=first.num_directions == 2,
        dtype=torch.from_numpy(np.empty(0, first.dtype)).dtype,
        **options,
    )
    load_module(module, stack)
    return module


def _module_of(stack: Sequence[Layer]) -> tuple[str, dict[str, Any]]:
    first = stack[0]
    if first.reverse:
        raise ValueError(
            "layers: no module walks backward alone; flip the input in time and use "
            "Layer(layer.cell, layer.directions)"
        )
    return _MODULES[first.cell]


def _cpu(value: object) -> object:
    """A tensor as an array; anything else as it is."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        tensor: Any = value
        try:
            return tensor.detach().cpu().numpy()
        except TypeError as error:  # bfloat16
            raise ValueError(f"state: {error}") from error
    return value
