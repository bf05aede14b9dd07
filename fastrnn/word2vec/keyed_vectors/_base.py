"""What every part stands on: the matrix, the keys, and looking one up by the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastrnn.word2vec._formats.aligned import padded_storage
from fastrnn.word2vec._words import PackedWords

Array = NDArray[Any]
KEY_TYPES = (str, int, np.integer)


def norms_of(vectors: Array) -> Array:
    """The Euclidean norm of each row, without a squared copy of the matrix."""
    if vectors.dtype.kind != "f" or vectors.dtype.itemsize < 4:
        vectors = vectors.astype(np.float32)
    squares: Array = np.einsum("ij,ij->i", vectors, vectors)
    if not np.isfinite(squares).all() or (squares < 1e-30).any():
        # Too large or too small to square: scale those rows first.
        scale = np.abs(vectors).max(axis=1, initial=0.0)
        safe = np.where((scale > 0) & np.isfinite(scale), scale, 1).astype(vectors.dtype)
        scaled = vectors / safe[:, None]
        squares = np.einsum("ij,ij->i", scaled, scaled)
        return np.asarray(safe * np.sqrt(squares))
    return np.asarray(np.sqrt(squares))


def divisors(norms: Array) -> Array:
    """Norms to divide by: 1 in place of 0, so that zero vectors stay zero."""
    return np.where(norms == 0, norms.dtype.type(1), norms)


def unit(vector: Array) -> Array:
    """The vector scaled to length 1 in float64; zero stays zero."""
    wide = vector.astype(np.float64)
    length = float(np.linalg.norm(wide))
    return wide / length if length > 0 else wide


class Base:
    """The vectors and their keys."""

    _keys: list[Any] | PackedWords
    _key_to_index: dict[Any, int] | None = None
    expandos: dict[str, Array]

    def __init__(
        self,
        vector_size: int,
        count: int = 0,
        dtype: DTypeLike = np.float32,
        mapfile_path: str | None = None,
    ) -> None:
        if vector_size < 1 or count < 0:
            raise ValueError(
                f"vector_size must be positive and count not negative, not {vector_size}, {count}"
            )
        self.vector_size = int(vector_size)
        self._keys = [None] * count
        self._key_to_index = {}
        self.next_index = 0
        self.expandos = {}
        self.mapfile_path = mapfile_path
        # Factors on what training adds to each row: one for all, or one a word.
        self.vectors_lockf: Array = np.ones(1, np.float32)
        self._storage: Array = padded_storage(count, self.vector_size, dtype)
        self._vectors: Array = self._storage[:, : self.vector_size]
        self.norms: Array | None = None

    @classmethod
    def _from_parts(
        cls,
        words: list[str] | PackedWords,
        storage: Array,
        vector_size: int,
        counts: Sequence[int] | Array | None = None,
        *,
        unique: bool = False,
    ) -> Any:
        """Around ``storage`` [V, stride] itself: ``vectors`` is its first columns, not a copy.

        ``unique``: the caller knows that no word is there twice.
        """
        if storage.ndim != 2 or storage.shape[0] != len(words) or storage.shape[1] < vector_size:
            raise ValueError(
                f"storage of shape {storage.shape} does not hold {len(words)} x {vector_size}"
            )
        self = cls(vector_size, dtype=storage.dtype)
        self._keys = words
        self._key_to_index = None
        if not unique and len(self.key_to_index) != len(words):
            raise ValueError("the same word twice")
        self.next_index = len(words)
        self._storage = storage
        self._vectors = storage[:, :vector_size]
        if counts is not None:
            self.expandos["count"] = np.array(counts, dtype=np.int64)
        return self

    @property
    def index_to_key(self) -> list[Any]:
        """The key of each row; after training on a text, made when first asked for."""
        keys = self._keys
        if isinstance(keys, PackedWords):
            keys = self._keys = list(keys.strings)
        return keys

    @index_to_key.setter
    def index_to_key(self, value: list[Any]) -> None:
        self._keys = value

    @property
    def key_to_index(self) -> dict[Any, int]:
        """The row of each key; made when first asked for, as training has no need of it."""
        if self._key_to_index is None:
            self._key_to_index = {key: index for index, key in enumerate(self.index_to_key)}
        return self._key_to_index

    @key_to_index.setter
    def key_to_index(self, value: dict[Any, int]) -> None:
        self._key_to_index = value

    @property
    def vectors(self) -> Array:
        """The vectors [V, vector_size]; after changing them in place, set ``norms`` to ``None``."""
        return self._vectors

    @vectors.setter
    def vectors(self, value: Array) -> None:
        self._vectors = value
        self._storage = value
        self.norms = None

    def _shows_storage(self) -> bool:
        """Whether ``vectors`` is the first columns of the storage, not an array of its own."""
        own, room = self._vectors, self._storage
        return (
            own.ctypes.data == room.ctypes.data
            and own.strides == room.strides
            and len(own) <= len(room)
        )

    def __getstate__(self) -> dict[str, Any]:
        # A copied or unpickled view would be an array of its own beside the copied storage.
        state = dict(self.__dict__)
        if self._shows_storage():
            state["_storage"] = self._storage[: len(self._vectors)]
            del state["_vectors"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if "index_to_key" in state:  # pickled when it was an attribute
            state["_keys"] = state.pop("index_to_key")
        self.__dict__.update(state)
        if "_vectors" not in state:
            self._vectors = self._storage[:, : self.vector_size]

    def __str__(self) -> str:
        return f"{type(self).__name__}<vector_size={self.vector_size}, {len(self)} keys>"

    __repr__ = __str__

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: object) -> bool:
        return self.has_index_for(key)

    def __getitem__(self, key_or_keys: Any) -> Array:
        """The vector of a key (read-only), or a matrix of those of a list of keys.

        Raises ``KeyError`` for a key that is not there.  An integer that is no key of its own is
        an index.
        """
        if isinstance(key_or_keys, KEY_TYPES):
            return self.get_vector(key_or_keys)
        keys = list(key_or_keys)
        if not keys:
            raise ValueError("need at least one key")
        rows: Array = self.vectors[[self.get_index(key) for key in keys]]
        return rows

    def get_index(self, key: Any, default: Any = None) -> Any:
        """The row of a key; ``default``, if one is given, for a key that is not there."""
        index = self.key_to_index.get(key, -1)
        if index >= 0:
            return index
        if isinstance(key, (int, np.integer)) and 0 <= key < len(self):
            return key
        if default is not None:
            return default
        raise KeyError(f"Key '{key}' not present")

    def has_index_for(self, key: object) -> bool:
        """Whether this key has a vector."""
        return bool(self.get_index(key, -1) >= 0)

    def get_vector(self, key: Any, norm: bool = False) -> Array:
        """The vector of one key, read-only; with ``norm`` scaled to length 1."""
        index = self.get_index(key)
        result: Array
        if norm:
            result = self.vectors[index] / (self._all_norms()[index] or 1)
        else:
            result = self.vectors[index]
        result.setflags(write=False)  # changing it behind our back would leave stale norms
        return result

    def get_mean_vector(
        self,
        keys: Sequence[Any] | Array,
        weights: Sequence[float] | Array | None = None,
        pre_normalize: bool = True,
        post_normalize: bool = False,
        ignore_missing: bool = True,
    ) -> Array:
        """The weighted mean of the vectors of ``keys``: sum w_i v_i / sum abs(w_i).

        ``keys`` may hold vectors too, which are taken as they are; those of keys are first scaled
        to length 1 if ``pre_normalize``.  Keys without a vector are left out, or raise
        ``KeyError`` if not ``ignore_missing``.  Raises ``ValueError`` for no keys, or for weights
        of another number.
        """
        if len(keys) == 0:
            raise ValueError("cannot compute mean with no input")
        factors = np.ones(len(keys)) if weights is None else np.asarray(weights, np.float64)
        if factors.ndim != 1 or len(keys) != len(factors):
            raise ValueError("keys and weights array must have same number of elements")
        total = 0.0
        mean = np.zeros(self.vector_size)
        for key, factor in zip(keys, factors.tolist()):
            if isinstance(key, np.ndarray):
                vector = key
            elif key in self:
                vector = self.get_vector(key, norm=pre_normalize)
            elif not ignore_missing:
                raise KeyError(f"Key '{key}' not present in vocabulary")
            else:
                continue
            mean += factor * vector.astype(np.float64)
            total += abs(factor)
        if total > 0:
            mean /= total
        if post_normalize:
            return unit(mean).astype(np.float32)
        return mean.astype(self.vectors.dtype if self.vectors.dtype.kind == "f" else np.float32)

    def fill_norms(self, force: bool = False) -> None:
        """Compute the norms of all vectors unless that is done; ``force`` to do it again."""
        if self.norms is None or force:
            self.norms = norms_of(self.vectors)

    def get_normed_vectors(self) -> Array:
        """All vectors scaled to length 1, as a new matrix."""
        return np.asarray(self.vectors / divisors(self._all_norms())[:, None])

    def unit_normalize_all(self) -> None:
        """Scale all vectors to length 1 in place; sensible training is over then."""
        if not self.vectors.flags.writeable:
            raise ValueError("the vectors are mapped read-only: load them with mmap=None")
        self.vectors[...] /= divisors(self._all_norms())[:, None]
        self.norms = None

    def _all_norms(self) -> Array:
        # One read and one write of the attribute: threads may race, and find the same values.
        norms = self.norms
        if norms is None:
            norms = self.norms = norms_of(self.vectors)
        return norms

    def _usable(self, keys: Iterable[Any]) -> list[Any]:
        return [key for key in keys if key in self]
