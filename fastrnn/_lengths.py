"""Sequences of different lengths, and resets: what the engine is told about them, with NumPy alone.

The engine numbers sequences from the longest to the shortest, so that every step has the first
few.  A row is one step of one sequence; rows in packed order are those of the first step, then
those of the second, and so on, as in torch's ``PackedSequence``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Rows", "check_lengths", "check_resets", "rows_of_lengths", "with_resets"]

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rows:
    """Which sequences the steps have, and where states are reset.

    The arrays are contiguous and nobody's to change: calls share them, and the engine reads them by
    address.
    """

    batch_sizes: Ints | None  # [longest]: sequences of each step, at least 1; None: always all
    order: Ints | None  # [B]: the caller's number of each sequence; None: the same
    resets: Flags | None  # [rows], in packed order: zero the state before the row
    padded_steps: int  # of a padded input
    batch_size: int
    total: int  # rows of all steps

    @property
    def steps(self) -> int:
        return self.padded_steps if self.batch_sizes is None else len(self.batch_sizes)

    def addresses(self) -> tuple[int, int, int, int]:
        """What ``core.forward`` and ``core.backward`` take."""
        return (
            _address(self.batch_sizes),
            _address(self.order),
            _address(self.resets),
            self.padded_steps,
        )

    def places(self) -> tuple[Ints, Ints]:
        """Step and sequence, the caller's number, of every row in packed order."""
        sizes = self.batch_sizes
        if sizes is None:
            sizes = np.full(self.padded_steps, self.batch_size)
        steps = np.repeat(np.arange(len(sizes)), sizes)
        sequences = np.arange(len(steps)) - (np.cumsum(sizes) - sizes)[steps]
        return steps, sequences if self.order is None else self.order[sequences]


def _address(array: Ints | Flags | None) -> int:
    if array is None:
        return 0
    start: int = array.__array_interface__["data"][0]  # unlike `array.ctypes.data`, cheap
    return start


def check_lengths(lengths: Any, batch_size: int, seq_len: int) -> Ints:
    """``lengths`` as an array, or TypeError or ValueError that says what is wrong with it."""
    array = np.asarray(lengths)
    if array.size == 0 and array.ndim == 1:
        array = array.astype(np.int64)  # an empty list has no dtype of its own
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths: expected integers, got {array.dtype}")
    if array.shape != (batch_size,):
        raise ValueError(
            f"lengths: expected one for each of the {batch_size} sequences, got shape {array.shape}"
        )
    if batch_size and (array.min() < 0 or array.max() > seq_len):
        wrong = array[(array < 0) | (array > seq_len)][0]
        raise ValueError(f"lengths: expected 0 to {seq_len}, the steps of the input, got {wrong}")
    return array.astype(np.int64)


def rows_of_lengths(lengths: Any, batch_size: int, seq_len: int) -> Rows:
    """Rows of a padded batch whose sequences have these lengths, in any order."""
    return _rows_of_lengths(check_lengths(lengths, batch_size, seq_len).tobytes(), seq_len)


@lru_cache(maxsize=256)
def _rows_of_lengths(lengths: bytes, seq_len: int) -> Rows:
    array = np.frombuffer(lengths, np.int64)
    longest = int(array.max(initial=0))
    ended = np.cumsum(np.bincount(array, minlength=longest + 1)[:longest])
    order = np.argsort(-array, kind="stable").astype(np.int64)
    batch_sizes = (len(array) - ended).astype(np.int64)
    return Rows(batch_sizes, order, None, seq_len, len(array), int(array.sum()))


def check_resets(resets: Any, shape: tuple[int, ...]) -> Flags:
    """``resets`` as an array, or TypeError or ValueError that says what is wrong with it."""
    array = np.asarray(resets)
    if array.dtype != np.bool_:
        raise TypeError(f"resets: expected bool, got {array.dtype}")
    if array.shape != shape:
        raise ValueError(
            f"resets: expected shape {shape}, the input's without its features, got {array.shape}"
        )
    return array


def with_resets(rows: Rows | None, resets: Flags) -> Rows:
    """``rows`` with resets [T, B], [T] of a single sequence, or [rows] in packed order."""
    if rows is None:
        steps, batch_size = resets.shape if resets.ndim == 2 else (len(resets), 1)
        return Rows(None, None, resets.flatten(), steps, batch_size, resets.size)
    flags = resets[rows.places()] if resets.ndim == 2 else resets.copy()
    return Rows(rows.batch_sizes, rows.order, flags, rows.padded_steps, rows.batch_size, rows.total)
