"""The keys nearest to given ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastrnn.word2vec.keyed_vectors._base import KEY_TYPES, Array, Base, divisors
from fastrnn.word2vec.keyed_vectors._comparisons import Comparisons

_BLOCK = 1 << 23  # similarities held at a time while many queries are answered
Similar = list[tuple[Any, float]]


def as_list(value: Any) -> list[Any]:
    """One key or vector, or several, as a list."""
    if value is None:
        return []
    if isinstance(value, KEY_TYPES) or (isinstance(value, np.ndarray) and value.ndim == 1):
        return [value]
    return list(value)


def largest(values: Array, count: int) -> Array:
    """The places of the ``count`` largest values, largest first; of ties the lower place first.

    NaN counts as the smallest of all.
    """
    if count >= len(values):
        places = np.arange(len(values))
    else:
        # The count-th largest of the largest values of stretches: at least count values are not
        # below it, and few more, so that the bulk of them is only compared once.
        stretch = max(1, len(values) // (8 * count))
        whole = len(values) // stretch
        peaks = values[: whole * stretch].reshape(whole, stretch).max(axis=1)
        if np.isnan(peaks).any() or np.isnan(values[whole * stretch :]).any():
            return largest(np.where(np.isnan(values), -np.inf, values), count)
        places = np.flatnonzero(values >= np.partition(peaks, whole - count)[whole - count])
    order: Array = places[np.argsort(-values[places], kind="stable")][:count]
    return order


class Neighbors(Comparisons, Base):
    """Searches through all keys."""

    def most_similar(
        self,
        positive: Any = None,
        negative: Any = None,
        topn: int | None = 10,
        clip_start: int = 0,
        clip_end: int | None = None,
        restrict_vocab: int | None = None,
        indexer: Any = None,
    ) -> Any:
        """The ``topn`` keys nearest by cosine to the mean of ``positive`` minus ``negative``.

        Args:
            positive: a key, a vector, or a list of those or of ``(key or vector, weight)``.
            negative: the same, counted negatively (weight -1 unless given).
            topn: how many; ``None`` for the similarities of all keys as an array.
            clip_start: first index to look at.
            clip_end: first index not to look at.
            restrict_vocab: look at the first so many keys only.
            indexer: an object whose ``most_similar(vector, topn)`` answers instead.

        Returns ``[(key, similarity), ...]`` without the given keys.  Raises ``KeyError`` for a key
        without a vector, ``ValueError`` if nothing is given.
        """
        if topn is not None and topn < 1:
            return []
        first, last = self._range(clip_start, clip_end, restrict_vocab)
        mean, given = self._query(positive, negative)
        if indexer is not None and isinstance(topn, int):
            return indexer.most_similar(mean, topn)
        found = self.vectors[first:last] @ mean / divisors(self._all_norms()[first:last])
        if topn is None:
            return found
        return self._name(found, topn, first, given)

    def most_similar_batch(
        self,
        positive: Sequence[Any] | Array,
        negative: Sequence[Any] | None = None,
        topn: int | None = 10,
        clip_start: int = 0,
        clip_end: int | None = None,
        restrict_vocab: int | None = None,
    ) -> Any:
        """``most_similar`` of many queries at once, as matrix products: many times as fast.

        Query i is ``most_similar(positive[i], negative[i], ...)``; each item is a key, a vector or
        a list, as there, and ``positive`` may be a matrix whose rows are queries.  Without
        ``negative``, no query has any.  Returns one list per query, or with ``topn=None`` a matrix
        [queries, keys].

        Example::

            wv.most_similar_batch(["king", "queen"])
            wv.most_similar_batch([["king", "woman"]], [["man"]])  # one analogy
        """
        queries = list(positive)
        others = [None] * len(queries) if negative is None else list(negative)
        if len(others) != len(queries):
            raise ValueError(f"{len(queries)} positive but {len(others)} negative queries")
        if topn is not None and topn < 1:
            return [[] for _ in queries]
        first, last = self._range(clip_start, clip_end, restrict_vocab)
        norms = divisors(self._all_norms()[first:last])
        vectors = self.vectors[first:last]
        if topn is None:
            everything = np.empty((len(queries), len(vectors)), dtype=norms.dtype)
        answers: list[Similar] = []
        step = max(1, _BLOCK // max(1, len(vectors)))
        for start in range(0, len(queries), step):
            parsed = [
                self._query(p, n)
                for p, n in zip(queries[start : start + step], others[start : start + step])
            ]
            found = np.stack([mean for mean, _ in parsed]) @ vectors.T
            found /= norms
            if topn is None:
                everything[start : start + step] = found
            else:
                for row, (_, given) in zip(found, parsed):
                    answers.append(self._name(row, topn, first, given))
        return everything if topn is None else answers

    def similar_by_word(
        self, word: Any, topn: int | None = 10, restrict_vocab: int | None = None
    ) -> Any:
        """``most_similar`` of one word."""
        return self.similar_by_key(word, topn, restrict_vocab)

    def similar_by_key(
        self, key: Any, topn: int | None = 10, restrict_vocab: int | None = None
    ) -> Any:
        """``most_similar`` of one key."""
        return self.most_similar(positive=[key], topn=topn, restrict_vocab=restrict_vocab)

    def similar_by_vector(
        self, vector: Any, topn: int | None = 10, restrict_vocab: int | None = None
    ) -> Any:
        """``most_similar`` of one vector."""
        return self.most_similar(
            positive=[np.asarray(vector)], topn=topn, restrict_vocab=restrict_vocab
        )

    def most_similar_cosmul(
        self,
        positive: Any = None,
        negative: Any = None,
        topn: int | None = 10,
        restrict_vocab: int | None = None,
    ) -> Any:
        """As ``most_similar``, by Levy and Goldberg's (2014) product of cosines (3CosMul).

        The similarity is prod (1 + cos p)/2 over the positive, divided by
        prod (1 + cos n)/2 + 1e-6 over the negative keys.
        """
        if topn is not None and topn < 1:
            return []
        wanted, unwanted = as_list(positive), as_list(negative)
        if not wanted:
            raise ValueError("cannot compute similarity with no input")
        first, last = self._range(0, None, restrict_vocab)
        keys = [key for key in wanted + unwanted if not isinstance(key, np.ndarray)]
        given = {self._present(key) for key in keys}
        vectors, norms = self.vectors[first:last], divisors(self._all_norms()[first:last])

        def product(terms: list[Any]) -> Array:
            means = [
                self.get_mean_vector([term], post_normalize=True, ignore_missing=False)
                for term in terms
            ]
            cosines = np.stack(means) @ vectors.T / norms
            result: Array = np.prod((1 + cosines) / 2, axis=0)
            return result

        found = product(wanted)
        found = found / ((product(unwanted) if unwanted else 1) + np.float32(0.000001))
        if topn is None:
            return found
        return self._name(found, topn, first, given)

    def relative_cosine_similarity(self, wa: Any, wb: Any, topn: int = 10) -> float:
        """``similarity(wa, wb)`` over the sum of those of ``wa``'s ``topn`` nearest.

        (Leeuwenberg et al., 2016: above 0.10 for 10 nearest, a synonym is likely.)
        """
        nearest = self.similar_by_word(wa, topn)
        if not nearest:
            raise ValueError(
                "Cannot calculate relative cosine similarity without any similar words."
            )
        total: float = sum(similarity for _, similarity in nearest)
        return self.similarity(wa, wb) / total

    def _range(
        self, clip_start: int, clip_end: int | None, restrict_vocab: int | None
    ) -> tuple[int, int]:
        stop = clip_end or len(self.vectors)
        if restrict_vocab:
            clip_start, stop = 0, restrict_vocab
        first, last, _ = slice(clip_start, stop).indices(len(self.vectors))
        return first, max(first, last)

    def _present(self, key: Any) -> int:
        index: int = self.get_index(key, -1)
        if index < 0:
            raise KeyError(f"Key '{key}' not present in vocabulary")
        return index

    def _query(self, positive: Any, negative: Any) -> tuple[Array, set[int]]:
        """The unit vector asked about, and the indices of the keys given."""
        wanted, unwanted = as_list(positive), as_list(negative)
        keys, weights = [], [1.0] * len(wanted) + [-1.0] * len(unwanted)
        for place, item in enumerate(wanted + unwanted):
            if isinstance(item, (*KEY_TYPES, np.ndarray)):
                keys.append(item)
            else:
                key, weights[place] = item
                keys.append(key)
        mean = self.get_mean_vector(
            keys, weights, pre_normalize=True, post_normalize=True, ignore_missing=False
        )
        return mean, {self.get_index(key) for key in keys if isinstance(key, KEY_TYPES)}

    def _name(self, found: Array, topn: int, first: int, given: set[int]) -> Similar:
        best = largest(found, topn + len(given)).tolist()
        named = [
            (self.index_to_key[first + place], float(found[place]))
            for place in best
            if first + place not in given
        ]
        return named[:topn]
