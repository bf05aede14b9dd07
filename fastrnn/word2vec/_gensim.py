"""Models to gensim and back, in memory; gensim is imported only here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec._formats.aligned import padded_storage
from fastrnn.word2vec._saving import OPTIONS
from fastrnn.word2vec._state import ModelState
from fastrnn.word2vec._tree import Tree
from fastrnn.word2vec._vocabulary import Vocabulary

if TYPE_CHECKING:
    from typing_extensions import Self

_SHARED = OPTIONS[: OPTIONS.index("deterministic")]  # settings that gensim has too


class GensimBridge(ModelState):
    """``to_gensim`` and ``from_gensim``; see ``Word2Vec``."""

    def to_gensim(self) -> Any:
        """A ``gensim.models.Word2Vec`` with copies of this model's words, weights and tree.

        It can be queried, scored, saved and trained on by gensim.  Raises ImportError without
        gensim, RuntimeError without a vocabulary.
        """
        gensim_models = _import_gensim()
        if self._vocabulary is None:
            raise RuntimeError("you must first build vocabulary before converting a model")
        other = gensim_models.Word2Vec(**{name: getattr(self, name) for name in _SHARED})
        words = self._vocabulary.words
        other.wv.index_to_key = list(words)
        other.wv.key_to_index = {word: i for i, word in enumerate(words)}
        other.wv.vectors = np.array(self.wv.vectors)
        other.wv.vectors_lockf = np.array(self.wv.vectors_lockf, np.float32)
        other.wv.expandos = {"count": self.counts.copy()}
        self._give_sampling(other)
        if self._tree is not None:
            codes = np.empty(len(words), object)
            points = np.empty(len(words), object)
            for word in range(len(words)):
                rows, codes[word] = self._tree.path(word)
                points[word] = (len(words) - 1 - rows).astype(np.uint32)
            other.wv.expandos |= {"code": codes, "point": points}
            other.syn1 = np.ascontiguousarray(self.syn1)
        if self._negatives is not None:
            other.syn1neg = np.ascontiguousarray(self.syn1neg)
            other.make_cum_table()
        other.corpus_count = self.corpus_count
        other.corpus_total_words = self.corpus_total_words
        other.raw_vocab = dict(zip(words, self.counts.tolist()))
        other.effective_min_count = self._vocabulary.min_count
        other.train_count = self.train_count
        other.min_alpha_yet_reached = self.min_alpha_yet_reached
        return other

    def _give_sampling(self, other: Any) -> None:
        from fastrnn.word2vec._sampling import keep_thresholds

        keep = keep_thresholds(self.counts, self.sample, compat=self.compat)
        if keep is None:
            keep = np.full(len(self.counts), 2**32 - 1, np.uint32)
        other.wv.expandos["sample_int"] = keep

    @classmethod
    def from_gensim(cls, model: Any, **options: Any) -> Self:
        """A copy of a trained ``gensim.models.Word2Vec``.

        Args:
            model: gensim's.
            options: settings that differ from gensim's, as the constructor takes them, such as
                ``deterministic=True``.

        Raises:
            TypeError: ``model`` is no such model, or its words are not strings.
            ValueError: it has no vocabulary, or its tree and weights do not belong together, as
                after gensim's ``build_vocab(update=True)`` with hierarchical softmax.
        """
        if not all(hasattr(model, name) for name in ("wv", "hs", "negative", "vector_size")):
            raise TypeError(f"from_gensim takes a gensim.models.Word2Vec, not {model!r}")
        words = list(model.wv.index_to_key)
        size = len(words)
        if not size or len(model.wv.vectors) != size:
            raise ValueError("the gensim model has no vocabulary or no vectors")
        if not all(isinstance(word, str) for word in words):
            raise TypeError("the gensim model's keys are not all strings")
        settings = {name: getattr(model, name) for name in _SHARED}
        result = cls(**{**settings, **options})
        counts = np.array([model.wv.get_vecattr(word, "count") for word in words], np.int64)
        result._vocabulary = Vocabulary(
            words=words,
            counts=counts,
            corpus_total_words=int(model.corpus_total_words or 0),
            corpus_count=int(model.corpus_count or 0),
            unique_words=size,
            min_count=int(model.min_count),
        )
        result.corpus_count = result._vocabulary.corpus_count
        result.corpus_total_words = result._vocabulary.corpus_total_words
        result.init_weights()
        result.wv.vectors[...] = model.wv.vectors
        lock = np.array(getattr(model.wv, "vectors_lockf", np.ones(1)), np.float32)
        result.wv.vectors_lockf = lock
        if result.hs:
            result._tree = _tree_of(model.wv, size)
            result._nodes = padded_storage(size, result.vector_size)
            result.syn1 = model.syn1
        if result.negative:
            result.syn1neg = model.syn1neg
        result.train_count = int(model.train_count)
        result.min_alpha_yet_reached = float(model.min_alpha_yet_reached)
        return result


def _tree_of(vectors: Any, size: int) -> Tree:
    """The tree in gensim's per-word attributes: codes and points (node numbers)."""
    if size == 1:
        return Tree(np.zeros(2, np.int64), np.empty(0, np.int32), np.zeros(1, np.uint64))
    codes = [np.asarray(code) for code in vectors.expandos["code"]]
    points = [np.asarray(point) for point in vectors.expandos["point"]]
    if max(map(len, codes)) > 64:
        raise ValueError("the gensim model's tree has paths of more than 64 turns")
    return Tree(
        path_offsets=np.cumsum([0, *map(len, points)]).astype(np.int64),
        path_rows=(size - 1 - np.concatenate(points).astype(np.int64)).astype(np.int32),
        codes=np.array([sum(int(bit) << k for k, bit in enumerate(c)) for c in codes], np.uint64),
    ).check()


def _import_gensim() -> Any:
    try:
        return importlib.import_module("gensim.models")
    except ImportError as error:
        raise ImportError("to_gensim needs gensim: pip install gensim", name="gensim") from error
