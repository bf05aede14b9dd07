"""Make tables and a picture of a run: ``python bench/report.py bench/results/RUN.json``.

Writes RUN.md and RUN.svg (or RUN.png) beside it; ``--readme`` also puts the summary between
README.md's markers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastrnn.benchmark import chart, report, runner

ROOT = Path(__file__).parent.parent


def main(
    run: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    readme: Annotated[bool, typer.Option(help="Update README.md and its picture.")] = False,
    picture: Annotated[str, typer.Option(help="svg or png")] = "svg",
) -> None:
    """Write the full tables and the picture of a run."""
    result = runner.load(run)
    run.with_suffix(".md").write_text(report.full_report(result))
    image = run.with_suffix(f".{picture}")
    if result["rows"]:  # the picture is of torch's own layers
        chart.draw(result, image)
    if readme:
        address = image.resolve().relative_to(ROOT.resolve()).as_posix()
        tables = run.with_suffix(".md").resolve().relative_to(ROOT.resolve()).as_posix()
        text = (
            f"{report.summary(result, brief=True)}\n\nEvery row: [{tables}]({tables}).\n\n"
            f"![torch's time over fastrnn's, all shapes]({address})"
        )
        report.write_between_markers(ROOT / "README.md", text)
    for line in runner.problems(result):
        typer.echo(line)


if __name__ == "__main__":
    typer.run(main)
