"""Held-out log-likelihood of hierarchical softmax, exact: our modes against strict mode.

Strict mode trains on one thread, one step after the other, as the original does; what the fast
modes change (updates in batches, threads beside each other) must not cost quality.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastrnn.benchmark.word2vec import worker
from fastrnn.benchmark.word2vec.settings import Training

STRICT = "strict, 1 thread"
#: Name -> threads and further constructor arguments; the first is what the others are held against.
VARIANTS: dict[str, tuple[int, dict[str, Any]]] = {
    STRICT: (1, {"strict": True}),
    "fast, 1 thread": (1, {}),
    "fast, 2 threads": (2, {}),
    "deterministic, 2 threads": (2, {"deterministic": True}),
}


def measure(
    training: Training, text: Path, held_out: Path, variants: tuple[str, ...] = tuple(VARIANTS)
) -> dict[str, float]:
    """Log-likelihood of the held-out lines, in nats, after each variant's training."""
    found = {}
    for name in variants:
        threads, extra = VARIANTS[name]
        job = {
            "who": "likelihood",
            "training": {**training.as_dict(), "threads": threads},
            "extra": extra,
            "corpus": str(text),
            "held_out": str(held_out),
        }
        found[name] = float(worker.run(job)["log_likelihood"])
    return found


def relative(likelihoods: dict[str, float]) -> dict[str, float]:
    """How much less likely the text is than in strict mode, as a share; negative: more likely."""
    strict = likelihoods[STRICT]
    return {
        name: (strict - value) / abs(strict)
        for name, value in likelihoods.items()
        if name != STRICT
    }


def job(job: dict[str, Any]) -> dict[str, Any]:
    """What the process does."""
    from fastrnn.word2vec import Word2Vec

    model = Word2Vec(corpus_file=job["corpus"], **worker.options(job["training"]), **job["extra"])
    return {"log_likelihood": model.log_likelihood(Path(job["held_out"]))}
