"""Word vectors by word: lookup, neighbors, analogies, evaluation and files, after gensim 4."""

from __future__ import annotations

from fastrnn.word2vec.keyed_vectors._keyed_vectors import KeyedVectors

__all__ = ["KeyedVectors"]
