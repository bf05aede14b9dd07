"""Markdown tables out of a run's JSON, and their place in README.md."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from fastrnn.benchmark import extras
from fastrnn.benchmark.check import error_ratio
from fastrnn.benchmark.pair import OURS, TORCH
from fastrnn.benchmark.shapes import (
    FLOOR_THREADS,
    FLOORS,
    LARGE_BATCH,
    LARGE_GOALS,
    LARGE_HIDDEN,
    LAYERS,
    MODES,
    PADDED_SPEED,
    TILE_GOAL,
    TILE_HIDDEN,
)

BEGIN = "<!-- benchmark table: written by bench/report.py, do not edit -->"
END = "<!-- end of benchmark table -->"


def mark(row: dict[str, Any]) -> str:
    """The ratio, with a cross where it misses its floor or the answer is wrong."""
    if row["wrong_answers"]:
        return "wrong"
    return f"{row['ratio']:.2f}" + ("" if row["ratio"] >= row["floor"] else " ✗")


def worst(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row that is furthest under, or least above, its floor."""
    return min(rows, key=lambda row: (not row["wrong_answers"], row["ratio"] / row["floor"]))


def select(result: dict[str, Any], **wanted: Any) -> list[dict[str, Any]]:
    return [row for row in result["rows"] if all(row[k] == v for k, v in wanted.items())]


def used_cells(result: dict[str, Any]) -> list[str]:
    present = {row["cell"] for row in result["rows"]}
    return [cell for cell in LAYERS if cell in present]


def where(result: dict[str, Any]) -> str:
    """One line on machine and software."""
    machine, software = result["machine"], result["software"]
    peaks = ", ".join(
        f"{peak:.0f} GFLOP/s with {count} thread{'s' if count != '1' else ''}"
        for count, peak in result["fma_peak_gflops"].items()
    )
    commit = result["commit"]
    source = f"commit {commit['hash'][:10]}" if commit else "an installed package"
    if commit and commit["changed"]:
        source += " with local changes"
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {software['isa']}; "
        f"{peaks and f'multiply-add peak {peaks}; '}"
        f"torch {software['torch']}; fastrnn {software['fastrnn']}, {source}."
    )


def regime_table(result: dict[str, Any], threads: int) -> str:
    """For every regime and cell, the worst row of inference and of training."""
    cells = used_cells(result)
    lines = [
        "| Shapes (I = H) | " + " | ".join(LAYERS[cell].title for cell in cells) + " |",
        "|---|" + "---|" * len(cells),
    ]
    for regime in FLOORS:
        entries = []
        for cell in cells:
            rows = [
                select(result, regime=regime, cell=cell, mode=mode, threads=threads)
                for mode in MODES
            ]
            entries.append(" / ".join(mark(worst(found)) if found else "–" for found in rows))
        if any(entry != "– / –" for entry in entries):
            lines.append(f"| {regime} | " + " | ".join(entries) + " |")
    return "\n".join(lines)


def packed_table(result: dict[str, Any], threads: int) -> str:
    """Packed shapes: least of fastrnn's own speed per row for a padded batch as large."""
    lines = ["| Cell | Mode | Of our padded speed | Floor |", "|---|---|--:|--:|"]
    for cell in used_cells(result):
        for mode in MODES:
            rows = select(result, cell=cell, mode=mode, threads=threads)
            speeds = [row["padded_speed"] for row in rows if row.get("padded_speed")]
            if speeds:
                missed = threads == FLOOR_THREADS and min(speeds) < PADDED_SPEED
                lines.append(
                    f"| {LAYERS[cell].title} | {mode} | {min(speeds):.2f} to {max(speeds):.2f}"
                    f"{' ✗' if missed else ''} | {PADDED_SPEED:g} |"
                )
    return "\n".join(lines) if len(lines) > 2 else "No packed sequences were measured."


def megabytes(row: dict[str, Any], who: str) -> str:
    memory = row["memory"]
    return f"{memory[who] / 1e6:.1f}" if memory and memory[who] is not None else "–"


