"""Fixtures every test may use."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

import fastrnn

if TYPE_CHECKING:
    from collections.abc import Iterator


# NumPy's own threads cost the oracle's many small products far more than they bring, the more so
# beside OpenMP's. Read when NumPy is first imported, which importing fastrnn does not do.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


# A shell without job control starts what it runs in the background with Ctrl-C ignored, and the
# processes that tests start and interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests run in an empty folder: `python -c` looks there first.

    In the root of a checkout it would find the source directory, which has no compiled module
    when an installed fastrnn is what is being tested.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        yield


@pytest.fixture(params=fastrnn.available_isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once on every instruction set this machine has."""
    with fastrnn.use_isa(request.param):
        yield request.param
