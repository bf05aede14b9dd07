"""Many analogies at once: a is to b as c is to ...?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fastrnn.word2vec.keyed_vectors._base import Array, divisors

_BLOCK = 1 << 23  # similarities held at a time
_TRIES = 5  # nearest words looked at when the nearest only differ from the question's by case


def answer_analogies(
    vectors: Array,
    norms: Array,
    questions: Sequence[tuple[int, int, int]],
    acceptable: Callable[[int, int], bool],
    *,
    multiply: bool = False,
) -> list[int]:
    """The row nearest to b - a + c for each question (a, b, c), or -1 if there is none.

    Question words are no answers.  ``acceptable(question, row)`` may refuse others (another
    spelling of a question word): then the next nearest is taken, at most the fifth, which counts
    whether it is acceptable or not.  ``multiply``: nearest by 3CosMul rather than 3CosAdd.
    """
    answers: list[int] = []
    table = np.array(questions, dtype=np.int64).reshape(-1, 3)
    lengths = divisors(norms)
    step = max(1, _BLOCK // max(1, len(vectors)))
    for start in range(0, len(table), step):
        part = table[start : start + step]
        rank = _products if multiply else _sums
        scores = rank(vectors, lengths, part)
        np.put_along_axis(scores, part, -np.inf, axis=1)
        np.nan_to_num(scores, copy=False, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        best = scores.argmax(axis=1).tolist()
        for place, row in enumerate(best):
            answers.append(_accepted(scores[place], row, start + place, acceptable))
    return answers


def _accepted(
    scores: Array, row: int, question: int, acceptable: Callable[[int, int], bool]
) -> int:
    for _ in range(_TRIES - 1):
        if scores[row] == -np.inf:
            return -1
        if acceptable(question, row):
            return row
        scores[row] = -np.inf
        following = int(scores.argmax())
        if scores[following] == -np.inf:
            return row
        row = following
    return row


def _sums(vectors: Array, lengths: Array, part: NDArray[np.int64]) -> Array:
    a, b, c = (vectors[part[:, k]] / lengths[part[:, k], None] for k in range(3))
    # The question's own length and the mean's divisor change no order.
    scores: Array = (b - a + c) @ vectors.T
    scores /= lengths
    return scores


def _products(vectors: Array, lengths: Array, part: NDArray[np.int64]) -> Array:
    cosines = []
    for k in range(3):
        found = (vectors[part[:, k]] / lengths[part[:, k], None]) @ vectors.T
        found /= lengths
        cosines.append((1 + found) / 2)
    scores: Array = cosines[1] * cosines[2] / (cosines[0] + np.float32(0.000001))
    return scores
