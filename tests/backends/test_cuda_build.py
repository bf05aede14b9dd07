"""What is known of the CUDA engine on any machine: built or not, with a GPU or without one."""

from __future__ import annotations

import pytest

from fastrnn._native import core
from fastrnn.backends import build_info, cuda_info


def test_info_needs_no_gpu() -> None:
    info = cuda_info()
    assert info["built"] == build_info()["cuda"]
    assert bool(info["why"]) == (not info["devices"])
    assert all(name.endswith(("-real", "-virtual")) for name in info["architectures"])
    if not info["built"]:
        assert "built without CUDA" in info["why"]


def test_a_device_that_is_not_there_is_an_error_in_cudas_words() -> None:
    count, _ = core.cuda.devices()
    with pytest.raises(RuntimeError, match="CUDA"):
        core.cuda.device_caps(count)
