"""Groups of rows beside the table of shapes: what a call costs around its arithmetic.

``overhead``: one step of one sequence through small layers and cells, one thread, where the time
is that of Python and of autograd.  ``compile``: layers under ``torch.compile``, ours as one graph
against torch's, which breaks its graph at each of its layers, and against our own eager calls.
``bf16``: bfloat16 layers against torch's, and against our own in float32.  ``cells``: layers that
torch lacks, in `fastrnn.benchmark.cells`.
Answers are held to the error budget first, as in the table of shapes.
"""

from __future__ import annotations

import copy
import functools
import itertools
import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fastrnn.benchmark import cells, check, timing
from fastrnn.benchmark.cells import CELLS
from fastrnn.benchmark.pair import OURS, TORCH, Subject, make_pair, namespaces
from fastrnn.benchmark.runner import use_threads
from fastrnn.benchmark.shapes import FLOOR_THREADS, LAYERS, MODES, OTHER, TRAINING, Shape

OVERHEAD, COMPILE, BF16 = "overhead", "compile", "bf16"
GROUPS = (OVERHEAD, COMPILE, BF16, CELLS)
#: Our eager layer beside both compiled ones.
EAGER = "fastrnn eager"
#: Our float32 layer beside both bfloat16 ones, and how much faster ours in bfloat16 should be where
#: arithmetic takes the time.
FLOAT32, FLOAT32_GOAL, FLOAT32_HIDDEN = "fastrnn float32", 1.6, 256

TINY_STEP = Shape(OTHER, 1, 64, 1)
STEPS = ("LSTMCell", "GRUCell", "RNNCell")
COMPILED_SHAPES = (
    TINY_STEP,
    Shape(OTHER, 8, 64, 50),
    Shape(OTHER, 32, 256, 50),
    Shape(OTHER, 16, 128, 30, num_layers=2, bidirectional=True),
)
COMPILED_CELLS = ("lstm", "gru")
HALF_SHAPES = tuple(
    Shape(OTHER, *sizes)
    for sizes in (
        (8, 128, 50),
        (32, 128, 50),
        (32, 256, 50),
        (128, 256, 20),
        (32, 512, 20),
        (128, 512, 10),
        (128, 1024, 4),
    )
)
HALF_CELLS = ("lstm", "gru", "rnn_tanh")

Row = dict[str, Any]
Pair = tuple[dict[str, Subject], Subject]


@dataclass(frozen=True)
class Settings:
    """How long to measure a row, and with what."""

    seconds: float = 0.5
    seed: int = 1
    threads: int = 1
    modes: tuple[str, ...] = MODES
    compiled_shapes: tuple[Shape, ...] = COMPILED_SHAPES
    backend: str = "inductor"
    half_shapes: tuple[Shape, ...] = HALF_SHAPES
    half_threads: int = FLOOR_THREADS
    cell_shapes: tuple[Shape, ...] = cells.SHAPES
    cell_threads: int = FLOOR_THREADS
    #: Loops of more steps, which take minutes to compile, have their step compiled alone.
    whole_loops: int = 50


class CellSubject(Subject):
    """One step of a cell as a subject."""

    def _run(self) -> tuple[Tensor, ...]:
        state = self.module(self.x)
        return state if isinstance(state, tuple) else (state,)


def cell_pair(name: str, seed: int) -> Pair:
    """A cell's two contenders and its judge, as `make_pair` gives a layer's."""
    shape, generator = TINY_STEP, torch.Generator().manual_seed(seed)
    x, grad = (torch.randn(1, shape.hidden_size, generator=generator) for _ in range(2))
    torch.manual_seed(seed)
    weights = getattr(torch.nn, name)(shape.inputs, shape.hidden_size).state_dict()

    def subject(namespace: Any, dtype: torch.dtype) -> Subject:
        module = getattr(namespace, name)(shape.inputs, shape.hidden_size)
        module.load_state_dict(weights)
        own = x.detach().to(dtype, copy=True).requires_grad_()
        return CellSubject(module.to(dtype), own, grad.to(dtype))

    pair = {who: subject(namespace, torch.float32) for who, namespace in namespaces().items()}
    return pair, subject(torch.nn, torch.float64)


