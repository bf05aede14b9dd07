"""On a real GPU: the CPU engine's results, always the same bits, under graphs and streams.

`bench/gpu.sh` runs these (``pytest -m cuda``); without a GPU none is collected.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

if not torch.cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)

from emulated import CELLS, IN_REGISTERS, arguments, factor, run, tolerance  # noqa: E402
from fragments import KINDS, multiply, pack_sums, round_to_tf32, tiles  # noqa: E402
from half_budget import HALVES, assert_budget, error, halved  # noqa: E402
from oracles import assert_exact, assert_within_budget  # noqa: E402
from projected import run as run_layer  # noqa: E402
from projected import states, twins  # noqa: E402
from tf32 import run_rounded  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

import fastrnn  # noqa: E402
from fastrnn import _cuda  # noqa: E402
from fastrnn._native import core  # noqa: E402
from fastrnn.backends import use_cuda  # noqa: E402

pytestmark = pytest.mark.cuda

PLANS = [
    "mode=stepwise",
    "mode=block,weights=registers,product=ffma",
    "mode=block,weights=shared,group_rows=2,product=ffma",
    "mode=cluster,slices=2,weights=registers,group_rows=2,product=ffma",
    "mode=cluster,slices=8,weights=shared,product=ffma",
    "mode=grid,slices=8,weights=registers,group_rows=3,product=ffma,exchange=counter",
    "mode=grid,slices=8,weights=registers,group_rows=3,product=ffma,exchange=tagged",
    "mode=grid,slices=16,weights=shared,group_rows=2,product=ffma,exchange=counter",
    "mode=grid,slices=13,weights=shared,group_rows=2,product=ffma,exchange=tagged",
    "mode=block,weights=registers,product=3xtf32",
    "mode=cluster,slices=8,weights=shared,product=3xtf32",
    "mode=grid,slices=8,weights=registers,group_rows=3,product=3xtf32,exchange=tagged",
    "mode=grid,slices=16,weights=shared,product=3xtf32,exchange=counter",
    "mode=cluster,slices=2,weights=registers,group_rows=2,product=ffma,sums=scatter",
    "mode=cluster,slices=8,weights=shared,product=ffma,sums=scatter",
    "mode=cluster,slices=8,weights=shared,product=3xtf32,sums=scatter",
    "mode=grid,slices=8,weights=registers,group_rows=3,product=ffma,sums=scatter",
    "mode=grid,slices=16,weights=shared,group_rows=2,product=ffma,sums=scatter",
    "mode=grid,slices=16,weights=shared,product=3xtf32,sums=scatter",
]


HALF_PLANS = [
    "mode=stepwise",
    "mode=block,group_rows=2",
    "mode=cluster,slices=8",
    "mode=cluster,slices=8,sums=scatter",
    "mode=grid,slices=8,group_rows=3,exchange=counter",
    "mode=grid,slices=8,group_rows=3,exchange=tagged",
    "mode=grid,slices=8,group_rows=3,sums=scatter",
]


@pytest.fixture(autouse=True)
def switched_on() -> Iterator[None]:
    assert core.build_info()["cuda"], "built without CUDA: there is nothing to test"
    # Memory that was never written must not look right by chance.
    poison = torch.full((1 << 26,), float("nan"), device="cuda")
    del poison
    matmul = torch.backends.cuda.matmul
    cudnn = torch.backends.cudnn
    exact, matmul.allow_tf32 = matmul.allow_tf32, False
    rounded, cudnn.allow_tf32 = cudnn.allow_tf32, False
    with use_cuda(always=True):
        yield
    matmul.allow_tf32 = exact
    cudnn.allow_tf32 = rounded


def on_gpu(given: dict[str, Any]) -> dict[str, Any]:
    return {name: None if value is None else value.cuda() for name, value in given.items()}


def run_there(cell: str, given: dict[str, Any], dtype: Any, only: str, **options: Any) -> Any:
    """As `emulated.run`, on the GPU, by the kernels asked for; fails where torch computed it."""
    modes = []
    made = _cuda.plan_of

    def plan_of(*args: Any) -> Any:
        modes.append(made(*args).mode)
        return made(*args)

    before = _cuda.plan_only(_cuda.Only.read(only))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_cuda.plans, "plan_of", plan_of)
            values = run(cell, on_gpu(given), dtype, **options)
    finally:
        _cuda.plan_only(before)
    assert modes, "torch computed it"
    wanted = _cuda.MODES[_cuda.Only.read(only).mode]
    assert set(modes) <= {wanted, "stepwise"}, modes
    return {name: value.cpu() for name, value in values.items()}


def single(cell: str, given: dict[str, Any], exact: dict[str, Any], **options: Any) -> Any:
    """float32 results to compare errors with: the CPU engine's or torch's own on this GPU.

    Of each the less exact one: products over all steps are torch's, which on either device may add
    up in one long chain what the CPU engine adds up in parts.
    """
    here = run(cell, given, torch.float32, **options)
    with use_cuda(False):
        there = run(cell, on_gpu(given), torch.float32, **options)
    return {name: less_exact(here[name], there[name].cpu(), exact[name]) for name in exact}


def less_exact(a: Any, b: Any, exact: Any) -> Any:
    return max(a, b, key=lambda value: (value.double() - exact).abs().max())


@pytest.mark.parametrize("hidden", [7, 64, 200])
@pytest.mark.parametrize("only", PLANS)
@pytest.mark.parametrize("cell", CELLS)
def test_against_the_cpu_engine(cell: str, only: str, hidden: int) -> None:
    given = arguments(cell, 12, 5, 9, hidden, directions=2)
    exact = run(cell, given, torch.float64)
    theirs = single(cell, given, exact)
    ours = run_there(cell, given, torch.float32, only)
    for name in exact:
        assert_within_budget(
            ours[name], theirs[name], exact[name], name=f"{cell} {name}", **factor(cell)
        )
    if only == "mode=stepwise":
        doubles = run_there(cell, given, torch.float64, only)
        for name in exact:
            assert_exact(doubles[name], exact[name], name=f"{cell} {name}", **tolerance(cell))


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("only", HALF_PLANS)
@pytest.mark.parametrize("cell", CELLS)
def test_halves_within_budget(cell: str, only: str, half: Any) -> None:
    """Odd units, so that a word may hold numbers of two blocks; lengths and resets, too."""
    resets = torch.rand((9, 5), generator=torch.Generator().manual_seed(3)) > 0.8
    for options in ({}, {"lengths": [4, 9, 0, 3, 9], "resets": resets}):
        given = halved(arguments(cell, 9, 5, 7, 37, directions=2), half)
        exact = run(cell, given, torch.float64, **options)
        rounded = run(cell, given, torch.float32, **options)
        if cell == "rnn_relu":
            cpu = run(cell, given, half, **options)
            rounded |= {name: value for name, value in cpu.items() if name.startswith("grad")}
        assert_budget(run_there(cell, given, half, only, **options), rounded, exact, half, cell)


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_every_half_converts(half: Any) -> None:
    """relu of the input and a bias: each number goes through, and the sums are rounded."""
    layer = fastrnn.nn.RNN(1, 1, nonlinearity="relu", dtype=half).cuda().requires_grad_(False)
    for weight in layer.parameters():
        weight.fill_(0)
    layer.weight_ih_l0.fill_(1)
    x = torch.arange(0, 0x8000, dtype=torch.int32).to(torch.int16).view(half)
    x = x[x.isfinite()].reshape(1, -1, 1).cuda()
    product = (x @ layer.weight_ih_l0).float()  # torch's, which may drop subnormal numbers
    for bias in (0.0, 1.0, 1e-4, 3 * torch.finfo(half).tiny, 77.7):
        layer.bias_ih_l0.fill_(bias)
        expected = (product + layer.bias_ih_l0.float()).to(half)
        assert torch.equal(layer(x)[0], expected)


@pytest.mark.parametrize("cast", HALVES, ids=str)
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_autocast(kind: str, cast: Any) -> None:
    layer = getattr(fastrnn.nn, kind)(6, 40, num_layers=2).cuda()
    half = getattr(fastrnn.nn, kind)(6, 40, num_layers=2, dtype=cast).cuda()
    half.load_state_dict(layer.state_dict())
    exact = getattr(torch.nn, kind)(6, 40, num_layers=2, dtype=torch.float64)
    exact.load_state_dict({n: v.double() for n, v in layer.state_dict().items()})
    x = torch.randn(9, 4, 6)
    with torch.autocast("cuda", dtype=cast):
        assert layer.refusal(x.cuda()) is None
        y, states = layer(x.cuda())
    assert {y.dtype, *(s.dtype for s in (states if kind == "LSTM" else (states,)))} == {cast}
    assert torch.equal(y, half(x.cuda().to(cast))[0])
    truths = torch.autograd.grad(exact(x.double())[0].sum(), tuple(exact.parameters()))
    grads = torch.autograd.grad(y.float().sum(), tuple(layer.parameters()))
    for got, truth in zip(grads, truths, strict=True):
        assert got.dtype == torch.float32
        assert error(got.cpu(), truth).norm() <= 0.02 * truth.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_instructions_are_those_of_the_emulation(kind: str) -> None:
    """Lane by lane: the layout of tiles, and what sums keep."""
    there, here = _cuda.device_engine, _cuda.emulated_engine
    a, b, c = tiles(kind, exact=True)
    found, expected = multiply(there, kind, a, b, c, "cuda"), multiply(here, kind, a, b, c)
    np.testing.assert_array_equal(found, expected)
    a, b, c = tiles(kind, exact=False)
    size = pack_sums(np.abs(c) + np.abs(a) @ np.abs(b))
    error = np.abs(multiply(there, kind, a, b, c, "cuda") - multiply(here, kind, a, b, c))
    assert (error <= 2.0**-22 * size).all()


def test_rounding_is_that_of_the_emulation() -> None:
    values = np.random.default_rng(3).normal(size=9999).astype(np.float32)
    values[:5] = 1 + 2.0**-11, -1 - 2.0**-11, 1 + 2.0**-11 - 2.0**-23, np.inf, np.nan
    found = round_to_tf32(_cuda.device_engine, values, "cuda")
    np.testing.assert_array_equal(found, round_to_tf32(_cuda.emulated_engine, values))


@pytest.mark.parametrize("only", [only for only in PLANS if "3xtf32" in only])
@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before", "rnn_relu"])
def test_tf32_by_its_own_arithmetic(cell: str, only: str) -> None:
    given = arguments(cell, 2, 3, 3, 9)
    exact, theirs = (run_rounded(cell, given, dtype) for dtype in (torch.float64, torch.float32))
    torch.backends.cudnn.allow_tf32 = True  # the fixture puts it back
    only = only.replace("3xtf32", "tf32")
    if cell not in IN_REGISTERS:
        only = only.replace("registers", "shared")
    ours = run_there(cell, given, torch.float32, only)
    for name in exact:
        assert_within_budget(ours[name], theirs[name], exact[name], name=f"{cell} {name}")


@pytest.mark.parametrize("only", PLANS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before"])
def test_lengths_and_resets(cell: str, only: str) -> None:
    given = arguments(cell, 9, 6, 5, 40, directions=2)
    resets = torch.rand((9, 6), generator=torch.Generator().manual_seed(3)) > 0.7
    options: dict[str, Any]
    for options in (
        {"lengths": [4, 9, 0, 3, 9, 1]},
        {"resets": resets},
        {"lengths": [4, 9, 2, 3, 9, 1], "resets": resets},
    ):
        exact = run(cell, given, torch.float64, **options)
        theirs = single(cell, given, exact, **options)
        ours = run_there(cell, given, torch.float32, only, **options)
        for name in exact:
            assert_within_budget(ours[name], theirs[name], exact[name], name=f"{cell} {name}")


@pytest.mark.parametrize("only", PLANS)
def test_always_the_same_bits(only: str) -> None:
    """In short launches, many of them: a race shows as another bit now and then."""
    layer, x = fastrnn.nn.LSTM(16, 96).cuda(), torch.randn(3, 7, 16, device="cuda")
    before = _cuda.plan_only(_cuda.Only.read(only))
    try:
        with torch.no_grad():
            first = layer(x)[0].clone()
            wrong = torch.zeros((), dtype=torch.int64, device="cuda")
            for _ in range(20_000):
                wrong += (layer(x)[0] != first).sum()
    finally:
        _cuda.plan_only(before)
    assert int(wrong) == 0


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before"])
def test_tagged_words_give_the_bits_of_a_counter(cell: str, dtype: Any) -> None:
    """Forward and backward, with rows that come and go, in short launches."""
    given = arguments(cell, 3, 7, 9, 96, directions=2)
    only = "mode=grid,slices=16,group_rows=4,weights=shared,exchange="
    options: dict[str, Any] = {"lengths": [3, 1, 2, 3, 0, 2, 1]}
    expected = run_there(cell, given, dtype, only + "counter", **options)
    for _ in range(200):
        found = run_there(cell, given, dtype, only + "tagged", **options)
        for name, value in expected.items():
            assert torch.equal(found[name], value), name


@pytest.mark.parametrize("only", PLANS)
def test_a_graph_replays_the_same_bits(only: str) -> None:
    layer, x = fastrnn.nn.GRU(16, 64).cuda(), torch.randn(11, 4, 16, device="cuda")
    before = _cuda.plan_only(_cuda.Only.read(only))
    try:
        with torch.no_grad():
            expected = layer(x)[0].clone()
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                layer(x)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                y = layer(x)[0]
            for _ in range(5):
                y.fill_(float("nan"))
                graph.replay()
                assert torch.equal(y, expected)
    finally:
        _cuda.plan_only(before)


def gradients(layer: Any, x: Any) -> tuple[Any, ...]:
    found: tuple[Any, ...] = torch.autograd.grad(
        layer(x)[0].square().sum(), (x, *layer.parameters())
    )
    return found


@pytest.mark.parametrize("only", PLANS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_gradients_always_have_the_same_bits(kind: str, only: str) -> None:
    layer = getattr(fastrnn.nn, kind)(16, 96, bidirectional=True).cuda()
    x = torch.randn(3, 7, 16, device="cuda", requires_grad=True)
    before = _cuda.plan_only(_cuda.Only.read(only))
    try:
        first = gradients(layer, x)
        wrong = torch.zeros((), dtype=torch.int64, device="cuda")
        for _ in range(1_000):
            for grad, wanted in zip(gradients(layer, x), first, strict=True):
                wrong += (grad != wanted).sum()
    finally:
        _cuda.plan_only(before)
    assert int(wrong) == 0


@pytest.mark.parametrize("only", PLANS)
def test_a_graph_of_a_training_step_replays_the_same_bits(only: str) -> None:
    layer = fastrnn.nn.LSTM(16, 64, num_layers=2).cuda()
    x = torch.randn(11, 4, 16, device="cuda", requires_grad=True)
    before = _cuda.plan_only(_cuda.Only.read(only))
    try:
        expected = gradients(layer, x)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            gradients(layer, x)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = gradients(layer, x)
        for _ in range(5):
            for grad in found:
                grad.fill_(float("nan"))
            graph.replay()
            for grad, wanted in zip(found, expected, strict=True):
                assert torch.equal(grad, wanted)
    finally:
        _cuda.plan_only(before)


@pytest.mark.parametrize("only", PLANS)
def test_two_streams_at_once(only: str) -> None:
    layers = [fastrnn.nn.LSTM(32, 128).cuda() for _ in range(2)]
    x = torch.randn(200, 8, 32, device="cuda")
    before = _cuda.plan_only(_cuda.Only.read(only))
    try:
        with torch.no_grad():
            expected = [layer(x)[0].clone() for layer in layers]
            torch.cuda.synchronize()
            streams = [torch.cuda.Stream() for _ in layers]
            for _ in range(10):
                found = []
                for layer, stream in zip(layers, streams, strict=True):
                    with torch.cuda.stream(stream):
                        found.append(layer(x)[0])
                torch.cuda.synchronize()
                for ours, wanted in zip(found, expected, strict=True):
                    assert torch.equal(ours, wanted)
    finally:
        _cuda.plan_only(before)


def test_nan_and_infinity_spread_as_in_torch() -> None:
    torch.manual_seed(0)
    ours = fastrnn.nn.LSTM(4, 32).cuda()
    theirs = torch.nn.LSTM(4, 32).cuda()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(6, 3, 4, device="cuda")
    x[2, 1, 0], x[3, 2, 1] = float("nan"), float("inf")
    with torch.no_grad():
        mine, other = ours(x)[0], theirs(x)[0]
    assert torch.equal(mine.isnan(), other.isnan())


@pytest.mark.parametrize("only", PLANS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "LayerNormLSTM"])
def test_zoneout_and_dropout_on_h(kind: str, only: str) -> None:
    """By the same masks, drawn on the CPU."""
    torch.manual_seed(2)
    layer = getattr(fastrnn.nn, kind)(9, 64, zoneout=0.2, recurrent_dropout=0.3)
    x, drawn = torch.randn(12, 5, 9), []

    def draw(plan: Any, given: Any) -> Any:
        drawn.append(type(layer)._draw(layer, plan, given))
        return drawn[-1]

    def results(values: Any) -> list[Any]:
        layer.zero_grad()
        y = layer(values)[0]
        y.square().sum().backward()
        return [y.detach().cpu(), *(p.grad.cpu() for p in layer.parameters())]

    layer._draw = draw
    expected = results(x)
    masks = [None if mask is None else mask.cuda() for mask in drawn[0].masks]
    there = drawn[0]._replace(hidden_scale=drawn[0].hidden_scale.cuda(), masks=tuple(masks))
    layer._draw = lambda *_: there
    layer.cuda()
    before = _cuda.plan_only(_cuda.Only.read(only))
    try:
        assert layer.refusal(x.cuda()) is None
        found = results(x.cuda())
    finally:
        _cuda.plan_only(before)
    for ours, theirs in zip(found, expected, strict=True):
        # Two float32 results, neither exact, of sums in different orders; a wrong mask is off by
        # whole values. Budgets against float64 are held by the tests of plans above.
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "only",
    ["", "mode=stepwise", "mode=block", "mode=cluster,slices=4", "mode=grid,slices=8,group_rows=3"],
)
@pytest.mark.parametrize("sizes", [(7, 5, 9, 33, 17), (40, 19, 64, 130, 70), (3, 1, 4, 7, 1)])
def test_projections(sizes: tuple[int, ...], only: str) -> None:
    """Packed, so that both directions have other rows at each step."""
    seq_len, batch, inputs, hidden, proj = sizes
    theirs, ours = twins(inputs, hidden, proj_size=proj, bidirectional=True)
    lengths = torch.tensor([seq_len, *[(seq_len + 1) // 2] * (batch - 1)])
    x = pack_padded_sequence(torch.randn(seq_len, batch, inputs), lengths)
    hx = states(theirs, batch)

    def there(dtype: Any) -> dict[str, Any]:
        given, initial = x.to("cuda"), tuple(state.cuda() for state in hx)
        layer = ours.to("cuda", dtype)
        before = _cuda.plan_only(_cuda.Only.read(only))
        try:
            cast = tuple(state.to(dtype) for state in initial)
            assert layer.refusal(given.to(dtype), cast) is None
            found = run_layer(layer, given, initial, dtype)
        finally:
            _cuda.plan_only(before)
        return {name: value.cpu() for name, value in found.items()}

    exact, rounded = (run_layer(theirs, x, hx, d) for d in (torch.float64, torch.float32))
    torchs = run_layer(theirs.cuda(), x.to("cuda"), [s.cuda() for s in hx], torch.float32)
    theirs.cpu()
    doubles, found, again = there(torch.float64), there(torch.float32), there(torch.float32)
    for name, value in exact.items():
        assert_exact(doubles[name], value, name=name)
        assert torch.equal(found[name], again[name])
        if proj > 1:  # of so few numbers the errors are chance
            allowed = less_exact(rounded[name], torchs[name].cpu(), value)
            assert_within_budget(found[name], allowed, value, name=name)
    for half in HALVES if proj > 1 else ():
        for layer in (theirs, ours):
            layer.load_state_dict(halved(layer.double().state_dict(), half))
        x, hx = x.to(half), tuple(state.to(half) for state in hx)
        exact, rounded = (run_layer(theirs, x, hx, d) for d in (torch.float64, torch.float32))
        assert_budget(there(half), rounded, exact, half, f"projected {only}")


def test_projections_in_stacks() -> None:
    theirs, ours = twins(9, 33, proj_size=17, num_layers=2, bidirectional=True)
    x, hx = torch.randn(7, 5, 9), states(theirs, 5)
    exact = run_layer(theirs, x, hx, torch.float64)
    found = run_layer(ours.cuda(), x.cuda(), [state.cuda() for state in hx], torch.float64)
    for name, value in exact.items():
        assert_exact(found[name].cpu(), value, name=name)


def test_projections_under_a_graph() -> None:
    layer = fastrnn.nn.LSTM(8, 48, proj_size=20, bidirectional=True).cuda().requires_grad_(False)
    x = torch.randn(12, 3, 8, device="cuda")
    expected = layer(x)[0].clone()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = layer(x)[0]
    y.zero_()
    graph.replay()
    assert torch.equal(y, expected)


def test_more_steps_than_16_bits_count() -> None:
    layer, x = fastrnn.nn.RNN(2, 8).cuda(), torch.randn(70_000, 1, 2, device="cuda")
    with torch.no_grad():
        torch.testing.assert_close(layer(x)[0].cpu(), layer.cpu()(x.cpu())[0])
