"""Scratch and reserve memory: reused, bounded, given back."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from layer_cases import CELLS, Case, run_ops
from oracles import assert_same_bits

import fastrnn
from fastrnn import ops
from fastrnn._native import core


@pytest.mark.parametrize("cell", CELLS)
def test_results_do_not_depend_on_what_scratch_held(isa: str, cell: str) -> None:
    """Fresh memory, memory of a smaller and of a larger call, memory full of NaN: all the same."""
    case = Case(cell, 5, 9, 13, 21, 2)
    arguments, gradients = case.arguments(np.float32), case.output_gradients(np.float32)
    fastrnn.clear_scratch()
    expected = run_ops(cell, arguments, gradients)
    poison = {name: np.full_like(value, np.nan) for name, value in arguments.items()}
    others = [
        (cell, poison, gradients),
        (cell, Case(cell, 2, 1, 2, 3).arguments(), Case(cell, 2, 1, 2, 3).output_gradients()),
        (cell, Case(cell, 9, 30, 31, 65).arguments(), Case(cell, 9, 30, 31, 65).output_gradients()),
    ]
    for other in others:
        run_ops(*other)
        for name, value in run_ops(cell, arguments, gradients).items():
            assert_same_bits(value, expected[name], name=name)


def test_clear_scratch() -> None:
    run_ops("lstm", Case("lstm", 5, 9, 13, 21).arguments())
    assert core.scratch_bytes() > 0
    fastrnn.clear_scratch()
    assert core.scratch_bytes() == 0
    fastrnn.clear_scratch()


def test_scratch_stops_growing() -> None:
    """The same call again needs no more memory."""
    case = Case("gru", 20, 16, 32, 64, 2)
    arguments, gradients = case.arguments(), case.output_gradients()
    fastrnn.clear_scratch()
    run_ops("gru", arguments, gradients)
    gc.collect()
    kept = core.scratch_bytes()
    for _ in range(20):
        run_ops("gru", arguments, gradients)
    assert core.scratch_bytes() <= kept


def test_idle_scratch_is_bounded() -> None:
    """Of 400 MB given back at once, at most 256 MiB are kept."""
    fastrnn.clear_scratch()
    blocks = [core.alloc_block(10_000_000) for _ in range(40)]
    assert core.scratch_bytes() == 0  # in use, not idle
    blocks.clear()
    assert 0 < core.scratch_bytes() <= 256 * 2**20
    fastrnn.clear_scratch()


def test_a_reserve_gives_its_memory_back() -> None:
    case = Case("gru", 20, 16, 32, 64)
    fastrnn.clear_scratch()
    *_, reserve = ops.gru_forward(**case.arguments())
    before, nbytes = core.scratch_bytes(), reserve.nbytes
    assert nbytes > 0
    del reserve
    assert core.scratch_bytes() >= before + nbytes


@pytest.mark.parametrize("nbytes", [1, 64, 1000, 10_000_000])
def test_blocks_are_aligned_and_apart(nbytes: int) -> None:
    blocks = [core.alloc_block(nbytes) for _ in range(4)]
    for number, block in enumerate(blocks):
        assert block.dtype == np.uint8
        assert block.shape == (nbytes,)
        assert block.__array_interface__["data"][0] % 64 == 0
        block[:] = number
    for number, block in enumerate(blocks):
        assert (block == number).all()


def test_blocks_outlive_clear_scratch() -> None:
    block = core.alloc_block(100_000)
    block[:] = 7
    fastrnn.clear_scratch()
    others = [core.alloc_block(100_000) for _ in range(4)]
    for other in others:
        other[:] = 0
    assert (block == 7).all()


@pytest.mark.parametrize("info", core.cells(), ids=lambda info: info["name"])
def test_reserve_holds_gates_and_cell_states_only(isa: str, info: dict[str, object]) -> None:
    """At most the gates, the cell states and one value more a unit and step, plus alignment.

    Where gates are normalized, both of their parts besides.
    """
    names = [cell["name"] for cell in core.cells()]
    sizes = (50, 32, 64, 128, 2)
    nbytes = core.reserve_size(names.index(str(info["name"])), 4, core.isa_id(), sizes)
    per_step = int(str(info["num_gates"])) + int(str(info["num_states"]))
    if info["unit_params"] == "norm":
        per_step += 2 * int(str(info["num_gates"]))
    seq_len, batch_size, _, hidden_size, num_directions = sizes
    assert nbytes <= 4 * per_step * seq_len * batch_size * hidden_size * num_directions * 1.1
