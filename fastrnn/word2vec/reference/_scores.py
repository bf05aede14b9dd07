"""What a trained tree says: exact probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec.reference._numbers import softplus, tree_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]  # float32 or float64, as the caller's matrices


def word_log_probability(
    hidden: Array,
    word: int,
    *,
    node_vectors: Array,
    path_offsets: NDArray[np.int64],
    path_rows: NDArray[np.int32],
    codes: NDArray[np.uint64],
) -> float:
    """The log of p(word | hidden), a sum over the word's path of log sigmoid(±h·s), + at turn 0."""
    rows, turns = tree_path(path_offsets, path_rows, codes, word, np.dtype(np.float64))
    f = node_vectors[rows, : len(hidden)].astype(np.float64) @ hidden.astype(np.float64)
    return -float(softplus(np.where(turns, f, -f)).sum())


def word_probabilities(
    hidden: Array,
    *,
    node_vectors: Array,
    path_offsets: NDArray[np.int64],
    path_rows: NDArray[np.int32],
    codes: NDArray[np.uint64],
) -> NDArray[np.float64]:
    """p(word | hidden) of every word; they sum to 1."""
    logs = [
        word_log_probability(
            hidden,
            word,
            node_vectors=node_vectors,
            path_offsets=path_offsets,
            path_rows=path_rows,
            codes=codes,
        )
        for word in range(len(codes))
    ]
    probabilities: NDArray[np.float64] = np.exp(logs)
    return probabilities


def score_sentences(
    *,
    vectors: Array,
    node_vectors: Array,
    vector_size: int,
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    path_offsets: NDArray[np.int64],
    path_rows: NDArray[np.int32],
    codes: NDArray[np.uint64],
    window: int,
    sg: bool,
    cbow_mean: bool,
    threads: int = 1,
) -> NDArray[np.float64]:
    """Log-likelihood (nats) of each sentence, with full windows and without subsampling.

    Skip-gram: the sum of log p(center | context) over all pairs. CBOW: of log p(center | contexts)
    over the centers that have contexts.
    """
    del threads
    rows = vectors[:, :vector_size].astype(np.float64)
    scores = np.zeros(len(offsets) - 1)
    for sentence in range(len(scores)):
        words = ids[offsets[sentence] : offsets[sentence + 1]].tolist()
        for place, center in enumerate(words):
            contexts = words[max(place - window, 0) : place] + words[place + 1 : place + window + 1]
            if not contexts:
                continue
            hidden = list(rows[contexts])
            if not sg:
                hidden = [rows[contexts].mean(axis=0) if cbow_mean else rows[contexts].sum(axis=0)]
            for h in hidden:
                scores[sentence] += word_log_probability(
                    h,
                    center,
                    node_vectors=node_vectors,
                    path_offsets=path_offsets,
                    path_rows=path_rows,
                    codes=codes,
                )
    return scores
