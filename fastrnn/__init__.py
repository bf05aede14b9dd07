"""Fused recurrent networks: drop-in layers for torch, and NumPy functions without it.

``fastrnn.nn``
    ``RNN``, ``LSTM``, ``GRU`` and their cells, drop-in for ``torch.nn`` (needs torch).
``fastrnn.functional``
    The same as typed functions of torch tensors (needs torch).
``fastrnn.convert``, ``fastrnn.restore``
    Replace every recurrent layer of a torch model by its fastrnn twin, and back (needs torch).
``fastrnn.ops``
    Forward and backward of each cell, NumPy in and NumPy out.
``fastrnn.reference``
    Plain float64 textbook versions, to check results against.
``fastrnn.use_isa``, ``fastrnn.available_isas``, ``fastrnn.build_info``, ...
    What the compiled module can do, and which instruction set it uses.

Importing the package loads neither torch nor the compiled module; each loads at first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fastrnn.backends import (
    available_isas,
    build_info,
    clear_scratch,
    current_isa,
    num_threads,
    use_isa,
)

if TYPE_CHECKING:
    from fastrnn import functional, nn, ops, reference
    from fastrnn._convert import convert, restore

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "available_isas",
    "build_info",
    "clear_scratch",
    "convert",
    "current_isa",
    "functional",
    "nn",
    "num_threads",
    "ops",
    "reference",
    "restore",
    "use_isa",
]

# Public name -> (module that holds it, attribute or "" for the module itself, needs torch).
_LAZY: dict[str, tuple[str, str, bool]] = {
    "convert": ("fastrnn._convert", "convert", True),
    "functional": ("fastrnn.functional", "", True),
    "nn": ("fastrnn.nn", "", True),
    "ops": ("fastrnn.ops", "", False),
    "reference": ("fastrnn.reference", "", False),
    "restore": ("fastrnn._convert", "restore", True),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'fastrnn' has no attribute {name!r}")
    module_name, attribute, needs_torch = _LAZY[name]
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not (needs_torch and error.name == "torch"):
            raise
        raise ImportError(
            f"fastrnn.{name} needs torch, which is not installed. "
            "Install it with `pip install fastrnn[torch]`; fastrnn.ops works without it.",
            name="torch",
        ) from error
    value = getattr(module, attribute) if attribute else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
