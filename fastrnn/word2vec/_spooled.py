"""Sources that can be read only once, kept in temporary files for a second pass."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from fastrnn.word2vec._inputs import Lists, Text
from fastrnn.word2vec._list_scan import Spool
from fastrnn.word2vec._text_files import open_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1 << 20


@contextmanager
def rereadable(source: Text | Lists) -> Iterator[Text | Lists]:
    """The source, or a copy of it that can be read twice."""
    if source.rereadable:
        yield source
    elif isinstance(source, Lists):
        spool = Spool(source)
        try:
            yield Lists(spool)
        finally:
            spool.close()
    else:
        with tempfile.TemporaryFile() as file:
            if source.stream is not None:
                _copy(source.stream, file)
            for path in source.paths:
                with open_text(path) as stream:
                    _copy(stream, file)
            file.seek(0)
            yield replace(source, paths=(), stream=file)


def _copy(stream: IO[Any], file: IO[bytes]) -> None:
    last = b"\n"
    while block := stream.read(_BLOCK):
        last = block.encode("utf-8") if isinstance(block, str) else block
        file.write(last)
    if not last.endswith(b"\n"):  # a file's end ends its line
        file.write(b"\n")


def rewind(source: Text | Lists) -> Text | Lists:
    """Before the second pass."""
    if isinstance(source, Text) and source.stream is not None:
        source.stream.seek(0)
    return source
