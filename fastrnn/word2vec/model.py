"""``Word2Vec``: gensim's class on fastrnn's trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec import _options
from fastrnn.word2vec._building import one_source
from fastrnn.word2vec._gensim import GensimBridge
from fastrnn.word2vec._older_names import where_it_went
from fastrnn.word2vec._saving import Saving
from fastrnn.word2vec._scoring import Scoring
from fastrnn.word2vec._state import logger
from fastrnn.word2vec._training import Training
from fastrnn.word2vec._watching import as_checkpoint
from fastrnn.word2vec.keyed_vectors import KeyedVectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastrnn.word2vec._vocabulary import TrimRule


class Word2Vec(Training, Scoring, Saving, GensimBridge):
    """Word vectors by CBOW or skip-gram, hierarchical softmax or negative sampling or both.

    gensim's names, defaults and behavior; what differs is said at each argument.  CBOW predicts a
    word from the mean h of the vectors around it; skip-gram predicts it from each of them.  In
    hierarchical softmax a word's probability is the product of sigmoid(±h·s) over the nodes s on
    its path in a Huffman tree; negative sampling tells it from random words w' by sigmoid(h·s_w)
    (Mikolov et al. 2013, arXiv:1301.3781 and arXiv:1310.4546).

    Args:
        sentences: the text: lists of words, of any iterable, also a generator, which is read once;
            a ``pathlib.Path`` to a text file (plain, .gz, .bz2, .xz, .zst; one sentence a line) or
            a directory; arrays of integers, such as random walks; an ``EncodedCorpus``.  Without
            it, call ``build_vocab`` and ``train``.
        corpus_file: path to such a file or directory.
        vector_size: numbers in a vector.
        alpha: first learning rate; it falls linearly with the words trained.
        window: most words between a word and its context, plus one.
        min_count: rarer words are left out.
        max_vocab_size: while counting, drop the rarest words whenever there are more than this.
        sample: frequent words are thinned above this share of the text; 0: none is. From 1 on, as
            in gensim, it is taken for a count.
        seed: of the first vectors and of every random choice.
        workers: threads.
        min_alpha: last learning rate.
        sg: 1 for skip-gram, 0 for CBOW.
        hs: 1 for hierarchical softmax.  As in gensim ``negative=5`` stays on unless set to 0; a
            UserWarning says so when training.
        negative: words drawn for each in negative sampling; 0: none.
        ns_exponent: they are drawn by their count to this power.
        cbow_mean: 1: CBOW averages vectors; 0: it sums them.
        hashfxn: not used; there for gensim's sake, as are null_word and batch_words.
        epochs: how often the text is gone through.
        null_word: not used.
        trim_rule: see ``build_vocab``.
        sorted_vocab: 1: words are numbered by falling count; 0: as they first appear.
        batch_words: not used.
        compute_loss: sum up the loss in float64, exactly: ``get_latest_training_loss()`` for the
            run, ``loss_history`` by epoch.
        callbacks: see ``fastrnn.word2vec.callbacks``; not kept for later ``train`` calls.
        comment: kept with the model.
        max_final_vocab: raise ``min_count`` until at most so many words are left.
        shrink_windows: each window is as wide as drawn from 1 to ``window``.
        threads: another name of ``workers``, which it overrides.
        deterministic: the same vectors for a seed, bit by bit, whatever the number of threads, of
            which 2 have work up to a vector_size of 176, 4 up to 368, 8 beyond.
        strict: one thread, one word after the other, as word2vec.c does it: slow, for comparing.
        sigmoid: ``"exact"``, or ``"table"``: word2vec.c's, of a thousand values; by default exact,
            and the table with ``compat``.
        compat: ``"word2vec.c"`` or ``"gensim"``: choices on which the two differ from each other
            (order of words, tree, first vectors, fall of the learning rate, saturation) as there.
        cbow_grad: ``"gensim"``: as in word2vec.c and gensim, each context word of CBOW gets the
            whole gradient of their mean; ``"corrected"``: its share.
        progress: True for a tqdm bar with words/s and the time left.
        cache: file that keeps the encoded text; it is used again while text and settings allow.
        checkpoint: path to save the model to every ten minutes and after each epoch, or a pair of
            path and seconds, or a ``callbacks.Checkpoint``.

    Raises:
        ValueError, TypeError: an argument makes no sense, or the text has no usable word.
        MemoryError: the weights would not fit in memory; nothing has been allocated.

    Example:
        >>> from fastrnn import Word2Vec
        >>> sentences = [["cat", "say", "meow"], ["dog", "say", "woof"]]
        >>> model = Word2Vec(sentences, vector_size=16, min_count=1, hs=1, negative=0)
        >>> model.wv["cat"].shape
        (16,)
    """

    def __init__(
        self,
        sentences: Any = None,
        corpus_file: Any = None,
        vector_size: int = 100,
        alpha: float = 0.025,
        window: int = 5,
        min_count: int = 5,
        max_vocab_size: int | None = None,
        sample: float = 1e-3,
        seed: int = 1,
        workers: int = 3,
        min_alpha: float = 0.0001,
        sg: int = 0,
        hs: int = 0,
        negative: int = 5,
        ns_exponent: float = 0.75,
        cbow_mean: int = 1,
        hashfxn: Callable[..., int] = hash,
        epochs: int = 5,
        null_word: int = 0,
        trim_rule: TrimRule | None = None,
        sorted_vocab: int = 1,
        batch_words: int = 10000,
        compute_loss: bool = False,
        callbacks: Iterable[Any] = (),
        comment: str | None = None,
        max_final_vocab: int | None = None,
        shrink_windows: bool = True,
        *,
        threads: int | None = None,
        deterministic: bool = False,
        strict: bool = False,
        sigmoid: str | None = None,
        compat: str | None = None,
        cbow_grad: str = "gensim",
        progress: bool | None = None,
        cache: Any = None,
        checkpoint: Any = None,
    ) -> None:
        """See the class."""
        whole, finite = _options.whole_number, _options.finite
        self.vector_size = whole("vector_size", vector_size, 1)
        self.alpha = finite("alpha", alpha, zero=False)
        self.min_alpha = finite("min_alpha", min_alpha)
        self.window = whole("window", window, 1, _options.MAX_WINDOW)
        self.min_count = whole("min_count", min_count, 0)
        self.max_vocab_size = _options.optional_whole_number("max_vocab_size", max_vocab_size, 1)
        self.max_final_vocab = _options.optional_whole_number("max_final_vocab", max_final_vocab, 1)
        self.sample = finite("sample", sample)
        self.seed = whole("seed", seed, -(2**63), 2**64 - 1)
        self.workers = whole("workers", workers, 1, _options.MAX_THREADS)
        if threads is not None:
            self.workers = whole("threads", threads, 1, _options.MAX_THREADS)
        self.sg = _options.flag("sg", sg)
        self.hs = _options.flag("hs", hs)
        self.negative = whole("negative", negative, 0, _options.MAX_NEGATIVE)
        self.ns_exponent = finite("ns_exponent", ns_exponent, negative=True)
        self.cbow_mean = _options.flag("cbow_mean", cbow_mean)
        self.epochs = whole("epochs", epochs, 1)
        self.null_word = null_word
        self.sorted_vocab = _options.flag("sorted_vocab", sorted_vocab)
        self.batch_words = batch_words
        self.hashfxn = hashfxn
        self.compute_loss = bool(compute_loss)
        self.comment = comment
        self.shrink_windows = bool(shrink_windows)
        self.deterministic = bool(deterministic)
        self.strict = bool(strict)
        self.compat = _options.choice("compat", compat, _options.COMPAT)
        if sigmoid is None:
            sigmoid = "exact" if compat is None else "table"
        self.sigmoid = _options.choice("sigmoid", sigmoid, _options.SIGMOIDS) or "exact"
        self.cbow_grad = _options.choice("cbow_grad", cbow_grad, _options.CBOW_GRADS) or "gensim"
        self.progress = progress
        self.cache = cache
        self.checkpoint = as_checkpoint(checkpoint)
        if not self.hs and not self.negative:
            raise ValueError(_options.BOTH_OFF)
        self._start_empty()
        if sentences is not None or corpus_file is not None:
            self._read_and_train(one_source(sentences, corpus_file), trim_rule, callbacks)
        elif trim_rule is not None or callbacks:
            logger.warning(
                "trim_rule and callbacks are not kept: without sentences they are ignored here; "
                "pass them to build_vocab() and train()"
            )

    def _start_empty(self) -> None:
        self.wv = KeyedVectors(self.vector_size)
        self.wv.vectors_lockf = np.ones(1, np.float32)
        self.corpus_count = self.corpus_total_words = self.train_count = 0
        self.total_train_time = 0.0
        self.min_alpha_yet_reached = self.alpha
        self.stop_training = False
        self.training_position = None
        self.epoch_reports = []
        self._running_loss = 0.0
        self._epochs_begun = 0
        self._outputs_frozen = False
        self._vocabulary = self._tree = self._tree_nodes = None
        self._corpus_size = (0, 0)
        self._inputs = np.zeros((0, self.vector_size), np.float32)
        self._nodes = self._negatives = None

    def _read_and_train(
        self, source: Any, trim_rule: TrimRule | None, callbacks: Iterable[Any]
    ) -> None:
        corpus = self._read(source, trim_rule)
        self._check_objectives()
        position = self._begin_run(
            corpus,
            epochs=self.epochs,
            start_alpha=self.alpha,
            end_alpha=self.min_alpha,
            stretch=1.0,
            compute_loss=self.compute_loss,
        )
        self._run(corpus, position, callbacks, self.progress, self.checkpoint)

    def get_latest_training_loss(self) -> float:
        """Sum of the losses (nats) of all predictions of the last ``train`` call, up to now.

        Exact and in float64, with every turn of every path and every negative example counted
        (gensim adds up float32 values in racing threads and leaves out saturated ones).  0 unless
        ``compute_loss`` is on.  As in gensim it runs on over the epochs of a call: ``loss_history``
        has them one by one, and ``epoch_reports`` the number of predictions, ``pairs``, as well.
        """
        return self._running_loss

    @property
    def running_training_loss(self) -> float:
        """The same as ``get_latest_training_loss()``, by gensim's name."""
        return self._running_loss

    @property
    def loss_history(self) -> list[float]:
        """The loss summed over each epoch of the last ``train`` call."""
        return [report.loss for report in self.epoch_reports]

    def init_from(self, vectors: KeyedVectors, *, freeze: bool = False) -> int:
        """Start from known vectors: copy those of all words that both have.

        Args:
            vectors: of the same vector_size.
            freeze: keep the copied ones as they are while training.

        Returns:
            How many were copied.

        Raises:
            RuntimeError: there is no vocabulary yet.
            ValueError: the sizes differ.
        """
        if self._vocabulary is None:
            raise RuntimeError("you must first build vocabulary before copying vectors into it")
        if vectors.vector_size != self.vector_size:
            raise ValueError(f"vector_size is {self.vector_size}, not {vectors.vector_size}")
        self._own_weights()
        shared = [word for word in self._vocabulary.words if word in vectors.key_to_index]
        here = [self.wv.key_to_index[word] for word in shared]
        self.wv.vectors[here] = vectors.vectors[[vectors.key_to_index[word] for word in shared]]
        self.wv.norms = None
        if freeze:
            self.freeze(shared)
        return len(shared)

    def freeze(self, words: Iterable[str | int] | None = None, *, outputs: bool = False) -> None:
        """Keep vectors as they are while training.

        Args:
            words: which; None: all input vectors, unless ``outputs`` is what is to be frozen.
                A lock factor of 0 is set in ``wv.vectors_lockf``, gensim's array, of 1 or V
                entries, by which every update of a word's vector is multiplied.
            outputs: freeze the output vectors, of nodes and of negative sampling.
        """
        if outputs:
            self._outputs_frozen = True
        if words is not None:
            lock = np.broadcast_to(self.wv.vectors_lockf, len(self.wv)).astype(np.float32)
            lock[[self.wv.get_index(word) for word in words]] = 0
            self.wv.vectors_lockf = lock
        elif not outputs:
            self.wv.vectors_lockf = np.zeros(1, np.float32)

    def unfreeze(self) -> None:
        """Let everything be trained again."""
        self.wv.vectors_lockf = np.ones(1, np.float32)
        self._outputs_frozen = False

    if not TYPE_CHECKING:  # a type checker shall find wrong names itself

        def __getattr__(self, name: str) -> Any:
            """Say where gensim's older names have gone."""
            if name in ("syn1", "syn1neg", "tree"):
                # A property's own AttributeError ends up here; it is asked again for its words.
                getattr(type(self), name).fget(self)
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(message + where_it_went(name))
