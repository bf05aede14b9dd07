"""``fastrnn.functional``: every cell, one direction and two, against plain torch steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch_twins import LAYERS, flat, twins

import fastrnn
from fastrnn import functional
from fastrnn._native import core

INFO = {info["name"]: info for info in core.cells()}
CELLS = list(INFO)


def arguments(
    cell: str,
    sizes: tuple[int, int, int, int] = (4, 3, 5, 6),
    directions: int = 1,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """Random arguments by name, all of them."""
    seq_len, batch_size, input_size, hidden_size = sizes
    lead = () if directions == 1 else (2,)
    rows = INFO[cell]["num_gates"] * hidden_size
    torch.manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {
        "input": (seq_len, batch_size, input_size),
        "weight_ih": (*lead, rows, input_size),
        "weight_hh": (*lead, rows, INFO[cell]["num_operand_states"] * hidden_size),
    }
    if INFO[cell]["num_unit_params"]:
        shapes[INFO[cell]["unit_params"]] = (*lead, INFO[cell]["num_unit_params"], hidden_size)
    shapes |= {"bias_ih": (*lead, rows), "bias_hh": (*lead, rows)}
    shapes["h0"] = (*lead, batch_size, hidden_size)
    if INFO[cell]["num_states"] == 2:
        shapes["c0"] = shapes["h0"]
    return {name: torch.randn(*shape, dtype=dtype) / 2 for name, shape in shapes.items()}


def call(cell: str, given: dict[str, Tensor]) -> tuple[Tensor, ...]:
    result: tuple[Tensor, ...] = getattr(functional, cell)(**given)
    return result


def as_function(cell: str, given: dict[str, Tensor]) -> Any:
    return lambda *values: call(cell, dict(zip(given, values, strict=True)))


def test_there_is_one_function_a_cell() -> None:
    assert sorted(functional.__all__) == sorted(CELLS)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("directions", [1, 2])
def test_engine_and_composed_steps_agree(cell: str, directions: int) -> None:
    """Under forward mode the function runs as torch operations: the same numbers."""
    given = arguments(cell, directions=directions)
    got = call(cell, given)
    with torch.autograd.forward_ad.dual_level():
        expected = call(cell, given)
    for mine, composed in zip(got, expected, strict=True):
        assert mine.shape == composed.shape
        torch.testing.assert_close(mine, composed, rtol=1e-12, atol=1e-13)
    state_shape = (3, 6) if directions == 1 else (2, 3, 6)
    assert [tuple(t.shape) for t in got] == [(4, 3, 6 * directions)] + [state_shape] * (
        len(got) - 1
    )


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_and_functions_agree(kind: str) -> None:
    _, layer = twins(kind, 5, 6, dtype=torch.float64)
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    got = call(
        kind, {"input": x, **{k.removesuffix("_l0"): v for k, v in layer.named_parameters()}}
    )
    y, *final = flat(layer(x))
    for mine, expected in zip(got, [y, *(state[0] for state in final)], strict=True):
        assert torch.equal(mine, expected)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("directions", [1, 2])
def test_gradcheck(cell: str, directions: int) -> None:
    given = arguments(cell, (3, 2, 2, 2), directions)
    values = tuple(value.requires_grad_() for value in given.values())
    assert gradcheck(as_function(cell, given), values, check_undefined_grad=True)
    assert gradgradcheck(as_function(cell, given), values, fast_mode=True)


@pytest.mark.parametrize("cell", CELLS)
def test_gradcheck_at_odd_sizes(cell: str) -> None:
    for sizes in ((2, 3, 129, 129), (129, 1, 1, 7), (1, 129, 7, 1)):
        given = arguments(cell, sizes)
        values = tuple((value / 4).requires_grad_() for value in given.values())
        assert gradcheck(as_function(cell, given), values, fast_mode=True)


@pytest.mark.parametrize("cell", CELLS)
def test_what_may_be_left_out(cell: str) -> None:
    given = arguments(cell)
    for name in ("bias_ih", "bias_hh", "h0", "c0"):
        if name in given:
            without = {key: value for key, value in given.items() if key != name}
            zeros = {**given, name: torch.zeros_like(given[name])}
            for mine, expected in zip(call(cell, without), call(cell, zeros), strict=True):
                torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-14)
    bare = {key: value for key, value in given.items() if key not in ("bias_ih", "bias_hh")}
    assert call(cell, bare)[0].isfinite().all()


@pytest.mark.parametrize("cell", CELLS)
def test_state_with_an_axis_for_the_direction(cell: str) -> None:
    given = arguments(cell)
    other = {**given, "h0": given["h0"].unsqueeze(0)}
    for mine, expected in zip(call(cell, other), call(cell, given), strict=True):
        assert torch.equal(mine, expected)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(cell: str, dtype: torch.dtype) -> None:
    given = arguments(cell)
    got = call(cell, {name: value.to(dtype) for name, value in given.items()})
    for mine, exact in zip(got, call(cell, given), strict=True):
        assert mine.dtype == dtype
        torch.testing.assert_close(mine.double(), exact, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("cell", CELLS)
def test_empty_batch(cell: str) -> None:
    given = arguments(cell, (4, 0, 5, 6))
    y, *final = call(cell, given)
    assert y.shape == (4, 0, 6)
    assert all(state.shape == (0, 6) for state in final)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("directions", [1, 2])
def test_compile_and_vmap(cell: str, directions: int) -> None:
    torch.compiler.reset()
    given = arguments(cell, (3, 2, 2, 2), directions)
    compiled = torch.compile(getattr(functional, cell), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(**given), call(cell, given))
    many = torch.stack([given["input"], -given["input"]])
    mapped = torch.vmap(lambda x: call(cell, {**given, "input": x}))(many)
    torch.testing.assert_close(mapped[0][0], call(cell, given)[0])


BAD: dict[str, tuple[str, Any, type[Exception], str]] = {
    "rank": ("input", torch.zeros(4, 5), ValueError, r"input: expected 3 dimensions.*\(4, 5\)"),
    "no steps": ("input", torch.zeros(0, 3, 5), ValueError, "sequence length of at least 1"),
    "no features": ("input", torch.zeros(4, 3, 0), ValueError, "input size of at least 1"),
    "a list": ("input", [1.0], TypeError, "input: expected a torch.Tensor, got list"),
    "integers": ("input", torch.zeros(4, 3, 5).int(), TypeError, "got torch.int32"),
    "mixed": ("weight_hh", torch.zeros(24, 6).half(), TypeError, "weight_hh.*torch.float16"),
    "device": ("bias_ih", torch.zeros(24, device="meta"), ValueError, "bias_ih.*device cpu.*meta"),
    "features": ("weight_ih", torch.zeros(24, 4), ValueError, r"weight_ih.*\(24, 5\).*\(24, 4\)"),
    "rows": ("weight_hh", torch.zeros(23, 6), ValueError, r"weight_hh.*\(24, 6\).*\(23, 6\)"),
    "weight rank": ("weight_ih", torch.zeros(24), ValueError, "weight_ih: expected.*one direction"),
    "3 ways": ("weight_ih", torch.zeros(3, 24, 5), ValueError, "weight_ih: expected.*for two"),
    "2 and 1": ("weight_ih", torch.zeros(2, 24, 5), ValueError, r"weight_hh.*\(2, 24, 6\)"),
    "no units": ("weight_hh", torch.zeros(0, 0), ValueError, "hidden size of at least 1"),
    "bias": ("bias_hh", torch.zeros(6), ValueError, r"bias_hh.*\(24,\).*\(6,\)"),
    "state batch": ("h0", torch.zeros(2, 6), ValueError, r"h0.*\(3, 6\).*\(2, 6\)"),
    "state of two": ("c0", torch.zeros(2, 3, 6), ValueError, r"c0.*\(1, 3, 6\).*\(2, 3, 6\)"),
    "state type": ("h0", 0.0, TypeError, "h0: expected a torch.Tensor, got float"),
}


@pytest.mark.parametrize("what", BAD)
def test_errors_name_the_argument(what: str) -> None:
    name, value, error, text = BAD[what]
    given = {**arguments("lstm", dtype=torch.float32), name: value}
    with pytest.raises(error, match=text):
        call("lstm", given)


def test_peephole_errors() -> None:
    given = arguments("peephole_lstm")
    with pytest.raises(ValueError, match=r"peephole: expected shape \(3, 6\).*\(4, 6\)"):
        call("peephole_lstm", {**given, "peephole": torch.zeros(4, 6, dtype=torch.float64)})
    with pytest.raises(TypeError, match="peephole: expected a torch.Tensor, got NoneType"):
        functional.peephole_lstm(given["input"], given["weight_ih"], given["weight_hh"], None)  # type: ignore[arg-type]


def test_instruction_set_may_change_before_backward(isa: str) -> None:
    given = arguments("gru", (5, 3, 20, 33))
    weight = given["weight_hh"].requires_grad_()
    y, _ = call("gru", given)
    with fastrnn.use_isa("generic"):
        (got,) = torch.autograd.grad(y.sum(), weight)
    with fastrnn.use_isa("generic"):
        (expected,) = torch.autograd.grad(call("gru", given)[0].sum(), weight)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