def measure_row(
    group: str,
    layer: str,
    shape: Shape,
    mode: str,
    subjects: dict[str, Subject],
    judge: Subject,
    settings: Settings,
) -> Row:
    """Check one row's answers and time it; ``subjects`` may hold more than ours and torch's."""
    use_threads(settings.threads)
    answers = {who: subject.answers(mode) for who, subject in subjects.items()}
    errors = check.compare_answers(answers, judge.answers(mode))
    calls = {who: subject.call(mode) for who, subject in subjects.items()}
    times = timing.measure(calls, settings.seconds, random.Random(settings.seed))
    return {
        "group": group,
        "layer": layer,
        "shape": shape.name,
        "mode": mode,
        "threads": settings.threads,
        "ratio": times[TORCH]["median"] / times[OURS]["median"],
        "floor": 1.0,
        "errors": errors,
        "wrong_answers": check.failures(errors),
        **times,
    }


def overhead(settings: Settings) -> Iterator[Row]:
    """Rows of the group ``overhead``."""
    pairs: list[tuple[str, Callable[[], Pair]]] = [
        (layer.title, functools.partial(make_pair, cell, TINY_STEP, settings.seed))
        for cell, layer in LAYERS.items()
    ]
    pairs += [(name, functools.partial(cell_pair, name, settings.seed)) for name in STEPS]
    for name, build in pairs:
        subjects, judge = build()
        for mode in settings.modes:
            yield measure_row(OVERHEAD, name, TINY_STEP, mode, subjects, judge, settings)


def compiled(settings: Settings) -> Iterator[Row]:
    """Rows of the group ``compile``."""
    for shape, cell in itertools.product(settings.compiled_shapes, COMPILED_CELLS):
        torch.compiler.reset()
        eager, judge = make_pair(cell, shape, settings.seed)
        subjects = {EAGER: eager[OURS]}
        for who, fullgraph in ((OURS, True), (TORCH, False)):
            module = copy.deepcopy(eager[who].module)
            module.compile(fullgraph=fullgraph, backend=settings.backend)
            subjects[who] = Subject(module, eager[who].x, eager[who].grad_y)
        for mode in settings.modes:
            yield measure_row(COMPILE, LAYERS[cell].title, shape, mode, subjects, judge, settings)
    torch.compiler.reset()


def half_floor(cell: str, hidden_size: int, mode: str, threads: int) -> float:
    """The least ratio that a row of the group ``bf16`` must show."""
    if threads != FLOOR_THREADS:
        return 1.0
    if cell == "lstm":
        return 1.1 if mode == TRAINING else 1.05
    return 3.0 if hidden_size <= 128 else 1.4 if hidden_size <= 512 else 1.15


def halves(settings: Settings) -> Iterator[Row]:
    """Rows of the group ``bf16``: all layers, the judge's too, have weights that bfloat16 has."""
    settings = replace(settings, threads=settings.half_threads)
    for shape, cell in itertools.product(settings.half_shapes, HALF_CELLS):
        pair, judge = make_pair(cell, shape, settings.seed)
        half = {who: _converted(subject, torch.bfloat16) for who, subject in pair.items()}
        subjects = half | {FLOAT32: _converted(half[OURS], torch.float32)}
        judge = _converted(half[TORCH], torch.float64)
        for mode in settings.modes:
            title = LAYERS[cell].title
            row = measure_row(BF16, title, shape, mode, subjects, judge, settings)
            row["floor"] = half_floor(cell, shape.hidden_size, mode, settings.threads)
            row["over_float32"] = row[FLOAT32]["median"] / row[OURS]["median"]
            row["float32_goal"] = FLOAT32_GOAL if shape.hidden_size >= FLOAT32_HIDDEN else 1.0
            yield row


def _converted(subject: Subject, dtype: torch.dtype) -> Subject:
    x = subject.x.detach().to(dtype, copy=True).requires_grad_()
    return Subject(copy.deepcopy(subject.module).to(dtype), x, subject.grad_y.to(dtype))


RUN: dict[str, Callable[[Settings], Iterator[Row]]] = {
    OVERHEAD: overhead,
    COMPILE: compiled,
    BF16: halves,
    CELLS: cells.measure,
}


def run(
    group: str, settings: Settings, on_row: Callable[[Row], None] = lambda _: None
) -> list[Row]:
    """All rows of a group; the thread count is what it was afterwards."""
    before, rows = torch.get_num_threads(), []
    try:
        for found in RUN[group](settings):
            rows.append(found)
            on_row(found)
    finally:
        use_threads(before)
    return rows


