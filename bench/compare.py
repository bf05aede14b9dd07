"""Compare two runs: ``python bench/compare.py old.json new.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastrnn.benchmark import compare, runner


def main(
    old: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    new: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
) -> None:
    """Print what became faster or slower, slowest first."""
    before, after = runner.load(old), runner.load(new)
    if before["machine"]["cpu"] != after["machine"]["cpu"]:
        typer.echo("Note: the two runs come from different processors.\n")
    typer.echo(compare.table(before, after))


if __name__ == "__main__":
    typer.run(main)
