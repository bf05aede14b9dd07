"""Tables out of a run's JSON: each regime's least ratio beside its floor and aim, all rows."""

from __future__ import annotations

import statistics
from typing import Any

from fastrnn.benchmark.gpu.measure import FORWARD, GRAPHS, TRAINING
from fastrnn.benchmark.gpu.shapes import REGIMES, Regime
from fastrnn.benchmark.pair import OURS, TORCH

__all__ = ["below_floor", "line", "ratio", "summary", "table"]

MODES = (FORWARD, TRAINING)


def ratio(row: dict[str, Any], mode: str) -> float | None:
    """Median time of torch over ours; None where one side has none."""
    times = row["microseconds"].get(mode, {})
    if not all("median" in times.get(who, {}) for who in (TORCH, OURS)):
        return None
    return float(times[TORCH]["median"] / times[OURS]["median"])


def below_floor(row: dict[str, Any], regime: Regime) -> list[str]:
    """The modes that miss the regime's floor; where torch computes both sides, none does."""
    if row["refusal"]:
        return []
    found = {mode: ratio(row, mode) for mode in MODES}
    return [m for m, least in zip(MODES, regime.floor, strict=True) if (found[m] or 0) < least]


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _computed_by(row: dict[str, Any]) -> str:
    """The last layer's kernels; whether they run only because the benchmark asks for them."""
    if row["refusal"]:
        return str(row["refusal"])
    lines = row["plan"].splitlines()
    plan = ([line for line in lines if line.startswith("  layer ")] or lines)[-1]
    plan = plan.split(": ", 1)[-1]
    left = any(line.startswith("  left to torch") for line in lines)
    return f"(else left to torch) {plan}" if left else str(plan)


def line(row: dict[str, Any]) -> str:
    """One row, for the terminal."""
    ratios = " ".join(
        f"{_text(ratio(row, mode)):>6}" for mode in (*MODES, *(GRAPHS[mode] for mode in MODES))
    )
    what = _computed_by(row)
    answers = f"WRONG {', '.join(row['wrong_answers'])}; " if row["wrong_answers"] else ""
    return f"{row['title']:44} {ratios}  {answers}{what[:70]}"


def _regime_row(regime: Regime, rows: list[dict[str, Any]]) -> str:
    ran = [row for row in rows if not row["refusal"]]
    cells = [regime.name, f"{len(ran)} of {len(rows)}"]
    for mode, least in zip(MODES, regime.floor, strict=True):
        found = [value for row in ran if (value := ratio(row, mode)) is not None]
        graphs = [value for row in ran if (value := ratio(row, GRAPHS[mode])) is not None]
        mark = " ✗" if found and min(found) < least else ""
        cells.append(f"{min(found):.2f}{mark}, {statistics.median(found):.2f}" if found else "–")
        cells.append(f"{min(graphs):.2f}, {statistics.median(graphs):.2f}" if graphs else "–")
        cells.append(
            f"{least:g} ({regime.aim[MODES.index(mode)]:g})" if regime.aim else f"{least:g}"
        )
    return "| " + " | ".join(cells) + " |"


def summary(result: dict[str, Any]) -> str:
    """A row for each regime: least and median ratio, eager and as a graph."""
    lines = [
        "| Shapes | Rows on the engine | Forward: least, median | under a graph | floor (aim) "
        "| Training: least, median | under a graph | floor (aim) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for regime in REGIMES:
        rows = [row for row in result["rows"] if row["regime"] == regime.name]
        if rows:
            lines.append(_regime_row(regime, rows))
    count = sum(bool(row["wrong_answers"]) for row in result["rows"])
    lines.append("")
    lines.append(f"{count} of {len(result['rows'])} rows have answers outside the error budget.")
    if result["left_out"]:
        lines.append(f"{result['left_out']} shapes were left out: the time was up.")
    return "\n".join(lines)


def table(result: dict[str, Any]) -> str:
    """Everything, as Markdown."""
    lines = [
        f"# {result['machine']['gpu']}",
        "",
        "torch's time (cuDNN) over fastrnn's, whole layers with all their products; "
        f"{', '.join(f'{name} {value}' for name, value in result['machine'].items())}.",
        "",
        summary(result),
        "",
        "| Shape | Forward | Training | Forward, graph | Training, graph | us a step, graph "
        "| cuDNN's kernel | Plan |",
        "|---|--:|--:|--:|--:|--:|---|---|",
    ]
    for row in result["rows"]:
        ratios = [_text(ratio(row, m)) for m in (*MODES, *(GRAPHS[mode] for mode in MODES))]
        graph = row["microseconds"].get(GRAPHS[FORWARD], {}).get(OURS, {}).get("median")
        step = _text(None if graph is None else graph / row["seq_len"])
        kernel = (row["cudnn_kernels"] or ["–"])[0].replace("|", "/")
        what = _computed_by(row)
        wrong = " (wrong)" if row["wrong_answers"] else ""
        lines.append(
            f"| {row['title']}{wrong} | {' | '.join(ratios)} | {step} | {kernel} | {what} |"
        )
    return "\n".join(lines) + "\n"
