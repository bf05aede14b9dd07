"""The layers give torch's numbers, over every combination of options."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_same_bits
from torch_twins import (
    LAYERS,
    assert_equal_runs,
    assert_runs_in_budget,
    flat,
    output_grads,
    run,
    states,
    twins,
)

OPTIONS = [
    {"num_layers": layers, "bidirectional": both, "bias": bias, "batch_first": first}
    for layers, both, bias, first in itertools.product(
        (1, 2, 3), (False, True), (True, False), (False, True)
    )
]


def label(options: dict[str, Any]) -> str:
    return "-".join(f"{key}={int(value)}" for key, value in options.items())


def inputs(
    kind: str, options: dict[str, Any], sizes: tuple[int, int, int, int], batched: bool = True
) -> tuple[torch.Tensor, Any]:
    seq_len, batch_size, input_size, hidden_size = sizes
    rows = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    if not batched:
        x = torch.randn(seq_len, input_size, dtype=torch.float64)
        return x, states(kind, (rows, hidden_size))
    shape = (seq_len, batch_size, input_size)
    if options.get("batch_first"):
        shape = (batch_size, seq_len, input_size)
    x = torch.randn(*shape, dtype=torch.float64)
    return x, states(kind, (rows, batch_size, hidden_size))


@pytest.mark.parametrize("options", OPTIONS, ids=label)
@pytest.mark.parametrize("kind", LAYERS)
def test_every_option_in_float64(kind: str, options: dict[str, Any]) -> None:
    theirs, ours = twins(kind, 5, 7, dtype=torch.float64, **options)
    for batched, given_state in itertools.product((True, False), (True, False)):
        x, hx = inputs(kind, options, (6, 4, 5, 7), batched)
        hx = hx if given_state else None
        assert ours.refusal(x, hx) is None
        grads = output_grads(theirs, x, hx)
        assert_equal_runs(run(ours, x, hx, grads), run(theirs, x, hx, grads))
        with torch.no_grad():  # the path that saves nothing
            assert_equal_runs(run(ours, x, hx), run(theirs, x, hx))


@pytest.mark.parametrize("options", OPTIONS[::3], ids=label)
@pytest.mark.parametrize("kind", LAYERS)
def test_options_in_float32(kind: str, options: dict[str, Any]) -> None:
    assert_runs_in_budget(kind, (30, 5, 20, 33), draws=4, **options)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("sizes", "draws"),
    [
        ((1, 1, 1, 1), 50),
        ((50, 1, 64, 64), 5),
        ((9, 32, 129, 129), 3),
        ((200, 3, 7, 24), 3),
        ((3, 70, 1, 130), 3),
    ],
)
def test_sizes_in_float32(kind: str, sizes: tuple[int, int, int, int], draws: int) -> None:
    assert_runs_in_budget(kind, sizes, draws)


@pytest.mark.parametrize("kind", LAYERS)
def test_inference_and_training_give_the_same_bits(kind: str) -> None:
    _, ours = twins(kind, 17, 40, num_layers=2, bidirectional=True)
    x = torch.randn(12, 9, 17)
    with_grad = flat(ours(x))
    with torch.inference_mode():
        without = flat(ours(x))
    for a, b in zip(with_grad, without, strict=True):
        assert_same_bits(a, b.clone())


def strided(shape: list[int], layout: str) -> torch.Tensor:
    """A random tensor of this shape, lying in memory as told."""
    if layout == "expanded":
        return torch.randn(shape[0], 1, shape[2], dtype=torch.float64).expand(*shape)
    if layout == "expanded time":
        return torch.randn(1, shape[1], shape[2], dtype=torch.float64).expand(*shape)
    if layout == "expanded features":
        return torch.randn(shape[0], shape[1], 1, dtype=torch.float64).expand(*shape)
    if layout == "sliced":
        return torch.randn(2 * shape[0], shape[1], 3 * shape[2], dtype=torch.float64)[
            ::2, :, shape[2] : 2 * shape[2]
        ]
    if layout == "every other feature":
        return torch.randn(shape[0], shape[1], 2 * shape[2], dtype=torch.float64)[..., ::2]
    order = {"plain": (0, 1, 2), "batch outside": (1, 0, 2), "features outside": (2, 1, 0)}[layout]
    tensor = torch.randn(*(shape[i] for i in order), dtype=torch.float64)
    return tensor.permute(*(order.index(i) for i in range(3)))


LAYOUTS = st.sampled_from(
    [
        "plain",
        "batch outside",
        "features outside",
        "sliced",
        "every other feature",
        "expanded",
        "expanded time",
        "expanded features",
    ]
)
SIZES = st.integers(1, 9)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(list(LAYERS)),
    sizes=st.tuples(SIZES, SIZES, SIZES, st.integers(1, 20)),
    both=st.booleans(),
    first=st.booleans(),
    num_layers=st.integers(1, 2),
    layouts=st.tuples(LAYOUTS, LAYOUTS, LAYOUTS, LAYOUTS),
)
def test_any_shape_and_layout(
    kind: str,
    sizes: tuple[int, int, int, int],
    both: bool,
    first: bool,
    num_layers: int,
    layouts: tuple[str, str, str, str],
) -> None:
    seq_len, batch_size, input_size, hidden_size = sizes
    theirs, ours = twins(
        kind,
        input_size,
        hidden_size,
        num_layers=num_layers,
        bidirectional=both,
        batch_first=first,
        dtype=torch.float64,
    )
    lead = [batch_size, seq_len] if first else [seq_len, batch_size]
    directions = 2 if both else 1
    x = strided([*lead, input_size], layouts[0])
    state_shape = [num_layers * directions, batch_size, hidden_size]
    hx: Any = strided(state_shape, layouts[1])
    grads = [
        strided([*lead, directions * hidden_size], layouts[2]),
        strided(state_shape, layouts[3]),
    ]
    if kind == "lstm":
        hx = (hx, strided(state_shape, layouts[2]))
        grads.append(strided(state_shape, layouts[0]))
    assert ours.refusal(x, hx) is None
    assert_equal_runs(run(ours, x, hx, grads), run(theirs, x, hx, grads))


@pytest.mark.parametrize("kind", LAYERS)
def test_output_layout_is_torchs(kind: str) -> None:
    theirs, ours = twins(kind, 3, 5, batch_first=True, bidirectional=True)
    x = torch.randn(4, 6, 3)
    for a, b in zip(flat(ours(x)), flat(theirs(x)), strict=True):
        assert a.stride() == b.stride()
        assert a.shape == b.shape
        assert a.dtype == b.dtype


@pytest.mark.parametrize("kind", LAYERS)
def test_states_are_tensors_of_their_own(kind: str) -> None:
    _, ours = twins(kind, 3, 5)
    outputs = flat(ours(torch.randn(4, 2, 3)))
    storages = {output.untyped_storage().data_ptr() for output in outputs}
    assert len(storages) == len(outputs)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_empty_batch(kind: str, batch_first: bool, bidirectional: bool) -> None:
    options = {"batch_first": batch_first, "bidirectional": bidirectional}
    theirs, ours = twins(kind, 3, 5, num_layers=2, dtype=torch.float64, **options)
    x, hx = inputs(kind, {"num_layers": 2, **options}, (6, 0, 3, 5))
    grads = output_grads(theirs, x, hx)
    assert_equal_runs(run(ours, x, hx, grads), run(theirs, x, hx, grads))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("p", [0.3, 1.0])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_dropout_draws_torchs_mask(kind: str, p: float, batched: bool, batch_first: bool) -> None:
    options: dict[str, Any] = {"num_layers": 3, "bidirectional": True, "batch_first": batch_first}
    theirs, ours = twins(kind, 4, 6, dropout=p, dtype=torch.float64, **options)
    x, hx = inputs(kind, options, (5, 3, 4, 6), batched)
    grads = output_grads(theirs, x, hx)
    assert_equal_runs(run(ours, x, hx, grads), run(theirs, x, hx, grads))
    for layer in (theirs, ours):
        layer.eval()
    assert_equal_runs(run(ours, x, hx, grads), run(theirs, x, hx, grads))


@pytest.mark.parametrize("kind", LAYERS)
def test_dropout_may_change_and_differs_between_calls(kind: str) -> None:
    theirs, ours = twins(kind, 4, 6, num_layers=2, dtype=torch.float64)
    x = torch.randn(5, 3, 4, dtype=torch.float64)
    theirs.dropout = ours.dropout = 0.5
    assert_equal_runs(run(ours, x), run(theirs, x))
    assert not torch.equal(ours(x)[0], ours(x)[0])


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_non_finite_values_spread_as_in_torch(kind: str, bad: float, dtype: torch.dtype) -> None:
    theirs, ours = twins(kind, 9, 17, num_layers=2, bidirectional=True, dtype=dtype)
    x = torch.randn(7, 5, 9, dtype=dtype)
    x[3, 1, 2] = bad
    hx = states(kind, (4, 5, 17), dtype)
    flat(hx)[0][2, 4, 0] = bad
    got, expected = run(ours, x, hx), run(theirs, x, hx)
    assert got["output 0"][:, [0, 2, 3]].isfinite().all()  # rows of the batch stay apart
    for name, value in expected.items():
        assert torch.equal(got[name].isnan(), value.isnan()), name
        assert torch.equal(got[name].isposinf(), value.isposinf()), name
        assert torch.equal(got[name].isneginf(), value.isneginf()), name
        for row in range(5):  # 1e30 through relu makes rows of very different magnitude
            mine, torchs = got[name][:, row], value[:, row]
            finite = torchs.isfinite()
            scale = torchs[finite].abs().max() if finite.any() else torch.tensor(0.0)
            allowed = 50 * torch.finfo(dtype).eps * scale
            assert ((mine[finite] - torchs[finite]).abs() <= allowed).all(), (name, row)


@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm", "gru"])
def test_saturated_gates(kind: str) -> None:
    """Pre-activations to +-1000: every branch of the activations, and no NaN between them."""
    theirs, ours = twins(kind, 6, 12, dtype=torch.float64)
    with torch.no_grad():
        for our_param, their_param in zip(ours.parameters(), theirs.parameters(), strict=True):
            # Coarse numbers: float32 gets the same pre-activations, so the same saturation.
            their_param.copy_((their_param * 1000).round())
            our_param.copy_(their_param)
    x = torch.randint(-2, 3, (100, 4, 6), dtype=torch.float64)
    with torch.no_grad():
        exact, double, single = theirs(x)[0], ours(x)[0], ours.float()(x.float())[0]
        peer = theirs.float()(x.float())[0]
    torch.testing.assert_close(double, exact, rtol=0, atol=1e-12)
    assert single.isfinite().all()
    assert peer.isfinite().all()


@pytest.mark.parametrize("kind", LAYERS)
def test_every_magnitude_of_pre_activation(kind: str) -> None:
    """A sweep through each gate's argument, fine enough to meet every seam of exp."""
    theirs, ours = twins(kind, 1, 3)
    with torch.no_grad():
        for our_param, their_param in zip(ours.parameters(), theirs.parameters(), strict=True):
            if their_param.dim() == 1:
                their_param.zero_()
            else:
                their_param.sign_()
            our_param.copy_(their_param)
    x = torch.linspace(-800, 800, 160001).view(1, -1, 1)
    with torch.no_grad():
        for dtype in (torch.float32, torch.float64):
            mine = flat(ours.to(dtype)(x.to(dtype)))
            torchs = flat(theirs.to(dtype)(x.to(dtype)))
            for got, expected in zip(mine, torchs, strict=True):
                eps = torch.finfo(dtype).eps
                torch.testing.assert_close(got, expected, rtol=8 * eps, atol=8 * eps)
