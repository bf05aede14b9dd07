"""What vectors are worth: analogies and word pairs, one evaluator for every contestant's."""

from __future__ import annotations

import importlib
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastrnn.benchmark.word2vec.contestants import Contestant
from fastrnn.benchmark.word2vec.corpus import Corpus
from fastrnn.benchmark.word2vec.settings import Settings

ANALOGIES, WORDSIM, SIMLEX = "analogies", "WordSim-353", "SimLex-999"
#: Only the most frequent words can be answers to analogies, as is usual.
MOST_FREQUENT = 30_000
#: How far our evaluator may be from gensim's: one analogy of ten thousand tipped by rounding.
TOLERANCE = 2e-4

Scores = dict[str, float]
Evaluator = Callable[[Path], Scores]


@dataclass(frozen=True)
class Files:
    """The test sets; those that are None are left out."""

    questions: Path | None = None
    wordsim: Path | None = None
    simlex: Path | None = None

    def pairs(self) -> list[tuple[str, Path]]:
        given = ((WORDSIM, self.wordsim), (SIMLEX, self.simlex))
        return [(name, path) for name, path in given if path]


def scores_of(vectors: Any, files: Files) -> Scores:
    """Share of analogies solved, and Spearman's rank correlations; gensim's methods or ours."""
    found = {}
    if files.questions:
        found[ANALOGIES] = float(
            vectors.evaluate_word_analogies(str(files.questions), restrict_vocab=MOST_FREQUENT)[0]
        )
    for name, path in files.pairs():
        found[name] = float(vectors.evaluate_word_pairs(str(path))[1][0])
    return found


def evaluator(files: Files) -> Evaluator:
    """Ours; it reads a file of word2vec's binary format."""
    from fastrnn.word2vec import KeyedVectors

    def evaluate(path: Path) -> Scores:
        return scores_of(KeyedVectors.load_word2vec_format(str(path), binary=True), files)

    return evaluate


def gensim_evaluator(files: Files) -> Evaluator:
    """gensim's, to check ours with."""
    models = importlib.import_module("gensim.models")

    def evaluate(path: Path) -> Scores:
        return scores_of(models.KeyedVectors.load_word2vec_format(str(path), binary=True), files)

    return evaluate


def check_evaluators(path: Path, one: Evaluator, two: Evaluator) -> dict[str, list[float]]:
    """Scores of the same vectors by both; RuntimeError where they differ."""
    ours, theirs = one(path), two(path)
    for name, value in ours.items():
        if not abs(value - theirs[name]) <= TOLERANCE:
            raise RuntimeError(f"the evaluators disagree on {name}: {value} and {theirs[name]}")
    return {name: [ours[name], theirs[name]] for name in ours}


def measure(
    settings: Settings,
    contestants: Sequence[Contestant],
    corpus: Corpus,
    folder: Path,
    evaluate: Evaluator,
    seeds: Sequence[int],
    check: Evaluator | None = None,
    on_training: Callable[[str], None] = lambda _: None,
) -> tuple[list[dict[str, Any]], dict[str, list[float]] | None]:
    """Train every mode with every seed and contestant; the first vectors are evaluated twice.

    word2vec.c takes no seed: its runs differ by how its threads meet.
    """
    rows, checked = [], None
    dim, threads = settings.dims[0], max(settings.threads)
    for mode in settings.modes:
        found: dict[str, list[Scores]] = {c.name: [] for c in contestants}
        for seed in seeds:
            training = settings.training(mode, dim, threads, seed)
            for contestant in contestants:
                path = folder / "vectors.bin"
                contestant.train(training, corpus, path)
                if check and checked is None:
                    checked = check_evaluators(path, evaluate, check)
                scores = evaluate(path)
                path.unlink()
                found[contestant.name].append(scores)
                text = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
                on_training(f"{mode} seed {seed} {contestant.name}: {text}")
        rows.append(
            {
                "mode": mode,
                "dim": dim,
                "threads": threads,
                "alpha": settings.training(mode, dim, threads).alpha,
                "seeds": list(seeds),
                "scores": {name: summary(samples) for name, samples in found.items()},
            }
        )
    return rows, checked


def summary(samples: list[Scores]) -> dict[str, dict[str, Any]]:
    """Mean, standard deviation (of a sample: n - 1) and the values, for each test set."""
    found = {}
    for name in samples[0]:
        values = [sample[name] for sample in samples]
        spread = statistics.stdev(values) if len(values) > 1 else math.nan
        found[name] = {"mean": statistics.fmean(values), "stdev": spread, "samples": values}
    return found


def below(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """By how many standard deviations we are below a rival; negative: above it.

    The deviation is both contestants', pooled: the root of the mean of their variances.
    """
    gap = float(theirs["mean"] - ours["mean"])
    spread = math.sqrt((ours["stdev"] ** 2 + theirs["stdev"] ** 2) / 2)
    if gap <= 0:
        return 0.0 if spread == 0 or math.isnan(spread) else gap / spread
    return gap / spread if spread else math.inf
