"""Reading arrays of integers, such as random walks: no string is made for any token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec._raw_counts import RawCounts
from fastrnn.word2vec._scan import encode_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fastrnn.word2vec._inputs import Arrays

_CHUNK = 1 << 20


class ArrayScan:
    """Integers after one pass; the words are their digits."""

    complete = True

    def __init__(self, arrays: Arrays) -> None:
        self._ends = arrays.offsets[1:]
        keys, self._raw_ids, counts = _number(arrays.keys)

        def words_at(ids: NDArray[np.int64]) -> list[str]:
            return [str(key) for key in keys[ids].tolist()]

        sentences = len(self._ends)
        self.raw = RawCounts(counts, len(arrays.keys), sentences, sentences, words_at)

    def encode(
        self, final_ids: NDArray[np.int32], longest: int
    ) -> tuple[NDArray[np.int32], NDArray[np.signedinteger[Any]]]:
        return encode_chunks(_chunks(self._raw_ids), self._ends, final_ids, longest)


def _chunks(ids: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]


def _number(
    keys: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[np.integer[Any]], NDArray[np.int64]]:
    """Different keys by first appearance, each token's number among them, and counts."""
    largest = int(keys.max()) if len(keys) else 0
    if largest > 4 * len(keys) + (1 << 20):  # too few of the numbers in use for a table of them
        found, first, numbers, counts = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
    else:
        counts = np.zeros(largest + 1, np.int64)
        first = np.empty(largest + 1, np.int64)
        for start in range((max(len(keys), 1) - 1) // _CHUNK * _CHUNK, -1, -_CHUNK):
            chunk = keys[start : start + _CHUNK].astype(np.int64)
            counts += np.bincount(chunk, minlength=largest + 1)
            # Of several values for one place the last is stored: backward, that of the first.
            first[chunk[::-1]] = np.arange(start, start + len(chunk))[::-1]
        found = np.flatnonzero(counts)
        first, counts = first[found], counts[found]
        numbers = keys
    order = np.argsort(first)
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    if numbers is keys:
        table = np.full(largest + 1, -1, np.int32)
        table[found] = place
        place = table
    raw_ids = np.empty(len(keys), np.int32)
    for start in range(0, len(keys), _CHUNK):
        raw_ids[start : start + _CHUNK] = place[numbers[start : start + _CHUNK]]
    return found[order], raw_ids, counts[order].astype(np.int64)
