"""Whole ONNX models: reading their recurrent nodes, and writing a stack of layers (needs onnx)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastrnn.convert_weights._arrays import Array
from fastrnn.convert_weights._layer import Layer
from fastrnn.convert_weights._onnx import check_attributes, from_onnx, to_onnx
from fastrnn.convert_weights._stack import check_stack

__all__ = ["from_onnx_model", "from_onnx_node", "to_onnx_model"]

_NEEDED = "reading and writing ONNX models needs onnx: `pip install fastrnn[onnx]`"
# Of the operators used here the last change is LSTM's, GRU's and RNN's new dtypes in 22; 17 is
# read by every onnxruntime since 1.12.
_OPSET, _IR_VERSION = 17, 8


def from_onnx_node(node: Any, constants: dict[str, Array]) -> Layer:
    """Read an LSTM, GRU or RNN node (``onnx.NodeProto``), as `from_onnx` does its parts.

    Args:
        node: the node.
        constants: what its inputs W, R, B and P are, by name.

    Raises:
        ValueError: as `from_onnx`, or a weight that is not among the constants.
        ImportError: onnx is not installed.
    """
    onnx = _onnx()
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    check_attributes(attributes)
    names = list(node.input) + [""] * (8 - len(node.input))
    weights = []
    for label, name in zip("WRBP", (names[1], names[2], names[3], names[7])):
        if name and name not in constants:
            raise ValueError(f"{label} of node {_name(node)!r}: {name!r} is not a constant")
        weights.append(constants[name] if name else None)
    return from_onnx(node.op_type, *weights, **attributes)


def from_onnx_model(model: Any) -> dict[str, Layer]:
    """Read every LSTM, GRU and RNN node of an ONNX model, in the order of the graph.

    Args:
        model: an ``onnx.ModelProto``, or the path of a file.

    Returns:
        layers by the node's name or, where it has none, that of its first output.

    Raises:
        ValueError: as `from_onnx_node`; also two nodes of one name.
        ImportError: onnx is not installed.

    >>> import numpy as np
    >>> layer = from_onnx("RNN", np.ones((1, 5, 3)), np.zeros((1, 5, 5)))
    >>> {name: found.cell for name, found in from_onnx_model(to_onnx_model([layer])).items()}
    {'layer_0': 'rnn_tanh'}
    """
    onnx = _onnx()
    if isinstance(model, str | os.PathLike):
        model = onnx.load(model)
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    layers: dict[str, Layer] = {}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type in ("LSTM", "GRU", "RNN") and node.domain in ("", "ai.onnx"):
            if _name(node) in layers:
                raise ValueError(f"model: two nodes are named {_name(node)!r}")
            layers[_name(node)] = from_onnx_node(node, constants)
    return layers


def to_onnx_model(
    layers: Sequence[Layer],
    *,
    batch_first: bool = False,
    initial_states: bool = False,
    sequence_lens: bool = False,
) -> Any:
    """Build an ONNX model that computes a stack of layers, for inference.

    Works for every cell that ONNX has, those included that torch has no layer for; the sizes T
    and B stay open.  With `from_module` it exports a trained layer without torch's exporter.

    Inputs: ``x`` [T, B, I]; with ``initial_states`` also ``h0`` and, for an LSTM, ``c0``, both
    [D*L, B, H]; with ``sequence_lens`` also ``sequence_lens``, int32 [B].  Outputs: ``y``
    [T, B, D*H], ``h_n`` and ``c_n`` [D*L, B, H].  D*L and its order are torch's.

    Args:
        layers: each takes the outputs of the one before.
        batch_first: ``x`` and ``y`` are [B, T, *]; the states are not, as in torch.
        initial_states: the model takes initial states; otherwise they are zeros.
        sequence_lens: the model takes lengths.  Outputs after a sequence's end are zeros.

    Raises:
        ValueError: layers that do not fit on each other, or dtypes that ONNX does not have.
        ImportError: onnx is not installed.

    >>> import numpy as np
    >>> layer = from_onnx("GRU", np.ones((1, 15, 3)), np.zeros((1, 15, 5)))
    >>> model = to_onnx_model([layer], batch_first=True)
    >>> [node.op_type for node in model.graph.node if node.op_type == "GRU"]
    ['GRU']
    """
    onnx = _onnx()
    layers = check_stack(layers)
    first = layers[0]
    rows, hidden = first.num_directions, first.hidden_size
    float_type = onnx.helper.np_dtype_to_tensor_dtype(first.dtype)
    states = ["h", "c"] if "lstm" in first.cell else ["h"]
    graph = _Graph(onnx)

    def info(name: str, shape: Sequence[int | str], kind: int = float_type) -> Any:
        return onnx.helper.make_tensor_value_info(name, kind, shape)

    lead = ("B", "T") if batch_first else ("T", "B")
    inputs = [info("x", (*lead, first.input_size))]
    total = rows * len(layers)
    if initial_states:
        inputs += [info(f"{state}0", (total, "B", hidden)) for state in states]
    lengths = ""
    if sequence_lens:
        lengths = "sequence_lens"
        inputs.append(info(lengths, ("B",), onnx.TensorProto.INT32))

    x = graph.add("Transpose", ["x"], "x_time_first", perm=[1, 0, 2]) if batch_first else "x"
    initial = {}
    if initial_states:
        sizes = graph.constant("sizes", np.full(len(layers), rows, np.int64))
        for state in states:
            names = [f"{state}0_{k}" for k in range(len(layers))]
            graph.add("Split", [f"{state}0", sizes], *names, axis=0)
            initial[state] = names
    shape = graph.constant("shape", np.array([0, 0, rows * hidden], np.int64))
    for k, layer in enumerate(layers):
        parts = to_onnx(layer)
        weights = [
            "" if value is None else graph.constant(f"{label}_{k}", value)
            for label, value in (("W", parts.W), ("R", parts.R), ("B", parts.B), ("P", parts.P))
        ]
        starts = [initial[state][k] if initial_states else "" for state in states]
        ends = [f"{state}_n_{k}" for state in states]
        given = [x, *weights[:3], lengths, *starts, *weights[3:]]
        while not given[-1]:
            given.pop()
        name = f"layer_{k}"
        graph.add(parts.op_type, given, f"y_{k}", *ends, name=name, **parts.attributes)
        # [T, D, B, H] -> [T, B, D, H] -> [T, B, D*H]
        moved = graph.add("Transpose", [f"y_{k}"], f"y_moved_{k}", perm=[0, 2, 1, 3])
        x = graph.add("Reshape", [moved, shape], f"y_joined_{k}")
    if batch_first:
        graph.add("Transpose", [x], "y", perm=[1, 0, 2])
    else:
        graph.add("Identity", [x], "y")
    for state in states:
        graph.add("Concat", [f"{state}_n_{k}" for k in range(len(layers))], f"{state}_n", axis=0)
    outputs = [info("y", (*lead, rows * hidden))]
    outputs += [info(f"{state}_n", (total, "B", hidden)) for state in states]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "fastrnn", inputs, outputs, graph.constants),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="fastrnn",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and constants of a graph that is being built."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, inputs: Iterable[str], *outputs: str, **attributes: Any) -> str:
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, outputs, **attributes))
        return outputs[0]

    def constant(self, name: str, value: Any) -> str:
        value = np.ascontiguousarray(value)
        self.constants.append(self._onnx.numpy_helper.from_array(value, name))
        return name


def _name(node: Any) -> str:
    return str(node.name or next(name for name in node.output if name))


def _onnx() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ModuleNotFoundError as error:
        raise ImportError(_NEEDED, name="onnx") from error
    return onnx
