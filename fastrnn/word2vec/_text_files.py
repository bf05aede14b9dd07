"""Opening text files: plain, or compressed with gzip, bzip2, xz or Zstandard."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import stat
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPRESSED = (".gz", ".bz2", ".xz", ".lzma", ".zst")


def is_compressed(path: str) -> bool:
    """Whether the name says so, as for gensim."""
    return path.lower().endswith(COMPRESSED)


def is_plain(path: str) -> bool:
    """Whether the file can be read at any position: a regular file, not compressed."""
    return not is_compressed(path) and stat.S_ISREG(Path(path).stat().st_mode)


def _open_zstandard(file: IO[bytes]) -> IO[bytes]:
    try:  # Python 3.14 on
        zstd: Any = importlib.import_module("compression.zstd")
        return cast("IO[bytes]", zstd.ZstdFile(file))
    except ModuleNotFoundError:
        pass
    try:
        zstd = importlib.import_module("zstandard")
    except ModuleNotFoundError as error:
        raise ImportError(
            "reading .zst files needs the package zstandard (Python before 3.14). Install it with "
            "`pip install fastrnn[word2vec]`.",
            name="zstandard",
        ) from error
    return cast("IO[bytes]", io.BufferedReader(_ZstandardReader(file, zstd), 1 << 20))


class _ZstandardReader(io.RawIOBase):
    """All frames of a file; the package's own reader takes a truncated file for a whole one."""

    def __init__(self, file: IO[bytes], zstd: Any) -> None:
        self._file, self._zstd = file, zstd
        self._frame: Any = None
        self._waiting = b""  # compressed
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._waiting or self._file.read(1 << 17)
            self._waiting = b""
            if not data:
                if self._frame is not None:
                    raise EOFError("the file ends amid a frame")
                return 0
            if self._frame is None:
                self._frame = self._zstd.ZstdDecompressor().decompressobj()
            self._ready = memoryview(self._frame.decompress(data))
            if self._frame.eof:
                self._waiting, self._frame = self._frame.unused_data, None
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size


def decompressor(file: IO[bytes], path: str) -> IO[bytes]:
    """The decompressed content of ``file``, an open file of that name."""
    name = path.lower()
    if name.endswith(".gz"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if name.endswith(".bz2"):
        return cast("IO[bytes]", bz2.BZ2File(file))
    if name.endswith((".xz", ".lzma")):
        return cast("IO[bytes]", lzma.LZMAFile(file))
    if name.endswith(".zst"):
        return _open_zstandard(file)
    return file


def _is_broken_file(error: Exception) -> bool:
    """Whether a decompressor raised this because of what it read."""
    if isinstance(error, (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)):
        return True
    if isinstance(error, OSError):  # bz2: a bare OSError without a number
        return error.errno is None
    return type(error).__name__ in {"ZstdError", "ZstdException"}


@contextmanager
def named_errors(path: str) -> Iterator[None]:
    """Turns what decompressors raise into an ``OSError`` that names the file."""
    try:
        yield
    except Exception as error:
        if not (is_compressed(path) and _is_broken_file(error)):
            raise
        raise OSError(f"{path}: damaged or truncated compressed file ({error})") from error


@contextmanager
def open_text(path: str) -> Iterator[IO[bytes]]:
    """The file's content as bytes, decompressed by its name's ending."""
    with named_errors(path), Path(path).open("rb") as file:
        reader = decompressor(file, path)
        try:
            yield reader
        finally:
            if reader is not file:
                reader.close()


def decode_line(line: bytes, name: str, offset: int) -> str:
    """UTF-8 text; an error says which file and where."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = line[error.start : max(error.end, error.start + 1)]
        raise undecodable(bad, name, offset + error.start) from None


def undecodable(bad: bytes, name: str, offset: int) -> UnicodeDecodeError:
    """The error for bytes that are no UTF-8, ``bad`` being the first of them."""
    end, reason = 1, "invalid bytes"
    try:
        bad.decode("utf-8")
    except UnicodeDecodeError as error:
        end, reason = max(error.end, 1), error.reason
    where = f'{reason}, at byte {offset:,} of {name}; errors="replace" or "ignore" reads on'
    return UnicodeDecodeError("utf-8", bad, 0, end, where)
