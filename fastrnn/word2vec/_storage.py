"""Weight matrices: rows padded to cache lines, and their first values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastrnn.word2vec._formats.aligned import ALIGNMENT, padded_storage, padded_stride

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 1 << 20  # values drawn at a time, so that drawing takes little memory beside the matrix
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def is_storage(
    array: NDArray[np.float32], rows: int, vector_size: int, *, writable: bool = True
) -> bool:
    """Whether native code can work on ``array`` as it is."""
    return (
        array.dtype == np.float32
        and array.shape == (rows, padded_stride(vector_size))
        and array.flags.c_contiguous
        and (array.flags.writeable or not writable)
        and array.ctypes.data % ALIGNMENT == 0
    )


def padded(matrix: NDArray[np.float32], rows: int | None = None) -> NDArray[np.float32]:
    """A copy of ``matrix [V, vector_size]`` as storage, with zero rows added up to ``rows``."""
    storage: NDArray[np.float32] = padded_storage(
        len(matrix) if rows is None else rows, matrix.shape[1]
    )
    storage[: len(matrix), : matrix.shape[1]] = matrix
    return storage


def draw_vectors(
    storage: NDArray[np.float32],
    vector_size: int,
    *,
    seed: int,
    compat: str | None,
    first_row: int = 0,
) -> None:
    """Fill the rows from ``first_row`` on with the small random values that training starts from.

    Uniform in ``[-0.5, 0.5) / vector_size``, of 24 random bits each, which depend on the seed and
    the place in the matrix only.  ``compat="word2vec.c"``: the very values of word2vec.c, 16 low
    bits of a generator that starts at 1; they repeat every 65536 values, and so every few
    hundred rows where vector_size is a power of two.  ``compat="gensim"``: gensim's, uniform in
    ``[-1, 1) / vector_size``.
    """
    rows = max(1, _BLOCK // vector_size)
    rng = np.random.default_rng(seed) if compat == "gensim" else None
    for start in range(0, len(storage), rows):
        stop = min(start + rows, len(storage))
        if rng is not None:
            values = rng.random((stop - start, vector_size), dtype=np.float32)
            values *= 2.0
            values -= 1.0
            values /= vector_size
        elif stop <= first_row:
            continue
        else:
            places = np.arange(start * vector_size, stop * vector_size, dtype=np.uint64)
            draw = _c_values if compat == "word2vec.c" else _uniform
            values = (draw(places, seed) / vector_size).astype(np.float32)
            values = values.reshape(stop - start, vector_size)
        kept = max(start, first_row)
        if kept < stop:
            storage[kept:stop, :vector_size] = values[kept - start :]


def _uniform(places: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """One value of ``[-0.5, 0.5)`` per place."""
    # Its own key, unlike that of any epoch's draws.
    key = _mix(np.array([(seed ^ 0x696E6974) + _GOLDEN & _MASK], np.uint64))[0]
    bits: NDArray[np.uint64] = _mix(key + np.uint64(_GOLDEN) * (places + np.uint64(1)))
    values: NDArray[np.float64] = (bits >> np.uint64(40)).astype(np.float64) / 2.0**24 - 0.5
    return values


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finalizer."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed


def _c_values(places: NDArray[np.uint64], _seed: int) -> NDArray[np.float64]:
    """word2vec.c's values: they use the low 16 bits only, which repeat every 2**16 draws."""
    low, state = np.empty(1 << 16, np.float64), 1
    for i in range(1 << 16):
        state = (state * 25214903917 + 11) & 0xFFFF
        low[i] = state / 65536 - 0.5
    values: NDArray[np.float64] = low[(places & np.uint64(0xFFFF)).astype(np.intp)]
    return values
