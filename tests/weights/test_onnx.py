"""ONNX's operators as onnxruntime computes them, and the weights that were read from them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from foreign_layers import assert_same_arrays, assert_same_layer, draw, random_layer, run_ops
from onnx import helper
from oracles import assert_within_budget

from fastrnn import reference
from fastrnn.convert_weights import (
    Direction,
    Layer,
    from_onnx,
    from_onnx_model,
    from_onnx_node,
    to_onnx,
    to_onnx_model,
)

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
# name of a kind -> operator and attributes; P is given where the name says so.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "peephole_lstm": ("LSTM", {}),
    "gru": ("GRU", {"linear_before_reset": 1}),
    "gru_reset_before": ("GRU", {}),
    "rnn_tanh": ("RNN", {}),
    "rnn_relu": ("RNN", {"activations": ["Relu"]}),
    "rnn_sigmoid": ("RNN", {"activations": ["Sigmoid"]}),
    "coupled_lstm": ("LSTM", {"input_forget": 1}),
}
T, B, I, H = 7, 3, 4, 6


def node_inputs(kind: str, directions: int, bias: bool = True) -> dict[str, Any]:
    """Random W, R, B and P in ONNX's shapes."""
    op_type, _ = KINDS[kind]
    rows = GATES[op_type] * H
    arrays = {
        "W": draw(directions, rows, I, seed=1, dtype="f4"),
        "R": draw(directions, rows, H, seed=2, dtype="f4"),
    }
    if bias:
        arrays["B"] = draw(directions, 2 * rows, seed=3, dtype="f4")
    if kind == "peephole_lstm":
        arrays["P"] = draw(directions, 3 * H, seed=4, dtype="f4")
    return arrays


def attributes(kind: str, direction: str) -> dict[str, Any]:
    found = {"hidden_size": H, "direction": direction, **KINDS[kind][1]}
    if direction == "bidirectional" and "activations" in found:
        found["activations"] = found["activations"] * 2
    return found


