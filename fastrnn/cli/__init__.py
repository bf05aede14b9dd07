"""The command line: ``fastrnn demo``, ``fastrnn info``, ``fastrnn bench``.

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


def main() -> None:
    """Entry point of the ``fastrnn`` script."""
    try:
        from fastrnn.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        sys.exit(hint(error.name))
    app()
