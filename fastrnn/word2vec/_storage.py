"""Weight matrices: rows padded to cache lines, and their first values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastrnn.word2vec._formats.aligned import ALIGNMENT, padded_storage, padded_stride

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 1 << 18  # values drawn at a time, which the cache holds
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_INIT = 0x696E6974  # a key unlike that of any epoch's draws


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

    Uniform in ``[-1, 1) / vector_size``, of 24 random bits each that depend on the seed and the
    place in the matrix only.  ``compat="word2vec.c"``: its very values, within half that range, the
    low 16 bits of a generator that starts at 1; they repeat every 65536 values, and so every few
    hundred rows where vector_size is a power of two.  ``compat="gensim"``: gensim's very values.
    """
    rows = max(2, _BLOCK // vector_size // 2 * 2)  # so that each block starts with a new hash
    rng = np.random.default_rng(seed) if compat == "gensim" else None
    key = np.uint64(_mix(np.array([(seed ^ _INIT) + _GOLDEN & _MASK], np.uint64))[0])
    low = _c_values() if compat == "word2vec.c" else None
    for start in range(0, len(storage), rows):
        stop = min(start + rows, len(storage))
        if rng is None and stop <= first_row:
            continue
        size = (stop - start) * vector_size
        if rng is not None:
            values = rng.random(size, dtype=np.float32)
            values *= 2.0
            values -= 1.0
            values /= vector_size
        elif low is not None:
            places = np.arange(start * vector_size, stop * vector_size) & 0xFFFF
            values = (low[places] / vector_size).astype(np.float32)
        else:
            values = _uniform(key, start * vector_size // 2, size)
            values /= vector_size
        kept = max(start, first_row)
        if kept < stop:
            drawn = values.reshape(stop - start, vector_size)
            storage[kept:stop, :vector_size] = drawn[kept - start :]


def _uniform(key: np.uint64, first: int, size: int) -> NDArray[np.float32]:
    """Values in ``[-1, 1)``, two from each hash of a number from ``first`` on."""
    numbers = np.arange(first + 1, first + 1 + -(-size // 2), dtype=np.uint64)
    hashes = _mix(key + np.uint64(_GOLDEN) * numbers)
    bits: NDArray[np.uint32] = hashes.view(np.uint32)[:size] >> np.uint32(8)
    values = bits.astype(np.float32)
    values *= np.float32(2.0**-23)
    values -= np.float32(1.0)
    return values


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finalizer."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed


def _c_values() -> NDArray[np.float64]:
    """word2vec.c's values: they use the low 16 bits only, which repeat every 2**16 draws."""
    low, state = np.empty(1 << 16, np.float64), 1
    for i in range(1 << 16):
        state = (state * 25214903917 + 11) & 0xFFFF
        low[i] = state / 65536 - 0.5
    return low
