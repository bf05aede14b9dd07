"""``fastrnn bench``: the benchmark of ``fastrnn.benchmark``, with progress and a table."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fastrnn.cli.app import app, fail, friendly_errors


@app.command()
def bench(
    quick: Annotated[bool, typer.Option(help="One shape of each group, under 2 minutes.")] = False,
    self_check: Annotated[
        bool, typer.Option("--self-check", help="Toy sizes: does the benchmark itself work?")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Where the JSON goes.")] = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="Thread counts; repeat for several.")
    ] = None,
    cell: Annotated[list[str] | None, typer.Option(help="Cells; none: all torch has.")] = None,
    shape: Annotated[
        list[str] | None, typer.Option(help="Only shapes with this in their name, e.g. H256.")
    ] = None,
    mode: Annotated[list[str] | None, typer.Option(help="inference or training.")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds of timing for each row.")
    ] = None,
    memory: Annotated[
        bool | None, typer.Option(help="Peak memory of training steps; default: unless --quick.")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            help="padded, packed, overhead, compile, bf16, cells; none: padded and packed."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option(help="Exit 1 if a row misses its floor.")] = False,
) -> None:
    """Measure fastrnn's layers against torch's; answers are checked first.

    The exit code is 1 if an answer is wrong, and with --strict also if a row is below its floor.
    """
    with friendly_errors():
        from fastrnn.benchmark import extras, shapes
        from fastrnn.benchmark.runner import Settings

        chosen = shapes.QUICK if quick else shapes.SELF_CHECK if self_check else shapes.SHAPES
        if shape:
            chosen = tuple(s for s in chosen if any(part in s.name.split() for part in shape))
        groups = _known("group", group or list(shapes.GROUPS), (*shapes.GROUPS, *extras.GROUPS))
        chosen = tuple(s for s in chosen if shapes.GROUPS[s.packed] in groups)
        others = [name for name in groups if name in extras.GROUPS]
        settings = Settings(
            shapes=chosen,
            cells=_known("cell", cell, tuple(shapes.LAYERS)),
            modes=_known("mode", mode, shapes.MODES),
            threads=tuple(threads or ((2,) if quick else (1, 2))),
            seconds=seconds or (0.5 if quick else 1.5),
            memory=not quick if memory is None else memory,
        )
        if not settings.count() and not others:
            raise fail("no row is left to measure")
        beside = extras.Settings(
            seconds=min(settings.seconds, 0.5),
            threads=min(settings.threads),
            modes=settings.modes,
            compiled_shapes=extras.COMPILED_SHAPES[: 1 if self_check else None],
            half_shapes=extras.HALF_SHAPES[: 1 if self_check else None],
            half_threads=max(settings.threads),
            cell_shapes=_cell_shapes(self_check, shape),
            cell_threads=max(settings.threads),
        )
        _bench(settings, dict.fromkeys(others, beside), output, strict)


def _cell_shapes(toy: bool, parts: list[str] | None) -> Any:
    from fastrnn.benchmark import cells, shapes

    if toy:
        return (shapes.SELF_CHECK[0],)
    chosen = [s for s in cells.SHAPES if not parts or set(parts) & set(s.name.split())]
    return tuple(chosen)


def _known(what: str, given: list[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    for name in given or ():
        if name not in known:
            raise fail(f"unknown {what} {name!r}; there are {', '.join(known)}", code=2)
    return tuple(given) if given else known


def _bench(settings: Any, beside: dict[str, Any], output: Path | None, strict: bool) -> None:
    from fastrnn.benchmark import extras, report, runner

    console = Console()
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as progress:
        total = sum(extras.count(*item) for item in beside.items())
        task = progress.add_task("starting", total=settings.count() + total)

        def on_row(row: dict[str, Any]) -> None:
            text = f"{row['cell']} {row['shape']} {row['mode']} threads {row['threads']}"
            progress.update(task, advance=1, description=f"{text}: {report.mark(row)}")

        def on_row_beside(row: dict[str, Any]) -> None:
            text = f"{row['group']} {row['layer']} {row['shape']} {row['mode']}"
            progress.update(task, advance=1, description=f"{text}: {report.mark(row)}")

        result = runner.run(settings, on_row)
        result["extras"] = {name: extras.run(name, s, on_row_beside) for name, s in beside.items()}
    if output:
        runner.save(result, output)
    console.print(Markdown(report.summary(result)))
    found = runner.problems(result) + extras.problems(result)
    for line in found:
        console.print(f"- {line}", highlight=False)
    if output:
        console.print(f"Raw results: {output}", highlight=False)
    every = [*result["rows"], *itertools.chain(*result["extras"].values())]
    if any(row["wrong_answers"] for row in every) or (strict and found):
        raise typer.Exit(1)
