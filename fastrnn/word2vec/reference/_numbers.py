"""Random numbers, sigmoids, chunks and paths: what training is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]  # float32 or float64, as the caller's matrices

MAX_EXP = 6  # beyond it a sigmoid counts as 0 or 1
TABLE_SIZE = 1000
TABLE_STEP = TABLE_SIZE // MAX_EXP // 2  # entries per unit: 83, by word2vec.c's integer division
GOLDEN = 0x9E3779B97F4A7C15
LOW, MASK = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


def mix(z: int) -> int:
    """SplitMix64's finalizer."""
    z &= MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def epoch_key(seed: int, epoch: int) -> int:
    return mix(mix(seed + GOLDEN) + GOLDEN * (epoch + 1))


def token_random(key: int, token: int) -> int:
    """64 random bits for a token: the low half decides keeping, the high half the window."""
    return mix(key + GOLDEN * (token + 1))


def sigmoid_table(dtype: np.dtype[Any]) -> Array:
    e = np.exp((np.arange(TABLE_SIZE) / TABLE_SIZE * 2 - 1) * MAX_EXP)
    table: Array = (e / (e + 1)).astype(dtype)
    return table


def exact_sigmoid(x: Array) -> Array:
    result: Array = np.tanh(x / 2) / 2 + x.dtype.type(0.5)
    return result


def softplus(x: Array) -> NDArray[np.float64]:
    """The log of 1 + exp(x), in float64; of -x it is minus the log of the sigmoid of x."""
    result: NDArray[np.float64] = np.logaddexp(0.0, np.asarray(x, dtype=np.float64))
    return result


def chunk_starts(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """First sentences of the chunks within which the learning rate stands still, and the end."""
    size = min(max(int(offsets[-1] - offsets[0]) // 64, 256), 10_000)
    starts, words = [], size
    for sentence, length in enumerate(np.diff(offsets).tolist()):
        if words >= size:
            starts.append(sentence)
            words = 0
        words += length
    return np.array([*starts, len(offsets) - 1], dtype=np.int64)


def tree_path(
    path_offsets: NDArray[np.int64],
    path_rows: NDArray[np.int32],
    codes: NDArray[np.uint64],
    word: int,
    dtype: np.dtype[Any],
) -> tuple[NDArray[np.int32], Array]:
    """Rows from the root to a word, and the turns there as numbers."""
    rows = path_rows[path_offsets[word] : path_offsets[word + 1]]
    code = int(codes[word])
    return rows, np.array([code >> k & 1 for k in range(len(rows))], dtype=dtype)
