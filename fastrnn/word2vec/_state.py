"""What a Word2Vec model holds: settings, vocabulary, weights; and gensim's views of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec import _memory, _storage
from fastrnn.word2vec._formats.aligned import padded_storage
from fastrnn.word2vec._probability import TreeNodes
from fastrnn.word2vec._tree import huffman_tree
from fastrnn.word2vec._words import packed
from fastrnn.word2vec.keyed_vectors import KeyedVectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fastrnn.word2vec._schedule import EpochReport, TrainingPosition
    from fastrnn.word2vec._tree import Tree
    from fastrnn.word2vec._vocabulary import Vocabulary

logger = logging.getLogger("fastrnn.word2vec")


class ModelState:
    """Settings and weights, without what is done with them; see ``Word2Vec``."""

    vector_size: int
    alpha: float
    min_alpha: float
    window: int
    min_count: int
    max_vocab_size: int | None
    max_final_vocab: int | None
    sample: float
    seed: int
    workers: int
    sg: int
    hs: int
    negative: int
    ns_exponent: float
    cbow_mean: int
    epochs: int
    sorted_vocab: int
    shrink_windows: bool
    compute_loss: bool
    batch_words: int
    null_word: int
    hashfxn: Callable[..., int]
    comment: str | None
    deterministic: bool
    strict: bool
    sigmoid: str
    compat: str | None
    cbow_grad: str
    progress: Any
    cache: Any
    checkpoint: Any

    wv: KeyedVectors
    corpus_count: int
    corpus_total_words: int
    train_count: int
    total_train_time: float
    min_alpha_yet_reached: float
    stop_training: bool
    training_position: TrainingPosition | None
    epoch_reports: list[EpochReport]
    _running_loss: float
    _epochs_begun: int  # of all train() calls; the random numbers of each are its own
    _outputs_frozen: bool
    _vocabulary: Vocabulary | None
    _corpus_size: tuple[int, int]  # words and sentences encoded last, for estimates
    _inputs: NDArray[np.float32]  # storage that wv.vectors views
    _nodes: NDArray[np.float32] | None
    _negatives: NDArray[np.float32] | None
    _tree: Tree | None
    _tree_nodes: TreeNodes | None

    @property
    def threads(self) -> int:
        """Another name of ``workers``."""
        return self.workers

    @threads.setter
    def threads(self, value: int) -> None:
        self.workers = value

    @property
    def layer1_size(self) -> int:
        """The same as ``vector_size``, by gensim's name."""
        return self.vector_size

    @property
    def syn1(self) -> NDArray[np.float32]:
        """Node vectors of hierarchical softmax in gensim's order, ``[V, vector_size]``.

        A view: row ``n`` is node ``n`` of word2vec.c and gensim, which create the root last, as
        ``V - 2``; row ``V - 1`` is unused.  Raises AttributeError without ``hs`` or vocabulary.
        """
        if self._nodes is None:
            raise AttributeError("syn1 exists with hs=1, once the vocabulary is built")
        return self._nodes[::-1, : self.vector_size]

    @syn1.setter
    def syn1(self, value: NDArray[np.float32]) -> None:
        self.syn1[...] = value

    @property
    def syn1neg(self) -> NDArray[np.float32]:
        """Output vectors of negative sampling, ``[V, vector_size]``, a view.

        Raises AttributeError without ``negative`` or vocabulary.
        """
        if self._negatives is None:
            raise AttributeError("syn1neg exists with negative > 0, once the vocabulary is built")
        return self._negatives[:, : self.vector_size]

    @syn1neg.setter
    def syn1neg(self, value: NDArray[np.float32]) -> None:
        self.syn1neg[...] = value

    @property
    def tree(self) -> Tree:
        """The Huffman tree; AttributeError without ``hs`` or vocabulary."""
        if self._tree is None:
            raise AttributeError("tree exists with hs=1, once the vocabulary is built")
        return self._tree

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each word occurs in the text the vocabulary was built from, ``[V]``."""
        return np.zeros(0, np.int64) if self._vocabulary is None else self._vocabulary.counts

    def estimate_memory(
        self,
        vocab_size: int | None = None,
        report: dict[str, int] | None = None,
        corpus_words: int | None = None,
    ) -> dict[str, int]:
        """Bytes that training takes, by what takes them, with their ``total``.

        gensim's keys (``vocab``, ``vectors``, ``syn1``, ``syn1neg``, ``total``) and ``tree``,
        ``tables``, ``ids`` (the encoded corpus, unless it is mapped from a cache) and ``threads``.

        Args:
            vocab_size: number of words; that of the model by default.
            report: other entries to include, such as the caller's own data.
            corpus_words: in-vocabulary words of the text; by default those of the text
                encoded last, or else the sum of the vocabulary's counts.
        """
        words, sentences = self._corpus_size
        grown = vocab_size is not None and vocab_size != len(self.counts)
        if corpus_words is None:
            corpus_words = words or int(self.counts.sum())
        words_packed = None if grown or self._vocabulary is None else packed(self._vocabulary)
        if words_packed is not None and words_packed.are_strings:
            words_packed = None
        result = dict(report or {})
        result.update(
            _memory.memory_report(
                vocab_size=len(self.counts) if vocab_size is None else vocab_size,
                vector_size=self.vector_size,
                hs=self.hs,
                negative=self.negative,
                threads=self.workers,
                corpus_words=corpus_words,
                corpus_sentences=sentences or self.corpus_count,
                copies=not (self.deterministic or self.strict),
                packed_words=None if words_packed is None else words_packed.nbytes,
                tree=None if grown or self._tree is None else self._tree.nbytes,
            )
        )
        result["total"] = sum(result.values())
        return result

    def init_weights(self) -> None:
        """Set all weights as before training; the vocabulary and its tree stay."""
        vocabulary = self._vocabulary
        if vocabulary is None:
            raise RuntimeError("you must first build vocabulary before initializing weights")
        size = len(vocabulary)
        self._require_memory(size)
        self._inputs = padded_storage(size, self.vector_size)
        _storage.draw_vectors(self._inputs, self.vector_size, seed=self.seed, compat=self.compat)
        self._nodes = padded_storage(size, self.vector_size) if self.hs else None
        self._negatives = padded_storage(size, self.vector_size) if self.negative else None
        self._tree = huffman_tree(vocabulary.counts, compat=self.compat) if self.hs else None
        self._tree_nodes = None
        self._bind_vectors()
        self.training_position = None
        self.epoch_reports = []
        self._running_loss = 0.0
        self._epochs_begun = 0

    def _require_memory(self, vocab_size: int) -> None:
        report = self.estimate_memory(vocab_size)
        # What is allocated here; the vocabulary and the ids are there by now.
        for held in ("total", "vocab", "ids"):
            del report[held]
        _memory.require_memory(report, self.vector_size, vocab_size)

    def _bind_vectors(self) -> None:
        """Make ``wv`` show the input vectors and the vocabulary."""
        assert self._vocabulary is not None
        lock = self.wv.vectors_lockf
        size = len(self._vocabulary)
        if len(lock) > 1:
            before = self.wv.index_to_key
            if self._vocabulary.words[: len(before)] != before:
                lock = np.ones(1, np.float32)  # they were other words' factors
        self.wv = KeyedVectors._from_parts(
            packed(self._vocabulary) or list(self._vocabulary.words),
            self._inputs,
            self.vector_size,
            self._vocabulary.counts,
            unique=True,
        )
        grown = size - len(lock)
        if len(lock) > 1 and grown > 0:
            lock = np.concatenate([lock, np.ones(grown, np.float32)])
        self.wv.vectors_lockf = lock

    def _own_weights(self, *, writable: bool = True) -> None:
        """See to it that native code can use the very arrays that ``wv`` and syn1 show.

        Users may have assigned ``wv.vectors``; a loaded model may be mapped from a file, which
        is no obstacle unless they are to be written.
        """
        shape = (len(self.counts), self.vector_size)

        def fits(array: NDArray[np.float32]) -> bool:
            return _storage.is_storage(array, *shape, writable=writable)

        shown = self.wv.vectors
        vocabulary = self._vocabulary
        known = vocabulary is not None and (
            self.wv._keys is packed(vocabulary) or self.wv.index_to_key == vocabulary.words
        )
        if not known:
            raise ValueError(
                "the keys of wv are not those the model was built with (sorted or added to?); "
                "build_vocab(update=True) adds words to a model"
            )
        if shown.shape != shape:
            raise ValueError(f"wv.vectors has shape {shown.shape}, not {shape}")
        if shown.ctypes.data != self._inputs.ctypes.data or not fits(self._inputs):
            self._inputs = _storage.padded(shown)
            self.wv.vectors = self._inputs[:, : self.vector_size]
        if self._nodes is not None and not fits(self._nodes):
            self._nodes = _storage.padded(self._nodes[:, : self.vector_size])
        if self._negatives is not None and not fits(self._negatives):
            self._negatives = _storage.padded(self._negatives[:, : self.vector_size])

    def _nodes_of_tree(self) -> TreeNodes:
        if self._tree_nodes is None:
            self._tree_nodes = TreeNodes(self.tree)
        return self._tree_nodes

    def __str__(self) -> str:
        """As gensim's: class, vocabulary, vector size and learning rate."""
        return (
            f"{type(self).__name__}<vocab={len(self.wv)}, vector_size={self.vector_size}, "
            f"alpha={self.alpha}>"
        )
