"""Slow, readable NumPy training of word vectors: what the native trainer is tested against.

Every number is spelled out here once, in the order in which one thread computes it. The dtype is
that of the matrices passed in, float32 or float64.

Sources: Mikolov et al., "Efficient estimation of word representations in vector space" (2013) and
"Distributed representations of words and phrases and their compositionality" (2013); the details
(saturation, sigmoid table, windows, learning rate) are those of word2vec.c.
"""

from __future__ import annotations

from fastrnn.word2vec.reference._scores import (
    score_sentences,
    word_log_probability,
    word_probabilities,
)
from fastrnn.word2vec.reference._trainer import ReferenceTrainer

__all__ = ["ReferenceTrainer", "score_sentences", "word_log_probability", "word_probabilities"]
