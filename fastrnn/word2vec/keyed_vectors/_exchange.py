"""KeyedVectors to and from gensim's."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec._formats.aligned import padded_storage
from fastrnn.word2vec.keyed_vectors._attributes import Attributes

if TYPE_CHECKING:
    from typing_extensions import Self


class Exchange(Attributes):
    """Objects handed over in memory."""

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
