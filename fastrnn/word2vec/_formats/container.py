r"""One file of named arrays and lists of strings that can be mapped into memory; no pickle.

Layout (little-endian throughout)::

    0   8 bytes   b"\x93fastrnn"
    8   uint32    version of the layout (1)
    12  uint32    0
    16  uint64    bytes of JSON text
    24  uint64    bytes of the whole file
    32  JSON, UTF-8, then zeros up to the next multiple of 64: here the data starts
        {"kind": str, "header": {...}, "arrays": {name: [dtype, shape, offset]},
         "strings": {name: [count, offset of int64 ends, offset of UTF-8 bytes, bytes]}}
        offsets count from the start of the data and are multiples of 64

Reading checks every size against the file's length before it allocates anything, so that a
truncated or hostile file ends in a ``ValueError`` and costs no more memory than its own size.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from fastrnn.word2vec._formats.aligned import ALIGNMENT
from fastrnn.word2vec._formats.atomic import replacing
from fastrnn.word2vec._formats.source import ArraySource, open_arrays

MAGIC = b"\x93fastrnn"
VERSION = 1
_PREFIX = struct.Struct("<8sIIQQ")
_MAX_JSON = 1 << 26
_MAX_DIMENSIONS = 8
_DTYPE = re.compile(r"\|b1|[|<][iu]1|<[iu][248]|<f[248]")
_WRITE_BLOCK = 1 << 24


class Container(NamedTuple):
    """What ``read_arrays`` returns."""

    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    strings: dict[str, list[str]]


def write_arrays(
    path: str | os.PathLike[str],
    header: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    strings: Mapping[str, Sequence[str]] | None = None,
    *,
    kind: str = "arrays",
) -> None:
    """Write one container file, replacing ``path`` only when all of it is on the disk.

    ``header`` is anything ``json`` can write (NumPy numbers too); ``arrays`` are of booleans,
    integers or floats, any shape and layout; ``strings`` any Python strings.  ``kind`` says what
    the file is for, and ``read_arrays`` can insist on it.  Raises ``TypeError`` for what cannot be
    stored, before anything is written.
    """
    blobs = {name: _pack_strings(name, values) for name, values in (strings or {}).items()}
    pieces: list[tuple[int, NDArray[Any]]] = []
    end = 0

    def place(array: NDArray[Any]) -> int:
        nonlocal end
        offset = end
        pieces.append((offset, array))
        end = offset + -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        return offset

    described: dict[str, Any] = {"kind": kind, "header": dict(header), "arrays": {}, "strings": {}}
    for name, array in arrays.items():
        plain = _storable(name, array)
        described["arrays"][name] = [plain.dtype.str, list(plain.shape), place(plain)]
    for name, (ends, blob) in blobs.items():
        described["strings"][name] = [len(ends), place(ends), place(blob), len(blob)]
    text = json.dumps(described, default=_as_json, separators=(",", ":")).encode("utf-8")
    if len(text) > _MAX_JSON:
        raise ValueError(f"the header takes {len(text)} bytes of JSON, more than {_MAX_JSON}")
    start = _aligned(_PREFIX.size + len(text))
    with replacing(path) as file:
        file.write(_PREFIX.pack(MAGIC, VERSION, 0, len(text), start + end))
        file.write(text)
        file.write(bytes(start - _PREFIX.size - len(text)))
        for _, array in pieces:
            _write_array(file, array)
            file.write(bytes(-array.nbytes % ALIGNMENT))


def read_arrays(
    path: str | os.PathLike[str], mmap: bool | str | None = False, *, kind: str | None = None
) -> Container:
    """Read a container file: ``(header, arrays, strings)``.

    ``mmap="r"`` (or ``True``) maps the arrays read-only, so that processes share one copy of them
    and nothing is read before it is used; ``"c"`` maps them writable without writing to the file.
    Otherwise they are read into memory of their own, aligned to 64 bytes.  With ``kind`` given,
    a file of another kind is refused.

    Raises ``ValueError``, with the file's name and the place, for a file that is no container,
    is truncated, or contradicts itself.
    """
    name = os.fspath(path)
    with open_arrays(name, mmap) as source:
        described, start = _read_description(source, name)
        if kind is not None and described["kind"] != kind:
            raise ValueError(
                f"{name!r} is a fastrnn file of kind {described['kind']!r}, not {kind!r}"
            )
        places = _Places(source, name, start)
        arrays = {key: places.array(key, *entry) for key, entry in described["arrays"].items()}
        strings = {key: places.strings(key, *entry) for key, entry in described["strings"].items()}
    return Container(described["header"], arrays, strings)


def is_container(path: str | os.PathLike[str]) -> bool:
    """Whether the file starts as a container does."""
    with Path(path).open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _as_json(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"the header cannot hold a {type(value).__name__}")


def _storable(name: str, array: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(array)
    little = array.dtype.newbyteorder("<")
    if not _DTYPE.fullmatch(little.str):
        raise TypeError(f"array {name!r} has dtype {array.dtype}, which a container cannot store")
    if array.ndim > _MAX_DIMENSIONS:
        raise TypeError(f"array {name!r} has {array.ndim} dimensions, more than {_MAX_DIMENSIONS}")
    return array if array.dtype == little else array.astype(little)


def _pack_strings(name: str, values: Sequence[str]) -> tuple[NDArray[Any], NDArray[Any]]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"strings {name!r} must be a sequence of str")
    # surrogatepass: whatever a Python string holds comes back as it was.
    encoded = [value.encode("utf-8", "surrogatepass") for value in values]
    lengths = np.fromiter(map(len, encoded), dtype="<i8", count=len(encoded))
    return np.cumsum(lengths, dtype="<i8"), np.frombuffer(b"".join(encoded), dtype=np.uint8)


def _write_array(file: BinaryIO, array: NDArray[Any]) -> None:
    if array.flags.c_contiguous:
        if array.nbytes:
            file.write(array.reshape(-1).view(np.uint8).data)
        return
    # Views (a column range, a reversed matrix) go out in blocks of rows, never copied whole.
    rows = max(1, _WRITE_BLOCK * len(array) // max(1, array.nbytes))
    for first in range(0, len(array), rows):
        file.write(np.ascontiguousarray(array[first : first + rows]).tobytes())


def _read_description(source: ArraySource, name: str) -> tuple[dict[str, Any], int]:
    if source.size < _PREFIX.size:
        raise ValueError(f"{name!r} is not a fastrnn file: it has only {source.size} bytes")
    magic, version, _, length, total = _PREFIX.unpack(source.bytes(0, _PREFIX.size))
    if magic != MAGIC:
        raise ValueError(f"{name!r} is not a fastrnn file: it starts with {magic!r}")
    if version != VERSION:
        raise ValueError(f"{name!r} has layout version {version}; this fastrnn reads {VERSION}")
    if total != source.size:
        raise ValueError(f"{name!r} has {source.size} bytes but says {total}: truncated?")
    if length > min(_MAX_JSON, source.size - _PREFIX.size):
        raise ValueError(f"{name!r}: its header of {length} bytes does not fit (byte 16)")
    try:
        described = json.loads(source.bytes(_PREFIX.size, length).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{name!r}: its header is no JSON (byte {_PREFIX.size}): {error}"
        ) from error
    shapes = {"kind": str, "header": dict, "arrays": dict, "strings": dict}
    if not isinstance(described, dict) or any(
        not isinstance(described.get(key), wanted) for key, wanted in shapes.items()
    ):
        raise ValueError(f"{name!r}: its header lacks kind, header, arrays or strings")
    for key, count in (("arrays", 3), ("strings", 4)):
        for entry, values in described[key].items():
            if not isinstance(values, list) or len(values) != count:
                raise ValueError(f"{name!r}: its header misdescribes {key} {entry!r}")
    return described, _aligned(_PREFIX.size + length)


class _Places:
    """Hands out checked pieces of the data."""

    def __init__(self, source: ArraySource, name: str, start: int) -> None:
        self._source, self._name, self._start = source, name, start
        self._room = source.size - start

    def array(self, key: str, dtype: object, shape: object, offset: object) -> NDArray[Any]:
        if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
            raise self._wrong(key, f"dtype {dtype!r:.40}")
        if (
            not isinstance(shape, list)
            or len(shape) > _MAX_DIMENSIONS
            or not all(_is_size(n) for n in shape)
        ):
            raise self._wrong(key, f"shape {shape!r:.80}")
        # An empty array may claim any other dimensions; NumPy itself limits their product.
        if math.prod(max(n, 1) for n in shape) >= 1 << 62:
            raise self._wrong(key, f"shape {shape!r:.80}")
        kind = np.dtype(dtype)
        count = math.prod(shape)
        place = self._check(key, offset, count * kind.itemsize)
        return self._source.array(place, kind, count).reshape(shape)

    def strings(
        self, key: str, count: object, ends_at: object, blob_at: object, size: object
    ) -> list[str]:
        if not _is_size(count) or not _is_size(size):
            raise self._wrong(key, f"sizes {count!r:.40}, {size!r:.40}")
        ends_place = self._check(key, ends_at, count * 8)
        blob_place = self._check(key, blob_at, size)
        ends = self._source.array(ends_place, np.dtype("<i8"), count)
        if count and (ends[0] < 0 or ends[-1] != size or np.any(ends[1:] < ends[:-1])):
            raise self._wrong(key, "string ends that do not ascend to its size")
        if not count and size:
            raise self._wrong(key, "bytes but no strings")
        return self._decode(key, ends.tolist(), self._source.bytes(blob_place, size))

    def _decode(self, key: str, ends: list[int], blob: bytes) -> list[str]:
        starts = [0, *ends[:-1]]
        if blob.isascii():  # one decoding, then slices
            text = blob.decode("ascii")
            return [text[a:b] for a, b in zip(starts, ends)]
        try:
            return [blob[a:b].decode("utf-8", "surrogatepass") for a, b in zip(starts, ends)]
        except UnicodeDecodeError as error:
            raise self._wrong(key, f"bytes that are no UTF-8 ({error})") from error

    def _check(self, key: str, offset: object, size: int) -> int:
        if not _is_size(offset) or offset % ALIGNMENT:
            raise self._wrong(key, f"offset {offset!r:.40}")
        if size > self._room - offset and size:
            raise self._wrong(key, f"{size} bytes at offset {offset}, beyond its end")
        return self._start + offset

    def _wrong(self, key: str, what: str) -> ValueError:
        return ValueError(f"{self._name!r}: {key!r} has {what} (data starts at byte {self._start})")


def _is_size(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62
