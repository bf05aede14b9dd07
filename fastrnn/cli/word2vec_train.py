"""``fastrnn word2vec train``."""

from __future__ import annotations

import os
import time
from enum import Enum
from typing import Annotated

import typer

from fastrnn.cli.word2vec import word2vec
from fastrnn.cli.word2vec_files import STDIN, Kind, one_line_errors, save, spooled


class Architecture(str, Enum):
    """What predicts what."""

    cbow = "cbow"
    skipgram = "skip-gram"


class Compat(str, Enum):
    """Whose details to follow where implementations differ."""

    fastrnn = "fastrnn"
    original = "word2vec.c"
    gensim = "gensim"


@word2vec.command()
def train(
    text: Annotated[
        str,
        typer.Argument(help="Text, one sentence a line: a file (also packed), a folder, or -."),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="Where the vectors go; - is stdout.")
    ],
    kind: Annotated[
        Kind | None, typer.Option("--format", help="Of the output; default: by its ending.")
    ] = None,
    architecture: Annotated[
        Architecture, typer.Option(help="Context predicts word, or word predicts word.")
    ] = Architecture.cbow,
    hs: Annotated[bool, typer.Option(help="Hierarchical softmax.")] = False,
    negative: Annotated[
        int | None,
        typer.Option(min=0, help="Negative samples; default: 5, but 0 with --hs."),
    ] = None,
    size: Annotated[int, typer.Option(min=1, help="Dimensions.")] = 100,
    window: Annotated[int, typer.Option(min=1, help="Words of context to each side.")] = 5,
    min_count: Annotated[int, typer.Option(min=0, help="Rarer words are left out.")] = 5,
    max_words: Annotated[
        int | None, typer.Option(min=1, help="Only the most frequent words; default: all.")
    ] = None,
    sample: Annotated[
        float, typer.Option(min=0, help="Threshold above which frequent words are thinned.")
    ] = 1e-3,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the text.")] = 5,
    alpha: Annotated[
        float | None,
        typer.Option(help="Learning rate at the start; default: 0.05 CBOW, 0.025 skip-gram."),
    ] = None,
    min_alpha: Annotated[float, typer.Option(help="Learning rate at the end.")] = 1e-4,
    seed: Annotated[int, typer.Option(help="Of all random numbers.")] = 1,
    threads: Annotated[int, typer.Option(min=0, help="0: one a core.")] = 0,
    deterministic: Annotated[
        bool, typer.Option(help="The same bits whatever the number of threads; slower.")
    ] = False,
    compat: Annotated[
        Compat, typer.Option(help="Whose details to follow where implementations differ.")
    ] = Compat.fastrnn,
    model: Annotated[
        str | None, typer.Option(help="Also save the whole model here, to train it further.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Train word vectors.

    The output's ending says how it is written: .bin is word2vec's binary format, .fastrnn our own,
    anything else text; .gz and the like pack it.  It appears when it is complete: Ctrl-C leaves
    an old file as it was.
    """
    with one_line_errors(writing=output):
        from fastrnn.cli.word2vec_progress import Bar
        from fastrnn.word2vec import Word2Vec

        _check_target(output)
        start = time.perf_counter()

        def begin(model: Word2Vec) -> None:
            if not quiet:
                typer.echo(
                    f"{model.corpus_total_words:,} words of text, {len(model.wv):,} in the "
                    f"vocabulary, read in {time.perf_counter() - start:.1f} s",
                    err=True,
                )

        cbow = architecture is Architecture.cbow
        with Bar(not quiet, begin) as bar, spooled(text) as name:
            trained = Word2Vec(
                corpus_file=name,
                callbacks=[bar],
                vector_size=size,
                window=window,
                min_count=min_count,
                max_final_vocab=max_words,
                sample=sample,
                epochs=epochs,
                alpha=(0.05 if cbow else 0.025) if alpha is None else alpha,
                min_alpha=min_alpha,
                seed=seed,
                workers=threads or os.cpu_count() or 1,
                sg=0 if cbow else 1,
                hs=int(hs),
                negative=(0 if hs else 5) if negative is None else negative,
                deterministic=deterministic,
                compat=None if compat is Compat.fastrnn else compat.value,
            )
        save(trained.wv, output, kind)
        if model:
            trained.save(model)
        if not quiet:
            where = "stdout" if output == STDIN else output
            typer.echo(
                f"trained in {trained.total_train_time:.1f} s; vectors are in {where}", err=True
            )


def _check_target(output: str) -> None:
    """Hours of training should not end at a folder that is not there."""
    folder = os.path.dirname(output) or "."  # noqa: PTH120
    if output != STDIN and not os.path.isdir(folder):  # noqa: PTH112
        raise FileNotFoundError(f"there is no folder {folder!r} to write {output!r} to")
