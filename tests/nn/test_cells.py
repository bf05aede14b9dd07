"""The single-step cells: numbers and gradients of torch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles import assert_within_budget
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, jvp, vmap
from torch_twins import CELLS, assert_equal_runs, exact_run, flat, output_grads, run, states, twins

KINDS = list(CELLS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(4, 5, 7), (1, 1, 1), (33, 3, 20), (0, 5, 7), (2, 129, 130)])
@pytest.mark.parametrize("bias", [True, False])
def test_parity_in_float64(kind: str, sizes: tuple[int, int, int], bias: bool) -> None:
    batch_size, input_size, hidden_size = sizes
    theirs, ours = twins(kind, input_size, hidden_size, cell=True, bias=bias, dtype=torch.float64)
    for shape in ((batch_size,), ()):
        x = torch.randn(*shape, input_size, dtype=torch.float64)
        for hx in (None, states(kind, (*shape, hidden_size))):
            assert (ours.refusal(x, hx) is None) == (x.numel() > 0)
            grads = output_grads(theirs, x, hx)
            assert_equal_runs(run(ours, x, hx, grads), run(theirs, x, hx, grads))
            with torch.no_grad():
                assert_equal_runs(run(ours, x, hx), run(theirs, x, hx))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(1, 64, 64), (32, 20, 129), (7, 300, 33)])
def test_float32_error_budget(kind: str, sizes: tuple[int, int, int]) -> None:
    batch_size, input_size, hidden_size = sizes
    theirs, ours = twins(kind, input_size, hidden_size, cell=True)
    x = torch.randn(batch_size, input_size)
    hx = states(kind, (batch_size, hidden_size), torch.float32)
    grads = output_grads(theirs, x, hx)
    got, peer = run(ours, x, hx, grads), run(theirs, x, hx, grads)
    for name, exact in exact_run(theirs, x, hx, grads).items():
        assert_within_budget(got[name], peer[name], exact, name=name)


def as_function(cell: torch.nn.Module) -> Any:
    names = [name for name, _ in cell.named_parameters()]

    def function(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        params = dict(zip(names, rest[-len(names) :], strict=True))
        initial = rest[: -len(names)]
        hx: Any = initial[0] if len(initial) == 1 else initial
        return tuple(flat(functional_call(cell, params, (x, hx))))

    return function


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batched", [True, False])
def test_gradcheck(kind: str, batched: bool) -> None:
    _, ours = twins(kind, 3, 4, cell=True, dtype=torch.float64)
    shape = (2,) if batched else ()
    x = torch.randn(*shape, 3, dtype=torch.float64)
    arguments = [x, *flat(states(kind, (*shape, 4))), *(p.detach() for p in ours.parameters())]
    for argument in arguments:
        argument.requires_grad_()
    function = as_function(ours)
    assert gradcheck(function, tuple(arguments), check_batched_grad=True)
    assert gradgradcheck(function, tuple(arguments))


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_one_output_only(kind: str) -> None:
    theirs, ours = twins(kind, 3, 4, cell=True, dtype=torch.float64)
    x, hx = torch.randn(2, 3, dtype=torch.float64), states(kind, (2, 4))
    for index in range(len(flat(theirs(x, hx)))):
        got, expected = (
            torch.autograd.grad(flat(cell(x, hx))[index].sin().sum(), cell.weight_ih)
            for cell in (ours, theirs)
        )
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_strided_arguments(kind: str) -> None:
    theirs, ours = twins(kind, 3, 4, cell=True, dtype=torch.float64)
    x = torch.randn(3, 2, dtype=torch.float64).t()
    hx = torch.randn(1, 4, dtype=torch.float64).expand(2, 4)
    given = (hx, hx) if kind == "lstm" else hx
    assert ours.refusal(x, given) is None
    grads = [torch.ones((), dtype=torch.float64).expand(2, 4)] * len(flat(theirs(x, given)))
    assert_equal_runs(run(ours, x, given, grads), run(theirs, x, given, grads))


@pytest.mark.parametrize("kind", KINDS)
def test_unrolled_steps_equal_the_layer(kind: str) -> None:
    _, cell = twins(kind, 3, 4, cell=True, dtype=torch.float64)
    _, layer = twins(kind, 3, 4, dtype=torch.float64)
    layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    x, state, outputs = torch.randn(6, 2, 3, dtype=torch.float64), None, []
    for step in x:
        state = cell(step, state)
        outputs.append(flat(state)[0])
    torch.testing.assert_close(torch.stack(outputs), layer(x)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")  # torch's own use
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batched", [True, False])
def test_transforms(kind: str, batched: bool) -> None:
    theirs, ours = twins(kind, 3, 4, cell=True, dtype=torch.float64)
    xs = torch.randn(5, *((2, 3) if batched else (3,)), dtype=torch.float64)
    got = vmap(lambda x: tuple(flat(ours(x))))(xs)
    expected = [torch.stack(group) for group in zip(*(flat(theirs(x)) for x in xs), strict=True)]
    torch.testing.assert_close(list(got), expected)

    def loss(params: dict[str, Tensor], x: Tensor) -> Tensor:
        return flat(functional_call(ours, params, (x,)))[0].square().sum()

    samples = vmap(grad(loss), (None, 0))(dict(ours.named_parameters()), xs)
    for index, x in enumerate(xs):
        for name, parameter in theirs.named_parameters():
            total = flat(theirs(x))[0].square().sum()
            (exact,) = torch.autograd.grad(total, parameter)
            torch.testing.assert_close(samples[name][index], exact)
    tangent = torch.ones_like(xs[0])
    value, slope = jvp(lambda x: flat(ours(x))[0], (xs[0],), (tangent,))
    step = 1e-6
    ahead, behind = (flat(theirs(xs[0] + sign * step * tangent))[0] for sign in (1, -1))
    torch.testing.assert_close(value, flat(theirs(xs[0]))[0])
    torch.testing.assert_close(slope, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_compile_and_script(kind: str) -> None:
    torch.compiler.reset()
    theirs, ours = twins(kind, 3, 4, cell=True)
    x = torch.randn(2, 3)
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(flat(compiled(x)), flat(theirs(x)))
    torch.testing.assert_close(flat(torch.jit.script(ours)(x)), flat(theirs(x)))
