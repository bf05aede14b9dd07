"""Every transform of ``torch.func`` and its compositions, on layers, cells and functions alike.

What is expected comes from the engine: Jacobians by its backward pass, one output at a time, and
second derivatives from differences of its gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad, gradcheck
from torch.autograd.functional import hvp, jacobian, vhp, vjp
from torch.autograd.functional import jvp as double_backward_jvp
from torch.func import (
    functional_call,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stack_module_state,
    vmap,
)
from torch.nn.utils.rnn import PackedSequence
from torch_twins import CELLS, LAYERS, flat, states, twins

from fastrnn import functional

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),  # jvp's own
    pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node"),  # linearize's own
]

FUNCTIONS = ["lstm", "gru_reset_before", "peephole_lstm"]  # the others' steps are the layers'
THINGS = (
    [f"layer {kind}" for kind in LAYERS if kind != "rnn_relu"]
    + ["layer lstm projected", "layer lstm packed", "layer gru packed"]
    + [f"cell {kind}" for kind in CELLS if kind != "rnn_relu"]
    + [f"function {name}" for name in FUNCTIONS]
)
Call = Callable[..., tuple[Tensor, ...]]


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def problem(thing: str) -> tuple[Call, list[Tensor]]:
    """A function of input, states and weights, and values for all of them."""
    form, kind, *variant = thing.split()
    torch.manual_seed(0)
    if form == "function":
        return function_problem(kind)
    options: dict[str, Any] = {"dtype": torch.float64}
    if form == "layer":
        options |= {"bidirectional": True}
    if variant == ["projected"]:
        options["proj_size"] = 1
    _, module = twins(kind, 2, 2, cell=form == "cell", **options)
    x = double(2, 2) if form == "cell" else double(3, 2, 2)
    if variant == ["packed"]:  # lengths 1 and 3; torch's function that packs has no forward mode
        x = double(4, 2)
    initial = flat(states(kind, (2, 2) if form == "cell" else (2, 2, 2)))
    if variant == ["projected"]:
        initial[0] = double(2, 2, 1)
    names = [name for name, _ in module.named_parameters()]
    batch_sizes, order = torch.tensor([2, 1, 1]), torch.tensor([1, 0])

    def call(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        given, weights = rest[: len(initial)], rest[len(initial) :]
        hx: Any = given if len(initial) == 2 else given[0]
        value: Any = x
        if variant == ["packed"]:
            value = PackedSequence(x, batch_sizes, order, order)
        result = functional_call(module, dict(zip(names, weights, strict=True)), (value, hx))
        if isinstance(result[0], PackedSequence):
            result = (result[0].data, result[1])
        return tuple(flat(result))

    return call, [x, *initial, *(p.detach() for p in module.parameters())]


def function_problem(name: str) -> tuple[Call, list[Tensor]]:
    gates = {"gru_reset_before": 3}.get(name, 4)
    keys = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "h0"]
    values = [
        *(double(2, 2 * gates, 2), double(2, 2 * gates, 2)),
        *(double(2, 2 * gates), double(2, 2 * gates), double(2, 2, 2)),
    ]
    if "lstm" in name:
        keys.append("c0")
        values.append(double(2, 2, 2))
    if name == "peephole_lstm":
        keys.append("peephole")
        values.append(double(2, 3, 2))

    def call(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        arguments = dict(zip(keys, rest, strict=True))
        return tuple(getattr(functional, name)(x, **arguments))

    return call, [double(3, 2, 2), *(0.7 * value for value in values)]


def scalar(call: Call) -> Callable[..., Tensor]:
    """One number that depends on every output, each in its own way."""
    return lambda *values: torch.stack(
        [(index + 1) * out.sin().square().sum() for index, out in enumerate(call(*values))]
    ).sum()


def engine_gradient(call: Call, values: list[Tensor]) -> list[Tensor]:
    leaves = [value.clone().requires_grad_() for value in values]
    return list(torch.autograd.grad(scalar(call)(*leaves), leaves))


def engine_jacobian(call: Call, values: list[Tensor], output: int, argument: int) -> Tensor:
    def function(value: Tensor) -> Tensor:
        return call(*values[:argument], value, *values[argument + 1 :])[output]

    return jacobian(function, values[argument])


def gradient_along(call: Call, values: list[Tensor], tangents: list[Tensor]) -> list[Tensor]:
    """The derivative of the gradient along ``tangents``, from differences."""
    step = 1e-4
    ends = []
    for distance in (-2, -1, 1, 2):
        moved = [v + distance * step * t for v, t in zip(values, tangents, strict=True)]
        ends.append(engine_gradient(call, moved))
    return [
        (far_back - 8 * back + 8 * ahead - far_ahead) / (12 * step)
        for far_back, back, ahead, far_ahead in zip(*ends, strict=True)
    ]


CLOSE = {"rtol": 1e-7, "atol": 1e-8}


@pytest.mark.parametrize("thing", THINGS)
def test_jacobians_of_every_argument(thing: str) -> None:
    """By columns, by rows, and as a linear function."""
    call, values = problem(thing)
    everything = tuple(range(len(values)))
    by_columns = jacfwd(call, argnums=everything)(*values)
    by_rows = jacrev(call, argnums=everything)(*values)
    tangents = [torch.randn_like(value) for value in values]
    outputs, pushed = jvp(call, tuple(values), tuple(tangents))
    if not thing.endswith("packed"):  # linearize traces, which leaves no numbers to take sizes from
        same, push = linearize(call, *values)
        torch.testing.assert_close(same, outputs)
        torch.testing.assert_close(push(*tangents), pushed)
    for output, value in enumerate(call(*values)):
        torch.testing.assert_close(outputs[output], value)
        along = torch.zeros_like(value)
        for argument, tangent in enumerate(tangents):
            exact = engine_jacobian(call, values, output, argument)
            torch.testing.assert_close(by_columns[output][argument], exact)
            torch.testing.assert_close(by_rows[output][argument], exact)
            along += torch.tensordot(exact, tangent, tangent.dim())
        torch.testing.assert_close(pushed[output], along)


@pytest.mark.parametrize("thing", THINGS)
def test_second_derivatives(thing: str) -> None:
    """Forward over reverse, reverse over reverse, and the old interface of both."""
    call, values = problem(thing)
    everything = tuple(range(len(values)))
    tangents = [torch.randn_like(value) for value in values]
    expected = gradient_along(call, values, tangents)
    slope = grad(scalar(call), argnums=everything)
    torch.testing.assert_close(list(slope(*values)), engine_gradient(call, values))
    _, forward_over_reverse = jvp(slope, tuple(values), tuple(tangents))
    torch.testing.assert_close(list(forward_over_reverse), expected, **CLOSE)

    def along(*given: Tensor) -> Tensor:
        pairs = zip(slope(*given), tangents, strict=True)
        return torch.stack([(g * t).sum() for g, t in pairs]).sum()

    reverse_over_reverse = grad(along, argnums=everything)(*values)
    torch.testing.assert_close(list(reverse_over_reverse), expected, **CLOSE)
    for old in (hvp, vhp):
        product = old(scalar(call), tuple(values), tuple(tangents))[1]
        torch.testing.assert_close(list(product), expected, **CLOSE)


@pytest.mark.parametrize("thing", THINGS)
def test_hessian(thing: str) -> None:
    """Of the input: forward over reverse with batches of tangents."""
    call, (x, *rest) = problem(thing)
    got = hessian(lambda v: scalar(call)(v, *rest))(x).reshape(x.numel(), x.numel())
    for index in range(0, x.numel(), 3):
        unit = torch.zeros(x.numel(), dtype=x.dtype)
        unit[index] = 1
        zeros = [torch.zeros_like(value) for value in rest]
        exact = gradient_along(call, [x, *rest], [unit.view_as(x), *zeros])[0]
        torch.testing.assert_close(got[:, index], exact.flatten(), **CLOSE)
    torch.testing.assert_close(got, got.t())


@pytest.mark.parametrize("thing", THINGS)
def test_dual_tensors(thing: str) -> None:
    """Forward mode without ``torch.func``: each argument in turn carries a tangent."""
    call, values = problem(thing)
    for argument in range(len(values)):
        tangent = torch.randn_like(values[argument])
        with forward_ad.dual_level():
            given = list(values)
            given[argument] = forward_ad.make_dual(values[argument], tangent)
            outputs = [forward_ad.unpack_dual(output) for output in call(*given)]
        for output, (primal, pushed) in enumerate(outputs):
            exact = engine_jacobian(call, values, output, argument)
            torch.testing.assert_close(primal, call(*values)[output])
            along = torch.tensordot(exact, tangent, tangent.dim())
            if pushed is None:  # the state a packed sequence starts from may not touch its rows
                assert not along.any()
            else:
                torch.testing.assert_close(pushed, along)


@pytest.mark.parametrize("thing", THINGS)
def test_vmap_over_everything(thing: str) -> None:
    """Input, states and weights all batched; nested; along other dimensions; in chunks."""
    call, values = problem(thing)
    many = [torch.stack([value, value.cos(), -value]) for value in values]
    expected = [
        torch.stack(group)
        for group in zip(*(call(*(m[i] for m in many)) for i in range(3)), strict=True)
    ]
    torch.testing.assert_close(list(vmap(call)(*many)), expected)
    torch.testing.assert_close(list(vmap(call, chunk_size=2)(*many)), expected)
    last = [value.movedim(0, -1) for value in many]
    torch.testing.assert_close(list(vmap(call, in_dims=-1)(*last)), expected)
    shared = [None] * len(values)
    nested = vmap(vmap(call, (0, *shared[1:])), (None, *[0] * (len(values) - 1)))(
        many[0], *many[1:]
    )
    for index in range(3):
        diagonal = [output[index, index] for output in nested]
        torch.testing.assert_close(diagonal, [e[index] for e in expected])


@pytest.mark.parametrize("thing", THINGS)
def test_per_sample_gradients_of_an_ensemble(thing: str) -> None:
    """vmap of vmap of grad: each model's gradient for each sample."""
    call, (x, *rest) = problem(thing)
    xs, models = torch.stack([x, 2 * x]), [torch.stack([v, v.sin(), -v]) for v in rest]
    weights = tuple(range(1, 1 + len(rest)))
    per_sample = vmap(grad(scalar(call), argnums=weights), (0, *[None] * len(rest)))
    got = vmap(per_sample, (None, *[0] * len(rest)))(xs, *models)
    for model in range(3):
        for sample in range(2):
            exact = engine_gradient(call, [xs[sample], *(m[model] for m in models)])[1:]
            mine = [value[model, sample] for value in got]
            torch.testing.assert_close(mine, exact)


