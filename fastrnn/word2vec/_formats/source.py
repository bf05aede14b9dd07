"""A file that gives out arrays: read into memory, or mapped."""

from __future__ import annotations

import contextlib
import mmap as mapping
import os
import stat
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrnn.word2vec._formats.aligned import aligned_empty

_MODES: dict[object, str | None] = {False: None, None: None, True: "r", "r": "r", "c": "c"}


@contextlib.contextmanager
def open_arrays(path: str, mmap: bool | str | None) -> Iterator[ArraySource]:
    """Open a file to read arrays from; ``mmap`` as in ``read_arrays``."""
    try:
        mode = _MODES[mmap]
    except (KeyError, TypeError):
        raise ValueError(f"mmap must be None, 'r' or 'c', not {mmap!r}") from None
    with Path(path).open("rb", buffering=0) as file:
        yield ArraySource(file, path, mode)


class ArraySource:
    """Bytes and arrays at given places of a regular file whose size is known.

    Callers check places against ``size`` first; a file that shrinks meanwhile raises
    ``ValueError`` when read.  (One that shrinks while mapped is beyond what Python can catch:
    replace such files by renaming, as this package does.)
    """

    def __init__(self, file: FileIO, name: str, mode: str | None) -> None:
        self._file, self._name = file, name
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{name!r} is not a regular file")
        self.size = status.st_size
        self._map: mapping.mmap | None = None
        if mode and self.size:  # the map stays for as long as arrays of it are in use
            access = mapping.ACCESS_READ if mode == "r" else mapping.ACCESS_COPY
            self._map = mapping.mmap(file.fileno(), 0, access=access)

    def bytes(self, offset: int, count: int) -> bytes:
        self._file.seek(offset)
        parts = []
        while count:
            part = self._file.read(count)
            if not part:
                raise self._shrunk(offset)
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def array(self, offset: int, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        if not count:
            return np.empty(0, dtype=dtype)
        if self._map is not None:
            return np.frombuffer(self._map, dtype=dtype, count=count, offset=offset)
        array = aligned_empty(count, dtype)
        self._file.seek(offset)
        rest = array.view(np.uint8).data
        while len(rest):
            done = self._file.readinto(rest)
            if not done:
                raise self._shrunk(offset)
            rest = rest[done:]
        return array

    def _shrunk(self, offset: int) -> ValueError:
        return ValueError(f"{self._name!r} ended while it was read (after byte {offset})")