def full_table(result: dict[str, Any], threads: int) -> str:
    """Every row with times, rates, share of the peak and memory."""
    lines = [
        "| Cell | Shape | Mode | torch ms | fastrnn ms | Ratio (quartiles) | Floor | GFLOP/s "
        "| Share of peak: torch, fastrnn | Peak MB: torch, fastrnn |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in select(result, threads=threads):
        low, high = row["ratio_quartiles"]
        share = row["peak_share"]
        lines.append(
            f"| {LAYERS[row['cell']].title} | {row['shape']} | {row['mode']} "
            f"| {row[TORCH]['median'] * 1e3:.3f} | {row[OURS]['median'] * 1e3:.3f} "
            f"| {mark(row)} ({low:.2f}–{high:.2f}) | {row['floor']:g} "
            f"| {row['gflops'][OURS]:.1f} | {share[TORCH]:.0%}, {share[OURS]:.0%} "
            f"| {megabytes(row, TORCH)}, {megabytes(row, OURS)} |"
        )
    return "\n".join(lines)


def peak_table(result: dict[str, Any], threads: int) -> str:
    """Large shapes: share of the multiply-add peak, least to most of the rows, and the goal."""
    lines = ["| Cell | Mode | torch | fastrnn | Goal |", "|---|---|--:|--:|--:|"]
    for cell in used_cells(result):
        for mode in MODES:
            rows = select(result, cell=cell, mode=mode, threads=threads, large=True)
            if not rows:
                continue
            texts = []
            for who in (TORCH, OURS):
                shares = [row["peak_share"][who] for row in rows]
                texts.append(f"{min(shares):.0%} to {max(shares):.0%}")
            goal = LARGE_GOALS[mode]
            met = min(row["peak_share"][OURS] for row in rows) >= goal
            lines.append(
                f"| {LAYERS[cell].title} | {mode} | {texts[0]} | {texts[1]}"
                f"{'' if met else ' ✗'} | {goal:.0%} |"
            )
    if len(lines) == 2:
        return "No large shape was measured."
    return "\n".join(lines)


def tile_line(result: dict[str, Any]) -> str:
    """The register tile alone against its goal."""
    shares = ", ".join(
        f"{share:.0%} with {gates} gate{'s' if gates != '1' else ''}"
        for gates, share in result["tile_share"].items()
    )
    return (
        f"The recurrent tile alone, hidden size {TILE_HIDDEN}, one thread: {shares} of the peak "
        f"(goal {TILE_GOAL:.0%})."
    )


def verdict(result: dict[str, Any]) -> str:
    """How many rows meet their floor, are slower than torch, or need more memory."""
    rows = result["rows"]
    met = sum(row["ratio"] >= row["floor"] for row in rows)
    slower = sum(row["ratio"] < 1 for row in rows)
    wrong = sum(bool(row["wrong_answers"]) for row in rows)
    measured = [row["memory"] for row in rows if row["memory"] and row["memory"][OURS] is not None]
    lines = [
        f"{met} of {len(rows)} rows meet their floor; {slower} are slower than torch; "
        f"{wrong} have answers outside the error budget.",
        "The error against float64, of each row's least exact answer, is "
        f"{statistics.median(error_ratio(row['errors']) for row in rows):.1f} times torch's in "
        "the median row.",
    ]
    if measured:
        more = sum(memory[OURS] > memory[TORCH] for memory in measured)
        lines.append(
            f"Peak memory of a training step was measured for {len(measured)} rows; "
            f"{more} need more than torch."
        )
    return " ".join(lines)


def summary(result: dict[str, Any], brief: bool = False) -> str:
    """The worst of every group; with ``brief``, for README.md, a line for each further group."""
    beside = extras.brief(result) if brief else extras.summary(result)
    if not result["rows"]:
        return f"{beside}\n\n{where(result)}"
    threads = max(row["threads"] for row in result["rows"])
    return (
        f"torch's time divided by fastrnn's, inference / training, worst shape of each group, "
        f"{threads} threads on both sides (✗: below the project's floor for that group):\n\n"
        f"{regime_table(result, threads)}\n\n{verdict(result)}\n\n"
        f"Share of the machine's multiply-add peak, measured in the same run, of large shapes "
        f"(batch of {LARGE_BATCH} or more, {LARGE_HIDDEN} or more units):\n\n"
        f"{peak_table(result, threads)}\n\n{tile_line(result)}\n\n"
        f"{beside}{beside and chr(10) * 2}{where(result)}"
    )


def full_report(result: dict[str, Any]) -> str:
    """A page with everything, for every thread count."""
    counts = sorted({row["threads"] for row in result["rows"]}, reverse=True)
    parts = ["# Benchmark", where(result)]
    if counts:
        parts += [verdict(result), tile_line(result)]
    parts += [text for text in (extras.summary(result),) if text]
    for count in counts:
        title = f"## {count} thread{'s' if count > 1 else ''}"
        parts += [title, regime_table(result, count), peak_table(result, count)]
        parts.append(packed_table(result, count))
        parts.append(full_table(result, count))
    return "\n\n".join(parts) + "\n"


def write_between_markers(path: Path, text: str) -> None:
    """Replace what stands between the markers of ``path``."""
    page = path.read_text()
    before, found, rest = page.partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not found or not found_end:
        raise ValueError(f"{path} lacks the markers {BEGIN!r} and {END!r}")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
