"""Everything around a call that the engine can't see through still gets the right answer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jacrev, jvp, stack_module_state, vmap
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from torch.utils.checkpoint import checkpoint
from torch_twins import LAYERS, assert_equal_runs, flat, output_grads, run, states, twins

KINDS = list(LAYERS)
OPTIONS: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_vmap_over_inputs(kind: str, batch_first: bool) -> None:
    theirs, ours = twins(kind, 3, 4, batch_first=batch_first, **OPTIONS)
    for shape in ((6, 5, 2, 3), (6, 5, 3)):
        xs = double(*shape)
        got = vmap(lambda x: tuple(flat(ours(x))))(xs)
        expected = [
            torch.stack(group) for group in zip(*(flat(theirs(x)) for x in xs), strict=True)
        ]
        torch.testing.assert_close(list(got), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_vmap_over_states(kind: str) -> None:
    theirs, ours = twins(kind, 3, 4, **OPTIONS)
    x = double(5, 2, 3)
    many = [double(6, 4, 2, 4) for _ in range(len(flat(theirs(x))) - 1)]

    def call(layer: nn.Module, *initial: Tensor) -> Tensor:
        return flat(layer(x, initial[0] if kind != "lstm" else initial))[0]

    got = vmap(lambda *initial: call(ours, *initial))(*many)
    expected = torch.stack([call(theirs, *initial) for initial in zip(*many, strict=True)])
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_per_sample_gradients(kind: str) -> None:
    theirs, ours = twins(kind, 3, 4, **OPTIONS)
    xs = double(4, 5, 2, 3)

    def loss(params: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(ours, params, (x,))[0].square().sum()

    got = vmap(grad(loss), (None, 0))(dict(ours.named_parameters()), xs)
    for sample, x in enumerate(xs):
        expected = torch.autograd.grad(theirs(x)[0].square().sum(), list(theirs.parameters()))
        for mine, torchs in zip(got.values(), expected, strict=True):
            torch.testing.assert_close(mine[sample], torchs)


@pytest.mark.parametrize("kind", KINDS)
def test_ensemble(kind: str) -> None:
    layers = [twins(kind, 3, 4, seed=seed, **OPTIONS)[1] for seed in range(3)]
    params, buffers = stack_module_state(layers)
    x = double(5, 2, 3)
    got = vmap(lambda p, b: functional_call(layers[0], (p, b), (x,))[0])(params, buffers)
    torch.testing.assert_close(got, torch.stack([layer(x)[0] for layer in layers]))


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")  # torch's own use
@pytest.mark.parametrize("kind", KINDS)
def test_forward_mode(kind: str) -> None:
    theirs, ours = twins(kind, 3, 4, **OPTIONS)
    x, tangent = double(5, 2, 3), double(5, 2, 3)
    # The product of the Jacobian with the tangent, from reverse mode.
    jacobian = torch.autograd.functional.jacobian(lambda v: theirs(v)[0], x)
    expected = torch.einsum("tbysci,sci->tby", jacobian, tangent)
    torch.testing.assert_close(jvp(lambda v: ours(v)[0], (x,), (tangent,))[1], expected)
    with forward_ad.dual_level():
        dual = ours(forward_ad.make_dual(x, tangent))[0]
        torch.testing.assert_close(forward_ad.unpack_dual(dual).tangent, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_jacobians(kind: str) -> None:
    theirs, ours = twins(kind, 2, 2, dtype=torch.float64)
    x = double(3, 2, 2)
    expected = torch.autograd.functional.jacobian(lambda v: theirs(v)[0], x)
    torch.testing.assert_close(jacrev(lambda v: ours(v)[0])(x), expected)
    for vectorize in (False, True):
        got = torch.autograd.functional.jacobian(lambda v: ours(v)[0], x, vectorize=vectorize)
        torch.testing.assert_close(got, expected)


def packed(sorted_already: bool) -> PackedSequence:
    lengths = torch.tensor([5, 4, 1] if sorted_already else [4, 1, 5])
    return pack_padded_sequence(double(5, 3, 3), lengths, enforce_sorted=sorted_already)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sorted_already", [False, True])
@pytest.mark.parametrize("given_state", [False, True])
def test_packed_sequences(kind: str, sorted_already: bool, given_state: bool) -> None:
    theirs, ours = twins(kind, 3, 4, dropout=0.5, **OPTIONS)
    x, hx = packed(sorted_already), states(kind, (4, 3, 4)) if given_state else None
    results = []
    for layer in (theirs, ours):
        torch.manual_seed(1)
        y, final = layer(x, hx)
        assert isinstance(y, PackedSequence)
        results.append((y, final))
        loss = y.data.sin().sum() + sum(state.sum() for state in flat(final))
        loss.backward()
    torch.testing.assert_close(results[1][0], results[0][0])
    torch.testing.assert_close(flat(results[1][1]), flat(results[0][1]))
    for mine, torchs in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, torchs.grad)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sorted_already", [False, True])
def test_packed_sequences_under_transforms(kind: str, sorted_already: bool) -> None:
    theirs, ours = twins(kind, 3, 4, **OPTIONS)
    x, hx = packed(sorted_already), states(kind, (4, 3, 4))

    def loss(params: dict[str, Tensor]) -> Tensor:
        y, final = functional_call(ours, params, (x, hx))
        return y.data.sin().sum() + sum(state.cos().sum() for state in flat(final))

    got = grad(loss)(dict(ours.named_parameters()))
    y, final = theirs(x, hx)
    expected_loss = y.data.sin().sum() + sum(state.cos().sum() for state in flat(final))
    expected = torch.autograd.grad(expected_loss, list(theirs.parameters()))
    torch.testing.assert_close(list(got.values()), list(expected))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_projection(bidirectional: bool) -> None:
    options: dict[str, Any] = {**OPTIONS, "bidirectional": bidirectional, "proj_size": 2}
    theirs, ours = twins("lstm", 3, 4, **options)
    rows = 4 if bidirectional else 2
    x, hx = double(5, 2, 3), (double(rows, 2, 2), double(rows, 2, 4))
    grads = output_grads(theirs, x, hx)
    assert_equal_runs(run(ours, x, hx, grads), run(theirs, x, hx, grads))
    torch.testing.assert_close(vmap(lambda v: ours(v)[0])(x.unsqueeze(0))[0], theirs(x)[0])


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind != "rnn_relu"]
)  # has no complex form
def test_complex_numbers(kind: str) -> None:
    theirs, ours = twins(kind, 3, 4, num_layers=2, dtype=torch.complex64)
    x = torch.randn(5, 2, 3, dtype=torch.complex64)
    assert "complex64" in ours.refusal(x)
    grads = output_grads(theirs, x)
    got, expected = run(ours, x, None, grads), run(theirs, x, None, grads)
    for name, value in expected.items():
        assert torch.equal(got[name], value), name


@pytest.mark.parametrize("kind", KINDS)
def test_meta_and_fake_tensors(kind: str) -> None:
    _, ours = twins(kind, 3, 4, device="meta")
    y = ours(torch.empty(5, 2, 3, device="meta"))[0]
    assert y.is_meta
    assert y.shape == (5, 2, 4)
    _, ours = twins(kind, 3, 4)
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert isinstance(ours(torch.empty(5, 2, 3))[0], FakeTensor)


@pytest.mark.parametrize("kind", KINDS)
def test_under_another_default_device(kind: str) -> None:
    theirs, ours = twins(kind, 3, 4)
    x = torch.randn(5, 2, 3)
    with torch.device("meta"):
        got = flat(ours(x))
    for mine, torchs in zip(got, flat(theirs(x)), strict=True):
        torch.testing.assert_close(mine, torchs)


@pytest.mark.parametrize("kind", KINDS)
def test_compile_in_one_graph(kind: str) -> None:
    torch.compiler.reset()
    theirs, ours = twins(kind, 3, 4, num_layers=2, bidirectional=True)
    x = torch.randn(4, 2, 3)
    grads = output_grads(theirs, x)
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    got, expected = run(compiled, x, None, grads), run(theirs, x, None, grads)
    for mine, torchs in zip(got.values(), expected.values(), strict=True):
        torch.testing.assert_close(mine, torchs)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x)[0], theirs(x)[0])


@pytest.mark.filterwarnings("ignore:The tensor attributes self._flat_weights")  # as with torch's
@pytest.mark.parametrize("kind", KINDS)
def test_export(kind: str) -> None:
    theirs, ours = twins(kind, 3, 4)
    x = torch.randn(5, 2, 3)
    exported = torch.export.export(ours, (x,))
    operators = [str(node.target) for node in exported.graph.nodes if node.op == "call_function"]
    assert "fastrnn.layer.default" in operators, operators
    torch.testing.assert_close(exported.module()(x)[0], theirs(x)[0])


class Holder(nn.Module):
    """TorchScript takes recurrent layers only inside another module."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x)[0]
        return result


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # torch's own checks of sizes
@pytest.mark.parametrize("kind", KINDS)
def test_script_and_trace(kind: str) -> None:
    theirs, ours = twins(kind, 3, 4, num_layers=2)
    x = torch.randn(7, 2, 3)
    traced = torch.jit.trace(ours, (torch.randn(5, 2, 3),))
    torch.testing.assert_close(traced(x)[0], theirs(x)[0])
    scripted = torch.jit.script(Holder(ours))
    torch.testing.assert_close(scripted(x), theirs(x)[0])
    assert dict(scripted.named_parameters())["layer.weight_hh_l0"] is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoint(kind: str, reentrant: bool) -> None:
    theirs, ours = twins(kind, 3, 4, dropout=0.5, **OPTIONS)
    x = double(5, 2, 3).requires_grad_()
    torch.manual_seed(1)
    checkpoint(lambda v: ours(v)[0], x, use_reentrant=reentrant).sin().sum().backward()
    torch.manual_seed(1)
    theirs(x)[0].sin().sum().backward()
    for mine, torchs in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, torchs.grad)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_tensor_hooks(kind: str) -> None:
    theirs, ours = twins(kind, 3, 4, **OPTIONS)
    x = double(5, 2, 3)
    packed_tensors: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        packed_tensors.append(tensor)
        return tensor.clone()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor.clone()):
        y = ours(x)[0]
    assert any(tensor.dtype == torch.uint8 for tensor in packed_tensors)  # the reserve, too
    got = torch.autograd.grad(y.sin().sum(), list(ours.parameters()))
    expected = torch.autograd.grad(theirs(x)[0].sin().sum(), list(theirs.parameters()))
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_and_subclassed_tensors_never_reach_the_engine(kind: str) -> None:
    class Labeled(Tensor):
        pass

    theirs, ours = twins(kind, 3, 4)
    x = torch.randn(5, 2, 3)
    assert "Labeled" in ours.refusal(x.as_subclass(Labeled))
    torch.testing.assert_close(ours(x.as_subclass(Labeled))[0].as_subclass(Tensor), theirs(x)[0])
    assert "sparse" in ours.refusal(x.to_sparse())
    with pytest.raises((RuntimeError, NotImplementedError)):
        ours(x.to_sparse())


@pytest.mark.parametrize("kind", KINDS)
def test_inference_tensors(kind: str) -> None:
    theirs, ours = twins(kind, 3, 4)
    x = torch.randn(5, 2, 3)
    with torch.inference_mode():
        y = ours(x)[0]
    assert y.is_inference()
    torch.testing.assert_close(y.clone(), theirs(x)[0].detach())
