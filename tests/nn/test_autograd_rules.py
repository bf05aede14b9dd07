"""What autograd lets people do around a call: hooks, versions, saved tensors, checkpoints."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles import assert_same_bits
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.autograd.graph import allow_mutation_on_saved_tensors, save_on_cpu, saved_tensors_hooks
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils.checkpoint import checkpoint, checkpoint_sequential, set_checkpoint_early_stop
from torch_twins import CELLS, LAYERS, flat, states, twins

import fastrnn.nn
from fastrnn import functional

KINDS = list(LAYERS)
BOTH = [(kind, cell) for cell in (False, True) for kind in KINDS]
FUNCTIONS = ["rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_before"]


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def example(kind: str, cell: bool, **options: Any) -> tuple[nn.Module, nn.Module, Tensor, Any]:
    """torch's, ours, an input and states."""
    theirs, ours = twins(kind, 3, 4, cell=cell, dtype=torch.float64, **options)
    if cell:
        return theirs, ours, double(2, 3), states(kind, (2, 4))
    rows = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    return theirs, ours, double(5, 2, 3), states(kind, (rows, 2, 4))


def gradients(layer: nn.Module, outputs: list[Tensor]) -> list[Tensor]:
    loss = torch.stack([output.sin().sum() for output in outputs]).sum()
    return list(torch.autograd.grad(loss, list(layer.parameters())))


