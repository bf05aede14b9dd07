"""The group ``cells``: layers that torch lacks, against loops of steps, and against our plain ones.

The loops are those that one writes in torch today (`fastrnn.benchmark.step_loops`), eager and under
``torch.compile``, whose time of compiling does not count, and torchrecurrent's layers where that
package is installed.  Training only.  Answers are held to the error budget first, with the eager
loop in float64 as the judge and in float32 as torch's.
"""

from __future__ import annotations

import importlib.util
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fastrnn._native import core
from fastrnn.benchmark import check, timing
from fastrnn.benchmark.pair import OURS, TORCH, Subject, inputs
from fastrnn.benchmark.shapes import OTHER, TRAINING, Shape
from fastrnn.benchmark.step_loops import StepLoop

__all__ = ["CELLS", "SHAPES", "VARIANTS", "Variant", "count", "measure", "problems", "table"]

CELLS = "cells"
EAGER, COMPILED, OTHERS, PLAIN = "eager loop", "compiled loop", "torchrecurrent", "plain layer"
SHAPES = tuple(Shape(OTHER, 32, hidden, steps) for hidden in (128, 256, 512) for steps in (50, 100))

#: How much faster than the best of the loops ours should be.
FLOOR = 3.0
#: The most of the plain layer's time that cells may take which add arithmetic on single units only,
#: and those with a second recurrent product or normalizations.
POINTWISE, HEAVY = 1.15, 1.6
PEEPHOLES = 3  # rows of a diagonal's parameter
PEAK_SECONDS = 0.03
#: Nobody's answers may be further than this from the judge's, or they are of another function.
SAME = 1e-3


@dataclass(frozen=True)
class Variant:
    """A layer of ours, the loop that it is held against, and the plain layer beside it."""

    title: str
    layer: str
    loop: str
    plain: str
    limit: float | None
    options: dict[str, Any] = field(default_factory=dict)
    #: Class in torchrecurrent, if it has one of the same equations.
    other: str = ""


VARIANTS = (
    Variant("PeepholeLSTM", "PeepholeLSTM", "peephole_lstm", "LSTM", POINTWISE, {}, "PeepholeLSTM"),
    Variant(
        "PeepholeLSTM full",
        "PeepholeLSTM",
        "peephole_lstm_full",
        "LSTM",
        HEAVY,
        {"peephole": "full"},
    ),
    Variant("CoupledLSTM", "CoupledLSTM", "coupled_lstm", "LSTM", POINTWISE),
    Variant(
        "GRU reset before", "GRU", "gru_reset_before", "GRU", POINTWISE, {"reset_after": False}
    ),
    Variant("UGRNN", "UGRNN", "ugrnn", "GRU", POINTWISE, {}, "UGRNN"),
    Variant("RNN sigmoid", "RNN", "rnn_sigmoid", "RNN", POINTWISE, {"nonlinearity": "sigmoid"}),
    Variant(
        "MultiplicativeLSTM",
        "MultiplicativeLSTM",
        "multiplicative_lstm",
        "LSTM",
        HEAVY,
        {},
        "MultiplicativeLSTM",
    ),
    Variant("LayerNormLSTM", "LayerNormLSTM", "layer_norm_lstm", "LSTM", HEAVY),
    Variant("LayerNormGRU", "LayerNormGRU", "layer_norm_gru", "GRU", HEAVY),
    Variant(
        "LSTM zoneout 0.1, dropout 0.25",
        "LSTM",
        "lstm",
        "LSTM",
        None,
        {"zoneout": 0.1, "recurrent_dropout": 0.25},
    ),
)


class SeededSubject(Subject):
    """One whose answers are of the same random masks as all others'."""

    def answers(self, mode: str) -> dict[str, Tensor]:
        torch.manual_seed(1)
        return super().answers(mode)


def make_subjects(
    variant: Variant, shape: Shape, settings: Any
) -> tuple[dict[str, Subject], Subject, str]:
    """Ours, the loops and the plain layer; the judge; and what of the compiled loop is compiled."""
    import fastrnn.nn

    x, grad_y, _ = inputs(shape, settings.seed)
    torch.manual_seed(settings.seed)
    sizes = shape.inputs, shape.hidden_size
    layer = getattr(fastrnn.nn, variant.layer)(*sizes, **variant.options)
    modules = {OURS: layer, PLAIN: getattr(fastrnn.nn, variant.plain)(*sizes)}
    modules |= {who: StepLoop(variant.loop, layer) for who in (EAGER, COMPILED)}
    part = "loop" if shape.seq_len <= settings.whole_loops else "step"
    torch.compiler.reset()
    if part == "loop":
        modules[COMPILED].compile_loop(settings.backend)
    else:
        modules[COMPILED].compile_step(settings.backend)
    if variant.other and importlib.util.find_spec("torchrecurrent"):
        modules[OTHERS] = from_torchrecurrent(variant, layer)

    def subject(module: Any, dtype: torch.dtype = torch.float32) -> Subject:
        own = x.detach().to(dtype, copy=True).requires_grad_()
        return SeededSubject(module, own, grad_y.to(dtype))

    judge = subject(StepLoop(variant.loop, layer, torch.float64), torch.float64)
    return {who: subject(module) for who, module in modules.items()}, judge, part


def from_torchrecurrent(variant: Variant, layer: Any) -> Any:
    """Its layer with our layer's weights."""
    library = importlib.import_module("torchrecurrent")
    theirs = getattr(library, variant.other)(layer.input_size, layer.hidden_size)
    given = {name.removesuffix("_l0"): value for name, value in layer.named_parameters()}
    size = layer.hidden_size
    if variant.other == "PeepholeLSTM":
        given["weight_ph"] = given.pop("weight_peephole").flatten()
    elif variant.other == "UGRNN":  # n first, and its gate is 1 - u
        halves = {name: value.chunk(2) for name, value in given.items()}
        given = {name: torch.cat((n, -u)) for name, (u, n) in halves.items()}
    else:
        given["weight_hh"], given["weight_mh"] = given["weight_hh"].split((size, 4 * size))
        given["bias_hh"], given["bias_mh"] = given["bias_hh"].split((size, 4 * size))
    theirs.cells[0].load_state_dict(given)
    return theirs


