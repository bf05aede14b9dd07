"""The typer application: commands register here, their work is in modules of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from fastrnn.cli import hint, needed

app = typer.Typer(
    name="fastrnn",
    help="Fused recurrent layers and word vectors: see them at work, use and measure them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def fail(message: str, code: int = 1) -> typer.Exit:
    """Print an error in one piece; raise what comes back."""
    Console(stderr=True).print(f"[bold red]error:[/] {message}", highlight=False)
    return typer.Exit(code)


@contextmanager
def friendly_errors() -> Iterator[None]:
    """A missing package or compiled module, or Ctrl-C, ends in one line instead of a traceback."""
    try:
        yield
    except ImportError as error:
        if missing := needed(error):
            raise fail(hint(missing)) from error
        if error.name in ("fastrnn._core", "torch"):
            raise fail(str(error)) from error
        raise
    except KeyboardInterrupt as error:
        Console(stderr=True).print("stopped")
        raise typer.Exit(130) from error


# The commands import `app`, so they come last.
from fastrnn.cli import bench, demo, info, word2vec  # noqa: E402, F401
