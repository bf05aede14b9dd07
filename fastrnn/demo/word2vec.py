"""The demo's word vectors: trained on the standard library's prose, and asked for neighbors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastrnn.word2vec import Word2Vec

#: Words to show neighbors of; those that the text does not have are left out.
ASKED = ("file", "string", "thread", "exception", "socket", "header", "tuple", "integer")
EPOCHS = 15
NEIGHBORS = 5


@dataclass(frozen=True)
class Trained:
    """A model, and how long its training took."""

    model: Word2Vec
    seconds: float

    @property
    def words_per_second(self) -> float:
        """In-vocabulary words, before frequent ones are thinned."""
        return sum(report.words for report in self.model.epoch_reports) / self.seconds

    def neighbors(self) -> dict[str, list[tuple[str, float]]]:
        """The nearest words of every word of `ASKED` and their cosine similarities."""
        known = (word for word in ASKED if word in self.model.wv)
        return {word: self.model.wv.most_similar(word, topn=NEIGHBORS) for word in known}


def train(sentences: list[list[str]], seed: int, threads: int, epochs: int) -> Trained:
    """Skip-gram with hierarchical softmax; the same vectors whatever the number of threads."""
    from fastrnn.word2vec import Word2Vec

    model = Word2Vec(
        sentences,
        vector_size=64,
        window=5,
        min_count=5,
        sample=1e-3,
        sg=1,
        hs=1,
        negative=0,
        alpha=0.05,
        epochs=epochs,
        seed=seed,
        workers=threads,
        deterministic=True,
    )
    return Trained(model, model.total_train_time)
