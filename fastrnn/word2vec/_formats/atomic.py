"""Replacing a file all at once: written beside it, flushed to the disk, then renamed over it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_BUFFER = 1 << 20


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write that becomes ``path`` when the block ends without an exception.

    Until then a file already at ``path`` stays whole, and if anything fails (a full disk, Ctrl-C,
    an error of the caller's) it stays for good and the half-written one beside it is removed.
    What is written reaches the disk before the name does (``fsync``).  A symbolic link stays a
    link; an existing file's permission bits are kept.  What is not a regular file (a device, a
    pipe, ``/dev/stdout``) is written directly.
    """
    given = Path(path)
    target = Path(os.path.realpath(path))
    if given.is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a directory")
    # Where /dev/stdout is a pipe or a file deleted since, its real path is a name of nothing.
    if given.exists() and not (given.is_file() and target.exists()):
        with given.open("wb") as file:
            yield file
        return
    beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.tmp")
    # os.open, unlike tempfile, lets the umask decide who may read the file.
    descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "w+b", buffering=_BUFFER) as file:
            if target.exists():
                os.fchmod(descriptor, target.stat().st_mode & 0o777)
            yield file
            file.flush()
            os.fsync(descriptor)
        beside.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    _sync_directory(target.parent)


def _sync_directory(path: Path) -> None:
    """Makes the new name last; file systems that cannot are left to their own timing."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
