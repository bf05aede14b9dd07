"""The loop over epochs: the native trainer, callbacks, checkpoints, and where the run stands."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _core
from fastrnn.word2vec._building import Building
from fastrnn.word2vec._sampling import alias_table, keep_thresholds, negative_weights
from fastrnn.word2vec._schedule import EpochReport
from fastrnn.word2vec._state import logger
from fastrnn.word2vec._watching import EpochPart, Pause, as_checkpoint, call_all
from fastrnn.word2vec.callbacks import ProgressBar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from fastrnn.word2vec._corpus import EncodedCorpus
    from fastrnn.word2vec._schedule import TrainingPosition

REPORT_SECONDS = 0.5  # between two reports of the trainer
_MASK = (1 << 64) - 1


class Running(Building):
    """What ``train`` and the constructor do once the text is encoded."""

    def _run(
        self,
        corpus: EncodedCorpus,
        position: TrainingPosition,
        callbacks: Iterable[Any],
        progress: Any,
        checkpoint: Any,
    ) -> tuple[int, int]:
        self.training_position = position
        self.compute_loss = position.compute_loss
        self.stop_training = False
        self._corpus_size = (corpus.num_words, corpus.num_sentences)
        if not corpus.num_words:
            logger.warning("no word of the text is in the vocabulary: nothing will be trained")
        watchers = list(callbacks)
        saver = as_checkpoint(checkpoint)
        if saver is not None:
            watchers.append(saver)
        bar = ProgressBar() if progress else None
        if bar is not None:
            watchers.append(bar)
        begun = time.perf_counter()
        kept = read = 0
        try:
            trainer = self._trainer(corpus)
            call_all(watchers, "on_train_begin", self)
            while not position.finished and not self.stop_training:
                call_all(watchers, "on_epoch_begin", self)
                new = self._run_epoch(trainer, corpus, position, watchers)
                kept += new.kept
                # The words outside the vocabulary, which a resumed epoch has its share of.
                share = new.words / corpus.num_words if corpus.num_words else 1
                read += round(corpus.total_words * share)
                call_all(watchers, "on_epoch_end", self)
            self.train_count += 1
            call_all(watchers, "on_train_end", self)
        finally:
            self.total_train_time += time.perf_counter() - begun
            if bar is not None:
                bar.close()
        return kept, read

    def _run_epoch(
        self,
        trainer: Any,
        corpus: EncodedCorpus,
        position: TrainingPosition,
        watchers: Sequence[Any],
    ) -> EpochReport:
        """The rest of the epoch at ``position``, which is kept up to date whatever happens."""
        if len(self.epoch_reports) <= position.epoch:
            self.epoch_reports.append(EpochReport())
        report = self.epoch_reports[-1]
        before = replace(report)
        self._epochs_begun = max(self._epochs_begun, position.first_epoch + position.epoch + 1)
        by_sentences = self.compat == "gensim"
        units = corpus.num_sentences if by_sentences else corpus.num_words
        ended = False
        while not ended:
            part = EpochPart(self, corpus, position, watchers)
            part.tell(report.words, report.loss, self.min_alpha_yet_reached)
            try:
                part.result = trainer.train(
                    epoch=position.first_epoch + position.epoch,
                    alpha_start=position.start_alpha,
                    alpha_end=position.end_alpha,
                    c_schedule=self.compat == "word2vec.c",
                    done=position.epoch * units,
                    total=max(1, round(position.epochs * units * position.stretch)),
                    by_sentences=by_sentences,
                    first_sentence=position.sentence,
                    report=part,
                    interval=REPORT_SECONDS,
                )
                ended = True
            except Pause:
                pass
            finally:
                self.wv.norms = None  # of vectors that are no more
                report.add(part.known(trainer))
                self.min_alpha_yet_reached = report.alpha
                self._running_loss = sum(each.loss for each in self.epoch_reports)
                position.sentence = trainer.position
                ended = ended or position.sentence >= corpus.num_sentences
                if ended:
                    position.epoch, position.sentence = position.epoch + 1, 0
            if part.saver is not None:
                part.saver.save(self)
        part.tell(report.words, report.loss, report.alpha, epoch_ended=True)
        logger.info(
            "epoch %d of %d: %d words, %d kept, in %.1f s: %.0f words/s; loss %g",
            position.epoch,
            position.epochs,
            report.words,
            report.kept,
            report.seconds,
            report.words / max(report.seconds, 1e-9),
            report.loss,
        )
        return EpochReport(words=report.words - before.words, kept=report.kept - before.kept)

    def _trainer(self, corpus: EncodedCorpus) -> Any:
        """The native trainer on this model's own arrays."""
        self._own_weights()
        options: dict[str, Any] = {}
        if self.hs:
            paths, rows = self.tree.native
            options |= {
                "node_vectors": self._nodes,
                "paths": paths,
                "path_rows": rows,
                "codes": self.tree.codes,
            }
        if self.negative:
            # Word 0 is never drawn where it stands for line ends, which is up to the vocabulary.
            compat = None if self._vocabulary is None else self._vocabulary.compat
            weights = negative_weights(self.counts, self.ns_exponent, compat=compat)
            thresholds, index = alias_table(weights)
            options |= {
                "negative_vectors": self._negatives,
                "negative": self.negative,
                "alias_threshold": thresholds,
                "alias_index": index,
            }
        divide = bool(self.cbow_mean)
        if self.cbow_grad == "gensim":
            # gensim shares a sum's gradient out, though it is a mean's that should be.
            divide = not self.cbow_mean and self.compat != "word2vec.c"
        return _core.word2vec.Trainer(
            vectors=self._inputs,
            vector_size=self.vector_size,
            ids=corpus.ids,
            offsets=corpus.offsets,
            keep=keep_thresholds(self.counts, self.sample, compat=self.compat),
            vectors_lockf=self._lock_factors(),
            train_outputs=not self._outputs_frozen,
            window=self.window,
            shrink_windows=bool(self.shrink_windows),
            sg=bool(self.sg),
            cbow_mean=bool(self.cbow_mean),
            cbow_divide=divide,
            sigmoid=self.sigmoid,
            skip_saturated_negatives=self.compat == "gensim",
            max_kept=1_000 if self.compat == "word2vec.c" else 10_000,
            seed=self.seed & _MASK,
            threads=1 if self.strict else self.workers,
            strict=self.strict,
            deterministic=self.deterministic,
            compute_loss=self.compute_loss,
            **options,
        )

    def _lock_factors(self) -> NDArray[np.float32] | None:
        lock = np.asarray(self.wv.vectors_lockf, np.float32)
        if lock.shape not in ((1,), (len(self.counts),)) or not np.isfinite(lock).all():
            raise ValueError(
                f"wv.vectors_lockf must be 1 or {len(self.counts)} finite factors, one a word; "
                f"its shape is {lock.shape}"
            )
        if (lock == 1).all():
            return None
        return np.ascontiguousarray(np.broadcast_to(lock, len(self.counts)))
