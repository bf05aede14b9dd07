"""KeyedVectors to and from files of fastrnn's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec._formats.aligned import padded_storage, padded_stride
from fastrnn.word2vec._formats.container import Container, read_arrays, write_arrays
from fastrnn.word2vec.keyed_vectors._attributes import Attributes

if TYPE_CHECKING:
    from typing_extensions import Self

KIND = "keyed_vectors"
_ATTRIBUTE = "vecattr:"
_UNSET = "unset:"


class Files(Attributes):
    """``save`` and ``load``."""

    def save(self, fname: str | os.PathLike[str]) -> None:
        """Write everything to one file in fastrnn's own format; a file there before is replaced.

        The old file stays whole until the new one is on the disk.  Attributes of keys must be
        numbers, booleans or strings (``TypeError``).
        """
        self.allocate_vecattrs()
        size = len(self)
        storage = self._storage
        shape = (size, padded_stride(self.vector_size))
        if storage.shape != shape or not self._shows_storage():
            storage = padded_storage(size, self.vector_size, self.vectors.dtype)
            storage[:, : self.vector_size] = self.vectors
        # Integer keys are kept apart from words that look the same.
        numbered = [i for i, key in enumerate(self.index_to_key) if not isinstance(key, str)]
        empty = sum(self.index_to_key[i] is None for i in numbered)
        if empty:
            raise ValueError(f"{empty} of {size} rows made room for have no key yet")
        arrays = {
            "storage": storage,
            "integer_keys": np.array(numbered, dtype=np.int64),
            "vectors_lockf": self.vectors_lockf,
        }
        strings = {"keys": [str(key) for key in self.index_to_key]}
        for attr, values in self.expandos.items():
            if values.dtype == object:
                # Zero stands where no string was set; what else is no string is refused below.
                listed = values.tolist()
                unset = [i for i, value in enumerate(listed) if type(value) is int and value == 0]
                for i in unset:
                    listed[i] = ""
                strings[_ATTRIBUTE + attr] = listed
                arrays[_UNSET + attr] = np.array(unset, dtype=np.int64)
            else:
                arrays[_ATTRIBUTE + attr] = values
        write_arrays(fname, {"vector_size": self.vector_size}, arrays, strings, kind=KIND)

    @classmethod
    def load(cls, fname: str | os.PathLike[str], mmap: bool | str | None = None) -> Self:
        """Read what ``save`` wrote.

        ``mmap="r"`` maps the vectors read-only: loading takes no time for them, and processes
        share one copy in memory.  Raises ``ValueError`` for any other or a damaged file.
        """
        name = os.fspath(fname)
        with Path(name).open("rb") as file:
            if file.read(1) == b"\x80":  # a pickle's first byte
                raise ValueError(
                    f"{name!r} is a Python pickle, which fastrnn does not open: load it with the "
                    "program that saved it (gensim?), then use KeyedVectors.from_gensim"
                )
        return cls._from_container(read_arrays(name, mmap, kind=KIND), name)

    @classmethod
    def _from_container(cls, parts: Container, name: str) -> Self:
        keys: list[Any] = list(parts.strings.get("keys", []))
        storage, numbered = parts.arrays.get("storage"), parts.arrays.get("integer_keys")
        vector_size = parts.header.get("vector_size")
        if (
            storage is None
            or numbered is None
            or storage.dtype.kind != "f"
            or numbered.dtype != np.int64
            or numbered.ndim != 1
            or not isinstance(vector_size, int)
            or not 1 <= vector_size <= storage.shape[-1]
            or storage.shape != (len(keys), padded_stride(vector_size))
        ):
            raise ValueError(f"{name!r} does not hold vectors and keys that fit each other")
        try:
            for index in numbered.tolist():
                keys[index] = int(keys[index])
            new: Self = cls._from_parts(keys, storage, vector_size)
        except (IndexError, ValueError) as error:
            raise ValueError(f"{name!r}: {error}") from error
        lock = parts.arrays.get("vectors_lockf")
        if lock is not None and lock.shape in {(1,), (len(keys),)}:
            new.vectors_lockf = np.array(lock, np.float32)
        for key, values in parts.arrays.items():
            if key.startswith(_ATTRIBUTE):
                new.expandos[key[len(_ATTRIBUTE) :]] = np.array(values)
        for key, texts in parts.strings.items():
            if key.startswith(_ATTRIBUTE):
                attr = key[len(_ATTRIBUTE) :]
                values = new.expandos[attr] = np.array(texts, dtype=object)
                unset = parts.arrays.get(_UNSET + attr, np.empty(0, np.int64))
                if (
                    unset.ndim != 1
                    or unset.dtype != np.int64
                    or not np.isin(unset, np.arange(len(texts))).all()
                ):
                    raise ValueError(f"{name!r} misdescribes the attribute {attr!r}")
                values[unset] = 0
        if any(len(np.atleast_1d(values)) != len(keys) for values in new.expandos.values()):
            raise ValueError(f"{name!r} holds attributes that do not fit its keys")
        return new
