"""The package without torch, without the compiled module, and how much an import loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from subprocesses import error_message, python_output

import fastrnn

if TYPE_CHECKING:
    from pathlib import Path

# What `import torch` meets where torch is not installed.
NO_TORCH = "import sys; sys.modules['torch'] = None\n"
# Likewise for the compiled module.
NO_CORE = "import sys; sys.modules['fastrnn._core'] = None\n"


def test_import_loads_little() -> None:
    loaded = python_output("import fastrnn, sys; print(*sys.modules)", "-W", "error").split()
    assert "fastrnn.backends" in loaded
    for name in ("torch", "numpy", "fastrnn._core", "fastrnn.ops", "rich", "typer", "matplotlib"):
        assert name not in loaded


def test_ops_work_without_torch() -> None:
    code = """
import numpy as np
import fastrnn
y, h_n, reserve = fastrnn.ops.gru_forward(np.ones((2, 3, 1)), np.ones((3, 1)), np.ones((3, 1)))
print(fastrnn.ops.gru_backward(y, reserve).x.shape, fastrnn.available_isas()[-1])
"""
    assert python_output(NO_TORCH + code, "-W", "error") == "(2, 3, 1) generic"


@pytest.mark.parametrize("name", ["nn", "functional", "convert", "restore", "diagnostics", "utils"])
def test_torch_parts_say_what_is_missing(name: str) -> None:
    message = error_message(f"{NO_TORCH}import fastrnn; fastrnn.{name}")
    assert message.startswith(f"ImportError: fastrnn.{name} needs torch")
    assert "pip install fastrnn[torch]" in message


@pytest.mark.parametrize(
    "use",
    [
        "fastrnn.available_isas()",
        "fastrnn.use_isa('generic')",
        "fastrnn.build_info()",
        "fastrnn.clear_scratch()",
        "fastrnn.ops",
    ],
)
def test_without_the_compiled_module(use: str) -> None:
    """The import works; use says how to build."""
    assert (
        python_output(f"{NO_CORE}import fastrnn; print(fastrnn.__version__)", "-W", "error")
        == fastrnn.__version__
    )
    message = error_message(f"{NO_CORE}import fastrnn; {use}")
    assert message.startswith("ImportError: fastrnn's compiled module fastrnn._core has not been")
    for part in ("pip install .", "--no-build-isolation -e .", "C++17", "CMake"):
        assert part in message


def test_reference_needs_no_compiled_module() -> None:
    assert python_output(
        f"{NO_CORE}import fastrnn; print(len(fastrnn.reference.CELLS))", "-W", "error"
    ) == str(len(fastrnn.reference.CELLS))


def test_a_module_that_does_not_load_says_why(tmp_path: Path) -> None:
    """Built, but broken: the reason must not be lost behind the advice to build."""
    code = f"""
import sys, importlib.util
import fastrnn
broken = {str(tmp_path / "_core.so")!r}
open(broken, "wb").write(b"not a library")
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "fastrnn._core":
            return importlib.util.spec_from_file_location(name, broken)
sys.meta_path.insert(0, Finder())
fastrnn.available_isas()
"""
    message = error_message(code)
    assert "was found but does not load" in message
    assert "_core.so" in message


def test_build_info() -> None:
    info = fastrnn.build_info()
    assert info["version"] == fastrnn.__version__
    assert isinstance(info["compiler"], str)
    assert info["compiler"]
    assert isinstance(info["cuda"], bool)
    assert bool(info["cuda_architectures"]) == info["cuda"]
    assert isinstance(info["openmp"], bool)
