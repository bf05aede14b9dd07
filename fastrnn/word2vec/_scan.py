"""What reading a source once gives: counts, and the means to encode with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

#: progress(done, total): bytes of files or sentences of lists; total 0 where unknown.
Progress = Callable[[int, int], object]


class Encoder(Protocol):
    """A source after a pass that kept its words' numbers."""

    def encode(
        self, final_ids: NDArray[np.int32], longest: int
    ) -> tuple[NDArray[np.int32], NDArray[np.signedinteger[Any]]]:
        """Ids and offsets, once; final id -1 drops a word, -2 ends the sentence in its place."""


def encode_chunks(
    chunks: Iterable[NDArray[np.integer]],
    ends: NDArray[np.signedinteger[Any]],
    final_ids: NDArray[np.int32],
    longest: int,
) -> tuple[NDArray[np.int32], NDArray[np.signedinteger[Any]]]:
    """Final ids in place of raw ones (-1: none), and offsets in place of sentences' raw ends."""
    kept: list[NDArray[np.int32]] = []
    offsets = np.zeros(len(ends) + 1, np.int64)
    cuts: list[NDArray[np.int64]] = []
    raw_before = kept_before = done = 0
    table = np.append(final_ids, np.int32(-1))  # index -1 finds the last
    for chunk in chunks:
        ids = table[chunk]
        keep = ids >= 0
        kept_until = np.zeros(len(ids) + 1, np.int64)
        np.cumsum(keep, out=kept_until[1:])
        until = int(np.searchsorted(ends, raw_before + len(ids), side="right"))
        offsets[done + 1 : until + 1] = kept_before + kept_until[ends[done:until] - raw_before]
        if (ids == -2).any():
            cuts.append(kept_before + kept_until[np.flatnonzero(ids == -2)])
        kept.append(ids[keep])
        raw_before += len(ids)
        kept_before += int(kept_until[-1])
        done = until
    offsets[done + 1 :] = kept_before
    if cuts:
        offsets = np.sort(np.concatenate([offsets, *cuts]))
    joined = np.concatenate(kept) if kept else np.empty(0, np.int32)
    split = split_sentences(offsets, longest)
    return joined, split.astype(np.int32) if kept_before < 2**31 else split


def split_sentences(
    offsets: NDArray[np.signedinteger[Any]], longest: int
) -> NDArray[np.signedinteger[Any]]:
    """Offsets in which no sentence is longer; empty ones stay."""
    lengths = np.diff(offsets)
    if not len(lengths) or int(lengths.max()) <= longest:
        return offsets
    pieces = np.maximum(1, -(-lengths // longest))
    first_piece = np.cumsum(pieces) - pieces
    number = np.arange(int(pieces.sum())) - np.repeat(first_piece, pieces)
    starts = np.repeat(offsets[:-1], pieces) + number * longest
    return np.append(starts, offsets[-1])
