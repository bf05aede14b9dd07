"""Gradients: of everything, from anything, in any memory layout, and once more."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch_twins import LAYERS, assert_equal_runs, flat, output_grads, run, states, twins

KINDS = list(LAYERS)


def as_function(layer: torch.nn.Module, num_states: int) -> Any:
    """The layer as a function of input, initial states and parameters, as gradcheck wants it."""
    names = [name for name, _ in layer.named_parameters()]

    def function(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        initial, params = rest[:num_states], rest[num_states:]
        hx: Any = None if not initial else initial[0] if num_states == 1 else tuple(initial)
        given = dict(zip(names, params, strict=True))
        return tuple(flat(torch.func.functional_call(layer, given, (x, hx))))

    return function


def problem(
    kind: str, sizes: tuple[int, int, int, int], hx: bool = True, **options: Any
) -> tuple[Any, tuple[Tensor, ...]]:
    seq_len, batch_size, input_size, hidden_size = sizes
    _, layer = twins(kind, input_size, hidden_size, dtype=torch.float64, **options)
    x = torch.randn(seq_len, batch_size, input_size, dtype=torch.float64)
    rows = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    initial = flat(states(kind, (rows, batch_size, hidden_size))) if hx else []
    arguments = [x, *initial, *(p.detach() for p in layer.parameters())]
    for argument in arguments:
        argument.requires_grad_()
    return as_function(layer, len(initial)), tuple(arguments)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "sizes", [(1, 1, 1, 1), (3, 2, 1, 1), (4, 1, 2, 3), (3, 7, 2, 1), (7, 2, 1, 2), (2, 1, 7, 7)]
)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradcheck(kind: str, sizes: tuple[int, int, int, int], bidirectional: bool) -> None:
    assert gradcheck(*problem(kind, sizes, bidirectional=bidirectional), fast_mode=sizes[3] > 2)


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck_of_a_stack_without_states_and_biases(kind: str) -> None:
    options = {"num_layers": 2, "bidirectional": True, "batch_first": True, "bias": False}
    assert gradcheck(*problem(kind, (3, 2, 2, 2), hx=False, **options))


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck_at_odd_sizes_along_random_directions(kind: str) -> None:
    assert gradcheck(*problem(kind, (3, 5, 129, 129)), fast_mode=True)
    assert gradcheck(*problem(kind, (129, 1, 7, 7)), fast_mode=True)
    assert gradcheck(*problem(kind, (2, 129, 7, 3)), fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck_of_batched_and_undefined_gradients(kind: str) -> None:
    function, arguments = problem(kind, (3, 2, 2, 2))
    assert gradcheck(function, arguments, check_batched_grad=True, check_undefined_grad=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_second_derivatives(kind: str, bidirectional: bool) -> None:
    function, arguments = problem(kind, (3, 2, 2, 2), bidirectional=bidirectional)
    # relu has none to speak of; its first derivative jumps where a perturbation crosses zero.
    assert gradgradcheck(function, arguments, fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivative_where_an_input_depends_on_another(kind: str) -> None:
    """h0 and a weight computed from x: each gradient must count its own path once."""
    theirs, ours = twins(kind, 3, 3, dtype=torch.float64)
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)

    def penalty(layer: torch.nn.Module) -> Tensor:
        initial = x.mean(0, keepdim=True).tanh()
        hx = (initial, 2 * initial) if kind == "lstm" else initial
        y = flat(layer(x, hx))[0]
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return slope.square().sum()

    (got,) = torch.autograd.grad(penalty(ours), x)
    (expected,) = torch.autograd.grad(penalty(theirs), x)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_from_some_of_the_outputs(kind: str) -> None:
    theirs, ours = twins(kind, 3, 5, num_layers=2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    hx = states(kind, (4, 4, 5))
    count = len(flat(theirs(x, hx)))
    subsets = [s for n in range(1, count + 1) for s in itertools.combinations(range(count), n)]
    for subset in subsets:
        results = []
        for layer in (theirs, ours):
            leaves = [x.clone().requires_grad_(), *(h.clone().requires_grad_() for h in flat(hx))]
            given = leaves[1] if kind != "lstm" else (leaves[1], leaves[2])
            outputs = flat(layer(leaves[0], given))
            loss = sum(outputs[i].sin().sum() for i in subset)
            assert isinstance(loss, Tensor)
            results.append(torch.autograd.grad(loss, [*leaves, *layer.parameters()]))
        for expected, got in zip(*results, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_unused_result_gets_no_gradient(kind: str) -> None:
    _, ours = twins(kind, 3, 5, dtype=torch.float64)
    x = torch.randn(6, 4, 3, dtype=torch.float64, requires_grad=True)
    ours(x)
    (2 * x).sum().backward()
    assert all(parameter.grad is None for parameter in ours.parameters())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_summed_outputs_give_expanded_gradients(kind: str, batch_first: bool) -> None:
    theirs, ours = twins(kind, 3, 5, batch_first=batch_first, dtype=torch.float64)
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    grads = []
    for layer in (theirs, ours):
        layer.zero_grad()
        sum(output.sum() for output in flat(layer(x))).backward()
        grads.append([parameter.grad for parameter in layer.parameters()])
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_complex_origin(kind: str) -> None:
    """The imaginary part of a conjugate is a view with its sign still to be applied."""
    theirs, ours = twins(kind, 3, 5, dtype=torch.float64)
    z = torch.randn(6, 4, 3, dtype=torch.complex128)
    x = z.conj().imag
    assert x.is_neg()
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])
    grad = torch.randn(6, 4, 5, dtype=torch.complex128).conj().imag
    plain = torch.randn(6, 4, 3, dtype=torch.float64)
    results = [
        torch.autograd.grad(layer(plain)[0], list(layer.parameters()), grad)
        for layer in (theirs, ours)
    ]
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_parameters(kind: str) -> None:
    theirs, ours = twins(kind, 3, 5, dtype=torch.float64)
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    names = [name for name, _ in ours.named_parameters()]
    for frozen in names:
        grads = []
        for layer in (theirs, ours):
            layer.zero_grad()
            for name, parameter in layer.named_parameters():
                parameter.requires_grad_(name != frozen)
            layer(x)[0].sum().backward()
            grads.append({name: parameter.grad for name, parameter in layer.named_parameters()})
        assert grads[1][frozen] is None
        torch.testing.assert_close(grads[1], grads[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_input_or_the_state_wants_a_gradient(kind: str) -> None:
    theirs, ours = twins(kind, 3, 5, dtype=torch.float64)
    for layer in (theirs, ours):
        layer.requires_grad_(False)
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    hx = states(kind, (1, 4, 5))
    assert not ours(x, hx)[0].requires_grad
    for wanted in range(1 + len(flat(hx))):
        results = []
        for layer in (theirs, ours):
            leaves = [x.clone(), *(state.clone() for state in flat(hx))]
            leaves[wanted].requires_grad_()
            given = leaves[1] if kind != "lstm" else (leaves[1], leaves[2])
            results.append(torch.autograd.grad(layer(leaves[0], given)[0].sum(), leaves[wanted]))
        torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize("kind", KINDS)
def test_tied_parameters_get_the_sum(kind: str) -> None:
    theirs, ours = twins(kind, 3, 5, bidirectional=True, dtype=torch.float64)
    for layer in (theirs, ours):
        layer.weight_hh_l0_reverse = layer.weight_hh_l0
        layer.bias_hh_l0 = layer.bias_ih_l0
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    grads = output_grads(theirs, x)
    assert_equal_runs(run(ours, x, None, grads), run(theirs, x, None, grads))


def test_one_tensor_as_both_states() -> None:
    theirs, ours = twins("lstm", 3, 5, dtype=torch.float64)
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    results = []
    for layer in (theirs, ours):
        h = torch.full((1, 4, 5), 0.3, dtype=torch.float64, requires_grad=True)
        results.append(torch.autograd.grad(layer(x, (h, h))[0].sum(), h))
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize("kind", KINDS)
def test_bias_gradients_are_tensors_of_their_own(kind: str) -> None:
    _, ours = twins(kind, 3, 5)
    ours(torch.randn(6, 4, 3))[0].sum().backward()
    before = ours.bias_hh_l0.grad.clone()
    ours.bias_ih_l0.grad.zero_()
    assert torch.equal(ours.bias_hh_l0.grad, before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_backward_twice_and_in_eval_mode(kind: str, training: bool) -> None:
    _, ours = twins(kind, 3, 5, num_layers=2, bidirectional=True)
    ours.train(training)
    y = ours(torch.randn(6, 4, 3))[0]
    first = torch.autograd.grad(y.sum(), list(ours.parameters()), retain_graph=True)
    second = torch.autograd.grad(y.sum(), list(ours.parameters()))
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(y.sum(), list(ours.parameters()))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_accumulate(kind: str) -> None:
    _, ours = twins(kind, 3, 5, dtype=torch.float64)
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    ours(x)[0].sum().backward()
    once = [parameter.grad.clone() for parameter in ours.parameters()]
    ours(x)[0].sum().backward()
    for grad, parameter in zip(once, ours.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, 2 * grad)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["input", "weight", "output", "state"])
def test_in_place_change_before_backward_is_noticed(kind: str, what: str) -> None:
    _, ours = twins(kind, 3, 5)
    x, hx = torch.randn(6, 4, 3), states(kind, (1, 4, 5), torch.float32)
    outputs = flat(ours(x, hx))
    changed = {"input": x, "weight": ours.weight_hh_l0, "output": outputs[0], "state": flat(hx)[0]}
    with torch.no_grad():
        changed[what].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs[1].sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_layer_is_one_node(kind: str) -> None:
    _, ours = twins(kind, 3, 5, bidirectional=True)
    outputs = flat(ours(torch.randn(6, 4, 3)))
    node = outputs[0].grad_fn
    assert node is not None
    assert all(output.grad_fn is node for output in outputs)
    parents = {type(parent).__name__ for parent, _ in node.next_functions if parent is not None}
    assert parents == {"AccumulateGrad"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_reserve_comes_from_the_pool(kind: str) -> None:
    theirs, ours = twins(kind, 8, 64)
    x = torch.randn(100, 64, 8)  # more than a MiB of gates
    for _ in range(3):  # blocks are used again
        results = [
            torch.autograd.grad(layer(x)[0].sin().sum(), layer.weight_hh_l0)
            for layer in (theirs, ours)
        ]
        torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-3)
