"""Arrays of any strides, byte order and alignment; optional arguments; empty batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layer_cases import CELLS, Case, run_ops, run_reference
from oracles import assert_exact, assert_same_bits

import fastrnn
from fastrnn import ops

Array = npt.NDArray[Any]

per_cell = pytest.mark.parametrize("cell", CELLS)


def swapped(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder("S"))


def misaligned(array: Array) -> Array:
    buffer = np.zeros(array.nbytes + 1, np.uint8)
    view = buffer[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.flags.aligned
    return view


def reversed_strides(array: Array) -> Array:
    every = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[every])[every]


def every_other(array: Array) -> Array:
    wide = np.full([2 * size for size in array.shape], np.nan, array.dtype)
    every = (slice(None, None, 2),) * array.ndim
    wide[every] = array
    return wide[every]


def between_columns(array: Array) -> Array:
    """A last axis that is contiguous inside a wider one: kept as it is for x and grad_y."""
    wide = np.full((*array.shape[:-1], array.shape[-1] + 3), np.nan, array.dtype)
    wide[..., 1:-2] = array
    return wide[..., 1:-2]


def odd_row_stride(array: Array) -> Array:
    """Rows whose distance is no multiple of the number's size."""
    rows = np.dtype([("row", array.dtype, array.shape[-1:]), ("pad", "u1")])
    view = np.zeros(array.shape[:-1], rows)["row"]
    view[...] = array
    return view


def batch_first(array: Array) -> Array:
    return array if array.ndim < 2 else np.ascontiguousarray(array.swapaxes(0, 1)).swapaxes(0, 1)


def read_only(array: Array) -> Array:
    array = array.copy()
    array.setflags(write=False)
    return array


