"""Examples in the docstrings run; importing needs neither torch nor onnx."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest
from subprocesses import error_message, python_output

from fastrnn import convert_weights

MODULES = [
    "fastrnn.convert_weights",
    *(f"fastrnn.convert_weights.{m.name}" for m in pkgutil.iter_modules(convert_weights.__path__)),
]
BLOCK = "import sys; sys.modules['torch'] = sys.modules['onnx'] = None; "


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    assert result.attempted > 0 or name.endswith(("_arrays", "_stack"))


def test_every_public_function_says_what_it_raises() -> None:
    for name in convert_weights.__all__:
        doc = getattr(convert_weights, name).__doc__
        assert doc, name
        if name.startswith("from_"):
            assert "ValueError" in doc, name


def test_numpy_alone_is_enough() -> None:
    code = (
        BLOCK + "import numpy as np; from fastrnn import convert_weights as w, ops; "
        "layer = w.from_keras('lstm', [np.ones((3, 20)), np.ones((5, 20)), np.ones(20)]); "
        "y = ops.lstm(np.ones((7, 2, 3)), **layer.arguments())[0]; "
        "print(y.shape, w.to_onnx(layer).R.shape)"
    )
    assert python_output(code) == "(7, 2, 5) (1, 20, 5)"


def test_what_is_missing_is_named() -> None:
    code = BLOCK + "from fastrnn import convert_weights as w; w.from_onnx_model('model.onnx')"
    assert "needs onnx: `pip install fastrnn[onnx]`" in error_message(code)
