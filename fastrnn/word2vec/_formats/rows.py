"""What both readers collect: words, and their vectors in padded rows."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastrnn.word2vec._formats.aligned import padded_storage, padded_stride

logger = logging.getLogger(__name__)

MAX_WORD = 1 << 16  # bytes; what is longer is no word but a damaged file
MAX_SIZE = 1 << 20  # numbers in a vector
_FIRST_BLOCK = 1 << 20  # numbers to make room for while it is unknown how many there are


class WordVectors(NamedTuple):
    """Words with their vectors [V, stride], of which the first ``vector_size`` columns count."""

    words: list[str]
    storage: NDArray[Any]
    vector_size: int
    announced: int  # rows in the file, counting words that come twice


class Rows:
    """Fills a matrix row by row.

    With ``trusted``, the file is known to be long enough for ``count`` rows and room is made at
    once; else it grows with what is read, whatever the header says.
    """

    def __init__(self, count: int, vector_size: int, dtype: DTypeLike, *, trusted: bool) -> None:
        self.count, self.vector_size = count, vector_size
        room = count if trusted else min(count, max(1, _FIRST_BLOCK // padded_stride(vector_size)))
        self._storage = padded_storage(room, vector_size, dtype)
        self._index: dict[str, int] = {}
        self.seen = 0

    def add(self, words: list[str], vectors: NDArray[Any]) -> None:
        """Append rows; of a word that comes again, only the first stays."""
        self.seen += len(words)
        first = len(self._index)
        fresh = []
        for place, word in enumerate(words):
            if word in self._index:
                logger.warning("duplicate word '%s' in word2vec file, ignoring all but first", word)
            else:
                self._index[word] = len(self._index)
                fresh.append(place)
        last = first + len(fresh)
        if last > len(self._storage):
            room = min(self.count, max(last, 2 * len(self._storage)))
            larger = padded_storage(room, self.vector_size, self._storage.dtype)
            larger[:first] = self._storage[:first]
            self._storage = larger
        target = self._storage[first:last, : self.vector_size]
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
            target[...] = vectors if len(fresh) == len(words) else vectors[fresh]

    def finish(self) -> WordVectors:
        words = list(self._index)
        storage = self._storage
        if len(words) < len(storage):
            storage = padded_storage(len(words), self.vector_size, storage.dtype)
            storage[...] = self._storage[: len(words)]
        return WordVectors(words, storage, self.vector_size, self.seen)
