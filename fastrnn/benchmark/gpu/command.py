"""The options of ``bench/gpu.py``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

import fastrnn
from fastrnn.backends import cuda_info, use_cuda
from fastrnn.benchmark.gpu import report
from fastrnn.benchmark.gpu.measure import measure
from fastrnn.benchmark.gpu.shapes import Shape, core_set, full_grid, quick_set

__all__ = ["run"]


def main(
    quick: Annotated[bool, typer.Option("--quick", help="A shape of every regime.")] = False,
    full: Annotated[bool, typer.Option("--full", help="The whole grid: hours.")] = False,
    only: Annotated[str, typer.Option(help="Shapes whose title has all of these words.")] = "",
    seconds: Annotated[float, typer.Option(help="No shape begins after these.")] = float("inf"),
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Result; beside it a table, as .md.")
    ] = None,
    plans: Annotated[
        str, typer.Option(metavar="GPU", help="Only print plans, for a100, h100 or b200.")
    ] = "",
) -> None:
    """Time the CUDA engine beside torch's layers on cuDNN."""
    wanted = full_grid() if full else quick_set() if quick else core_set()
    shapes = [shape for shape in wanted if all(word in shape.title for word in only.split())]
    if plans:
        for shape in shapes:
            typer.echo(f"{shape.title}\n{plan(shape, plans)}")
        return
    if not torch.cuda.is_available():
        typer.echo("there is no GPU here; --plans h100 needs none", err=True)
        raise typer.Exit(1)
    result: dict[str, Any] = {"machine": machine(), "rows": [], "left_out": 0}
    typer.echo(f"{result['machine']}\nratios torch / ours: forward, training, both under a graph")
    with use_cuda(always=True):
        for row in rows(shapes, seconds, result):
            typer.echo(report.line(row))
            if json_file:  # after each row: a run that is cut off leaves what it has
                save(result, json_file)
    typer.echo(report.summary(result))
    if json_file:
        save(result, json_file)
    if any(row["wrong_answers"] for row in result["rows"]):
        raise typer.Exit(1)


def rows(shapes: list[Shape], seconds: float, result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    start = time.monotonic()
    for number, shape in enumerate(shapes):
        if time.monotonic() - start > seconds:
            result["left_out"] = len(shapes) - number
            return
        result["rows"].append(measure(shape))
        yield result["rows"][-1]


def save(result: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(report.table(result), encoding="utf-8")


def plan(shape: Shape, gpu: str) -> str:
    layer = shape.layer(fastrnn.nn).to(shape.dtype)
    x = torch.empty(shape.seq_len, shape.batch, shape.hidden, dtype=shape.dtype)
    lengths = [shape.seq_len] * shape.batch if shape.packed else None
    return fastrnn.explain(layer, x, lengths=lengths, gpu=gpu)  # type: ignore[arg-type]


def machine() -> dict[str, Any]:
    found = cuda_info()
    return {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "cudnn": torch.backends.cudnn.version(),
        "cuda": torch.version.cuda,
        "fastrnn": fastrnn.__version__,
        "architectures": " ".join(map(str, found.get("architectures", ()))),
    }


def run() -> None:
    typer.run(main)
