"""``fastrnn word2vec similar``, ``analogy``, ``evaluate``, ``convert``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from fastrnn.cli.word2vec import word2vec
from fastrnn.cli.word2vec_files import STDIN, Kind, failure, load, one_line_errors, save

Vectors = Annotated[
    str, typer.Argument(help="Vectors: text, .bin or our own format, also packed; - is stdin.")
]
Format = Annotated[
    Kind | None, typer.Option("--format", help="Of the vectors; default: by name and content.")
]
Count = Annotated[int, typer.Option("--count", "-n", min=1, help="How many words to print.")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Read only that many vectors; default: all.")
]


def _print(found: Iterable[tuple[str, float]]) -> None:
    for word, score in found:
        typer.echo(f"{word}\t{score:.4f}")


@word2vec.command()
def similar(
    vectors: Vectors,
    words: Annotated[
        list[str] | None, typer.Argument(help="Words; none: one a line from stdin.")
    ] = None,
    count: Count = 10,
    kind: Format = None,
    limit: Limit = None,
) -> None:
    """Print the nearest words of each word, with their cosine similarity."""
    with one_line_errors():
        if not words and vectors == STDIN:
            raise failure("vectors and words cannot both come from stdin", 2)
        known = load(vectors, kind, limit)
        asked = words or [line.strip() for line in sys.stdin if line.strip()]
        for number, word in enumerate(asked):
            if len(asked) > 1:
                typer.echo(f"{chr(10) if number else ''}{word}:")
            _print(known.most_similar(word, topn=count))


@word2vec.command()
def analogy(
    vectors: Vectors,
    a: Annotated[str, typer.Argument(help="This word ...")],
    b: Annotated[str, typer.Argument(help="... is to this one ...")],
    c: Annotated[str, typer.Argument(help="... as this one is to what?")],
    count: Count = 10,
    kind: Format = None,
    limit: Limit = None,
) -> None:
    """Print what is to C as B is to A: the words nearest to B - A + C."""
    with one_line_errors():
        _print(load(vectors, kind, limit).most_similar([b, c], [a], topn=count))


@word2vec.command()
def evaluate(
    vectors: Vectors,
    questions: Annotated[
        str | None,
        typer.Option(help="Analogies: lines of four words, sections begin with a colon."),
    ] = None,
    pairs: Annotated[
        list[str] | None,
        typer.Option(help="Word pairs with people's similarity, by tabs; repeatable."),
    ] = None,
    restrict: Annotated[
        int, typer.Option(min=1, help="Only that many most frequent words take part in analogies.")
    ] = 30_000,
    kind: Format = None,
    limit: Limit = None,
) -> None:
    """Measure vectors against analogies and against similarities that people gave."""
    with one_line_errors():
        if not (questions or pairs):
            raise failure("evaluate needs --questions or --pairs", 2)
        known = load(vectors, kind, limit)
        if questions:
            _, sections = known.evaluate_word_analogies(questions, restrict_vocab=restrict)
            for section in sections:
                _print_section(section)
        for path in pairs or ():
            pearson, spearman, unknown = known.evaluate_word_pairs(path)
            typer.echo(
                f"{path}: Spearman {spearman[0]:.4f}, Pearson {pearson[0]:.4f}, "
                f"{unknown:.1f} % of the pairs left out"
            )


def _print_section(section: dict[str, Any]) -> None:
    right, wrong = len(section["correct"]), len(section["incorrect"])
    if right + wrong:
        share = right / (right + wrong)
        typer.echo(f"{section['section']}: {share:.2%} ({right} of {right + wrong})")


@word2vec.command()
def convert(
    source: Vectors,
    target: Annotated[str, typer.Argument(help="Where the vectors go; - is stdout.")],
    source_format: Annotated[
        Kind | None, typer.Option("--from", help="Default: by name and content.")
    ] = None,
    target_format: Annotated[
        Kind | None, typer.Option("--to", help="Default: by the target's ending.")
    ] = None,
    limit: Limit = None,
) -> None:
    """Rewrite vectors in another format: txt, bin (both word2vec's) or native.

    By the endings: .bin is binary, .fastrnn native, anything else text; .gz and the like pack it.
    The target appears when it is complete.
    """
    with one_line_errors(writing=target):
        save(load(source, source_format, limit), target, target_format)
