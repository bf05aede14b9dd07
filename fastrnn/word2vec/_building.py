"""Building and growing the vocabulary of a model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec import _storage
from fastrnn.word2vec._corpus import count_words, read_corpus
from fastrnn.word2vec._formats.aligned import padded_storage
from fastrnn.word2vec._growth import graft
from fastrnn.word2vec._raw_counts import RawCounts
from fastrnn.word2vec._state import ModelState, logger
from fastrnn.word2vec._vocabulary import Vocabulary, select_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastrnn.word2vec._corpus import EncodedCorpus
    from fastrnn.word2vec._vocabulary import TrimRule


def one_source(corpus_iterable: Any, corpus_file: Any) -> Any:
    """The one of the two that is given; TypeError, with gensim's words, otherwise."""
    if corpus_file is None and corpus_iterable is None:
        raise TypeError("Either one of corpus_file or corpus_iterable value must be provided")
    if corpus_file is not None and corpus_iterable is not None:
        raise TypeError(
            "Both corpus_file and corpus_iterable must not be provided at the same time"
        )
    if corpus_file is not None:
        if not isinstance(corpus_file, (str, os.PathLike)):
            raise TypeError(f"corpus_file must be a path to a file, got {corpus_file!r} instead")
        return corpus_file
    text = isinstance(corpus_iterable, (str, bytes))
    if text and not os.path.exists(corpus_iterable):  # noqa: PTH110
        raise TypeError(
            "sentences must be lists of words, not one string, whose letters would be taken for "
            "words. Split the text into words, as in [text.split()]. Nor is there a file of this "
            f"name: {corpus_iterable[:60]!r}"
        )
    return corpus_iterable


