"""Exporting a converted model to ONNX: torch's exporter after ``restore``, or our own."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import fastrnn
from fastrnn.convert_weights import from_module, from_onnx_model, to_module, to_onnx_model

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn_tanh": ("RNN", {}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
}
# The exporter's own: that it is the older one, and what tracing may miss.
NOISE = (
    "ignore::DeprecationWarning",
    "ignore::UserWarning",
    "ignore::torch.jit.TracerWarning",
)
SHAPES = [
    {"num_layers": 1},
    {"num_layers": 1, "bidirectional": True, "bias": False},
    {"num_layers": 3, "batch_first": True},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
]


def flat(result: Any) -> list[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        return [result]
    return [tensor for part in result for tensor in flat(part)]


def converted(kind: str, **options: Any) -> Any:
    torch.manual_seed(0)
    name, extra = KINDS[kind]
    return getattr(fastrnn.nn, name)(4, 6, **extra, **options).eval()


def arguments(model: Any, states: bool, seq_len: int = 7, batch_size: int = 3) -> tuple[Any, ...]:
    lead = (batch_size, seq_len) if model.batch_first else (seq_len, batch_size)
    x = torch.randn(*lead, 4)
    if not states:
        return (x,)
    rows = model.num_layers * (2 if model.bidirectional else 1)
    hx = [torch.randn(rows, batch_size, 6) for _ in range(2 if model.mode == "LSTM" else 1)]
    return (x, tuple(hx) if len(hx) == 2 else hx[0])


def assert_computes(model_bytes: bytes, model: Any, states: bool) -> None:
    """What onnxruntime computes is the model's result in float64, at sizes never exported."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])
    exact_model = copy.deepcopy(model).double()
    for seq_len, batch_size in ((7, 3), (1, 1), (9, 5)):
        given = arguments(model, states, seq_len, batch_size)
        names = [node.name for node in session.get_inputs()]
        outputs = session.run(None, {n: t.numpy() for n, t in zip(names, flat(given), strict=True)})
        wide = [tensor.double() for tensor in flat(given)]
        hx = () if not states else (tuple(wide[1:]) if len(wide) == 3 else wide[1],)
        with torch.no_grad():
            expected = flat(exact_model(wide[0], *hx))
        for got, exact in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(got, exact.numpy(), rtol=0, atol=4e-6)


@pytest.mark.filterwarnings(*NOISE)
@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("states", [False, True])
def test_torchs_exporter_after_restore(kind: str, shape: dict[str, Any], states: bool) -> None:
    model = converted(kind, **shape)
    restored = copy.deepcopy(model)
    assert fastrnn.restore(restored)
    given = arguments(model, states)
    names = ["x", "h0", "c0"][: len(flat(given))]
    batch_axis = 0 if model.batch_first else 1
    axes = {"x": {batch_axis: "B", 1 - batch_axis: "T"}, **{name: {1: "B"} for name in names[1:]}}
    file = io.BytesIO()
    torch.onnx.export(restored, given, file, dynamo=False, input_names=names, dynamic_axes=axes)
    assert_computes(file.getvalue(), model, states)
    for node in onnx.load_from_string(file.getvalue()).graph.node:
        if node.op_type == "GRU":
            found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            assert found["linear_before_reset"] == 1


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("states", [False, True])
def test_our_own_writer(kind: str, shape: dict[str, Any], states: bool) -> None:
    model = converted(kind, **shape)
    written = to_onnx_model(
        from_module(model), batch_first=model.batch_first, initial_states=states
    )
    assert_computes(written.SerializeToString(), model, states)
    back = to_module(list(from_onnx_model(written).values()), batch_first=model.batch_first)
    x = arguments(model, False)[0]
    for ours, theirs in zip(flat(back(x)), flat(model(x)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.filterwarnings(*NOISE)
@pytest.mark.parametrize("restored", [True, False])
def test_a_model_with_more_than_the_layer(restored: bool) -> None:
    """Inside a model torch's exporter sees through our layers, too."""

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(11, 8)
            self.rnn = nn.GRU(8, 6, num_layers=2, bidirectional=True, batch_first=True)
            self.head = nn.Linear(12, 5)

        def forward(self, words: torch.Tensor) -> Any:
            return self.head(self.rnn(self.embed(words))[0])

    torch.manual_seed(0)
    model = Tagger().eval()
    fastrnn.convert(model)
    words = torch.randint(0, 11, (3, 7))
    with torch.no_grad():
        exact = copy.deepcopy(model).double()(words)
    if restored:
        fastrnn.restore(model)
    file = io.BytesIO()
    axes = {"words": {0: "B", 1: "T"}}
    torch.onnx.export(model, (words,), file, dynamo=False, input_names=["words"], dynamic_axes=axes)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"words": words.numpy()})
    np.testing.assert_allclose(got, exact.numpy(), rtol=0, atol=4e-6)
