"""The way to the compiled module: ``from fastrnn._native import core``.

Without the compiled module that import raises an ``ImportError`` that says how to build it,
instead of Python's bare "No module named 'fastrnn._core'".
"""

from __future__ import annotations

try:
    from fastrnn import _core as core
except ImportError as _error:
    _missing = isinstance(_error, ModuleNotFoundError) or "cannot import name" in str(_error)
    _reason = (
        "has not been built for this Python"
        if _missing
        else f"was found but does not load ({_error})"
    )
    raise ImportError(
        f"fastrnn's compiled module fastrnn._core {_reason}. "
        "Build it from a source checkout with `pip install .`, or with "
        "`pip install --no-build-isolation -e .` for development; this needs a C++17 compiler "
        "and CMake.",
        name="fastrnn._core",
    ) from _error

__all__ = ["core"]
