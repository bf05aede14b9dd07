"""A benchmark run: every row checked, timed and put into one JSON-ready dictionary."""

from __future__ import annotations

import datetime
import itertools
import json
import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import fastrnn
from fastrnn._native import core
from fastrnn.benchmark import check, machine, memory, timing
from fastrnn.benchmark.pair import CONTENDERS, OURS, TORCH, make_pair, padded_twin
from fastrnn.benchmark.shapes import (
    FLOOR_THREADS,
    LAYERS,
    MODES,
    PADDED_SPEED,
    SHAPES,
    TILE_HIDDEN,
    TRAINING,
    Shape,
    floor,
)

PADDED = "padded"

#: Seconds of one look at the machine's multiply-add peak; one is taken before every row.
PEAK_SECONDS = 0.03


@dataclass(frozen=True)
class Settings:
    """What to run and how long; ``seconds`` is for one row, both contenders together."""

    shapes: tuple[Shape, ...] = SHAPES
    cells: tuple[str, ...] = tuple(LAYERS)
    modes: tuple[str, ...] = MODES
    threads: tuple[int, ...] = (1, 2)
    seconds: float = 1.5
    memory: bool = True
    seed: int = 1

    def groups(self) -> list[tuple[Shape, str]]:
        """Shape and cell of every group of rows."""
        return [
            (shape, cell)
            for shape, cell in itertools.product(self.shapes, self.cells)
            if cell in shape.cells
        ]

    def count(self) -> int:
        return len(self.groups()) * len(self.modes) * len(self.threads)


def use_threads(count: int) -> None:
    """Set the thread count of both contenders, and make sure that it took."""
    torch.set_num_threads(count)
    if (ours := fastrnn.num_threads()) != count:
        raise RuntimeError(f"torch uses {count} threads, but fastrnn would use {ours}")


def measure_row(
    subjects: dict[str, Any], cell: str, shape: Shape, mode: str, threads: int, settings: Settings
) -> dict[str, Any]:
    """Time one row, and set it against the peak measured just before."""
    order = random.Random(settings.seed)
    peak = core.testing.fma_peak(4, core.isa_id(), threads, PEAK_SECONDS)
    calls = {name: subject.call(mode) for name, subject in subjects.items()}
    padded_rows = 0
    if shape.packed:
        twin, padded_rows = padded_twin(subjects[OURS], shape)
        calls[PADDED] = twin.call(mode)
    times = timing.measure(calls, settings.seconds, order)
    padded = times.pop(PADDED, None)
    ratios = [t / o for t, o in zip(times[TORCH]["samples"], times[OURS]["samples"])]
    flops = shape.flops(LAYERS[cell].num_gates, mode)
    rate = {name: flops / times[name]["median"] for name in CONTENDERS}
    return {
        "shape": shape.name,
        "regime": shape.regime,
        "large": shape.large,
        "cell": cell,
        "mode": mode,
        "threads": threads,
        "ratio": times[TORCH]["median"] / times[OURS]["median"],
        "ratio_quartiles": statistics.quantiles(ratios, n=4, method="inclusive")[::2],
        "floor": floor(shape.regime, cell, mode, threads),
        "flop": flops,
        "fma_peak_gflops": peak / 1e9,
        "gflops": {name: rate[name] / 1e9 for name in CONTENDERS},
        "peak_share": {name: rate[name] / peak for name in CONTENDERS},
        # The speed per row, of that of a padded batch.
        "padded_speed": padded
        and padded["median"] / padded_rows / (times[OURS]["median"] / shape.rows),
        **times,
    }


def tile_shares() -> dict[str, float]:
    """The recurrent register tile alone, as a share of one thread's peak, for each gate count."""
    rounds = 7
    shares: dict[str, float] = {}
    for gates in sorted({layer.num_gates for layer in LAYERS.values()}):
        found = []
        for _ in range(rounds):
            peak = core.testing.fma_peak(4, core.isa_id(), 1, PEAK_SECONDS)
            rate = core.testing.tile_rate(4, core.isa_id(), TILE_HIDDEN, gates, PEAK_SECONDS)
            found.append(rate / peak)
        shares[str(gates)] = statistics.median(found)
    return shares