def measure_row(variant: Variant, shape: Shape, settings: Any) -> dict[str, Any]:
    """Check one row's answers and time it."""
    subjects, judge, part = make_subjects(variant, shape, settings)
    answers = {who: s.answers(TRAINING) for who, s in subjects.items() if who != PLAIN}
    truth = judge.answers(TRAINING)
    errors = check.compare_answers({OURS: answers[OURS], TORCH: answers[EAGER]}, truth)
    wrong = check.failures(errors)
    loops = [who for who in (EAGER, COMPILED, OTHERS) if who in subjects]
    for who in loops:
        for name, value in answers[who].items():
            if name in truth and check.relative_errors(value, truth[name])[check.LARGEST] > SAME:
                wrong.append(f"{name} of the {who}")
    calls = {who: subject.call(TRAINING) for who, subject in subjects.items()}
    peak = core.testing.fma_peak(4, core.isa_id(), settings.cell_threads, PEAK_SECONDS)
    flop = 3 * 2 * shape.rows * matrix_weights(subjects[OURS].module)
    times = timing.measure(calls, settings.seconds, random.Random(settings.seed))
    ours, best = times[OURS]["median"], min(times[who]["median"] for who in loops)
    return {
        "group": CELLS,
        "layer": variant.title,
        "shape": shape.name,
        "mode": TRAINING,
        "threads": settings.cell_threads,
        "ratio": best / ours,
        "floor": FLOOR,
        # What the ratio would be if ours took no more than its products at the machine's peak.
        "bound": best / (flop / peak),
        "flop": flop,
        "fma_peak_gflops": peak / 1e9,
        "over_plain": ours / times[PLAIN]["median"],
        "plain": variant.plain,
        "limit": variant.limit,
        "compiled": part,
        "errors": errors,
        "wrong_answers": wrong,
        **times,
    }


def matrix_weights(layer: Any) -> int:
    """How many weights of a layer are multiplied with each row; diagonal peepholes are not."""
    return sum(
        value.numel()
        for name, value in layer.named_parameters()
        if name.startswith(("weight_ih", "weight_hh"))
        or (name.startswith("weight_peephole") and value.shape[0] > PEEPHOLES)
    )


def measure(settings: Any) -> Iterator[dict[str, Any]]:
    """Rows of the group, with `fastrnn.benchmark.extras.Settings`."""
    from fastrnn.benchmark.runner import use_threads

    use_threads(settings.cell_threads)
    if TRAINING in settings.modes:
        for variant, shape in itertools.product(VARIANTS, settings.cell_shapes):
            yield measure_row(variant, shape, settings)
        torch.compiler.reset()


def count(settings: Any) -> int:
    """How many rows `measure` gives."""
    return len(VARIANTS) * len(settings.cell_shapes) * (TRAINING in settings.modes)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in markdown, milliseconds a training step."""
    who = [w for w in (EAGER, COMPILED, OTHERS, OURS, PLAIN) if any(w in row for row in rows)]
    lines = [
        "| Layer | Shape | "
        + " | ".join(f"{w}, ms" for w in who)
        + " | Best loop over fastrnn | At the peak | Of the plain layer's time | Limit |",
        "|---|---|" + "--:|" * (len(who) + 4),
    ]
    for row in rows:
        times = " | ".join(f"{row[w]['median'] * 1e3:.2f}" if w in row else "–" for w in who)
        ratio = "wrong" if row["wrong_answers"] else f"{row['ratio']:.2f}"
        ratio += "" if row["wrong_answers"] or row["ratio"] >= row["floor"] else " ✗"
        over = f"{row['over_plain']:.2f}" + (" ✗" if too_slow(row) else "")
        limit = "–" if row["limit"] is None else f"{row['limit']:g}"
        lines.append(
            f"| {row['layer']} | {row['shape']} | {times} | {ratio} | {row['bound']:.2f} "
            f"| {over} of {row['plain']} | {limit} |"
        )
    return "\n".join(lines)


def introduction(rows: list[dict[str, Any]]) -> str:
    """What the table shows."""
    stepwise = sorted({row["shape"] for row in rows if row["compiled"] == "step"})
    threads = sorted({str(row["threads"]) for row in rows})
    text = (
        "Layers that torch lacks: a training step, milliseconds, "
        f"{', '.join(threads)} thread{'s' if threads != ['1'] else ''}, against a Python loop of "
        "steps in torch's operations, eager and under `torch.compile` (without the time of "
        "compiling), and against fastrnn's own plain layer. *At the peak*: what the loops' time "
        "would be over ours if ours took no longer than its products at the machine's peak of "
        "multiply-adds, measured for each row."
    )
    if stepwise:
        text += f" The step alone is compiled, not the loop, at {', '.join(stepwise)}."
    return text


def too_slow(row: dict[str, Any]) -> bool:
    return row["limit"] is not None and row["over_plain"] > row["limit"]


def problems(row: dict[str, Any]) -> list[str]:
    """What a row misses beside right answers."""
    found = []
    if row["ratio"] < row["floor"]:
        found.append(f"{row['ratio']:.2f} of the best loop's speed, floor {row['floor']:g}")
    if too_slow(row):
        found.append(
            f"{row['over_plain']:.2f} of the plain {row['plain']}'s time, limit {row['limit']:g}"
        )
    return found