LAYOUTS = [
    np.asfortranarray,
    swapped,
    misaligned,
    reversed_strides,
    every_other,
    between_columns,
    odd_row_stride,
    batch_first,
    read_only,
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("num_directions", [1, 2])
@per_cell
def test_any_layout_gives_the_same_bits(cell: str, num_directions: int, layout: Any) -> None:
    case = Case(cell, 4, 5, 6, 7, num_directions)
    arguments, gradients = case.arguments(), case.output_gradients()
    expected = run_ops(cell, arguments, gradients)
    ours = run_ops(
        cell,
        {name: layout(value) for name, value in arguments.items()},
        {name: layout(value) for name, value in gradients.items()},
    )
    for name, value in expected.items():
        assert_same_bits(ours[name], value, name=name)


@per_cell
def test_expanded_arrays(isa: str, cell: str) -> None:
    """Strides of 0: one input for all rows or steps, and the gradient of a sum."""
    case = Case(cell, 4, 13, 6, 7)
    arguments, gradients = case.arguments(), case.output_gradients()
    one = np.ones(())
    gradients["grad_y"] = np.broadcast_to(one, gradients["grad_y"].shape)
    gradients["grad_h_n"] = np.broadcast_to(one, gradients["grad_h_n"].shape)
    arguments["h0"] = np.broadcast_to(arguments["h0"][:1], arguments["h0"].shape)
    x = arguments["x"]
    for view in (x[:1], x[:, :1], x[:1, :1], x[:1, :1, :1]):
        arguments["x"] = np.broadcast_to(view, x.shape)
        dense = {name: value.copy() for name, value in arguments.items()}
        expected = run_ops(cell, dense, {name: g.copy() for name, g in gradients.items()})
        for name, value in run_ops(cell, arguments, gradients).items():
            assert_same_bits(value, expected[name], name=name)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_random_shapes_and_layouts(isa: str, data: st.DataObject) -> None:
    size = st.integers(1, 40)
    case = Case(
        data.draw(st.sampled_from(CELLS), "cell"),
        data.draw(st.integers(1, 6), "seq_len"),
        data.draw(size, "batch_size"),
        data.draw(size, "input_size"),
        data.draw(size, "hidden_size"),
        data.draw(st.integers(1, 2), "num_directions"),
        data.draw(st.booleans(), "bias"),
        data.draw(st.booleans(), "initial"),
        data.draw(st.integers(0, 1000), "seed"),
    )
    layouts = st.sampled_from(LAYOUTS)
    arguments = {name: data.draw(layouts, name)(a) for name, a in case.arguments().items()}
    gradients = {name: data.draw(layouts, name)(g) for name, g in case.output_gradients().items()}
    expected = run_reference(case.cell, case.arguments(), case.output_gradients())
    ours = run_ops(case.cell, arguments, gradients)
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        assert_exact(ours[name], value, name=name)


@per_cell
def test_arguments_are_left_alone_and_results_are_new(isa: str, cell: str) -> None:
    case = Case(cell, 4, 5, 6, 7)
    arguments, gradients = case.arguments(), case.output_gradients()
    kept = {name: value.copy() for name, value in (arguments | gradients).items()}
    results = run_ops(cell, arguments, gradients)
    for name, value in (arguments | gradients).items():
        assert_same_bits(value, kept[name], name=name)
    arrays = [*results.items(), *arguments.items(), *gradients.items()]
    for name, result in results.items():
        assert result.flags.c_contiguous
        assert result.flags.writeable
        assert not any(np.shares_memory(result, a) for other, a in arrays if other != name), name


@pytest.mark.parametrize("given_bias", ["bias_ih", "bias_hh"])
@per_cell
def test_one_bias_alone(isa: str, cell: str, given_bias: str) -> None:
    arguments = Case(cell, 4, 5, 6, 7).arguments()
    gradients = Case(cell, 4, 5, 6, 7).output_gradients()
    del arguments["bias_hh" if given_bias == "bias_ih" else "bias_ih"]
    expected = run_reference(cell, arguments, gradients)
    ours = run_ops(cell, arguments, gradients)  # checks that the other's gradient is None
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        assert_exact(ours[name], value, name=name)


@pytest.mark.parametrize("given_state", ["h0", "c0"])
@pytest.mark.parametrize("cell", ["lstm", "peephole_lstm"])
def test_one_initial_state_alone(isa: str, cell: str, given_state: str) -> None:
    arguments = Case(cell, 4, 5, 6, 7, 2).arguments()
    gradients = Case(cell, 4, 5, 6, 7, 2).output_gradients()
    del arguments["c0" if given_state == "h0" else "h0"]
    expected = run_reference(cell, arguments, gradients)
    ours = run_ops(cell, arguments, gradients)
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        assert_exact(ours[name], value, name=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("num_directions", [1, 2])
@per_cell
def test_empty_batch(cell: str, num_directions: int, dtype: type) -> None:
    case = Case(cell, 4, 0, 6, 7, num_directions)
    arguments, gradients = case.arguments(dtype), case.output_gradients(dtype)
    results = run_ops(cell, arguments, gradients)
    assert results["y"].shape == (4, 0, 7 * num_directions)
    assert results["h_n"].shape == arguments["h0"].shape
    for name, value in results.items():
        assert value.dtype == dtype
        assert not value.any(), name  # the weights' gradients: sums of nothing
    assert run_ops(cell, arguments)["y"].shape == (4, 0, 7 * num_directions)


@per_cell
def test_backward_may_run_again(isa: str, cell: str) -> None:
    case = Case(cell, 6, 9, 5, 17)
    *_, reserve = getattr(ops, f"{cell}_forward")(**case.arguments())
    backward = getattr(ops, f"{cell}_backward")
    grad_y = case.output_gradients()["grad_y"]
    first = backward(grad_y, reserve)
    # Other calls in between, which use the same pools of memory.
    run_ops(cell, case.arguments(), case.output_gradients())
    second, doubled = backward(grad_y, reserve), backward(2 * grad_y, reserve)
    for name, value in first._asdict().items():
        assert_same_bits(getattr(second, name), value, name=name)
        assert_exact(getattr(doubled, name), 2 * value, name=name)


@per_cell
def test_backward_stays_on_its_forwards_instruction_set(cell: str) -> None:
    case = Case(cell, 5, 9, 5, 17)
    grad_y = case.output_gradients()["grad_y"]
    for isa in fastrnn.available_isas():
        with fastrnn.use_isa(isa):
            *_, reserve = getattr(ops, f"{cell}_forward")(**case.arguments())
            expected = getattr(ops, f"{cell}_backward")(grad_y, reserve)
        for other in fastrnn.available_isas():
            with fastrnn.use_isa(other):
                grads = getattr(ops, f"{cell}_backward")(grad_y, reserve)
            for name, value in expected._asdict().items():
                assert_same_bits(getattr(grads, name), value, name=f"{name}, {isa} to {other}")