def measure_group(settings: Settings, shape: Shape, cell: str) -> Iterator[dict[str, Any]]:
    """All rows of one shape and cell: the judge's float64 run serves them all."""
    subjects, judge = make_pair(cell, shape, settings.seed)
    truth = {mode: judge.answers(mode) for mode in settings.modes}
    for threads, mode in itertools.product(settings.threads, settings.modes):
        use_threads(threads)
        answers = {name: subject.answers(mode) for name, subject in subjects.items()}
        errors = check.compare_answers(answers, truth[mode])
        wrong = check.failures(errors)
        row = measure_row(subjects, cell, shape, mode, threads, settings)
        row |= {"errors": errors, "wrong_answers": wrong, "memory": None}
        if settings.memory and mode == TRAINING and threads == max(settings.threads):
            row["memory"] = {
                name: memory.measure(name, cell, shape, threads) for name in CONTENDERS
            }
        yield row


def run(
    settings: Settings, on_row: Callable[[dict[str, Any]], None] = lambda _: None
) -> dict[str, Any]:
    """Run everything; ``on_row`` is called after each row."""
    threads_before = torch.get_num_threads()
    result: dict[str, Any] = {
        "schema": 1,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": machine.commit(Path(__file__).parent),
        "machine": machine.describe_machine(),
        "software": machine.describe_software(),
        "settings": {
            "seconds": settings.seconds,
            "seed": settings.seed,
            "threads": settings.threads,
            "floor_threads": FLOOR_THREADS,
        },
        "cells_without_a_torch_layer": [
            info["name"] for info in core.cells() if info["name"] not in LAYERS
        ],
        "shapes": {shape.name: asdict(shape) for shape in settings.shapes},
        "rows": [],
    }
    try:
        for shape, cell in settings.groups():
            for row in measure_group(settings, shape, cell):
                result["rows"].append(row)
                on_row(row)
    finally:
        torch.set_num_threads(threads_before)
    result["fma_peak_gflops"] = {
        str(count): statistics.median(
            row["fma_peak_gflops"] for row in result["rows"] if row["threads"] == count
        )
        for count in settings.threads
        if result["rows"]
    }
    result["tile_share"] = tile_shares()
    result["machine"]["load_average_after"] = machine.describe_machine()["load_average"]
    return result


def save(result: dict[str, Any], path: Path) -> None:
    """Write JSON with one line a row, so that two runs can be compared by eye."""
    rows = ",\n  ".join(json.dumps(row) for row in result["rows"])
    head = json.dumps({**result, "rows": []}, indent=1)
    assert '"rows": []' in head
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head.replace('"rows": []', f'"rows": [\n  {rows}\n ]') + "\n")


def load(path: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(path.read_text())
    if result.get("schema") != 1:
        raise ValueError(f"{path} is not a result of this benchmark")
    return result


def problems(result: dict[str, Any]) -> list[str]:
    """What is wrong with a run: wrong answers first, then rows under their floor."""
    lines = []
    for row in result["rows"]:
        where = f"{row['cell']} {row['shape']} {row['mode']}, threads {row['threads']}"
        if row["wrong_answers"]:
            lines.append(f"{where}: wrong answers in {', '.join(row['wrong_answers'])}")
    for row in result["rows"]:
        where = f"{row['cell']} {row['shape']} {row['mode']}, threads {row['threads']}"
        if row["ratio"] < row["floor"]:
            lines.append(f"{where}: {row['ratio']:.2f} of torch's speed, floor {row['floor']:g}")
        speed = row.get("padded_speed")
        if speed and row["threads"] == FLOOR_THREADS and speed < PADDED_SPEED:
            lines.append(f"{where}: {speed:.2f} of our padded speed, floor {PADDED_SPEED:g}")
    return lines