def doubled(grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    return tuple(None if grad is None else 2 * grad for grad in grads)  # None for a tuple of states


# -- versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_output_changed_in_place(kind: str, cell: bool) -> None:
    """With grad mode on: its gradient would have to be that of the changed one."""
    _, ours, x, hx = example(kind, cell)
    y = flat(ours(x, hx))[0]
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_final_states_may_change_in_place(kind: str) -> None:
    theirs, ours, x, hx = example(kind, False, num_layers=2, bidirectional=True)
    results = []
    for layer in (theirs, ours):
        outputs = flat(layer(x, hx))
        for state in outputs[1:]:
            state.mul_(3)
        results.append(gradients(layer, outputs))
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_optimizer_step_between_forward_and_backward(kind: str, cell: bool) -> None:
    _, ours, x, hx = example(kind, cell)
    optimizer = torch.optim.SGD(ours.parameters(), lr=0.1)
    outputs = flat(ours(x, hx))
    torch.stack([o.sum() for o in flat(ours(x, hx))]).sum().backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs[0].sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_mutation_may_be_allowed(kind: str) -> None:
    _, ours, x, hx = example(kind, False)
    expected = gradients(ours, flat(ours(x, hx)))
    changed = x.clone()
    with allow_mutation_on_saved_tensors():
        outputs = flat(ours(changed, hx))
        changed.zero_()
        torch.testing.assert_close(gradients(ours, outputs), expected)


# -- saved tensors -------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_saved_tensors_elsewhere(kind: str, cell: bool) -> None:
    _, ours, x, hx = example(kind, cell)
    expected = gradients(ours, flat(ours(x, hx)))
    with save_on_cpu():
        outputs = flat(ours(x, hx))
    torch.testing.assert_close(gradients(ours, outputs), expected, rtol=0, atol=0)
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> int:
        kept.append(tensor.clone())
        return len(kept) - 1

    with saved_tensors_hooks(pack, kept.__getitem__):
        outputs = flat(ours(x, hx))
    torch.testing.assert_close(gradients(ours, outputs), expected, rtol=0, atol=0)


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_backward_as_often_as_wanted(kind: str, cell: bool) -> None:
    _, ours, x, hx = example(kind, cell)
    loss = torch.stack([output.sin().sum() for output in flat(ours(x, hx))]).sum()
    first = torch.autograd.grad(loss, list(ours.parameters()), retain_graph=True)
    for again in range(3):
        grads = torch.autograd.grad(loss, list(ours.parameters()), retain_graph=again < 2)
        for a, b in zip(grads, first, strict=True):
            assert_same_bits(a, b)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


# -- checkpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("what", ["cell", "function", "packed", "states"])
def test_checkpoint(what: str, reentrant: bool) -> None:
    _, layer, x, hx = example("lstm", what == "cell")
    x.requires_grad_()
    packed = pack_padded_sequence(double(5, 2, 3), torch.tensor([2, 5]), enforce_sorted=False)

    def call(x: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        if what == "function":
            weights = [getattr(layer, f"{name}_l0") for name in ("weight_ih", "weight_hh")]
            return functional.lstm(x, *weights)
        if what == "packed":
            return tuple(flat(layer(packed._replace(data=packed.data * x.sum()))[1]))
        return tuple(flat(layer(x, given)))

    given = tuple(state.requires_grad_() for state in hx)
    leaves = [x, *given, *layer.parameters()]
    results = []
    for run in (call, lambda *args: checkpoint(call, *args, use_reentrant=reentrant)):
        for leaf in leaves:
            leaf.grad = None
        torch.stack([out.sin().sum() for out in run(x, *given)]).sum().backward()
        results.append([leaf.grad for leaf in leaves])
    assert results[0][0].any()
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=0)


class First(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x)[0]
        return result


@pytest.mark.parametrize("early_stop", [True, False])
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoint_of_a_sequence_of_layers(reentrant: bool, early_stop: bool) -> None:
    layers = nn.Sequential(*[First(fastrnn.nn.GRU(4, 4, 2, dropout=0.3)) for _ in range(4)])
    x = torch.randn(6, 2, 4, requires_grad=True)
    torch.manual_seed(0)
    expected = torch.autograd.grad(layers(x).sin().sum(), [x, *layers.parameters()])
    torch.manual_seed(0)
    with set_checkpoint_early_stop(early_stop):
        checkpoint_sequential(layers, 2, x, use_reentrant=reentrant).sin().sum().backward()
    got = [x.grad, *(parameter.grad for parameter in layers.parameters())]
    for mine, exact in zip(got, expected, strict=True):
        assert mine is not None
        assert_same_bits(mine, exact)


# -- hooks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_hooks_see_and_change_gradients(kind: str, cell: bool) -> None:
    """On modules, tensors, leaves and nodes; the same of torch's layer and ours."""
    theirs, ours, x, hx = example(kind, cell)
    logs = []
    for layer in (theirs, ours):
        log: list[tuple[str, Any]] = []
        layer.zero_grad()
        layer.register_full_backward_pre_hook(
            lambda _, grads, log=log: log.append(("before", grads)) or doubled(grads)
        )
        layer.register_full_backward_hook(
            lambda _, inputs, outputs, log=log: log.append(("after", (inputs, outputs)))
        )
        weight = layer.weight_hh if cell else layer.weight_hh_l0
        weight.register_hook(lambda grad, log=log: log.append(("weight", grad)) or grad / 4)
        weight.register_post_accumulate_grad_hook(
            lambda leaf, log=log: log.append(("accumulated", leaf.grad.clone()))
        )
        given = x.clone().requires_grad_()
        outputs = flat(layer(given, hx))
        outputs[0].register_hook(lambda grad, log=log: log.append(("output", grad)) or 3 * grad)
        torch.stack([output.sin().sum() for output in outputs]).sum().backward()
        log.append(("grads", [given.grad, *(p.grad for p in layer.parameters())]))
        logs.append(sorted(log, key=lambda entry: entry[0]))
    assert [name for name, _ in logs[1]] == [name for name, _ in logs[0]]
    for (name, mine), (_, torchs) in zip(logs[1], logs[0], strict=True):
        torch.testing.assert_close(mine, torchs, msg=name)


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_hooks_of_the_node(kind: str, cell: bool) -> None:
    _, ours, x, hx = example(kind, cell)
    outputs, others = flat(ours(x, hx)), flat(ours(x, hx))
    node = outputs[0].grad_fn
    assert node is not None
    assert "Backward" in node.name()
    seen: list[tuple[int, int]] = []
    handle = node.register_hook(lambda found, given: seen.append((len(found), len(given))))
    others[0].sum().backward()
    assert seen == []  # another call is another node
    outputs[0].sum().backward(retain_graph=True)
    assert len(seen) == 1
    assert seen[0][1] == len(outputs)
    handle.remove()
    outputs[0].sum().backward()
    assert len(seen) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_optimizer_in_the_backward_pass(kind: str) -> None:
    """A step for each parameter as soon as its gradient is there, as torchtune and others do."""
    theirs, ours, x, hx = example(kind, False, num_layers=2)
    for layer in (theirs, ours):
        optimizers = {p: torch.optim.Adam([p], lr=1e-2, foreach=False) for p in layer.parameters()}

        def step(parameter: Tensor, optimizers: Any = optimizers) -> None:
            optimizers[parameter].step()
            optimizers[parameter].zero_grad()

        for parameter in layer.parameters():
            parameter.register_post_accumulate_grad_hook(step)
        for _ in range(3):
            layer(x, hx)[0].square().sum().backward()
        assert all(parameter.grad is None for parameter in layer.parameters())
    for mine, torchs in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, torchs)


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_anomaly_mode(kind: str, cell: bool) -> None:
    _, ours, x, hx = example(kind, cell)
    expected = gradients(ours, flat(ours(x, hx)))
    with torch.autograd.detect_anomaly():
        torch.testing.assert_close(gradients(ours, flat(ours(x, hx))), expected)
        y = flat(ours(x.requires_grad_(), hx))[0]
        with (
            pytest.raises(RuntimeError, match="returned nan values"),
            pytest.warns(UserWarning, match="Error detected in .*Traceback of forward call"),
        ):
            (y * torch.nan).sum().backward()


