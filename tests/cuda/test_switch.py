"""The engine is off at first, and says so."""

from __future__ import annotations

import os

import pytest

torch = pytest.importorskip("torch")

from fastrnn import _cuda  # noqa: E402
from fastrnn._native import core  # noqa: E402
from fastrnn._plan import CELL_NUMBERS, stack_plan  # noqa: E402
from fastrnn.backends import use_cuda  # noqa: E402


def test_off_unless_asked_for() -> None:
    assert _cuda.enabled() == (os.environ.get("FASTRNN_CUDA", "0") == "1")
    before = _cuda.enabled()
    with use_cuda(True):
        assert _cuda.enabled()
        with use_cuda(False):
            assert not _cuda.enabled()
        assert _cuda.enabled()
    assert _cuda.enabled() == before
    assert repr(use_cuda(before)) == f"use_cuda({before})"


def test_a_build_without_cuda_says_so_first() -> None:
    """Whether or not the engine is switched on: nobody looks for the reason in the wrong place."""
    number = CELL_NUMBERS["lstm"]
    plan = stack_plan(core.isa_id(), number, torch.float32, (2, 1, 3), 3, 4, 1, 1, False)
    assert not isinstance(plan, str)
    x = torch.zeros(2, 1, 3)
    for on in (False, True):
        with use_cuda(on):
            reason = _cuda.refuses(x, (None, None), [None] * 4, plan)
        if not core.build_info()["cuda"]:
            assert reason is not None
            assert "built without CUDA" in reason
            assert "FASTRNN_CUDA=ON" in reason
        elif on:
            assert reason is None
        else:
            assert reason is not None
            assert "use_cuda" in reason
    if not core.build_info()["cuda"]:
        with pytest.raises(RuntimeError, match="built without CUDA"):
            _cuda.run_stack(plan, x, (None, None), [torch.zeros(s) for s in plan.weight_shapes])