class Building(ModelState):
    """``build_vocab`` and its relatives; see ``Word2Vec``."""

    def build_vocab(
        self,
        corpus_iterable: Any = None,
        corpus_file: Any = None,
        update: bool = False,
        progress_per: int = 10000,
        keep_raw_vocab: bool = False,
        trim_rule: TrimRule | None = None,
        **_ignored: Any,
    ) -> None:
        """Count the words of a text, choose the vocabulary and set up the weights.

        Args:
            corpus_iterable: sentences, or whatever else the constructor takes as ``sentences``.
            corpus_file: a text file, one sentence a line, or a directory of such.
            update: add the text's new words to a vocabulary that exists.  Old words keep their
                numbers, their vectors and, in hierarchical softmax, their paths and
                probabilities (gensim scrambles the tree); see ``fastrnn.word2vec._growth``.
            progress_per: not used; there for gensim's sake, as is keep_raw_vocab.
            keep_raw_vocab: not used.
            trim_rule: function of (word, count, min_count) that returns 2 to keep the word, 1 to
                drop it, 0 for ``min_count`` to decide.

        Raises:
            TypeError: the source is none that can be read, or there are two.
            ValueError: no word occurs often enough.
            MemoryError: the weights would not fit in memory.
            RuntimeError: update without a vocabulary.
        """
        del progress_per, keep_raw_vocab
        if update:
            self._require_vocabulary()
        source = one_source(corpus_iterable, corpus_file)
        # What is a word is decided as it will be when the text is encoded.
        raw = count_words(
            source,
            threads=self.workers,
            max_vocab_size=self.max_vocab_size,
            trim_rule=trim_rule,
            compat=self._compat_of(update),
        )
        self._use_counts(raw, trim_rule, update)

    def build_vocab_from_freq(
        self,
        word_freq: Mapping[str, int],
        keep_raw_vocab: bool = False,
        corpus_count: int | None = None,
        trim_rule: TrimRule | None = None,
        update: bool = False,
    ) -> None:
        """As ``build_vocab``, from counts that are known.

        Args:
            word_freq: word to count.  With ``compat="word2vec.c"`` that of ``</s>`` is the number
                of line ends, and may be 0.
            keep_raw_vocab: not used; there for gensim's sake.
            corpus_count: how many sentences there are, for ``model.corpus_count``.
            trim_rule: as of ``build_vocab``.
            update: as of ``build_vocab``.
        """
        del keep_raw_vocab
        if update:
            self._require_vocabulary()
        raw = RawCounts.from_mapping(word_freq, compat=self._compat_of(update))
        self._use_counts(raw, trim_rule, update)
        if corpus_count is not None:
            self.corpus_count = corpus_count

    def reset_from(self, other_model: ModelState) -> None:
        """Take over another model's vocabulary, and start from new weights.

        The other model stays as it is: nothing is shared that either would write to.
        """
        if other_model._vocabulary is None:
            raise RuntimeError("the other model has no vocabulary")
        self._adopt(other_model._vocabulary)
        self.corpus_count = other_model.corpus_count
        self.corpus_total_words = other_model.corpus_total_words

    def _read(self, source: Any, trim_rule: TrimRule | None) -> EncodedCorpus:
        """Vocabulary and encoded text in one pass, for the constructor."""
        vocabulary, corpus = read_corpus(
            source,
            min_count=self.min_count,
            max_vocab_size=self.max_vocab_size,
            max_final_vocab=self.max_final_vocab,
            trim_rule=trim_rule,
            sorted_vocab=bool(self.sorted_vocab),
            compat=self.compat,
            threads=self.workers,
            cache=self.cache,
        )
        self._corpus_size = (corpus.num_words, corpus.num_sentences)
        self._adopt(vocabulary)
        return corpus

    def _use_counts(self, raw: RawCounts, trim_rule: TrimRule | None, update: bool) -> None:
        rules: dict[str, Any] = {
            "min_count": self.min_count,
            "max_final_vocab": self.max_final_vocab,
            "trim_rule": trim_rule,
            "sort": bool(self.sorted_vocab),
            "compat": self._compat_of(update),
        }
        if update:
            assert self._vocabulary is not None
            self._grow(self._vocabulary.updated(raw, **rules))
        else:
            self._adopt(select_words(raw, **rules)[0])

    def _compat_of(self, update: bool) -> str | None:
        """What the words go by: the model's choice, or that of the vocabulary there is.

        They differ after ``from_gensim`` and ``reset_from``.
        """
        if update and self._vocabulary is not None:
            return self._vocabulary.compat
        return self.compat

    def _adopt(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.corpus_count = vocabulary.corpus_count
        self.corpus_total_words = vocabulary.corpus_total_words
        logger.info(
            "vocabulary: %d of %d words, which are %d of the %d words of the text",
            len(vocabulary),
            vocabulary.unique_words,
            vocabulary.retained_words,
            vocabulary.corpus_total_words,
        )
        self.init_weights()

    def _grow(self, vocabulary: Vocabulary) -> None:
        """Add words and counts; every old word keeps its vectors and its path."""
        old = len(self.counts)
        size = len(vocabulary)
        # Whatever can fail comes before anything changes.
        self._require_memory(size)
        grown = None
        if self._tree is not None and size > old:
            grown = graft(self._tree, vocabulary.counts[:old], vocabulary.counts[old:])
        inputs = padded_storage(size, self.vector_size)
        _storage.draw_vectors(
            inputs, self.vector_size, seed=self.seed, compat=self.compat, first_row=old
        )
        inputs[:old, : self.vector_size] = self.wv.vectors
        if grown is not None and self._nodes is not None:
            nodes = padded_storage(size, self.vector_size)
            grown.regrow(self._nodes, nodes)
            self._nodes, self._tree, self._tree_nodes = nodes, grown.tree, None
        if self._negatives is not None and size > old:
            negatives = padded_storage(size, self.vector_size)
            negatives[:old] = self._negatives
            self._negatives = negatives
        self._inputs = inputs
        self._vocabulary = vocabulary
        self.corpus_count = vocabulary.corpus_count
        self.corpus_total_words = vocabulary.corpus_total_words
        self.training_position = None  # of another vocabulary's run
        self._bind_vectors()
        logger.info("vocabulary: %d new words, %d in all", size - old, size)

    def _require_vocabulary(self) -> None:
        if self._vocabulary is None or not np.size(self.wv.vectors):
            raise RuntimeError(
                "You cannot do an online vocabulary-update of a model which has no prior "
                "vocabulary. First build the vocabulary of your model with a corpus before doing "
                "an online update."
            )
