"""Fused recurrent networks and word vectors: drop-in for torch's layers and gensim's Word2Vec.

``fastrnn.nn``
    ``RNN``, ``LSTM``, ``GRU`` and their cells, drop-in for ``torch.nn`` (needs torch).
``fastrnn.functional``
    The same as typed functions of torch tensors (needs torch).
``fastrnn.convert``, ``fastrnn.restore``
    Replace every recurrent layer of a torch model by its fastrnn twin, and back (needs torch).
``fastrnn.explain``
    Who computes a layer's call, how, and why (needs torch).
``fastrnn.diagnostics``
    Gradients through time, as arrays and pictures: where they vanish or explode (needs torch).
``fastrnn.utils``
    Truncated back-propagation through time, initial weights (needs torch).
``fastrnn.patch_torch``
    Let code that builds torch's recurrent layers build fastrnn's (needs torch).
``fastrnn.convert_weights``
    Weights of Keras, ONNX, TensorFlow, oneDNN and others, read and written (NumPy only).
``fastrnn.ops``
    Forward and backward of each cell, NumPy in and NumPy out.
``fastrnn.reference``
    Plain float64 textbook versions, to check results against.
``fastrnn.Word2Vec``, ``fastrnn.KeyedVectors``, ``fastrnn.word2vec``
    Word vectors by hierarchical softmax or negative sampling, with gensim's names (NumPy only).
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
    from fastrnn import (
        convert_weights,
        diagnostics,
        functional,
        nn,
        ops,
        reference,
        utils,
        word2vec,
    )
    from fastrnn._convert import convert, restore
    from fastrnn._explain import explain
    from fastrnn._patch import patch_torch
    from fastrnn.word2vec import KeyedVectors, Word2Vec

__version__ = "0.1.0"

__all__ = [
    "KeyedVectors",
    "Word2Vec",
    "__version__",
    "available_isas",
    "build_info",
    "clear_scratch",
    "convert",
    "convert_weights",
    "current_isa",
    "diagnostics",
    "explain",
    "functional",
    "nn",
    "num_threads",
    "ops",
    "patch_torch",
    "reference",
    "restore",
    "use_isa",
    "utils",
    "word2vec",
]

# Public name -> (module that holds it, attribute or "" for the module itself, needs torch).
_LAZY: dict[str, tuple[str, str, bool]] = {
    "KeyedVectors": ("fastrnn.word2vec", "KeyedVectors", False),
    "Word2Vec": ("fastrnn.word2vec", "Word2Vec", False),
    "convert": ("fastrnn._convert", "convert", True),
    "convert_weights": ("fastrnn.convert_weights", "", False),
    "diagnostics": ("fastrnn.diagnostics", "", True),
    "explain": ("fastrnn._explain", "explain", True),
    "functional": ("fastrnn.functional", "", True),
    "nn": ("fastrnn.nn", "", True),
    "ops": ("fastrnn.ops", "", False),
    "patch_torch": ("fastrnn._patch", "patch_torch", True),
    "reference": ("fastrnn.reference", "", False),
    "restore": ("fastrnn._convert", "restore", True),
    "utils": ("fastrnn.utils", "", True),
    "word2vec": ("fastrnn.word2vec", "", False),
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
