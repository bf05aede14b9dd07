"""The command line: ``fastrnn demo``, ``info``, ``bench``, ``word2vec``.

It draws with typer, rich and matplotlib, which come with the extra ``demo``; the library itself
needs none of them.
"""

from __future__ import annotations

import sys

#: What the extra brings, by import name.
NEEDED = ("typer", "rich", "matplotlib", "torch")


def hint(missing: str) -> str:
    return (
        f"fastrnn's command line needs {missing}, which is not installed. "
        'Install it with `pip install "fastrnn[demo]"`, from a source checkout with '
        '`pip install ".[demo]"`.'
    )


def needed(error: ImportError) -> str | None:
    """The package of the extra that was missing, if that is what went wrong."""
    package = (error.name or "").partition(".")[0]
    return package if isinstance(error, ModuleNotFoundError) and package in NEEDED else None


def main() -> None:
    """Entry point of the ``fastrnn`` script."""
    try:
        from fastrnn.cli.app import app
    except ModuleNotFoundError as error:
        if (missing := needed(error)) is None:
            raise
        sys.exit(hint(missing))
    app()
