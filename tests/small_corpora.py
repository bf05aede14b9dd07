"""Small made-up texts for word2vec: some with meaning in them, some without."""

from __future__ import annotations

import numpy as np

TOPICS = {
    "animals": ["cat", "dog", "horse", "cow", "sheep", "goat", "hen", "pig"],
    "tools": ["hammer", "saw", "drill", "wrench", "nail", "screw", "chisel", "plane"],
    "weather": ["rain", "snow", "wind", "storm", "cloud", "sun", "fog", "frost"],
}


def topical(sentences: int = 600, length: int = 12, seed: int = 0) -> list[list[str]]:
    """Each sentence has words of one topic, and a few that belong to none."""
    rng = np.random.default_rng(seed)
    names = list(TOPICS)
    result = []
    for i in range(sentences):
        words = TOPICS[names[i % len(names)]]
        sentence = [words[k] for k in rng.integers(0, len(words), length)]
        for place in rng.integers(0, length, 2):
            sentence[place] = ["the", "a"][place % 2]
        result.append(sentence)
    return result


def zipfian(
    sentences: int = 300, length: int = 20, words: int = 60, seed: int = 0
) -> list[list[str]]:
    """Words w0, w1, ... without order, the lower the number the more frequent."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, words + 1)
    ids = rng.choice(words, (sentences, length), p=weights / weights.sum())
    return [[f"w{i}" for i in row] for row in ids]
