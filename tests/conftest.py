"""Fixtures every test may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import fastrnn

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=fastrnn.available_isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once on every instruction set this machine has."""
    with fastrnn.use_isa(request.param):
        yield request.param
