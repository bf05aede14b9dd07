"""The engine is off at first, and says so."""

from __future__ import annotations

import os

import pytest

torch = pytest.importorskip("torch")

from fastrnn import _cuda  # noqa: E402
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