@pytest.mark.parametrize("thing", THINGS)
def test_batches_of_output_gradients(thing: str) -> None:
    call, values = problem(thing)
    leaves = [value.clone().requires_grad_() for value in values]
    outputs = call(*leaves)
    grads = [torch.randn(4, *output.shape, dtype=output.dtype) for output in outputs]
    got = torch.autograd.grad(outputs, leaves, grads, is_grads_batched=True, retain_graph=True)
    for index in range(4):
        exact = torch.autograd.grad(outputs, leaves, [g[index] for g in grads], retain_graph=True)
        torch.testing.assert_close([value[index] for value in got], list(exact))


@pytest.mark.parametrize("thing", THINGS)
def test_vector_jacobian_products_of_the_old_interface(thing: str) -> None:
    call, values = problem(thing)
    leaves = [value.clone().requires_grad_() for value in values]
    outputs = call(*leaves)
    vectors = tuple(torch.randn_like(output) for output in outputs)
    exact = torch.autograd.grad(outputs, leaves, vectors)
    torch.testing.assert_close(vjp(call, tuple(values), vectors)[1], exact)
    tangents = tuple(torch.randn_like(value) for value in values)
    torch.testing.assert_close(
        double_backward_jvp(call, tuple(values), tangents)[1],
        jvp(call, tuple(values), tangents)[1],
    )


