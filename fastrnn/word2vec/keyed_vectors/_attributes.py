"""Further values for each key, such as its count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastrnn.word2vec.keyed_vectors._base import Base


class Attributes(Base):
    """Named attributes of keys, an array each; see ``expandos`` for the arrays themselves."""

    def allocate_vecattrs(
        self, attrs: Iterable[str] | None = None, types: Iterable[Any] | None = None
    ) -> None:
        """Make arrays for attributes of these names and types, one value (zero) per key.

        Without arguments, fits those there are to the number of keys.  Raises ``TypeError`` for a
        type that an existing array cannot hold.
        """
        if attrs is None:
            attrs = list(self.expandos)
            types = [self.expandos[attr].dtype for attr in attrs]
        size = len(self)
        for attr, wanted in zip(attrs, types if types is not None else ()):
            if wanted is int:
                wanted = np.int64
            elif wanted is str:
                wanted = object  # fixed-width strings would cut and waste
            old = self.expandos.get(attr)
            if old is None:
                self.expandos[attr] = np.zeros(size, dtype=wanted)
                continue
            if not np.issubdtype(wanted, old.dtype):
                raise TypeError(
                    f"Can't allocate type {wanted} for attribute {attr}, "
                    f"conflicts with its existing type {old.dtype}"
                )
            if len(old) != size:
                new = np.zeros((size, *old.shape[1:]), dtype=old.dtype)
                new[: len(old)] = old[:size]
                self.expandos[attr] = new

    def set_vecattr(self, key: Any, attr: str, val: Any) -> None:
        """Set an attribute of one key; the first value decides the attribute's type."""
        index = self.get_index(key)
        self.allocate_vecattrs(attrs=[attr], types=[type(val)])
        self.expandos[attr][index] = val

    def get_vecattr(self, key: Any, attr: str) -> Any:
        """An attribute of one key; ``KeyError`` if there is no such key or attribute."""
        return self.expandos[attr][self.get_index(key)]

    def sort_by_descending_frequency(self) -> None:
        """Sort keys, vectors and attributes by falling ``count``; of ties the later goes first."""
        if not len(self):
            return
        if "count" not in self.expandos:
            raise KeyError("count")
        self.allocate_vecattrs()
        counts = np.asarray(self.expandos["count"], dtype=np.int64)
        order = np.lexsort((-np.arange(len(counts)), -counts))
        self._reorder(order)

    def _reorder(self, order: Any) -> None:
        self.index_to_key = [self.index_to_key[i] for i in order.tolist()]
        self.key_to_index = {key: index for index, key in enumerate(self.index_to_key)}
        self.expandos = {attr: values[order] for attr, values in self.expandos.items()}
        if len(self.vectors):
            padded = self._shows_storage()
            rows = (self._storage if padded else self.vectors)[order]
            self.vectors = rows[:, : self.vector_size]
            self._storage = rows
        if len(self.vectors_lockf) == len(order) > 1:
            self.vectors_lockf = self.vectors_lockf[order]