def single_node_model(kind: str, direction: str, arrays: dict[str, Any], given: list[str]) -> Any:
    """A model of the one node: X, lengths and states as inputs, the weights as constants."""
    order = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    names = [name if name in arrays or name in given or name == "X" else "" for name in order]
    while not names[-1]:
        names.pop()
    outputs = ["Y", "Y_h", "Y_c"][: 3 if "lstm" in kind else 2]
    op_type, _ = KINDS[kind]
    node = helper.make_node(op_type, names, outputs, "cell", **attributes(kind, direction))
    kinds = {"sequence_lens": onnx.TensorProto.INT32}
    inputs = [
        helper.make_tensor_value_info(name, kinds.get(name, onnx.TensorProto.FLOAT), None)
        for name in ["X", *given]
    ]
    graph = helper.make_graph(
        [node],
        "test",
        inputs,
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run_model(model: Any, **inputs: Any) -> list[Any]:
    """What onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    outputs: list[Any] = session.run(None, inputs)
    return outputs


def exact_run(layer: Layer, x: Any, initial: Any, lengths: Any = None) -> list[Any]:
    """y [T, D, B, H] and final states [D, B, H] by the textbook formulas in float64."""
    directions = layer.num_directions
    runs: list[list[Any]] = []
    for d, b in itertools.product(range(directions), range(x.shape[1])):
        one = layer.directions[d]
        arrays = (one.weight_ih, one.weight_hh, one.bias_ih, one.bias_hh, one.peephole)
        params = reference.Params(*(None if a is None else a.astype("f8") for a in arrays))
        length = x.shape[0] if lengths is None else int(lengths[b])
        backward = d == 1 or layer.reverse
        steps = x[:length, b : b + 1].astype("f8")
        states = [state[d : d + 1, b : b + 1].astype("f8") for state in initial]
        run = reference.layer(layer.cell, steps[::-1] if backward else steps, [params], states)
        y = np.zeros((x.shape[0], H))
        y[:length] = run.y[::-1, 0] if backward else run.y[:, 0]
        runs.append([y, *(final[0, 0] for final in run.final)])
    lead = (directions, x.shape[1])
    y = np.stack([run[0] for run in runs]).reshape(*lead, x.shape[0], H)
    finals = [np.stack(parts).reshape(*lead, H) for parts in zip(*(run[1:] for run in runs))]
    return [np.moveaxis(y, 2, 0), *finals]


def assert_onnxruntime_computes(theirs: list[Any], exact: list[Any]) -> None:
    """Closer than 4e-6: onnxruntime approximates tanh; a gate in the wrong place is off by 0.1."""
    for got, expected in zip(theirs, exact, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=4e-6)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("states", [True, False])
def test_node_against_onnxruntime(kind: str, direction: str, bias: bool, states: bool) -> None:
    directions = 2 if direction == "bidirectional" else 1
    arrays = node_inputs(kind, directions, bias)
    shape = (directions, B, H)
    names = ["initial_h", "initial_c"][: 2 if "lstm" in kind else 1]
    initial = [draw(*shape, seed=5 + k, dtype="f4") for k in range(len(names))]
    if not states:
        initial = [np.zeros(shape, "f4") for _ in names]
    x = draw(T, B, I, seed=9, dtype="f4")
    given = dict(zip(names, initial)) if states else {}
    model = single_node_model(kind, direction, arrays, list(given))
    theirs = run_model(model, X=x, **given)

    layer = from_onnx_model(model)["cell"]
    assert layer.cell == kind
    assert layer.reverse == (direction == "reverse")
    exact = exact_run(layer, x, initial)
    assert_onnxruntime_computes(theirs, exact)
    named = {"h0": initial[0], "c0": initial[-1]} if len(initial) == 2 else {"h0": initial[0]}
    flat = named if directions == 2 else {name: state[0] for name, state in named.items()}
    y, *finals = run_ops(layer, x, **flat)
    ours = [y.reshape(T, B, directions, H).swapaxes(1, 2), *finals]
    for mine, other, right in zip(ours, theirs, exact, strict=True):
        assert_within_budget(mine.reshape(right.shape), other, right)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_node_with_sequence_lens(kind: str, direction: str) -> None:
    directions = 2 if direction == "bidirectional" else 1
    arrays, lengths = node_inputs(kind, directions), np.array([7, 2, 4], np.int32)
    model = single_node_model(kind, direction, arrays, ["sequence_lens"])
    x = draw(T, B, I, seed=9, dtype="f4")
    layer = from_onnx_model(model)["cell"]
    zeros = [np.zeros((directions, B, H))] * (2 if "lstm" in kind else 1)
    exact = exact_run(layer, x, zeros, lengths)
    assert_onnxruntime_computes(run_model(model, X=x, sequence_lens=lengths), exact)
    ours = to_onnx_model([layer], sequence_lens=True)
    y, *finals = run_model(ours, x=x, sequence_lens=lengths)
    joined = exact[0].swapaxes(1, 2).reshape(T, B, directions * H)
    assert_onnxruntime_computes([y, *finals], [joined, *exact[1:]])


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("bias", [True, False])
def test_round_trip(kind: str, direction: str, bias: bool) -> None:
    arrays = node_inputs(kind, 2 if direction == "bidirectional" else 1, bias)
    op_type, _ = KINDS[kind]
    layer = from_onnx(op_type, **arrays, **attributes(kind, direction))
    back = to_onnx(layer)
    assert back.op_type == op_type
    if kind == "coupled_lstm":  # the rows of f count for nothing, and are written as zeros
        for array, starts in ((arrays["W"], [2]), (arrays["R"], [2]), (arrays.get("B"), [2, 6])):
            for start in starts:
                if array is not None:
                    array[:, start * H : (start + 1) * H] = 0
    written = {name: getattr(back, name) for name in "WRBP" if getattr(back, name) is not None}
    assert_same_arrays(written, arrays)
    asked = attributes(kind, direction)
    if direction == "forward":
        del asked["direction"]
    assert back.attributes == asked
    assert_same_layer(from_onnx(op_type, **arrays, **back.attributes), layer)
    (found,) = from_onnx_model(to_onnx_model([layer])).values()
    assert_same_layer(found, layer)


@pytest.mark.parametrize("cell", [cell for cell in reference.CELLS if cell not in KINDS])
def test_cells_that_onnx_does_not_have(cell: str) -> None:
    with pytest.raises(ValueError, match=f"layer: expected a cell of rnn_tanh, .* got {cell}"):
        to_onnx(random_layer(cell))
    with pytest.raises(ValueError, match=f"got {cell}"):
        to_onnx_model([random_layer(cell)])


def test_layout_says_nothing_of_the_weights() -> None:
    """onnxruntime has no layout 1 on the CPU; onnx's own evaluator has."""
    from onnx.reference import ReferenceEvaluator

    x, arrays = draw(T, B, I, seed=9, dtype="f4"), node_inputs("lstm", 1)
    layers, results = [], []
    for layout in (0, 1):
        model = single_node_model("lstm", "forward", arrays, [])
        node = model.graph.node[0]
        node.attribute.append(helper.make_attribute("layout", layout))
        (layer,) = from_onnx_model(model).values()
        layers.append(layer)
        given = {"X": x.swapaxes(0, 1) if layout else x}
        results.append(ReferenceEvaluator(model).run(None, given)[0])
    assert_same_layer(*layers)
    exact = exact_run(layers[0], x, [np.zeros((1, B, H))] * 2)[0]
    assert_onnxruntime_computes([results[0]], [exact])
    np.testing.assert_allclose(results[1][:, :, 0], exact[:, 0].swapaxes(0, 1), atol=4e-6)


@pytest.mark.parametrize(
    ("op_type", "change", "message"),
    [
        ("Gru", {}, "op_type: expected LSTM, GRU or RNN, got 'Gru'"),
        ("LSTM", {"direction": "backward"}, "direction: expected forward, reverse or bidir"),
        ("LSTM", {"input_forget": 1, "P": np.ones((1, 18), "f4")}, "expected 0 with P, got 1"),
        ("GRU", {"input_forget": 1}, "input_forget: expected 0 for GRU, got 1"),
        ("LSTM", {"input_forget": 2}, "layout, linear_before_reset, input_forget: expected 0 or"),
        ("LSTM", {"layout": 2}, "layout, linear_before_reset, input_forget: expected 0 or 1"),
        ("LSTM", {"clip": 3.0}, "clip: expected none, as no cell here clips"),
        ("LSTM", {"hidden_size": 5}, "hidden_size: expected 6, which R has, got 5"),
        ("LSTM", {"activations": ["Sigmoid", "Tanh", "Relu"]}, "Sigmoid, Tanh, Tanh, got Sig"),
        ("LSTM", {"activations": ["Sigmoid", "Tanh"]}, "expected Sigmoid, Tanh, Tanh, got Sigm"),
        ("LSTM", {"activation_alpha": [0.1]}, "activation_alpha, activation_beta: expected none"),
        ("RNN", {"activations": ["Affine"]}, "expected Tanh or Relu or Sigmoid, got Affine"),
        ("LSTM", {"R": np.ones((1, 18, 6))}, r"R: expected shape \(D, 4\*H, H\), got \(1, 18"),
        ("LSTM", {"R": np.ones((2, 24, 6))}, r"R: expected shape \(1, 4\*H, H\), got \(2, 24"),
        ("LSTM", {"R": np.ones((24, 6))}, r"R: expected shape \(1, 4\*H, H\), got \(24, 6\)"),
        ("LSTM", {"W": np.ones((1, 18, 4), "f4")}, r"W: expected shape \(1, 24, I\)"),
        ("LSTM", {"W": np.ones((1, 24, 4))}, "W: expected dtype float32 as the other weights"),
        ("LSTM", {"W": np.ones((1, 24, 4), "i4")}, "W: expected a floating-point array"),
        ("LSTM", {"B": np.ones((1, 24), "f4")}, r"B: expected shape \(1, 48\)"),
        ("LSTM", {"P": np.ones((1, 24), "f4")}, r"P: expected shape \(1, 18\)"),
        ("GRU", {"P": np.ones((1, 18), "f4")}, "P: expected None, GRU has no peepholes"),
    ],
)
def test_bad_nodes(op_type: str, change: dict[str, Any], message: str) -> None:
    kind = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn_tanh"}.get(op_type, "gru")
    with pytest.raises(ValueError, match=message):
        from_onnx(op_type, **{**node_inputs(kind, 1), **change})


def test_activations_as_attributes_write_them() -> None:
    arrays = node_inputs("rnn_relu", 1)
    for name in (b"Relu", "relu", "RELU"):
        assert from_onnx("RNN", **arrays, activations=[name]).cell == "rnn_relu"
    assert from_onnx("RNN", **arrays, activations=["TANH"]).cell == "rnn_tanh"
    assert from_onnx("RNN", **arrays, activations=[]).cell == "rnn_tanh"


def test_models_that_cannot_be_read(tmp_path: Any) -> None:
    arrays = node_inputs("gru", 1)
    model = single_node_model("gru", "forward", arrays, [])
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    assert list(from_onnx_model(path)) == list(from_onnx_model(str(path))) == ["cell"]
    with pytest.raises(ValueError, match="W of node 'cell': 'W' is not a constant"):
        from_onnx_node(model.graph.node[0], {"R": arrays["R"]})
    unknown = onnx.ModelProto.FromString(model.SerializeToString())
    unknown.graph.node[0].attribute.append(helper.make_attribute("zoneout", 1))
    with pytest.raises(ValueError, match="attributes: zoneout unknown"):
        from_onnx_model(unknown)
    twice = onnx.ModelProto.FromString(model.SerializeToString())
    twice.graph.node.append(model.graph.node[0])
    with pytest.raises(ValueError, match="model: two nodes are named 'cell'"):
        from_onnx_model(twice)


def test_weights_in_constant_nodes() -> None:
    arrays = node_inputs("gru", 1)
    model = single_node_model("gru", "forward", arrays, [])
    (expected,) = from_onnx_model(model).values()
    tensors = list(model.graph.initializer)
    del model.graph.initializer[:]
    constants = [helper.make_node("Constant", [], [t.name], value=t) for t in tensors]
    nodes = [*constants, model.graph.node[0]]
    nodes[-1].name = ""
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    found = from_onnx_model(model)
    assert list(found) == ["Y"]
    assert_same_layer(found["Y"], expected)


@pytest.mark.parametrize("cell", list(KINDS))
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_stack_as_a_model(cell: str, directions: int, batch_first: bool) -> None:
    """Three layers, sizes open, states given: against the layers one by one in float64."""
    sizes = (I, directions * H, directions * H)
    stack = [random_layer(cell, n, H, directions, "f4", seed=k) for k, n in enumerate(sizes)]
    model = to_onnx_model(stack, batch_first=batch_first, initial_states=True)
    names = ["h0", "c0"][: 2 if "lstm" in cell else 1]
    for seq_len, batch_size in ((T, B), (1, 1), (4, 5)):
        x = draw(seq_len, batch_size, I, seed=9, dtype="f4")
        shape = (3 * directions, batch_size, H)
        initial = {name: draw(*shape, seed=k, dtype="f4") for k, name in enumerate(names)}
        given = np.ascontiguousarray(x.swapaxes(0, 1)) if batch_first else x
        y, *finals = run_model(model, x=given, **initial)
        value, exact_finals = x.astype("f8"), []
        for k, layer in enumerate(stack):
            rows = slice(k * directions, (k + 1) * directions)
            states = [state[rows] for state in initial.values()]
            out, *ends = exact_run(layer, value, states)
            value = out.swapaxes(1, 2).reshape(seq_len, batch_size, directions * H)
            exact_finals.append(ends)
        y = y.swapaxes(0, 1) if batch_first else y
        expected = [np.concatenate(parts) for parts in zip(*exact_finals)]
        assert_onnxruntime_computes([y, *finals], [value, *expected])


def test_layers_that_make_no_model() -> None:
    with pytest.raises(ValueError, match="layers: expected one Layer or more, got nothing"):
        to_onnx_model([])
    with pytest.raises(ValueError, match=r"layers\[1\]: expected input_size 5"):
        to_onnx_model([random_layer("gru"), random_layer("gru")])
    with pytest.raises(ValueError, match=r"layers\[1\]: expected cell gru"):
        to_onnx_model([random_layer("gru"), random_layer("lstm", 5)])
    with pytest.raises(ValueError, match=r"layers\[1\]: expected dtype float64"):
        to_onnx_model([random_layer("gru"), random_layer("gru", 5, dtype="f4")])
    with pytest.raises(ValueError, match="layers: expected one Layer or more, got Direction"):
        to_onnx_model([Direction(np.ones((3, 3)), np.ones((3, 1)))])  # type: ignore[list-item]
