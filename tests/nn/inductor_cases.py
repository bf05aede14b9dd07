"""Layers compiled by inductor, and packages of AOTInductor: too slow for every run of the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from subprocesses import python_output
from torch import Tensor, nn
from torch.export import Dim, export
from torch_twins import LAYERS, flat, twins

SIZES = ((4, 2), (9, 5), (3, 7))
OPTIONS: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": True}

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's own
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:The tensor attributes self._flat_weights"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.timeout(600),
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


@pytest.mark.parametrize("kind", list(LAYERS))
def test_forward_and_backward(kind: str) -> None:
    torch.compiler.reset()
    _, ours = twins(kind, 3, 5, **OPTIONS)
    compiled = torch.compile(ours, fullgraph=True)
    for seq_len, batch_size in SIZES:
        x = torch.randn(batch_size, seq_len, 3)
        got, expected = flat(compiled(x)), flat(ours(x))
        torch.testing.assert_close(got, expected)
        weights = list(ours.parameters())
        torch.testing.assert_close(
            torch.autograd.grad(got[0].sin().sum(), weights),
            torch.autograd.grad(expected[0].sin().sum(), weights),
        )


LOADING = """
import torch
import fastrnn.nn
model = torch._inductor.aoti_load_package({path!r})
for tokens, expected in torch.load({path!r} + ".tensors"):
    torch.testing.assert_close(model(tokens), expected)
print("equal")
"""


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_aot_inductor(kind: str, tmp_path: Path) -> None:
    model, path = Tagger(kind), str(tmp_path / "model.pt2")
    shapes = ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC},)
    with torch.no_grad():
        program = export(model, (torch.randint(20, (2, 4)),), dynamic_shapes=shapes)
        torch._inductor.aoti_compile_and_package(program, package_path=path)
        given = [torch.randint(20, (batch_size, seq_len)) for seq_len, batch_size in SIZES]
        torch.save([(tokens, model(tokens)) for tokens in given], path + ".tensors")
    assert python_output(LOADING.format(path=path)) == "equal"