test_anomaly_mode = pytest.mark.filterwarnings("ignore:Anomaly Detection")(test_anomaly_mode)


# -- other numbers, devices and kinds of tensors -------------------------------------------------


@pytest.mark.parametrize(("kind", "cell"), [pair for pair in BOTH if pair[0] != "rnn_relu"])
def test_complex_gradients(kind: str, cell: bool) -> None:
    theirs, ours = twins(kind, 2, 2, cell=cell, dtype=torch.complex128)
    shape, state = ((2, 2), (2, 2)) if cell else ((3, 2, 2), (1, 2, 2))
    x = torch.randn(*shape, dtype=torch.complex128, requires_grad=True)
    hx = states(kind, state, torch.complex128)
    torch.testing.assert_close(flat(ours(x, hx)), flat(theirs(x, hx)))
    assert gradcheck(lambda value: tuple(flat(ours(value, hx))), x, fast_mode=True)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_complex_and_meta_tensors(name: str) -> None:
    gates = {"lstm": 4, "rnn_tanh": 1, "rnn_relu": 1}.get(name, 3)
    for dtype, device in ((torch.complex128, "cpu"), (torch.float32, "meta")):
        if name == "rnn_relu" and dtype.is_complex:
            continue
        x, w_ih, w_hh = (
            torch.randn(*shape, dtype=dtype, device=device, requires_grad=True)
            for shape in ((3, 2, 2), (gates * 2, 2), (gates * 2, 2))
        )
        function = getattr(functional, name)
        outputs = function(x, w_ih, w_hh)
        assert outputs[0].shape == (3, 2, 2)
        assert outputs[0].device.type == device
        if device == "meta":
            outputs[0].sum().backward()
            assert x.grad is not None
            assert x.grad.is_meta
        else:
            assert gradcheck(function, (x, w_ih, w_hh), fast_mode=True)


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_training_step_on_meta(kind: str, cell: bool) -> None:
    _, ours = twins(kind, 3, 4, cell=cell, device="meta")
    x = torch.empty(*((2, 3) if cell else (5, 2, 3)), device="meta", requires_grad=True)
    assert "meta" in ours.refusal(x)
    flat(ours(x))[0].sum().backward()
    assert x.grad is not None
    assert x.grad.is_meta
    assert all(p.grad is not None and p.grad.shape == p.shape for p in ours.parameters())


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_tensors_that_wrap_others(kind: str, cell: bool) -> None:
    """A traceable subclass of torch's own tests, two tensors in one, through each operation."""
    theirs, ours, x, _ = example(kind, cell)
    two = TwoTensor(x, 2 * x)
    assert "TwoTensor" in ours.refusal(two)
    for index, output in enumerate(flat(ours(two))):
        assert isinstance(output, TwoTensor)
        torch.testing.assert_close(output.a, flat(theirs(x))[index])
        torch.testing.assert_close(output.b, flat(theirs(2 * x))[index])


@pytest.mark.parametrize(("kind", "cell"), BOTH)
def test_deterministic_algorithms(kind: str, cell: bool) -> None:
    """The mode also fills fresh memory with NaN: nothing is read before it is written."""
    _, ours, x, hx = example(kind, cell)
    expected = gradients(ours, flat(ours(x, hx)))
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.utils.deterministic.fill_uninitialized_memory
        assert torch.empty(1).isnan().all()
        got = gradients(ours, flat(ours(x, hx)))
    finally:
        torch.use_deterministic_algorithms(False)
    for mine, exact in zip(got, expected, strict=True):
        assert_same_bits(mine, exact)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_carry_gradients_to_their_data(kind: str) -> None:
    theirs, ours, _, _ = example(kind, False, bidirectional=True)
    data = double(4, 3)
    results = []
    for layer in (theirs, ours):
        leaf = data.clone().requires_grad_()
        y, _ = layer(PackedSequence(leaf, torch.tensor([2, 1, 1])))
        results.append(torch.autograd.grad(y.data.sin().sum(), [leaf, *layer.parameters()]))
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize("kind", list(CELLS))
def test_modes_of_grad_in_one_another(kind: str) -> None:
    _, ours, x, hx = example(kind, False)
    with torch.no_grad():
        assert not ours(x, hx)[0].requires_grad
        with torch.enable_grad():
            assert ours(x, hx)[0].requires_grad
    with torch.inference_mode():
        inside = x.clone()
        with torch.inference_mode(False):
            assert ours(x, hx)[0].requires_grad
    with torch.no_grad():
        torch.testing.assert_close(ours(inside, hx)[0], ours(x, hx)[0])
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        ours(inside, hx)