def count(group: str, settings: Settings) -> int:
    """How many rows `run` gives."""
    if group == OVERHEAD:
        return (len(LAYERS) + len(STEPS)) * len(settings.modes)
    if group == CELLS:
        return cells.count(settings)
    if group == BF16:
        return len(settings.half_shapes) * len(HALF_CELLS) * len(settings.modes)
    return len(settings.compiled_shapes) * len(COMPILED_CELLS) * len(settings.modes)


def table(group: str, rows: list[Row]) -> str:
    """A group's rows in markdown, microseconds a call."""
    if group == CELLS:
        return cells.table(rows)
    who = [TORCH, OURS, *{COMPILE: [EAGER], BF16: [FLOAT32]}.get(group, [])]
    titles = {TORCH: "torch", OURS: "fastrnn", EAGER: "fastrnn, eager"}
    titles[FLOAT32] = "fastrnn, float32"
    if group == COMPILE:
        titles |= {TORCH: "torch, compiled", OURS: "fastrnn, compiled"}
    lines = [
        "| Layer | Shape | Mode | " + " | ".join(f"{titles[w]} µs" for w in who) + " | Ratio |",
        "|---|---|---|" + "--:|" * (len(who) + 1),
    ]
    for row in rows:
        times = " | ".join(f"{row[w]['median'] * 1e6:.1f}" for w in who)
        ratio = "wrong" if row["wrong_answers"] else f"{row['ratio']:.2f}"
        ratio += "" if row["wrong_answers"] or row["ratio"] >= row["floor"] else " ✗"
        lines.append(f"| {row['layer']} | {row['shape']} | {row['mode']} | {times} | {ratio} |")
    return "\n".join(lines)


TITLES = {
    OVERHEAD: "A call with hardly any arithmetic (T = 1, B = 1, H = 64), 1 thread",
    COMPILE: "Under `torch.compile`",
    BF16: "bfloat16",
    CELLS: "Layers that torch lacks, against the best of loops of steps",
}
INTRODUCTIONS = {
    OVERHEAD: "What a call costs without arithmetic to speak of: one step of one sequence, "
    "one thread, microseconds a call.",
    COMPILE: "Under `torch.compile` (fastrnn with `fullgraph=True`; torch breaks its graph at "
    "its own layers), microseconds a call.",
    BF16: "bfloat16 layers, microseconds a call; ratio to torch's bfloat16 layers.",
}


def _groups(result: dict[str, Any]) -> list[tuple[str, list[Row]]]:
    return [(group, rows) for group, rows in result.get("extras", {}).items() if rows]


def summary(result: dict[str, Any]) -> str:
    """The tables of all groups that a run has; nothing if it has none."""
    parts = []
    for group, rows in _groups(result):
        text = cells.introduction(rows) if group == CELLS else INTRODUCTIONS[group]
        parts += [text, table(group, rows)]
    return "\n\n".join(parts)


def brief(result: dict[str, Any]) -> str:
    """A table of how all groups that a run has come out; nothing if it has none."""
    lines = []
    for group, rows in _groups(result):
        worst = min(rows, key=lambda row: float(row["ratio"]))
        met = sum(row["ratio"] >= row["floor"] for row in rows)
        lines.append(
            f"| {TITLES[group]} | {len(rows)} | {met} "
            f"| {statistics.median(row['ratio'] for row in rows):.2f} | {worst['ratio']:.2f} "
            f"({worst['layer']} {worst['shape']}, {worst['mode']}) |"
        )
    if not lines:
        return ""
    head = ["| torch's time over fastrnn's | Rows | At their floor | Median | Worst |"]
    return "\n".join([*head, "|---|--:|--:|--:|---|", *lines])


def problems(result: dict[str, Any]) -> list[str]:
    """Wrong answers and rows slower than torch."""
    lines = []
    for group, rows in result.get("extras", {}).items():
        for row in rows:
            where = f"{group}: {row['layer']} {row['shape']} {row['mode']}"
            if row["wrong_answers"]:
                lines.append(f"{where}: wrong answers in {', '.join(row['wrong_answers'])}")
            elif group == CELLS:
                lines += [f"{where}: {text}" for text in cells.problems(row)]
            elif row["ratio"] < row["floor"]:
                lines.append(
                    f"{where}: {row['ratio']:.2f} of torch's speed, floor {row['floor']:g}"
                )
            elif row.get("over_float32", 1.0) < row.get("float32_goal", 1.0):
                lines.append(
                    f"{where}: {row['over_float32']:.2f} of float32's speed, "
                    f"goal {row['float32_goal']:g}"
                )
    return lines
