"""Adding and replacing vectors."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec._formats.aligned import aligned_zeros, padded_storage
from fastrnn.word2vec.keyed_vectors._attributes import Attributes
from fastrnn.word2vec.keyed_vectors._base import KEY_TYPES, Array

if TYPE_CHECKING:
    from typing_extensions import Self


class Editing(Attributes):
    """What changes the set of keys."""

    def add_vector(self, key: Any, vector: Array | Sequence[float]) -> int:
        """Add one vector, into a free row if there is one, and return its index.

        The vector of a key that is there already is kept.  Room grows by halves, so that adding
        one by one is cheap.
        """
        if key in self.key_to_index:
            return self.key_to_index[key]
        index = self.next_index
        if index < len(self) and self.index_to_key[index] is None:
            self._require_writable()
            self.vectors[index] = vector
            self.index_to_key[index] = key
            self.key_to_index[key] = index
            self.norms = None
        else:
            index = len(self)
            self.add_vectors([key], np.asarray(vector).reshape(1, -1))
        self.next_index = index + 1
        return index

    def add_vectors(
        self,
        keys: Sequence[Any] | Any,
        weights: Sequence[Any] | Array,
        extras: Mapping[str, Array] | None = None,
        replace: bool = False,
    ) -> None:
        """Append keys with their vectors, and attributes of theirs in ``extras``.

        Of keys that are there already the old vector and attributes are kept, or replaced with
        ``replace``; of keys given twice the first (with ``replace`` the last) counts.
        Raises ``ValueError``, before anything is changed, where sizes do not fit.
        """
        if isinstance(keys, KEY_TYPES):
            keys = [keys]
            weights = np.asarray(weights).reshape(1, -1)
        keys = list(keys)
        rows = np.asarray(weights)
        if not keys and rows.size == 0:
            return
        if rows.shape != (len(keys), self.vector_size):
            raise ValueError(
                f"{len(keys)} keys need vectors of shape {(len(keys), self.vector_size)}, "
                f"not {rows.shape}"
            )
        extras = {attr: np.asarray(values) for attr, values in (extras or {}).items()}
        for attr, values in extras.items():
            if len(values) != len(keys):
                raise ValueError(f"{len(keys)} keys but {len(values)} values of {attr!r}")
        if replace:
            self._require_writable()
        self.allocate_vecattrs(extras, [values.dtype for values in extras.values()])

        fresh, known = [], []
        for place, key in enumerate(keys):
            if key in self.key_to_index:
                known.append(place)
            else:
                fresh.append(place)
                self.key_to_index[key] = len(self.index_to_key)
                self.index_to_key.append(key)
        first = len(self.index_to_key) - len(fresh)
        self._grow(len(self.index_to_key))
        self.vectors[first:] = rows[fresh]
        self.allocate_vecattrs()
        for attr, values in extras.items():
            self.expandos[attr][first:] = values[fresh]
        if replace:
            where = [self.key_to_index[keys[place]] for place in known]
            self.vectors[where] = rows[known]
            for attr, values in extras.items():
                self.expandos[attr][where] = values[known]
        self.norms = None

    def __setitem__(self, keys: Any, weights: Any) -> None:
        """``add_vectors`` with ``replace=True``."""
        if not isinstance(keys, list):
            keys = [keys]
            weights = np.asarray(weights).reshape(1, -1)
        self.add_vectors(keys, weights, replace=True)

    def resize_vectors(self, seed: int = 0) -> None:
        """Fit the vectors to ``index_to_key``; new rows are uniform in [-1, 1) / vector_size."""
        old = len(self.vectors)
        rng = np.random.default_rng(seed)
        drawn = rng.random((len(self), self.vector_size), dtype=np.float32) * 2 - 1
        self._grow(len(self))
        self.vectors = self.vectors[: len(self)]
        self.vectors[old:] = drawn[old:] / self.vector_size
        self.allocate_vecattrs()

    def vectors_for_all(
        self, keys: Iterable[Any], allow_inference: bool = True, copy_vecattrs: bool = False
    ) -> Self:
        """New ``KeyedVectors`` of those of ``keys`` that have a vector, each once, in that order.

        ``copy_vecattrs`` takes their attributes along.  ``allow_inference`` is there for gensim's
        signature (its subclasses make vectors up); without it, integers that are no keys of their
        own are left out.
        """
        known = self if allow_inference else self.key_to_index
        wanted = [key for key in dict.fromkeys(keys) if key in known]
        rows = np.array([self.get_index(key) for key in wanted], dtype=np.int64)
        new = type(self)(self.vector_size, dtype=self.vectors.dtype)
        new.add_vectors(wanted, self.vectors[rows])
        new.next_index = len(wanted)
        if copy_vecattrs:
            new.expandos = {attr: values[rows] for attr, values in self.expandos.items()}
        return new

    def _require_writable(self) -> None:
        if not self.vectors.flags.writeable:
            raise ValueError("the vectors are mapped read-only: load them with mmap=None")

    def _grow(self, size: int) -> None:
        """Make room for at least ``size`` rows, and show exactly that many if more than now."""
        old = self._vectors
        if size <= len(old):
            return
        room = self._storage
        fits = size <= len(room) and room.flags.writeable and self._shows_storage()
        if not fits:
            room = padded_storage(max(size, len(old) * 3 // 2), self.vector_size, old.dtype)
            room[: len(old), : self.vector_size] = old
        self._vectors = room[:size, : self.vector_size]
        self._storage = room
        self.norms = None
        if len(self.vectors_lockf) > 1:
            lock = aligned_zeros(size, np.float32)
            lock[:] = 1
            lock[: len(self.vectors_lockf)] = self.vectors_lockf[:size]
            self.vectors_lockf = lock

    def word_vec(self, *args: Any, **kwargs: Any) -> Array:
        """Deprecated: ``get_vector``."""
        _deprecated("word_vec", "get_vector")
        return self.get_vector(*args, **kwargs)

    def init_sims(self, replace: bool = False) -> None:
        """Deprecated: ``fill_norms``, or ``unit_normalize_all`` with ``replace``."""
        _deprecated("init_sims", "fill_norms")
        self.fill_norms()
        if replace:
            self.unit_normalize_all()


def _deprecated(old: str, new: str) -> None:
    warnings.warn(f"Use {new} instead of {old}", DeprecationWarning, stacklevel=3)
