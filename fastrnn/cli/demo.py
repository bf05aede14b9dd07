"""``fastrnn demo``: the same training twice, with torch's layer and fastrnn's; word vectors."""

from __future__ import annotations

import statistics
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from fastrnn.cli import demo_word2vec
from fastrnn.cli.app import app, fail, friendly_errors

if TYPE_CHECKING:
    from fastrnn.demo.training import Run
    from fastrnn.demo.verdict import Verdict


class Part(str, Enum):
    """What to show."""

    all = "all"
    layers = "layers"
    word2vec = "word2vec"


class Cell(str, Enum):
    """The recurrent layers to choose from."""

    lstm = "lstm"
    gru = "gru"
    rnn = "rnn"


@app.command()
def demo(
    part: Annotated[Part, typer.Argument(help="layers needs torch, word2vec does not.")] = Part.all,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of each model.")] = 400,
    hidden: Annotated[int, typer.Option(min=1, help="Hidden units.")] = 256,
    cell: Annotated[Cell, typer.Option(help="Recurrent layer.")] = Cell.lstm,
    seed: Annotated[int, typer.Option(help="Seed of weights and batches.")] = 0,
    output: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path(
        "fastrnn-demo.png"
    ),
    threads: Annotated[
        int, typer.Option(min=0, help="Threads; 0: torch's own choice, one a core for words.")
    ] = 0,
    text: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A UTF-8 text; none: Python's own help."),
    ] = None,
) -> None:
    """Train a character language model with torch.nn and with fastrnn.nn, and compare.

    Both start from the same seed and see the same batches, step by step in turns.  The exit code
    is 1 if the two loss curves do not coincide.  Then train word vectors on the docstrings and
    comments of Python's own library, and print neighbors of some words.
    """
    with friendly_errors():
        if part is not Part.word2vec:
            _demo(steps, hidden, cell.value, seed, output, threads, text)
        if part is not Part.layers:
            demo_word2vec.show(Console(), seed, threads)


def _demo(
    steps: int, hidden: int, cell: str, seed: int, output: Path, threads: int, text: Path | None
) -> None:
    console = Console()
    import torch

    import fastrnn.nn
    from fastrnn.demo import model, plot, training, verdict
    from fastrnn.demo.text import load_corpus

    if threads:
        torch.set_num_threads(threads)
    try:
        corpus = load_corpus(text, training.SEQ_LEN)
    except (ValueError, OSError) as error:
        raise fail(f"{text}: {error}") from error
    console.print(
        f"Text: {len(corpus.train) + len(corpus.held_out):,} characters of "
        f"{text or 'Python’s own help'}, alphabet of {len(corpus.alphabet)}. "
        f"Model: {cell.upper()}, {hidden} hidden units, {training.SEQ_LEN} steps a sequence, "
        f"batch {training.BATCH_SIZE}, {torch.get_num_threads()} threads, "
        f"{fastrnn.current_isa()}.",
        highlight=False,
    )
    namespaces = {training.TORCH: torch.nn, training.OURS: fastrnn.nn}
    runs = training.make_runs(namespaces, (cell, len(corpus.alphabet), hidden), seed)
    if not training.same_weights(runs):
        raise fail("the same seed gave the two models different weights")

    columns = (
        TextColumn("training both"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=steps, losses="")
        for done in training.train(runs, corpus, steps, seed):
            losses = "  ".join(f"{name} {run.losses[-1]:.4f}" for name, run in runs.items())
            progress.update(task, completed=done, losses=losses)

    result = verdict.judge(*(run.losses for run in runs.values()))
    held_out = {name: training.held_out_loss(run.model, corpus, seed) for name, run in runs.items()}
    console.print(_table(runs, held_out))
    # Medians, because a total is at the mercy of whatever else the machine did meanwhile.
    middle = {name: statistics.median(run.seconds) for name, run in runs.items()}
    speedup = middle[training.TORCH] / middle[training.OURS]
    console.print(f"fastrnn trains [bold]{speedup:.2f}[/] times as fast: median of whole steps.")
    prompt = "The "
    sampled = model.sample(runs[training.OURS].model, corpus.alphabet, prompt, 400, seed)
    console.print(Panel(Text(sampled), title="written by the fastrnn model", width=90))
    plot.save_plot(runs, _title(cell, hidden, speedup, result), output)
    console.print(f"Both loss curves: {output}", highlight=False)
    _report(console, result)


def _table(runs: dict[str, Run], held_out: dict[str, float]) -> Table:
    table = Table("Layer from", "Seconds", "Median step", "Final loss", "Held-out loss")
    for name, run in runs.items():
        table.add_row(
            name,
            f"{sum(run.seconds):.2f}",
            f"{1000 * statistics.median(run.seconds):.1f} ms",
            f"{run.losses[-1]:.5f}",
            f"{held_out[name]:.5f}",
        )
    return table


def _title(cell: str, hidden: int, speedup: float, result: Verdict) -> str:
    return (
        f"Character language model, {cell.upper()} {hidden}: {speedup:.2f} times as fast, "
        f"losses differ by at most {result.overall:.1g}"
    )


def _report(console: Console, result: Verdict) -> None:
    from fastrnn.demo.verdict import EARLY_LIMIT, EARLY_STEPS

    line = (
        f"largest difference of the losses {result.early:.2e} in the first {EARLY_STEPS} steps "
        f"(limit {EARLY_LIMIT:g}), {result.overall:.2e} overall (limit {result.limit:g})"
    )
    if not result.coincide:
        raise fail(f"the loss curves do not coincide: {line}")
    console.print(f"[bold green]The loss curves coincide:[/] {line}.", highlight=False)
