"""Every layer, cell and function of tensors has an example, and it runs."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest
import torch

import fastrnn.functional
import fastrnn.nn

NAMES = [(module, name) for module in (fastrnn.nn, fastrnn.functional) for name in module.__all__]


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[name for _, name in NAMES])
def test_example(module: ModuleType, name: str) -> None:
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(getattr(module, name), name, globs=dict(vars(module)))
    assert example.examples
    torch.manual_seed(0)
    runner = doctest.DocTestRunner()
    assert runner.run(example).failed == 0
