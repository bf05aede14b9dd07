"""The README's table of what works when you swap: each row has a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def rows() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## What works when you swap")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("row", rows())
def test_row_is_backed_by_a_test(row: str) -> None:
    named = re.findall(r"`(?:(\w+)/)?(\w+\.py)::(test_\w+)`", row.split("|")[3])
    assert named, row
    for folder, file, function in named:
        source = (ROOT / "tests" / (folder or "nn") / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {function}\(", source, flags=re.MULTILINE), f"{file}::{function}"


def test_there_are_rows() -> None:
    assert len(rows()) >= 15
