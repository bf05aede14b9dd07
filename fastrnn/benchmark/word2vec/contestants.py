"""Who trains: fastrnn, its deterministic mode, gensim, and binaries of word2vec.c."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from fastrnn.benchmark.word2vec import worker
from fastrnn.benchmark.word2vec.corpus import Corpus
from fastrnn.benchmark.word2vec.settings import DETERMINISTIC, GENSIM, OURS, Training


class Contestant(Protocol):
    """Trains once and says how long it took."""

    name: str

    def train(self, training: Training, corpus: Corpus, vectors: Path | None) -> dict[str, Any]:
        """Seconds of training and in-vocabulary words trained, at the least.

        The vectors go to ``vectors``, in word2vec's binary format, if it is not None.
        """


class Library:
    """fastrnn or gensim, in a process of its own."""

    def __init__(self, name: str, who: str, **extra: Any) -> None:
        self.name, self.who, self.extra = name, who, extra

    def train(self, training: Training, corpus: Corpus, vectors: Path | None) -> dict[str, Any]:
        sample = worker.run(
            {
                "who": self.who,
                "training": training.as_dict(),
                "extra": self.extra,
                "corpus": str(corpus.path),
                "vectors": str(vectors) if vectors else None,
            }
        )
        if sample["vocabulary_size"] != corpus.vocabulary:
            raise RuntimeError(
                f"{self.name} made a vocabulary of {sample['vocabulary_size']} words; "
                f"the text has {corpus.vocabulary}"
            )
        words: float = corpus.in_vocabulary * training.epochs
        if self.who == "gensim":
            # Its threads read past their part of the file, or stop before its end: what they
            # report having read is what they are credited with.
            words = corpus.in_vocabulary * sample["raw_words"] / corpus.words
        return {**sample, "words": words, "words_per_second": words / sample["seconds"]}


def ours() -> Library:
    return Library(OURS, "ours")


def deterministic() -> Library:
    return Library(DETERMINISTIC, "ours", deterministic=True)


def gensim() -> Library:
    return Library(GENSIM, "gensim")
