"""One list of cells: what the engine has, the oracle and the operations have too."""

from __future__ import annotations

import inspect

import pytest

from fastrnn import ops, reference
from fastrnn._native import core


def test_every_cell_has_a_reference_and_operations() -> None:
    names = [cell["name"] for cell in core.cells()]
    assert len(set(names)) == len(names)
    assert names == list(reference.CELLS)
    functions = {name for name in ops.__all__ if inspect.isfunction(getattr(ops, name))}
    assert functions == {name + end for name in names for end in ("", "_forward", "_backward")}


@pytest.mark.parametrize("info", core.cells(), ids=lambda info: info["name"])
def test_descriptions_agree(info: dict[str, object]) -> None:
    kind = reference.CELLS[str(info["name"])]
    assert info["num_gates"] == kind.num_gates
    assert info["num_states"] == kind.num_states
    assert info["num_unit_params"] == kind.num_unit_params
    assert info["unit_params"] == kind.unit_params
    assert info["num_operand_states"] == (2 if kind.operand_has_state else 1)
    assert len(str(info["gates"]).split()) == kind.num_gates
