"""Opening vector files to read and write; compressed by the ending of their name."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import importlib
import io
import lzma
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from fastrnn.word2vec._formats.atomic import replacing
from fastrnn.word2vec._text_files import decompressor, is_compressed, named_errors

_BUFFER = 1 << 20


class Reader:
    """A buffered file that knows its name and, if it is a plain file, its length."""

    def __init__(self, file: IO[bytes], name: str, size: int | None) -> None:
        self._file, self.name, self.size = file, name, size
        self.position = 0

    def read(self, count: int) -> bytes:
        try:
            data = self._file.read(count)
        except Exception:
            with named_errors(self.name):
                raise
        self.position += len(data)
        return data

    def readline(self, most: int) -> bytes:
        """The next line; ``ValueError`` if it is longer than ``most`` bytes."""
        try:
            line = self._file.readline(most + 1)
        except Exception:
            with named_errors(self.name):
                raise
        if len(line) > most:
            raise self.wrong(f"a line of more than {most} bytes")
        self.position += len(line)
        return line

    @property
    def left(self) -> int | None:
        """Bytes to come, where that can be known."""
        return None if self.size is None else self.size - self.position

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"{self.name!r}: {what}, at byte {self.position}")

    def ended(self, what: str) -> EOFError:
        return EOFError(
            f"{self.name!r}: unexpected end of input at byte {self.position}; {what}; "
            "is count incorrect or file otherwise damaged?"
        )


@contextlib.contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[Reader]:
    """Open a file to read, decompressing .gz, .bz2, .xz and .zst."""
    name = os.fspath(path)
    with Path(name).open("rb", buffering=_BUFFER) as file:
        status = os.fstat(file.fileno())
        packed = is_compressed(name)
        plain = stat.S_ISREG(status.st_mode) and not packed
        if packed:
            raw = decompressor(file, name)
            unpacked = cast(IO[bytes], io.BufferedReader(cast(Any, raw), _BUFFER))
        else:
            unpacked = file
        yield Reader(unpacked, name, status.st_size if plain else None)


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], *, append: bool = False) -> Iterator[BinaryIO]:
    """Open a file to write, compressing as ``reading`` decompresses.

    A new file replaces the old one only when it is whole.  With ``append``, what fails is cut
    off again, so that the old content stays as it was.
    """
    with _appending(path) if append else replacing(path) as file:
        packer = _compressor(file, os.fspath(path).lower())
        if packer is file:
            yield file
            return
        try:
            yield packer
        except BaseException:
            # Now, not when it is collected: it would write its last bytes after all is put right.
            with contextlib.suppress(Exception):
                packer.close()
            raise
        packer.close()


@contextlib.contextmanager
def _appending(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    before = None
    try:
        with Path(path).open("ab", buffering=_BUFFER) as file:
            before = file.tell() if file.seekable() else None
            yield file
            file.flush()
            if before is not None:
                os.fsync(file.fileno())
    except BaseException:
        if before is not None:  # after closing, which may have written more
            with contextlib.suppress(OSError):
                os.truncate(path, before)
        raise


def _compressor(file: BinaryIO, name: str) -> BinaryIO:
    if name.endswith(".gz"):
        return cast(BinaryIO, gzip.GzipFile("", "wb", 6, file, 0))  # no name, no time: same bytes
    if name.endswith(".bz2"):
        return cast(BinaryIO, bz2.BZ2File(file, "wb"))
    if name.endswith((".xz", ".lzma")):
        kind = lzma.FORMAT_XZ if name.endswith(".xz") else lzma.FORMAT_ALONE
        return cast(BinaryIO, lzma.LZMAFile(file, "wb", format=kind))
    if name.endswith(".zst"):
        return _zstandard(file)
    return file


def _zstandard(file: BinaryIO) -> BinaryIO:
    with contextlib.suppress(ModuleNotFoundError):  # Python 3.14 on
        zstd: Any = importlib.import_module("compression.zstd")
        return cast(BinaryIO, zstd.ZstdFile(file, "wb"))
    try:
        zstd = importlib.import_module("zstandard")
    except ModuleNotFoundError as error:
        raise ImportError(
            "writing .zst files needs the package zstandard (Python before 3.14). Install it with "
            "`pip install fastrnn[word2vec]`.",
            name="zstandard",
        ) from error
    return cast(BinaryIO, zstd.ZstdCompressor().stream_writer(file, closefd=False))
