"""How near given keys are to each other."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from fastrnn.word2vec.keyed_vectors._base import KEY_TYPES, Array, Base, divisors, norms_of, unit
from fastrnn.word2vec.keyed_vectors._transport import transport_cost

logger = logging.getLogger(__name__)


class Comparisons(Base):
    """Similarities and distances between keys."""

    def similarity(self, w1: Any, w2: Any) -> float:
        """The cosine of the angle between two keys' vectors."""
        return float(unit(self.get_vector(w1)) @ unit(self.get_vector(w2)))

    def distance(self, w1: Any, w2: Any) -> float:
        """1 - ``similarity``."""
        return 1 - self.similarity(w1, w2)

    def n_similarity(self, ws1: Sequence[Any], ws2: Sequence[Any]) -> float:
        """The cosine between the mean vectors of two lists of keys; missing keys are left out.

        Raises ``ZeroDivisionError`` for an empty list, as gensim does.
        """
        if not (len(ws1) and len(ws2)):
            raise ZeroDivisionError("At least one of the passed list is empty.")
        mean1 = self.get_mean_vector(ws1, pre_normalize=False)
        mean2 = self.get_mean_vector(ws2, pre_normalize=False)
        return float(unit(mean1) @ unit(mean2))

    @staticmethod
    def cosine_similarities(vector_1: Array, vectors_all: Array) -> Array:
        """The cosines between one vector [d] and each row of a matrix [n, d]."""
        norm = norms_of(np.asarray(vector_1).reshape(1, -1))[0]
        return np.asarray(
            vectors_all @ vector_1 / (divisors(norm) * divisors(norms_of(vectors_all)))
        )

    def distances(self, word_or_vector: Any, other_words: Collection[Any] | None = ()) -> Array:
        """1 - cosine from a key or vector to each of ``other_words``, or to all keys if none."""
        if isinstance(word_or_vector, KEY_TYPES):
            vector = self.get_vector(word_or_vector)
        else:
            vector = np.asarray(word_or_vector)
        if other_words is None or len(other_words) == 0:
            # As cosine_similarities, with the norms that are kept.
            norm = norms_of(vector.reshape(1, -1))[0]
            norms = divisors(self._all_norms())
            return np.asarray(1 - self.vectors @ vector / (divisors(norm) * norms))
        rows = [self.get_index(word) for word in other_words]
        return 1 - self.cosine_similarities(vector, self.vectors[rows])

    def closer_than(self, key1: Any, key2: Any) -> list[Any]:
        """All keys that are closer to ``key1`` than ``key2`` is."""
        distances = self.distances(key1)
        own, other = self.get_index(key1), self.get_index(key2)
        closer = np.flatnonzero(distances < distances[other]).tolist()
        return [self.index_to_key[index] for index in closer if index != own]

    def words_closer_than(self, word1: Any, word2: Any) -> list[Any]:
        """Deprecated: ``closer_than``."""
        warnings.warn(
            "Use closer_than instead of words_closer_than", DeprecationWarning, stacklevel=2
        )
        return self.closer_than(word1, word2)

    def rank(self, key1: Any, key2: Any) -> int:
        """The place of ``key2`` among all keys by their distance from ``key1``, from 1 on."""
        return len(self.closer_than(key1, key2)) + 1

    def most_similar_to_given(self, key1: Any, keys_list: Sequence[Any]) -> Any:
        """That of ``keys_list`` which is most similar to ``key1``."""
        similarities = [self.similarity(key1, key) for key in keys_list]
        return keys_list[int(np.argmax(similarities))]

    def rank_by_centrality(
        self, words: Iterable[Any], use_norm: bool = True
    ) -> list[tuple[float, Any]]:
        """``(similarity to the mean of all, key)`` for each key, the most central first.

        Keys without a vector are left out with a warning in the log; ``ValueError`` if none is
        left.
        """
        words = list(words)
        used = self._usable(words)
        if len(used) != len(words):
            logger.warning(
                "vectors for words %s are not present in the model, ignoring these words",
                set(words) - set(used),
            )
        if not used:
            raise ValueError("cannot select a word from an empty list")
        vectors = np.stack([self.get_vector(word, norm=use_norm) for word in used])
        vectors = vectors.astype(np.float64)
        similarities = vectors @ unit(vectors.mean(axis=0))
        return sorted(zip(similarities.tolist(), used), reverse=True)

    def doesnt_match(self, words: Iterable[Any]) -> Any:
        """The key that is farthest from the mean of all given."""
        return self.rank_by_centrality(words)[-1][1]

    def wmdistance(
        self, document1: Sequence[str], document2: Sequence[str], norm: bool = True
    ) -> float:
        """Word Mover's Distance (Kusner et al., 2015) between two documents, lists of words.

        The least work of moving one document's words onto the other's, each word weighing its
        share of its document and each move costing the Euclidean distance of the vectors (scaled
        to length 1 if ``norm``).  Words without a vector are left out; a document without any
        other is infinitely far.  Solved exactly, for documents of up to some hundred words.
        """
        left, right = self._usable(document1), self._usable(document2)
        if not left or not right:
            logger.warning("at least one of the documents has no word in the vocabulary")
            return float("inf")
        words1, words2 = list(dict.fromkeys(left)), list(dict.fromkeys(right))
        supply = np.array([left.count(word) for word in words1]) * len(right)
        demand = np.array([right.count(word) for word in words2]) * len(left)
        v1 = np.stack([self.get_vector(word, norm) for word in words1]).astype(np.float64)
        v2 = np.stack([self.get_vector(word, norm) for word in words2]).astype(np.float64)
        costs = np.sqrt(((v1[:, None, :] - v2[None, :, :]) ** 2).sum(axis=2))
        return transport_cost(supply, demand, costs) / (len(left) * len(right))
