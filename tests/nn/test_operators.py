"""The operators behind torch.compile and torch.export: torch's own checks, and what they refuse."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import fastrnn
import fastrnn.nn
from fastrnn._native import core
from fastrnn._operators import layer as LAYER
from fastrnn._operators import layer_backward as BACKWARD
from fastrnn._operators_schema import reserve_bytes
from fastrnn._plan import CELL_INFO, CELL_NUMBERS, layer_plan

NAMES = [info["name"] for info in CELL_INFO]
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
INFO = {info["name"]: info for info in CELL_INFO}


def arguments(
    cell: str,
    sizes: tuple[int, int, int, int] = (4, 2, 3, 5),
    directions: int = 1,
    bias: bool = True,
    state: bool = True,
    requires_grad: bool = True,
    dtype: torch.dtype = torch.float64,
) -> tuple[Any, ...]:
    """Arguments of the operator; sizes T, B, I, H."""
    seq_len, batch_size, input_size, hidden = sizes
    info, generator = INFO[cell], torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        values = torch.rand(*shape, dtype=torch.float64, generator=generator) - 0.5
        return values.to(dtype).requires_grad_(requires_grad)

    rows, weights = info["num_gates"] * hidden, []
    for _ in range(directions):
        columns = info["num_operand_states"] * hidden
        weights += [draw(rows, input_size), draw(rows, columns)]
        weights += [draw(rows), draw(rows)] if bias else []
        weights += [draw(info["num_unit_params"], hidden)] if info["num_unit_params"] else []
    states = [draw(directions, batch_size, hidden) for _ in range(info["num_states"] * state)]
    h0, c0 = (*states, None, None)[:2]
    return draw(seq_len, batch_size, input_size), h0, c0, weights, cell, directions


def backward_arguments(given: tuple[Any, ...], wanted: list[bool] | None = None) -> tuple[Any, ...]:
    x, h0, c0, weights, cell, directions = given
    with torch.no_grad():
        y, h_n, c_n, reserve = LAYER(*given, True)
    generator = torch.Generator().manual_seed(1)
    grads = [
        torch.rand(t.shape, dtype=t.dtype, generator=generator) if t.numel() else None
        for t in (y, h_n, c_n)
    ]
    wanted = wanted or [True, h0 is not None, c0 is not None] + [True] * len(weights)
    return (*grads, x, h0, c0, weights, y, reserve, cell, directions, wanted)


@pytest.mark.parametrize("cell", NAMES)
@pytest.mark.parametrize("directions", [1, 2])
def test_torch_s_checks_of_operators(cell: str, directions: int) -> None:
    bias = directions == 1
    for state, dtype in ((True, torch.float64), (False, torch.float32)):
        given = arguments(cell, directions=directions, bias=bias, state=state, dtype=dtype)
        torch.library.opcheck(LAYER, given)
        given = arguments(cell, directions=directions, bias=bias, state=state, requires_grad=False)
        torch.library.opcheck(LAYER, (*given, True))
        torch.library.opcheck(BACKWARD, backward_arguments(given))
    wanted = [False, True, False] + [index == 1 for index in range(len(given[3]))]
    given = arguments(cell, directions=directions, bias=bias, requires_grad=False)
    torch.library.opcheck(BACKWARD, (None, *backward_arguments(given, wanted)[1:]))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("what", ["lengths", "batch_sizes", "resets"])
def test_torch_s_checks_with_different_lengths(cell: str, what: str) -> None:
    given = arguments(cell, directions=2, requires_grad=False)
    extra: dict[str, Any] = {"resets": torch.tensor([[0, 1], [1, 0], [0, 0], [0, 1]]).bool()}
    if what == "lengths":
        extra["lengths"] = torch.tensor([2, 4])
    if what == "batch_sizes":
        given = (given[0][:3].flatten(0, 1), *given[1:])
        extra = {"batch_sizes": torch.tensor([2, 2, 1, 1]), "resets": extra["resets"].flatten()[:6]}
    torch.library.opcheck(LAYER, (*given, True), extra)
    y, h_n, c_n, reserve = LAYER(*given, True, **extra)
    wanted = [True, True, cell == "lstm", *(True for _ in given[3])]
    grads = [torch.ones_like(t) if t.numel() else None for t in (y, h_n, c_n)]
    arguments_back = (*grads, *given[:4], y, reserve, *given[4:], wanted)
    torch.library.opcheck(BACKWARD, arguments_back, extra)
    leaves = [given[0], *given[3]]
    for leaf in leaves:
        leaf.requires_grad_()

    def call(*tensors: Tensor) -> Tensor:
        result: Tensor = LAYER(tensors[0], *given[1:3], list(tensors[1:]), *given[4:], **extra)[0]
        return result

    assert torch.autograd.gradcheck(call, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, leaves, fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("mixed", [False, True])
def test_torch_s_checks_with_halves(dtype: torch.dtype, mixed: bool) -> None:
    x, h0, c0, weights, cell, directions = arguments("lstm", dtype=dtype, requires_grad=False)
    if mixed:
        weights = [weight.float() for weight in weights]
    given = (x, h0, c0, weights, cell, directions)
    torch.library.opcheck(LAYER, (*given, True))
    torch.library.opcheck(BACKWARD, backward_arguments(given))
    for weight in weights:
        weight.requires_grad_()
    LAYER(*given)[0].float().sum().backward()
    assert all(weight.grad.dtype is weight.dtype for weight in weights)


@pytest.mark.parametrize("cell", NAMES)
@pytest.mark.parametrize("directions", [1, 2])
def test_same_numbers_as_eager(cell: str, directions: int) -> None:
    given = arguments(cell, (7, 3, 4, 17), directions, dtype=torch.float32)
    x, h0, c0, weights, _, _ = given
    leaves = [t for t in (x, h0, c0, *weights) if t is not None]
    stacked = [torch.stack(weights[i :: len(weights) // directions]) for i in range(len(weights))]
    stacked = stacked[: len(weights) // directions]
    if directions == 1:
        stacked = weights
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    names.append(CELL_INFO[CELL_NUMBERS[cell]]["unit_params"])
    options = dict(zip(names, stacked, strict=False), h0=h0)
    if c0 is not None:
        options["c0"] = c0
    eager = getattr(fastrnn.functional, cell)(x, **options)
    outputs = [t for t in LAYER(*given)[:3] if t.numel()]
    grads = [torch.randn_like(t) for t in outputs]
    eager = [e.view_as(t) for e, t in zip(eager, outputs, strict=True)]
    for mine, expected in zip(outputs, eager, strict=True):
        assert torch.equal(mine, expected)
    found = torch.autograd.grad(outputs, leaves, grads)
    for mine, expected in zip(found, torch.autograd.grad(eager, leaves, grads), strict=True):
        assert torch.equal(mine, expected)


@pytest.mark.parametrize("cell", NAMES)
@pytest.mark.parametrize(("directions", "state"), [(1, True), (2, False)])
def test_first_and_second_derivatives(cell: str, directions: int, state: bool) -> None:
    given = arguments(cell, (3, 2, 2, 2), directions, bias=state, state=state)
    x, h0, c0, weights, _, _ = given
    leaves = [t for t in (x, h0, c0, *weights) if t is not None]

    def call(*tensors: Tensor) -> tuple[Tensor, ...]:
        left = iter(tensors)
        args = [None if t is None else next(left) for t in (x, h0, c0)]
        outputs = LAYER(*args, list(left), cell, directions)
        return tuple(t for t in outputs[:3] if t.numel())

    assert torch.autograd.gradcheck(call, leaves)
    if cell != "rnn_relu":  # not twice differentiable
        assert torch.autograd.gradgradcheck(call, leaves, nondet_tol=0.0)


def test_gradients_of_some_outputs_for_some_inputs() -> None:
    given = arguments("lstm", directions=2)
    x, h0, c0, weights, _, _ = given
    outputs = LAYER(*given)
    assert not outputs[3].requires_grad
    for index in range(3):
        for leaves in ([x], [h0, c0], [weights[1], weights[7]], [x, c0, weights[2]]):
            frozen = [
                t.detach().requires_grad_(any(t is leaf for leaf in leaves)) for t in (x, h0, c0)
            ]
            kept = [w.detach().requires_grad_(any(w is leaf for leaf in leaves)) for w in weights]
            part = LAYER(*frozen, kept, "lstm", 2)
            expected = torch.autograd.grad(outputs[index].sin().sum(), leaves, retain_graph=True)
            own = [t for t in (*frozen, *kept) if t.requires_grad]
            for mine, value in zip(
                torch.autograd.grad(part[index].sin().sum(), own), expected, strict=True
            ):
                assert torch.equal(mine, value)


@pytest.mark.parametrize("cell", NAMES)
def test_reserve_is_large_enough_for_every_instruction_set(cell: str) -> None:
    number = NAMES.index(cell)
    before = fastrnn.current_isa()
    sizes = itertools.product((1, 3), (1, 5), (1, 7, 16, 33, 129), (1, 2))
    try:
        for (seq_len, batch_size, hidden, directions), isa, dtype in itertools.product(
            sizes, fastrnn.available_isas(), DTYPES
        ):
            fastrnn.use_isa(isa)
            shape = (seq_len, batch_size, 2)
            plan = layer_plan(core.isa_id(), number, dtype, shape, 0, 0, hidden, directions)
            given = reserve_bytes(cell, dtype, seq_len * batch_size, hidden, directions)
            assert plan.reserve_bytes + 8 <= given
            # Halves round the float32 part up to 64 bytes; statistics of rows need not fill them.
            rounded = dtype.itemsize == 2 and "norm" in cell
            assert hidden % 16 or rounded or plan.reserve_bytes + 8 == given
    finally:
        fastrnn.use_isa(before)


def test_backward_uses_the_instruction_set_of_the_forward() -> None:
    given = arguments("lstm", (5, 3, 4, 13), dtype=torch.float32)
    leaves = [given[0], *given[3]]
    expected = torch.autograd.grad(LAYER(*given)[0].sin().sum(), leaves)
    before = fastrnn.current_isa()
    try:
        for isa in fastrnn.available_isas():
            loss = LAYER(*given)[0].sin().sum()
            fastrnn.use_isa(isa)
            for mine, value in zip(torch.autograd.grad(loss, leaves), expected, strict=True):
                assert torch.equal(mine, value)
            fastrnn.use_isa(before)
    finally:
        fastrnn.use_isa(before)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_empty_batch(cell: str) -> None:
    given = arguments(cell, (4, 0, 3, 5), 2)
    y, h_n, _, _ = LAYER(*given)
    assert y.shape == (4, 0, 10)
    assert h_n.shape == (2, 0, 5)
    y.sum().backward()
    assert torch.equal(given[3][0].grad, torch.zeros_like(given[3][0]))


def test_saves_only_for_backward() -> None:
    given = arguments("lstm")
    assert LAYER(*given)[3].numel() > 0
    with torch.no_grad():
        assert LAYER(*given)[3].numel() == 0
        saved = LAYER(*given, True)[3]
        LAYER(given[0] + 1, *given[1:])
    assert saved.numel() == reserve_bytes("lstm", torch.float64, 8, 5, 1)


BAD: dict[str, tuple[int, Any, str]] = {
    "rank": (0, torch.zeros(4, 3, dtype=torch.float64), r"x must be \[T, B, I\], got 2D"),
    "dtype": (0, torch.zeros(4, 2, 3, dtype=torch.int64), "x must be of a floating-point dtype"),
    "no steps": (0, torch.zeros(0, 2, 3, dtype=torch.float64), "sequence length to be larger"),
    "features": (0, torch.zeros(4, 2, 4, dtype=torch.float64), "weight 0 must be"),
    "other dtype": (0, torch.zeros(4, 2, 3), "weight 0 must be torch.float32"),
    "state": (1, torch.zeros(1, 1, 5, dtype=torch.float64), r"h0 must be .*\(1, 2, 5\)"),
    "cell state": (2, torch.zeros(2, 5, dtype=torch.float64), "c0 must be"),
    "cell": (4, "lstn", "unknown cell 'lstn'"),
    "directions": (5, 3, "num_directions must be 1 or 2"),
    "too few weights": (5, 2, "weight 4 must be"),
    "no weights": (3, [], "0 weights do not make 1 of lstm"),
    "three weights": (3, [torch.zeros(20, 3)] * 3, "3 weights do not make"),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_bad_arguments(what: str, device: str) -> None:
    place, value, message = BAD[what]
    given = [*arguments("lstm", requires_grad=False)]
    given[place] = value
    moved = [t.to(device) if isinstance(t, Tensor) else t for t in given]
    moved[3] = [weight.to(device) for weight in given[3]]
    with pytest.raises(RuntimeError, match=message):
        LAYER(*moved)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, torch.zeros(4, 2, 4, dtype=torch.float64), "grad_y must be"),
        (1, torch.zeros(1, 2, 5), "grad_h_n must be torch.float64"),
        (7, torch.zeros(3, 2, 5, dtype=torch.float64), "y must be"),
        (8, torch.zeros(8, dtype=torch.uint8), "reserve must have .* bytes"),
        (8, torch.zeros(8), "reserve must be bytes"),
        (11, [True] * 6, "wanted must have a value"),
        (11, [True] * 8, "wanted must have a value"),
    ],
)
def test_bad_arguments_of_backward(place: int, value: Any, message: str) -> None:
    given = [*backward_arguments(arguments("lstm", requires_grad=False))]
    given[place] = value
    with pytest.raises(RuntimeError, match=message):
        BACKWARD(*given)


def test_a_gradient_of_what_is_not_there() -> None:
    given = [*backward_arguments(arguments("gru", state=False, requires_grad=False))]
    given[11] = [True] * 7
    with pytest.raises(RuntimeError, match="False for what is None"):
        BACKWARD(*given)
    with pytest.raises(RuntimeError, match="gru has no cell state"):
        LAYER(given[3], None, torch.zeros(1, 2, 5).double(), *given[6:7], "gru", 1)


def test_an_output_changed_in_place_is_noticed() -> None:
    given = arguments("gru")
    y = LAYER(*given)[0]
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("directions", [1, 2])
def test_counted_flops(directions: int) -> None:
    layer = fastrnn.nn.GRU(3, 5, num_layers=2, bidirectional=directions == 2)
    x = torch.randn(7, 2, 3)
    with FlopCounterMode(display=False) as counter:
        layer(x)[0].sum().backward()
    forward = [2 * 7 * 2 * directions * 15 * (inputs + 5) for inputs in (3, 5 * directions)]
    # Backward: as much for the inputs' gradients and again for the weights'; x's is not wanted.
    wanted = 3 * sum(forward) - 2 * 7 * 2 * directions * 15 * 3
    assert counter.get_total_flops() == wanted


def test_the_counter_names_the_operator() -> None:
    layer = fastrnn.nn.LSTM(3, 5)
    with FlopCounterMode(display=False) as counter:
        layer(torch.randn(7, 2, 3))
    assert list(counter.get_flop_counts()["Global"]) == [torch.ops.fastrnn.layer]