@pytest.mark.parametrize("thing", ["layer lstm", "layer gru packed", "cell gru", "function lstm"])
def test_gradcheck_of_forward_mode(thing: str) -> None:
    call, values = problem(thing)
    leaves = tuple(value.requires_grad_() for value in values)
    assert gradcheck(
        call, leaves, check_forward_ad=True, check_batched_forward_grad=True, fast_mode=True
    )


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("randomness", ["same", "different"])
def test_dropout_under_vmap(kind: str, randomness: str) -> None:
    _, ours = twins(kind, 2, 40, num_layers=2, dropout=0.5)
    x = torch.randn(5, 3, 2)
    got = vmap(lambda _: ours(x)[0], randomness=randomness)(torch.arange(4))
    same = all(torch.equal(one, got[0]) for one in got)
    assert same == (randomness == "same")


@pytest.mark.parametrize("kind", LAYERS)
def test_training_an_ensemble(kind: str) -> None:
    """Two steps of gradient descent of three models at once, against each by itself."""
    models = [
        nn.ModuleDict(
            {
                "layer": twins(kind, 3, 4, seed=seed, dtype=torch.float64)[1],
                "head": nn.Linear(4, 1, dtype=torch.float64),
            }
        )
        for seed in range(3)
    ]
    x, target = double(5, 2, 3), double(5, 2, 1)

    class Model(nn.Module):
        def __init__(self, parts: nn.ModuleDict) -> None:
            super().__init__()
            self.parts = parts

        def forward(self, x: Tensor) -> Tensor:
            value: Tensor = self.parts["head"](self.parts["layer"](x)[0])
            return value

    wrapped = [Model(model) for model in models]
    params, buffers = stack_module_state(wrapped)

    def loss(params: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return (functional_call(wrapped[0], (params, buffers), (x,)) - target).square().mean()

    optimizers = [torch.optim.SGD(model.parameters(), lr=0.5) for model in wrapped]
    for _ in range(2):
        slopes = vmap(grad(loss))(params, buffers)
        params = {name: value - 0.5 * slopes[name] for name, value in params.items()}
        params = {name: value.detach() for name, value in params.items()}
    for model, optimizer in zip(wrapped, optimizers, strict=True):
        for _ in range(2):
            optimizer.zero_grad()
            (model(x) - target).square().mean().backward()
            optimizer.step()
    for index, model in enumerate(wrapped):
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(params[name][index], parameter.detach())
