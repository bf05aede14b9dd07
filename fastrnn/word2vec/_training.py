"""``train``: its arguments checked, its text encoded, its run begun or taken up again."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from fastrnn.word2vec import _options
from fastrnn.word2vec._building import one_source
from fastrnn.word2vec._corpus import encode_corpus
from fastrnn.word2vec._running import Running
from fastrnn.word2vec._schedule import TrainingPosition, fingerprint
from fastrnn.word2vec._state import logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastrnn.word2vec._corpus import EncodedCorpus


class Training(Running):
    """``train`` and what it needs; see ``Word2Vec``."""

    def train(
        self,
        corpus_iterable: Any = None,
        corpus_file: Any = None,
        total_examples: int | None = None,
        total_words: int | None = None,
        epochs: int | None = None,
        start_alpha: float | None = None,
        end_alpha: float | None = None,
        word_count: int = 0,
        queue_factor: int = 2,
        report_delay: float = 1.0,
        compute_loss: bool | None = None,
        callbacks: Iterable[Any] = (),
        *,
        resume: bool = False,
        progress: Any = None,
        cache: Any = None,
        checkpoint: Any = None,
    ) -> tuple[int, int]:
        """Train on a text; returns (words trained after thinning, words read), over all epochs.

        The text is read and encoded once, and the encoded text is trained on in every epoch
        (gensim reads an iterable anew for each), so a generator will do.  Words outside the
        vocabulary are left out before windows are formed.

        Args:
            corpus_iterable: sentences, or whatever else the constructor takes as ``sentences``.
            corpus_file: a text file, one sentence a line, or a directory of such.
            total_examples: number of sentences; the learning rate falls over ``epochs`` times as
                many. As in gensim this or total_words must be given:
                ``total_examples=model.corpus_count`` for the text the vocabulary was built from.
            total_words: number of words, counting those outside the vocabulary.
            epochs: how often the text is gone through; as in gensim it must be given.
            start_alpha: first learning rate of this call; otherwise ``model.alpha``.
            end_alpha: last learning rate of this call; otherwise ``model.min_alpha``.
            word_count: not used; there for gensim's sake, as are queue_factor and report_delay.
            queue_factor: not used.
            report_delay: not used.
            compute_loss: whether to sum up the loss; by default as the constructor was told
                (gensim: False).
            callbacks: objects with methods such as ``on_epoch_end(model)``; see
                ``fastrnn.word2vec.callbacks``.
            resume: go on with a run that was cut short by Ctrl-C, an exception, early stopping
                or the end of the process (after ``load``), with the same text and the run's own
                epochs and learning rates; returns what was still to do.
            progress: True for a tqdm bar; by default as the constructor was told.
            cache: file to keep the encoded text in; see the constructor.
            checkpoint: where to save now and then; see the constructor.

        Raises:
            RuntimeError: there is no vocabulary, or nothing to resume.
            ValueError: epochs or the text's size is missing, a learning rate makes no sense, both
                objectives are off, or the text is not the one to be resumed.
            TypeError: the source is none that can be read, or there are two.
            KeyboardInterrupt: Ctrl-C, once the threads have stopped. The vectors are those of
                that moment, and ``model.training_position`` tells which sentences they have seen.
        """
        del word_count, queue_factor, report_delay
        if self._vocabulary is None or not len(self.wv):
            raise RuntimeError("you must first build vocabulary before training the model")
        position = self.training_position
        if resume and position is None:
            raise RuntimeError("there is no interrupted training to resume")
        if not resume:
            if total_words is None and total_examples is None:
                raise ValueError(
                    "You must specify either total_examples or total_words, for proper "
                    "learning-rate and progress calculations. If you've just built the vocabulary "
                    "using the same corpus, using the count cached in the model is sufficient: "
                    "total_examples=model.corpus_count."
                )
            if epochs is None or epochs <= 0:
                raise ValueError(
                    "You must specify an explicit epochs count. "
                    "The usual value is epochs=model.epochs."
                )
        self._check_objectives()
        source = one_source(corpus_iterable, corpus_file)
        corpus = encode_corpus(
            source,
            self._vocabulary,
            threads=self.workers,
            cache=self.cache if cache is None else cache,
        )
        if resume and position is not None:
            if position.corpus != fingerprint(corpus):
                raise ValueError(
                    "this is not the text of the run to be resumed, or its vocabulary has changed"
                )
        else:
            assert epochs is not None
            position = self._begin_run(
                corpus,
                epochs=_options.whole_number("epochs", epochs, 1),
                start_alpha=self.alpha if start_alpha is None else start_alpha,
                end_alpha=self.min_alpha if end_alpha is None else end_alpha,
                stretch=_stretch(corpus, total_examples, total_words),
                compute_loss=self.compute_loss if compute_loss is None else bool(compute_loss),
            )
        return self._run(
            corpus,
            position,
            callbacks,
            self.progress if progress is None else progress,
            self.checkpoint if checkpoint is None else checkpoint,
        )

    def _check_objectives(self) -> None:
        if not self.hs and not self.negative:
            raise ValueError(_options.BOTH_OFF)
        if self.hs and self.negative:
            warnings.warn(_options.BOTH_ON, UserWarning, stacklevel=_outside())
        if (self.hs and self._nodes is None) or (self.negative and self._negatives is None):
            raise RuntimeError(
                "hs or negative was switched on after the vocabulary was built; build it again"
            )

    def _begin_run(
        self,
        corpus: EncodedCorpus,
        *,
        epochs: int,
        start_alpha: float,
        end_alpha: float,
        stretch: float,
        compute_loss: bool,
    ) -> TrainingPosition:
        start_alpha = _options.finite("alpha", start_alpha, zero=False)
        end_alpha = _options.finite("min_alpha", end_alpha)
        if start_alpha > self.min_alpha_yet_reached and self.train_count:
            logger.warning("Effective 'alpha' higher than previous training cycles")
        position = TrainingPosition(
            epoch=0,
            sentence=0,
            epochs=epochs,
            start_alpha=start_alpha,
            end_alpha=end_alpha,
            stretch=stretch,
            first_epoch=self._epochs_begun,
            compute_loss=compute_loss,
            corpus=fingerprint(corpus),
        )
        self.epochs = epochs
        self.min_alpha_yet_reached = start_alpha
        self.epoch_reports = []
        self._running_loss = 0.0
        return position


def _stretch(corpus: EncodedCorpus, total_examples: int | None, total_words: int | None) -> float:
    """How much longer than the run the caller says the learning rate's slope is."""
    given, true, what = total_examples, {corpus.total_sentences}, "total_examples"
    if given is None:
        # Who counted the vocabulary's words only means the same text.
        given, true, what = total_words, {corpus.total_words, corpus.num_words}, "total_words"
    if given is None or given in true or not max(true):
        return 1.0
    if given < 1:
        raise ValueError(f"{what} must be at least 1, not {given}")
    logger.warning("supplied %s (%d) did not equal the text's (%d)", what, given, max(true))
    return given / max(true)


def _outside() -> int:
    """The stack level of the first caller outside this package, for warnings."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and __name__.rpartition(".")[0] in frame.f_globals["__name__"]:
        level, frame = level + 1, frame.f_back
    return level
