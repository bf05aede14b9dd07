"""Make tables and a picture of a run: ``python bench/word2vec_report.py bench/results/RUN.json``.

Several runs of the same sources, such as one of speed and one of quality, make one report.
Writes RUN.md and RUN.svg beside the first; ``--publish`` also puts them between the markers of
README.md and docs/word2vec.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastrnn.benchmark.word2vec import chart, report, runner, verdict

ROOT = Path(__file__).parent.parent
TITLE = "words a second of every contestant"


def main(
    runs: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)],
    publish: Annotated[bool, typer.Option(help="Update README.md and docs/word2vec.md.")] = False,
) -> None:
    """Write the tables and the picture of one or more runs."""
    result = runner.merge([runner.load(run) for run in runs])
    run = runs[0]
    full = report.full_report(result)
    run.with_suffix(".md").write_text(f"# Benchmark of word2vec\n\n{full}\n", encoding="utf-8")
    image = run.with_suffix(".svg")
    picture = ""
    if result["rows"]:
        chart.draw(result, image)
    if publish:
        if result["rows"]:
            address = image.resolve().relative_to(ROOT.resolve()).as_posix()
            picture = f"\n\n![{TITLE}]({address})"
        report.write_between_markers(ROOT / "README.md", report.summary(result) + picture)
        # The page is one folder down.
        picture = picture.replace("](", "](../")
        report.write_between_markers(ROOT / "docs" / "word2vec.md", full + picture)
    for line in verdict.problems(result):
        typer.echo(line)


if __name__ == "__main__":
    typer.run(main)
