"""What is measured, with which settings, and the floors: the least that the project accepts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

OURS, DETERMINISTIC, GENSIM = "fastrnn", "fastrnn, deterministic", "gensim"
#: Prefix of the contestants that are binaries of word2vec.c.
C_TOOL = "word2vec.c"


@dataclass(frozen=True)
class Mode:
    """One way to train: architecture and objective, never both objectives at once."""

    name: str
    title: str
    sg: int
    hs: int
    negative: int
    over_gensim: float  # floors: our words a second over gensim's ...
    over_c: float  # ... and over those of the fastest word2vec.c

    @property
    def alpha(self) -> float:
        """word2vec.c's default learning rate, which every contestant is given."""
        return 0.025 if self.sg else 0.05


MODES = {
    mode.name: mode
    for mode in (
        Mode("cbow-hs", "CBOW, hierarchical softmax", 0, 1, 0, over_gensim=2.2, over_c=1.5),
        Mode("sg-hs", "skip-gram, hierarchical softmax", 1, 1, 0, over_gensim=4.5, over_c=3.0),
        Mode("cbow-ns5", "CBOW, 5 negatives", 0, 0, 5, over_gensim=1.8, over_c=2.3),
        Mode("sg-ns5", "skip-gram, 5 negatives", 1, 0, 5, over_gensim=2.5, over_c=4.2),
    )
}

#: The speed floors hold for this many dimensions and threads; elsewhere a row has no floor.
FLOOR_DIM, FLOOR_THREADS = 100, 2
#: The floors that no single mode has.
FLOORS = {
    "vocabulary": 4.0,  # gensim's build_vocab over ours, encoding included
    "deterministic": 0.6,  # deterministic words a second over ours at full speed
    "memory": 1.2,  # at most: peak over matrices + ids
    "likelihood": 0.005,  # at most: held-out log-likelihood against strict mode, relative
    "quality": 1.0,  # at most: standard deviations below a rival
}


@dataclass(frozen=True)
class Training:
    """One training: what a contestant is told; the same for all of them."""

    mode: str
    dim: int = 100
    window: int = 5
    sample: float = 1e-3
    min_count: int = 5
    threads: int = 2
    epochs: int = 1
    alpha: float = 0.025
    seed: int = 1

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Settings:
    """A whole run."""

    modes: tuple[str, ...] = tuple(MODES)
    dims: tuple[int, ...] = (100,)
    threads: tuple[int, ...] = (2,)
    window: int = 5
    sample: float = 1e-3
    min_count: int = 5
    epochs: int = 1
    rounds: int = 3
    alpha_cbow: float | None = None
    alpha_sg: float | None = None

    def training(self, mode: str, dim: int, threads: int, seed: int = 1) -> Training:
        given = self.alpha_sg if MODES[mode].sg else self.alpha_cbow
        return Training(
            mode=mode,
            dim=dim,
            window=self.window,
            sample=self.sample,
            min_count=self.min_count,
            threads=threads,
            epochs=self.epochs,
            alpha=MODES[mode].alpha if given is None else given,
            seed=seed,
        )

    def trainings(self) -> list[Training]:
        """One for each row of the result."""
        return [
            self.training(mode, dim, threads)
            for dim in self.dims
            for mode in self.modes
            for threads in self.threads
        ]

    def with_seed(self, training: Training, seed: int) -> Training:
        return replace(training, seed=seed)
