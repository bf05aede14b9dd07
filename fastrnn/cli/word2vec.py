"""``fastrnn word2vec``: train word vectors and use them; also takes word2vec.c's own flags."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from fastrnn.cli.app import app
from fastrnn.cli.word2vec_original import original


class OriginalFlags(TyperGroup):
    """Hands ``fastrnn word2vec -train TEXT ...`` to the command that reads the original's flags."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0][:1] == "-" and args[0][1:2].isalpha() and len(args[0]) > 2:
            args = ["original", "--", *args]
        return super().parse_args(ctx, args)


word2vec = typer.Typer(
    cls=OriginalFlags,
    no_args_is_help=True,
    help="Word vectors: train them on text, ask them, convert them.",
    epilog="The flags of the original word2vec work too: fastrnn word2vec -train text.txt "
    "-output vectors.bin -cbow 1 -hs 1 -negative 0 -size 200 -binary 1.",
)
app.add_typer(word2vec, name="word2vec")
word2vec.command(hidden=True, context_settings={"ignore_unknown_options": True})(original)

# The commands import `word2vec`, so they come last.
from fastrnn.cli import word2vec_query, word2vec_train  # noqa: E402, F401
