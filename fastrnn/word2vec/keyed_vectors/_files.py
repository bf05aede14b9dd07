"""KeyedVectors to and from files, and to and from gensim."""

from __future__ import annotations

import importlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from fastrnn.word2vec._formats.aligned import padded_storage, padded_stride
from fastrnn.word2vec._formats.container import Container, read_arrays, write_arrays
from fastrnn.word2vec._formats.word2vec_reader import read_counts, read_word2vec
from fastrnn.word2vec._formats.word2vec_writer import write_counts, write_word2vec
from fastrnn.word2vec.keyed_vectors._attributes import Attributes

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger(__name__)

KIND = "keyed_vectors"
_ATTRIBUTE = "vecattr:"
_UNSET = "unset:"


class Files(Attributes):
    """Saving, loading and converting."""

    def save(self, fname: str | os.PathLike[str]) -> None:
        """Write everything to one file in fastrnn's own format; a file there before is replaced.

        The old file stays whole until the new one is on the disk.  Attributes of keys must be
        numbers, booleans or strings (``TypeError``).
        """
        self.allocate_vecattrs()
        size = len(self)
        storage = self._storage
        if storage.shape != (size, padded_stride(self.vector_size)):
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

    def save_word2vec_format(
        self,
        fname: str | os.PathLike[str],
        fvocab: str | os.PathLike[str] | None = None,
        binary: bool = False,
        total_vec: int | None = None,
        write_header: bool = True,
        prefix: str = "",
        append: bool = False,
        sort_attr: str = "count",
        style: str = "gensim",
    ) -> None:
        """Write word2vec's text or binary format; .gz, .bz2, .xz and .zst are compressed.

        Args:
            fname: the file; it is replaced at once when all is written.
            fvocab: a file for words and counts besides.
            binary: binary rather than text.
            total_vec: what the first line says instead of the number of keys.
            write_header: whether there is a first line (GloVe's files have none).
            prefix: put before each word.
            append: write at the end of a file that exists.
            sort_attr: the order is by this attribute, falling, if there is such.
            style: "gensim" (the default) writes the very bytes that gensim 4.4 does,
                "word2vec.c" those of the original program.
        """
        if len(self) != len(self.vectors):
            raise ValueError(f"{len(self)} keys but {len(self.vectors)} vectors")
        order = None
        if sort_attr in self.expandos:
            values = self.expandos[sort_attr]
            order = np.argsort(-values, kind="stable") if values.dtype != object else None
        elif fvocab is not None:
            raise ValueError(
                f"Cannot store vocabulary with '{sort_attr}' because that attribute does not exist"
            )
        if fvocab is not None:
            places = range(len(self)) if order is None else order.tolist()
            words = [self.index_to_key[place] for place in places]
            counts = [self.expandos[sort_attr][place] for place in places]
            write_counts(fvocab, words, counts, prefix=prefix, append=append)
        write_word2vec(
            fname,
            self.index_to_key,
            self.vectors,
            order=order,
            binary=binary,
            style=style,
            header=write_header,
            total=total_vec,
            prefix=prefix,
            append=append,
        )

    @classmethod
    def load_word2vec_format(
        cls,
        fname: str | os.PathLike[str],
        fvocab: str | os.PathLike[str] | None = None,
        binary: bool = False,
        encoding: str = "utf8",
        unicode_errors: str = "strict",
        limit: int | None = None,
        datatype: DTypeLike = np.float32,
        no_header: bool = False,
    ) -> Self:
        """Read word2vec's text or binary format, or GloVe's text with ``no_header``.

        Args:
            fname: the file; .gz, .bz2, .xz and .zst are decompressed.
            fvocab: a file of words and counts; without one, counts fall from the number of words
                to 1, as gensim makes them up.
            binary: binary rather than text.
            encoding: of the words.
            unicode_errors: "strict", "ignore" or "replace", for words that are not in it
                (word2vec.c cuts long words within a character).
            limit: how many words to read at most.
            datatype: floating-point type of the vectors.
            no_header: the first line is already a word; words may then contain spaces.

        Of a word that comes twice the first vector stays.  Raises ``EOFError`` for a truncated
        file, ``ValueError`` (of which ``UnicodeDecodeError`` is one) for a damaged one.
        """
        counts = None
        if fvocab is not None:
            counts = read_counts(fvocab, unicode_errors=unicode_errors)
        found = read_word2vec(
            fname,
            binary=binary,
            encoding=encoding,
            unicode_errors=unicode_errors,
            limit=limit,
            datatype=datatype,
            no_header=no_header,
        )
        new: Self = cls._from_parts(found.words, found.storage, found.vector_size)
        if counts is None:
            values = found.announced - np.arange(len(found.words), dtype=np.int64)
        else:
            missing = [word for word in found.words if word not in counts]
            if missing:
                logger.warning(
                    "vocabulary file is incomplete: %d words are missing, such as '%s'",
                    len(missing),
                    missing[0],
                )
            values = np.array([counts.get(word, 0) for word in found.words], dtype=np.int64)
        new.expandos["count"] = values
        return new

    def intersect_word2vec_format(
        self,
        fname: str | os.PathLike[str],
        lockf: float = 0.0,
        binary: bool = False,
        encoding: str = "utf8",
        unicode_errors: str = "strict",
    ) -> None:
        """Take over the vectors that a file in word2vec's format has for keys that are here.

        ``lockf`` becomes the factor on what later training adds to them (``vectors_lockf``): 0
        keeps them as they are, 1 trains them on.
        """
        found = read_word2vec(
            fname, binary=binary, encoding=encoding, unicode_errors=unicode_errors
        )
        if found.vector_size != self.vector_size:
            raise ValueError(
                f"incompatible vector size {found.vector_size} in file {os.fspath(fname)}"
            )
        if not self.vectors.flags.writeable:
            raise ValueError("the vectors are mapped read-only: load them with mmap=None")
        pairs = [
            (self.key_to_index[word], place)
            for place, word in enumerate(found.words)
            if word in self.key_to_index
        ]
        ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        self.vectors[ours] = found.storage[theirs, : self.vector_size]
        if len(self.vectors_lockf) != len(self):
            self.vectors_lockf = np.full(len(self), self.vectors_lockf[0], np.float32)
        self.vectors_lockf[ours] = lockf
        self.norms = None
        logger.info("merged %d vectors from %s", len(pairs), fname)

    def to_gensim(self) -> Any:
        """A ``gensim.models.KeyedVectors`` of copies of everything; needs gensim 4."""
        try:
            keyedvectors: Any = importlib.import_module("gensim.models.keyedvectors")
        except ImportError as error:
            raise ImportError(
                "to_gensim needs the package gensim. Install it with `pip install gensim`.",
                name="gensim",
            ) from error
        other = keyedvectors.KeyedVectors(self.vector_size, dtype=self.vectors.dtype)
        other.index_to_key = list(self.index_to_key)
        other.key_to_index = dict(self.key_to_index)
        other.vectors = self.vectors.copy()
        other.expandos = {attr: values.copy() for attr, values in self.expandos.items()}
        other.next_index = self.next_index
        return other

    @classmethod
    def from_gensim(cls, other: Any) -> Self:
        """From a ``gensim.models.KeyedVectors`` (or anything shaped like it), by copying."""
        vectors = np.asarray(other.vectors)
        storage = padded_storage(len(vectors), vectors.shape[1], vectors.dtype)
        storage[:, : vectors.shape[1]] = vectors
        new: Self = cls._from_parts(list(other.index_to_key), storage, vectors.shape[1])
        new.expandos = {attr: np.array(values) for attr, values in other.expandos.items()}
        return new
