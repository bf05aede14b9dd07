"""How often words are kept, and how often they are drawn as negative examples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fastrnn import _core
from fastrnn.word2vec._tree import check_counts

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def alias_table(weights: ArrayLike) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """Table that draws i with probability ``weights[i] / sum(weights)``: (thresholds, index).

    A column is taken uniformly; a uniform 32-bit number below ``thresholds[column]`` draws the
    column itself, any other draws ``index[column]``. Probabilities are right to 2**-31, and what
    has weight 0 is never drawn.

    Raises:
        ValueError: weights are empty, negative, not finite, all zero or not one-dimensional.
    """
    array = np.ascontiguousarray(weights, dtype=np.float64)
    if np.ndim(weights) != 1:
        raise ValueError(f"weights must have one dimension, not {np.ndim(weights)}")
    return _core.word2vec.alias_table(array)


def keep_thresholds(
    counts: ArrayLike, sample: float, *, compat: str | None = None
) -> NDArray[np.uint32] | None:
    """A word is kept where a uniform 32-bit number is at most its threshold; None: all are kept.

    For a word that occurs c times the chance is (sqrt(c / T) + 1) T / c (word2vec.c's formula), at
    most 1: words of counts above T (3 + sqrt(5)) / 2 are thinned. For ``sample`` below 1, T is
    that share of all words; from 1 on it is gensim's count, floor(sample (3 + sqrt(5)) / 2). With
    ``compat="word2vec.c"`` it is always a share.
    """
    sample = float(sample)
    if not math.isfinite(sample) or sample < 0:
        raise ValueError(f"sample must be finite and not negative, not {sample}")
    checked = check_counts(counts).astype(np.float64)
    if sample == 0:
        return None
    if sample < 1 or compat == "word2vec.c":
        threshold = sample * float(checked.sum())
    else:
        threshold = math.floor(sample * (3 + math.sqrt(5)) / 2)
    occurring = np.maximum(checked, 1)
    chances = (np.sqrt(occurring / threshold) + 1) * (threshold / occurring)
    # A word that does not occur in the counts is kept if it occurs after all.
    scaled = np.where(checked > 0, np.floor(np.minimum(chances, 1) * 2.0**32), 2.0**32)
    return np.minimum(scaled, 2.0**32 - 1).astype(np.uint32)


def negative_weights(
    counts: ArrayLike, ns_exponent: float = 0.75, *, compat: str | None = None
) -> NDArray[np.float64]:
    """Relative frequencies count**ns_exponent with which words are drawn as negative examples.

    Words of count 0 are never drawn, unless the exponent is 0. ``compat="word2vec.c"`` draws
    another word uniformly instead of word 0 (``</s>``).
    """
    ns_exponent = float(ns_exponent)
    if not math.isfinite(ns_exponent):
        raise ValueError(f"ns_exponent must be finite, not {ns_exponent}")
    checked = check_counts(counts).astype(np.float64)
    if ns_exponent == 0:
        weights = np.ones(len(checked))
    else:
        occurring = checked > 0
        # Relative to the count drawn most often, so that nothing overflows.
        pivot = np.max(checked) if ns_exponent > 0 else np.min(checked[occurring], initial=np.inf)
        weights = np.zeros(len(checked))
        weights[occurring] = (checked[occurring] / pivot) ** ns_exponent
    if compat == "word2vec.c" and len(weights) > 1:
        weights[1:] += weights[0] / (len(weights) - 1)
        weights[0] = 0
    return weights
