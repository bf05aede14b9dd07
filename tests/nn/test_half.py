"""bfloat16 and float16 through the layers: accuracy, errors, special values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from half_cases import HALF_ISAS, HALVES, NO_BF16, assert_half_budget, fastrnn_cell, half_runs
from subprocesses import python_output
from torch_twins import LAYERS, flat, output_grads, run, states, twins

import fastrnn
import fastrnn.nn

KINDS = list(LAYERS)


@pytest.fixture(params=HALF_ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    with fastrnn.use_isa(request.param):
        yield request.param


STACK: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": True}


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_layer_within_budget_of_rounded_float32(kind: str, half: torch.dtype, isa: str) -> None:
    for sizes in ((7, 5, 17, 33), (3, 4, 1, 7), (9, 8, 16, 64)):
        ours, rounded, exact, theirs = half_runs(kind, half, sizes)
        assert all(value.dtype == half for value in ours.values())
        assert_half_budget(ours, rounded, exact, half, theirs if kind == "rnn_relu" else None)


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_stack_is_more_exact_than_torch(kind: str, half: torch.dtype) -> None:
    ours, rounded, exact, theirs = half_runs(kind, half, (12, 6, 13, 40), **STACK)
    assert_half_budget(ours, rounded, exact, half, theirs if kind == "rnn_relu" else None)
    factor = 2.0 if kind == "rnn_relu" else 1.0
    for name, truth in exact.items():
        mine, torchs = (v[name].double().sub(truth).norm() for v in (ours, theirs))
        assert mine <= factor * torchs, name


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_cell(kind: str, half: torch.dtype) -> None:
    theirs, ours = twins(kind, 9, 21, cell=True, dtype=half)
    x, hx = torch.randn(4, 9).to(half), states(kind, (4, 21), half)
    assert ours.refusal(x, hx) is None
    grads = output_grads(theirs, x, hx)
    wide = fastrnn_cell(kind, 9, 21)
    wide.load_state_dict({name: value.float() for name, value in ours.state_dict().items()})
    exact_cell = fastrnn_cell(kind, 9, 21, dtype=torch.float64)
    exact_cell.load_state_dict({n: value.double() for n, value in ours.state_dict().items()})

    def cast(dtype: torch.dtype) -> tuple[Any, ...]:
        hidden = tuple(state.to(dtype) for state in flat(hx))
        return (
            x.to(dtype),
            hidden if len(hidden) > 1 else hidden[0],
            [grad.to(dtype) for grad in grads],
        )

    exact = run(exact_cell, *cast(torch.float64))
    assert_half_budget(run(ours, x, hx, grads), run(wide, *cast(torch.float32)), exact, half)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("half", HALVES, ids=str)
def test_wrong_dtypes_raise_torchs_errors(kind: str, half: torch.dtype) -> None:
    theirs, ours = twins(kind, 3, 4, dtype=half)
    for layer in (theirs, ours):
        with pytest.raises(ValueError, match="does not match weight dtype"):
            layer(torch.randn(5, 2, 3))
        with pytest.raises(RuntimeError):
            layer(torch.randn(5, 2, 3).to(half), states(kind, (1, 2, 4), torch.float32))
    wide_theirs, wide_ours = twins(kind, 3, 4)
    for layer in (wide_theirs, wide_ours):
        with pytest.raises(ValueError, match="does not match weight dtype"):
            layer(torch.randn(5, 2, 3).to(half))
        with pytest.raises(RuntimeError):
            layer(torch.randn(5, 2, 3), states(kind, (1, 2, 4), half))


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_threads_change_no_bit(kind: str, half: torch.dtype) -> None:
    before = torch.get_num_threads()
    _, ours = twins(kind, 37, 50, dtype=half, bidirectional=True)
    x, hx = torch.randn(11, 9, 37).to(half), states(kind, (2, 9, 50), half)
    grads = output_grads(ours, x, hx)
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(run(ours, x, hx, grads))
    finally:
        torch.set_num_threads(before)
    for name, value in results[0].items():
        assert all(torch.equal(value, other[name]) for other in results[1:]), name


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_not_a_number_stays_with_its_row(half: torch.dtype, isa: str) -> None:
    for kind, special in (("lstm", "nan"), ("gru", "nan"), ("rnn_relu", "inf")):
        _, ours = twins(kind, 5, 19, dtype=half)
        x = torch.randn(6, 10, 5).to(half)
        clean = ours(x)[0]
        x[2, 3, 1] = float(special)
        y = ours(x)[0]
        assert torch.equal(y[:2], clean[:2])
        others = [row for row in range(10) if row != 3]
        assert torch.equal(y[:, others], clean[:, others])
        assert not y[2:, 3].isfinite().all()


def test_float16_overflows_to_infinity(isa: str) -> None:
    layer = fastrnn.nn.RNN(1, 2, nonlinearity="relu", dtype=torch.float16)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.fill_(0)
        layer.weight_ih_l0.fill_(2.0)
    y = layer(torch.tensor([[[40000.0], [32768.0], [32752.0], [1.0]]]).half())[0]
    assert y[0, :, 0].tolist() == [float("inf"), float("inf"), 65504.0, 2.0]


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_every_number_converts_as_torch_converts_it(half: torch.dtype, isa: str) -> None:
    """relu of the input alone: each 16-bit number goes through, and each is rounded to."""
    layer = fastrnn.nn.RNN(1, 1, bias=False, nonlinearity="relu", dtype=half)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1.0)
        layer.weight_hh_l0.fill_(0.0)
    bits = torch.arange(0, 0x8000, dtype=torch.int32).to(torch.int16)
    x = bits.view(half)
    normal = x.isfinite() & (x.abs().float() >= torch.finfo(torch.float32).tiny)
    x = x[normal].reshape(1, -1, 1)
    assert torch.equal(layer(x)[0], x)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1 + 3 * torch.finfo(half).eps)
        expected = torch.relu(x.float() * layer.weight_ih_l0.float().item()).to(half)
    assert torch.equal(layer(x)[0], expected)


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_strides_and_empty_batch(kind: str, half: torch.dtype) -> None:
    _, ours = twins(kind, 6, 10, dtype=half)
    x = torch.randn(4, 3, 6).to(half)
    strided = torch.empty(3, 9, 8, dtype=half)[:, 1::2, 1:7].transpose(0, 1)
    strided.copy_(x)
    assert torch.equal(ours(strided)[0], ours(x)[0])
    expanded = x[:, :1].expand(4, 3, 6)
    assert torch.equal(ours(expanded)[0], ours(expanded.contiguous())[0])
    y = ours(torch.empty(4, 0, 6, dtype=half, requires_grad=True))[0]
    y.sum().backward()
    assert y.shape == (4, 0, 10)
    assert not ours.weight_hh_l0.grad.any()


@pytest.mark.parametrize("kind", KINDS)
def test_training_reduces_the_loss(kind: str) -> None:
    torch.manual_seed(0)
    ours = twins(kind, 4, 16, dtype=torch.bfloat16)[1]
    x, target = torch.randn(10, 8, 4).bfloat16(), torch.randn(10, 8, 16).bfloat16() / 4
    optimizer = torch.optim.SGD(ours.parameters(), lr=0.5)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = (ours(x)[0] - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.skipif(NO_BF16 not in HALF_ISAS, reason="the processor has no bfloat16 products")
def test_bfloat16_products_can_be_switched_off() -> None:
    """The name goes in and comes out, and the two ways differ in the last bits of long sums."""
    layer = fastrnn.nn.GRU(64, 64, dtype=torch.bfloat16)
    x = torch.randn(50, 8, 64).bfloat16()
    native = layer(x)[0]
    with fastrnn.use_isa(NO_BF16):
        assert fastrnn.current_isa() == NO_BF16
        widened = layer(x)[0]
        with fastrnn.use_isa("avx512"):
            assert fastrnn.current_isa() == "avx512"
            assert torch.equal(layer(x)[0], native)
        assert torch.equal(layer(x)[0], widened)
    assert not torch.equal(native, widened)
    torch.testing.assert_close(native, widened, rtol=0.02, atol=0.02)
    code = "import fastrnn; print(fastrnn.current_isa())"
    assert python_output(code, FASTRNN_ISA=NO_BF16).strip() == NO_BF16


@pytest.mark.parametrize("kind", KINDS)
def test_backward_may_run_on_the_other_way(kind: str) -> None:
    """The saved values are the same whether bfloat16 products are in use or not."""
    _, ours = twins(kind, 20, 33, dtype=torch.bfloat16)
    x = torch.randn(9, 8, 20).bfloat16().requires_grad_()
    y = ours(x)[0]
    with fastrnn.use_isa(HALF_ISAS[-1]):
        (other,) = torch.autograd.grad(y.float().square().sum(), x, retain_graph=True)
    (grad,) = torch.autograd.grad(y.float().square().sum(), x)
    torch.testing.assert_close(grad, other, rtol=0.03, atol=0.03 * float(other.abs().max()))
