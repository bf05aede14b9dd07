"""Where a training run stands, and what its epochs brought."""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastrnn.word2vec._corpus import EncodedCorpus

_SAMPLE = 1 << 18  # ids at either end that the fingerprint covers


@dataclass
class EpochReport:
    """One epoch's figures, or what is known of one that was cut short."""

    words: int = 0  # in the vocabulary, before frequent ones were thinned
    kept: int = 0  # after
    pairs: int = 0  # predictions: centers for CBOW, (context, center) pairs for skip-gram
    loss: float = 0.0  # sum over the predictions, in nats; 0 unless it is computed
    seconds: float = 0.0
    alpha: float = 0.0  # the last learning rate

    def add(self, result: dict[str, Any]) -> None:
        """Count in what the trainer returned for a part of the epoch."""
        self.words += int(result["words"])
        self.kept += int(result["kept"])
        self.pairs += int(result["pairs"])
        self.loss += float(result["loss"])
        self.seconds += float(result["seconds"])
        self.alpha = float(result["alpha"])


@dataclass
class TrainingPosition:
    """How far a ``train()`` call has come, and all it takes to go on.

    Every sentence before ``sentence`` of epoch ``epoch`` (both from 0) has been trained, and none
    from there on.  At the end ``epoch == epochs`` and ``sentence == 0``.
    """

    epoch: int
    sentence: int
    epochs: int
    start_alpha: float
    end_alpha: float
    stretch: float  # length of the learning rate's slope, in lengths of the run
    first_epoch: int  # epochs of earlier train() calls, whose random numbers are used up
    compute_loss: bool
    corpus: list[int]  # fingerprint

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self.epochs

    def as_dict(self) -> dict[str, Any]:
        """For a file's header."""
        return asdict(self)


def fingerprint(corpus: EncodedCorpus) -> list[int]:
    """Numbers that tell an encoded corpus from others, at little cost."""
    checksum = 0
    for piece in (corpus.ids[:_SAMPLE], corpus.ids[-_SAMPLE:], corpus.offsets[:_SAMPLE]):
        checksum = zlib.crc32(piece.tobytes(), checksum)
    return [len(corpus.ids), len(corpus.offsets) - 1, checksum]
