"""Every example in the docstrings runs, and every public function has one."""

from __future__ import annotations

import doctest
import inspect

import pytest

import fastrnn
from fastrnn import backends, ops, reference


@pytest.mark.parametrize("module", [backends, ops, reference], ids=lambda m: m.__name__)
def test_module_examples(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize("name", [n for n in ops.__all__ if inspect.isfunction(getattr(ops, n))])
def test_operations_examples(name: str) -> None:
    function = getattr(ops, name)
    examples = doctest.DocTestFinder().find(function, name, module=ops, globs=dict(vars(ops)))
    assert len(examples) == 1
    runner = doctest.DocTestRunner()
    runner.run(examples[0])
    assert runner.failures == 0
    assert runner.tries > 0
    for word in ("float32", "float64", "TypeError", "ValueError", "h'"):
        assert word in function.__doc__


def test_top_level_names() -> None:
    assert set(fastrnn.__all__) <= set(dir(fastrnn))
    assert fastrnn.ops is ops
    with pytest.raises(AttributeError, match="module 'fastrnn' has no attribute 'nothing'"):
        fastrnn.nothing  # noqa: B018
