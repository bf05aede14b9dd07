"""torch.export: one node a layer, any T and B, saved and loaded, trained, decomposed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from subprocesses import python_output
from torch import Tensor, nn
from torch.export import Dim, export
from torch_twins import LAYERS, flat, states, twins

import fastrnn.nn

KINDS = list(LAYERS)
SIZES = ((4, 2), (9, 5), (3, 7))
ANY = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
OPTIONS: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": True}

pytestmark = [
    # As with torch's own layers.
    pytest.mark.filterwarnings("ignore:The tensor attributes self._flat_weights"),
    # torch's own, when it copies and saves programs.
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec:FutureWarning"),
]


class Tagger(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.layer = twins(kind, 6, 4, **OPTIONS)[1]
        self.head = nn.Linear(8, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        y: Tensor = self.head(torch.relu(self.layer(self.embedding(tokens))[0]))
        return y


def nodes(program: torch.export.ExportedProgram) -> list[str]:
    return [str(node.target) for node in program.graph.nodes if node.op == "call_function"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strict", [False, True])
def test_layers(kind: str, strict: bool) -> None:
    _, ours = twins(kind, 3, 5, **OPTIONS)
    x, hx = torch.randn(2, 4, 3), states(kind, (4, 2, 5), torch.float32)
    shapes: Any = (ANY, ({1: Dim.DYNAMIC},) * 2 if kind == "lstm" else {1: Dim.DYNAMIC})
    program = export(ours, (x, hx), dynamic_shapes=shapes, strict=strict)
    assert nodes(program).count("fastrnn.layer.default") == 2
    decomposed = program.run_decompositions()
    assert nodes(decomposed).count("fastrnn.layer.default") == 2
    for seq_len, batch_size in SIZES:
        x, hx = torch.randn(batch_size, seq_len, 3), states(kind, (4, batch_size, 5), torch.float32)
        for call in (program.module(), decomposed.module()):
            for mine, expected in zip(flat(call(x, hx)), flat(ours(x, hx)), strict=True):
                assert torch.equal(mine, expected)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_relu"])
def test_cells(kind: str) -> None:
    _, ours = twins(kind, 3, 5, cell=True)
    program = export(ours, (torch.randn(4, 3),), dynamic_shapes=({0: Dim.DYNAMIC},))
    assert nodes(program).count("fastrnn.layer.default") == 1
    x = torch.randn(7, 3)
    assert torch.equal(flat(program.module()(x))[0], flat(ours(x))[0])


def test_an_exported_program_saves_nothing_for_backward_unless_trained() -> None:
    model = Tagger("lstm")
    program = export(model, (torch.randint(20, (2, 4)),), dynamic_shapes=(ANY,))
    for node in program.graph.nodes:
        if str(node.target) == "fastrnn.layer.default":
            assert node.kwargs == {}
            assert len(node.args) == 6  # no `save`
    module, tokens = program.module(), torch.randint(20, (3, 5))
    module(tokens).sin().sum().backward()
    model(tokens).sin().sum().backward()
    found = dict(module.named_parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name].grad, parameter.grad)


LOADING = """
import torch
x, expected = torch.load({path!r} + ".tensors")
try:  # without the operators there is nobody to compute them
    torch.export.load({path!r})
except RuntimeError:
    import fastrnn.nn
print(torch.equal(torch.export.load({path!r}).module()(x), expected), fastrnn.nn.__name__)
"""


def test_saved_and_loaded_elsewhere(tmp_path: Path) -> None:
    model, path = Tagger("gru"), str(tmp_path / "model.pt2")
    torch.export.save(export(model, (torch.randint(20, (2, 4)),), dynamic_shapes=(ANY,)), path)
    tokens = torch.randint(20, (3, 9))
    torch.save((tokens, model(tokens).detach()), path + ".tensors")
    assert python_output(LOADING.format(path=path)) == "True fastrnn.nn"


def test_dropout_between_layers_stays_in_the_program() -> None:
    layer = fastrnn.nn.GRU(3, 5, num_layers=2, dropout=0.5)
    x = torch.randn(4, 2, 3)
    assert "aten.dropout.default" in nodes(export(layer, (x,)))
    assert "aten.dropout.default" not in nodes(export(layer.eval(), (x,)))


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        ((4, 2, 4), RuntimeError, "Expected 3, got 4"),
        ((4,), ValueError, "LSTM: Expected input to be 2D or 3D, got 1D instead"),
    ],
)
def test_bad_input(shape: tuple[int, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        export(fastrnn.nn.LSTM(3, 5), (torch.zeros(shape),))
