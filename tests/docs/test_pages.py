"""The pages about cells: complete, their pictures current, their example right."""

from __future__ import annotations

import doctest
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fastrnn.nn
from fastrnn import ops, reference
from fastrnn._native import core

DOCS = Path(__file__).parents[2] / "docs"
CELLS = [cell["name"] for cell in core.cells()]


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def code(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page(name), flags=re.MULTILINE | re.DOTALL)


def test_every_cell_has_a_row_and_a_page() -> None:
    for name in CELLS:
        (target,) = re.findall(rf"^\|[^|]*`{name}`[^|]*\]\((\S+)\) \|", page("cells.md"), re.M)
        assert f"autofunction:: fastrnn.functional.{name}\n" in page(target)
        for end in ("", "_forward", "_backward"):
            assert f"autofunction:: fastrnn.ops.{name}{end}\n" in page(target)
            assert hasattr(ops, name + end)


def test_every_class_has_a_page() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "cells").glob("*.md"))
    for name in fastrnn.nn.__all__:
        assert pages.count(f"autoclass:: fastrnn.nn.{name}\n") == 1, name


def test_pictures_are_what_the_script_draws() -> None:
    drawn = runpy.run_path(str(DOCS / "diagrams" / "draw.py"))["pictures"]()
    committed = {path.stem: path for path in (DOCS / "images" / "cells").iterdir()}
    assert drawn.keys() == committed.keys()
    for name, picture in drawn.items():
        assert committed[name].read_text(encoding="utf-8") == picture, name


def test_a_line_that_is_no_picture() -> None:
    read = runpy.run_path(str(DOCS / "diagrams" / "draw.py"))["read"]
    with pytest.raises(ValueError, match="neither a thing nor a wire"):
        read("[cell]\nport h 0 0\nh --\n")


def test_examples_of_regularizers() -> None:
    text = "\n".join(block for block in code("regularizers.md", "python") if ">>>" in block)
    example = doctest.DocTestParser().get_doctest(text, {}, "regularizers.md", None, None)
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


def test_regularizers_in_words_of_torch() -> None:
    example: dict[str, Any] = {"torch": torch}
    exec(next(text for text in code("regularizers.md", "python") if "def plain" in text), example)
    rates = {"zoneout": (0.15, 0.5), "recurrent_dropout": 0.2, "weight_drop": 0.3}
    layer = fastrnn.nn.LSTM(3, 5, **rates)
    x = torch.randn(7, 4, 3)
    torch.manual_seed(3)
    y, (h_n, c_n) = layer(x)
    torch.manual_seed(3)
    expected = example["plain"](layer, x, torch.zeros(4, 5), torch.zeros(4, 5))
    for ours, theirs in zip((y, h_n[0], c_n[0]), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_added_cell_agrees_with_itself() -> None:
    """The page's oracle, its backward, and its step of torch's operations."""
    blocks = code("adding-a-cell.md", "python")
    oracle: dict[str, Any] = {"np": np, **vars(reference), "_math": reference._math}
    exec("from __future__ import annotations\n" + one(blocks, "def mgu_step("), oracle)
    steps: dict[str, Any] = {"torch": torch, "linear": torch.nn.functional.linear}
    steps["_scaled"] = lambda h, scale: h if scale is None else h * scale
    exec("from __future__ import annotations\n" + one(blocks, "def _mgu("), steps)
    torch.manual_seed(0)
    shapes = ((2, 3), (2, 4), (8, 3), (8, 4), (8,), (8,))
    x, h, *weights = (torch.randn(*s, dtype=torch.float64).requires_grad_() for s in shapes)
    gates = torch.nn.functional.linear(x, weights[0], weights[2])
    (after,) = steps["_mgu"](gates, (h,), weights[1], weights[3], None, None)
    arrays = [w.detach().numpy() for w in (x, h, *weights)]
    params = reference.Params(*arrays[2:])
    (expected,) = oracle["mgu_step"](arrays[0], (arrays[1],), params)
    np.testing.assert_allclose(after.detach().numpy(), expected, rtol=0, atol=1e-14)
    grad = torch.randn_like(after)
    found = torch.autograd.grad(after, (x, h, *weights), grad)
    d_x, (d_h,), d_params = oracle["mgu_step_backward"](
        arrays[0], (arrays[1],), params, (grad.numpy(),)
    )
    for ours, theirs in zip((d_x, d_h, *d_params[:4]), found, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-13)


def one(blocks: list[str], start: str) -> str:
    (found,) = (block for block in blocks if start in block)
    return found
