"""The layers and cells that torch does not have under compilers, exporters and autocast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from own_layers import OWN, composed, make, states
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn.utils.rnn import pack_padded_sequence
from torch_twins import flat

per_kind = pytest.mark.parametrize("kind", OWN)
STACK: dict[str, Any] = {"num_layers": 2, "bidirectional": True}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def gradients(outputs: list[Tensor], module: Any) -> tuple[Tensor, ...]:
    return torch.autograd.grad(
        [output.sin().sum() for output in outputs], list(module.parameters())
    )


@per_kind
def test_one_graph_and_one_operator_a_layer(kind: str) -> None:
    layer = make(kind, 3, 5, **STACK)
    counter: Any = CompileCounterWithBackend("aot_eager")
    compiled: Any = torch.compile(layer, backend=counter, fullgraph=True)
    for seq_len, batch_size in ((4, 2), (6, 3), (9, 5)):
        x = torch.randn(seq_len, batch_size, 3)
        hx = states(kind, 4, batch_size, 5, dtype=torch.float32)
        for tensor, dims in ((x, (0, 1)), *((s, (1,)) for s in flat(hx))):
            for dim in dims:
                torch._dynamo.mark_dynamic(tensor, dim)
        expected, found = flat(layer(x, hx)), flat(compiled(x, hx))
        for mine, value in zip(found, expected, strict=True):
            assert torch.equal(mine, value)
        for mine, value in zip(gradients(found, layer), gradients(expected, layer), strict=True):
            torch.testing.assert_close(mine, value)
    assert counter.frame_count == 1
    nodes = [str(node.target) for node in counter.graphs[0].graph.nodes]
    assert nodes.count("fastrnn.layer.default") == 2


# Those of two phases, and of a further parameter; the others take the same ways.
@pytest.mark.parametrize("kind", ["gru_reset_before", "peephole_lstm", "multiplicative_lstm"])
def test_compiled_lengths_resets_and_steps(kind: str) -> None:
    layer, x = make(kind, 3, 5, **STACK), torch.randn(6, 3, 3)
    cell = make(kind, 3, 5, cell=True)
    resets = torch.zeros(6, 3, dtype=torch.bool)
    resets[2] = True
    lengths = torch.tensor([6, 2, 4])
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    for call, arguments in (
        (lambda x, n: layer(x, lengths=n), (x, lengths)),
        (lambda x, r: layer(x, resets=r), (x, resets)),
        (lambda p: (layer(p)[0].data, *flat(layer(p)[1])), (packed,)),
        (lambda x: cell(x, cell(x)), (x[0],)),
    ):
        torch.compiler.reset()
        compiled: Any = torch.compile(call, backend="aot_eager", fullgraph=True)
        for mine, value in zip(flat(compiled(*arguments)), flat(call(*arguments)), strict=True):
            assert torch.equal(mine, value)


@per_kind
def test_export(kind: str) -> None:
    layer, x = make(kind, 3, 5, **STACK).eval(), torch.randn(6, 3, 3)
    steps, batch = torch.export.Dim("steps", min=2), torch.export.Dim("batch", min=2)
    shapes = {"input": {0: steps, 1: batch}}
    program = torch.export.export(layer, (x,), dynamic_shapes=shapes)
    other = torch.randn(4, 7, 3)
    for mine, value in zip(flat(program.module()(other)), flat(layer(other)), strict=True):
        assert torch.equal(mine, value)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@per_kind
def test_autocast_and_halves(kind: str, dtype: torch.dtype) -> None:
    """Of autocast's dtype but for the classes of torch's that promote; errors of a half's size."""
    layer, x = make(kind, 16, 32, **STACK), torch.randn(6, 4, 16)
    cell = make(kind, 16, 32, cell=True)
    wide = flat(layer(x))
    with torch.autocast("cpu", dtype):
        assert layer.refusal(x) is None
        outputs, step_by_step = flat(layer(x)), flat(layer._forward_composed(x, None))
        steps = flat(cell(x[0]))
    expected = torch.float32 if kind == "gru_reset_before" else dtype
    for output in [*outputs, *step_by_step, *steps]:
        assert output.dtype == expected
    for mine, theirs, exact in zip(outputs, step_by_step, wide, strict=True):
        error, budget = ((v.float() - exact).square().mean().sqrt() for v in (mine, theirs))
        assert error <= 2 * budget + 2 * torch.finfo(dtype).eps * exact.abs().max()
    for grad, parameter in zip(gradients(outputs, layer), layer.parameters(), strict=True):
        assert grad.dtype == parameter.dtype == torch.float32
    half, half_x = layer.to(dtype), x.to(dtype)
    assert half.refusal(half_x) is None
    for mine, theirs, exact in zip(
        flat(half(half_x)), flat(composed(half)(half_x)), wide, strict=True
    ):
        assert mine.dtype == dtype
        error, budget = ((v.float() - exact).square().mean().sqrt() for v in (mine, theirs))
        assert error <= 2 * budget + 2 * torch.finfo(dtype).eps * exact.abs().max()
