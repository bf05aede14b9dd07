"""A run: every row's contestants train in turn, round after round; one JSON-ready dictionary."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastrnn.benchmark import machine
from fastrnn.benchmark.word2vec.contestants import Contestant
from fastrnn.benchmark.word2vec.corpus import Corpus
from fastrnn.benchmark.word2vec.settings import (
    C_TOOL,
    DETERMINISTIC,
    FLOOR_DIM,
    FLOOR_THREADS,
    GENSIM,
    MODES,
    OURS,
    Settings,
    Training,
)

SCHEMA = "word2vec 1"

Report = Callable[[str], None]


def describe_software() -> dict[str, Any]:
    """Versions; like the layers' benchmark, but without torch."""
    import numpy as np

    import fastrnn

    def version(package: str) -> str | None:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "gensim": version("gensim"),
        "fastrnn": fastrnn.__version__,
        "build": fastrnn.build_info(),
        "isa": fastrnn.current_isa(),
    }


def sources() -> list[str] | None:
    """Git's names of the folders that speed and quality depend on; None outside a checkout."""
    folders = ("HEAD:./csrc/word2vec", "HEAD:./fastrnn/word2vec")
    command = ["git", "-C", str(Path(__file__).parents[3]), "rev-parse", *folders]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.split()


def start(settings: Settings, corpus: Corpus) -> dict[str, Any]:
    """A result with everything but measurements."""
    return {
        "schema": SCHEMA,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": machine.commit(Path(__file__).parent),
        "sources": sources(),
        "machine": machine.describe_machine(),
        "software": describe_software(),
        "settings": asdict(settings),
        "corpus": corpus.as_dict(),
        "rows": [],
        "vocabulary": None,
        "memory": [],
        "quality": [],
        "evaluators": None,
        "likelihood": [],
    }


def summary(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """The median rate, and every sample as it came."""
    rates = [sample["words_per_second"] for sample in samples]
    return {"words_per_second": statistics.median(rates), "rates": rates, "samples": samples}


def measure_row(
    training: Training,
    contestants: Sequence[Contestant],
    corpus: Corpus,
    rounds: int,
    report: Report = lambda _: None,
) -> dict[str, Any]:
    """In each round every contestant trains once, in the order given."""
    samples: dict[str, list[dict[str, Any]]] = {c.name: [] for c in contestants}
    for number in range(1, rounds + 1):
        for contestant in contestants:
            sample = contestant.train(training, corpus, None)
            samples[contestant.name].append(sample)
            report(
                f"{training.mode} d={training.dim} threads={training.threads} round {number} "
                f"{contestant.name}: {sample['words_per_second'] / 1e6:.3f} M words/s"
            )
    rates = {name: summary(found) for name, found in samples.items()}
    return {**training.as_dict(), "contestants": rates, **ratios(training, rates)}


def ratios(training: Training, rates: dict[str, Any]) -> dict[str, Any]:
    """Our median rate over the others', with the floors where there are any."""
    mode = MODES[training.mode]
    held = training.dim == FLOOR_DIM and training.threads == FLOOR_THREADS
    tools = {name: found for name, found in rates.items() if name.startswith(C_TOOL)}
    best = max(tools, key=lambda name: float(tools[name]["words_per_second"]), default=None)

    def over(rival: str | None, who: str = OURS) -> float | None:
        if rival not in rates or who not in rates:
            return None
        return float(rates[who]["words_per_second"] / rates[rival]["words_per_second"])

    return {
        "over_gensim": over(GENSIM),
        "over_gensim_floor": mode.over_gensim if held else None,
        "best_c": best,
        "over_best_c": over(best),
        "over_best_c_floor": mode.over_c if held else None,
        "deterministic_share": over(OURS, DETERMINISTIC),
    }


def vocabulary(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Seconds of ``build_vocab``, of every training that the run made."""
    found = {}
    for name in (OURS, GENSIM):
        samples = [
            sample["vocabulary_seconds"]
            for row in rows
            for sample in row["contestants"].get(name, {"samples": []})["samples"]
            if "vocabulary_seconds" in sample
        ]
        if samples:
            found[name] = {"seconds": statistics.median(samples), "samples": samples}
    if OURS not in found:
        return None
    ratio = found[GENSIM]["seconds"] / found[OURS]["seconds"] if GENSIM in found else None
    return {"contestants": found, "over_gensim": ratio}


def memory(rows: list[dict[str, Any]], corpus: Corpus) -> list[dict[str, Any]]:
    """Our peak while training against the matrices (d floats a row) and the ids."""
    found = []
    for row in rows:
        samples = row["contestants"].get(OURS, {"samples": []})["samples"]
        peaks = [sample["memory"] for sample in samples if sample.get("memory")]
        if not peaks:
            continue
        needed = 2 * 4 * corpus.vocabulary * row["dim"] + 4 * corpus.in_vocabulary
        found.append(
            {
                **{key: row[key] for key in ("mode", "dim", "threads")},
                "peak": max(peaks),
                "matrices_and_ids": needed,
                "ratio": max(peaks) / needed,
                "vocabulary_peak": max(sample["vocabulary_memory"] for sample in samples),
            }
        )
    return found


def run_speed(
    result: dict[str, Any],
    settings: Settings,
    contestants: Sequence[Contestant],
    corpus: Corpus,
    report: Report = lambda _: None,
    on_row: Callable[[], None] = lambda: None,
) -> None:
    """Fill in the rows, and what follows from their samples; ``on_row`` is called after each."""
    for training in settings.trainings():
        row = measure_row(training, contestants, corpus, settings.rounds, report)
        result["rows"].append(row)
        result["vocabulary"] = vocabulary(result["rows"])
        result["memory"] = memory(result["rows"], corpus)
        on_row()


def merge(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One result of several runs of the same sources on the same text, such as speed and quality.

    The first one says where and how; rows come together, and what is computed from all rows stays
    each run's own, the first that has it.
    """
    first, *others = results
    merged = {
        key: list(value) if isinstance(value, list) else value for key, value in first.items()
    }
    for other in others:
        for key in ("sources", "corpus"):
            if other[key] != first[key]:
                raise ValueError(f"the runs differ in {key}: {first[key]} and {other[key]}")
        if other["machine"]["cpu"] != first["machine"]["cpu"]:
            raise ValueError("the runs come from different processors")
        for key in ("rows", "memory", "quality", "likelihood"):
            merged[key] = [*merged[key], *other[key]]
        for key in ("vocabulary", "evaluators"):
            merged[key] = merged[key] or other[key]
    return merged


def save(result: dict[str, Any], path: Path) -> None:
    result["machine"]["load_average_after"] = machine.describe_machine()["load_average"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if result.get("schema") != SCHEMA:
        raise ValueError(f"{path} is not a result of the word2vec benchmark")
    return result
