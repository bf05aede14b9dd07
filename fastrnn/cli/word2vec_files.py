"""What the word2vec commands share: files by kind, text from stdin, errors in one line."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fastrnn.cli import needed

if TYPE_CHECKING:
    from fastrnn.word2vec import KeyedVectors

STDIN = "-"
NATIVE_MAGIC = b"\x93fastrnn"
PACKED = (".gz", ".bz2", ".xz", ".zst")


class Kind(str, Enum):
    """How vectors lie in a file."""

    txt = "txt"
    bin = "bin"
    native = "native"


def failure(message: object, code: int = 1) -> typer.Exit:
    """Print an error in one line; raise what comes back."""
    text = " ".join(str(message).split())
    typer.echo(f"error: {text}", err=True)
    return typer.Exit(code)


@contextmanager
def one_line_errors(writing: str | None = None) -> Iterator[None]:
    """What can go wrong with files, settings and words ends in one line, as does Ctrl-C.

    ``writing`` is the file that would have been written: it is written whole or not at all.
    """
    from fastrnn.cli.app import friendly_errors  # which imports the commands, and so this file

    with friendly_errors():
        try:
            yield
        except BrokenPipeError:
            raise  # the reader has seen enough: typer ends without a word
        except KeyboardInterrupt:
            note = f"; nothing was written to {writing}" if writing else ""
            typer.echo(f"stopped{note}", err=True)
            raise typer.Exit(130) from None
        except KeyError as error:  # a word without a vector; str() of it has quotes
            raise failure(error.args[0] if error.args else error) from error
        except ImportError as error:
            if needed(error) or error.name == "fastrnn._core":
                raise
            raise failure(error) from error  # says what to install
        except MemoryError as error:
            raise failure(str(error) or "out of memory") from error
        except (ValueError, TypeError, OSError, EOFError, OverflowError) as error:
            raise failure(error) from error


def kind_by_name(path: str) -> Kind:
    """By the name's ending; ``.gz`` and the like are looked through."""
    name = Path(path)
    while name.suffix in PACKED:
        name = name.with_suffix("")
    return {".bin": Kind.bin, ".fastrnn": Kind.native, ".kv": Kind.native}.get(
        name.suffix, Kind.txt
    )


def kind_of_file(path: str) -> Kind:
    """By the file's first bytes where they tell, else by its name."""
    with Path(path).open("rb") as file:
        if file.read(len(NATIVE_MAGIC)) == NATIVE_MAGIC:
            return Kind.native
    return kind_by_name(path)


@contextmanager
def spooled(path: str) -> Iterator[str]:
    """``path`` itself, or a temporary file with all of stdin where it is ``-``."""
    if path != STDIN:
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="fastrnn-", suffix=".txt") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield file.name


def load(path: str, kind: Kind | None, limit: int | None = None) -> KeyedVectors:
    """Vectors from a file of vectors or of a whole model."""
    from fastrnn.word2vec import KeyedVectors, Word2Vec

    vectors: KeyedVectors
    with spooled(path) as name:
        found = kind or kind_of_file(name)
        if found is not Kind.native:
            vectors = KeyedVectors.load_word2vec_format(name, binary=found is Kind.bin, limit=limit)
        elif _is_model(name):
            vectors = Word2Vec.load(name).wv
        else:
            vectors = KeyedVectors.load(name)
    return vectors


def _is_model(path: str) -> bool:
    """Whether one of our own files has a whole model; its kind is what its header begins with."""
    with Path(path).open("rb") as file:
        return b"word2vec model" in file.read(128)


def save(vectors: Any, path: str, kind: Kind | None) -> None:
    """Write vectors; ``-`` is stdout."""
    if path == STDIN:
        with tempfile.NamedTemporaryFile(prefix="fastrnn-", suffix=".txt") as file:
            save(vectors, file.name, kind)
            with open(file.name, "rb") as written:  # noqa: PTH123 - the first may be replaced
                shutil.copyfileobj(written, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        return
    found = kind or kind_by_name(path)
    if found is Kind.native:
        vectors.save(path)
    else:
        vectors.save_word2vec_format(path, binary=found is Kind.bin)
