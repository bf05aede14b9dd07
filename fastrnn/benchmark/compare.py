"""Two runs side by side: what became faster or slower by more than the samples scatter."""

from __future__ import annotations

from typing import Any

from fastrnn.benchmark.pair import OURS, TORCH

KEY = ("cell", "shape", "mode", "threads")


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows that both runs have, with our speedup from old to new, slowest first.

    ``drift`` is the same for torch: where torch changed too, the machine did.  A change counts as
    ``clear`` when the quartile ranges of our times do not overlap.
    """
    before = {tuple(row[k] for k in KEY): row for row in old["rows"]}
    result = []
    for row in new["rows"]:
        key = tuple(row[k] for k in KEY)
        if key not in before:
            continue
        a, b = before[key], row
        result.append(
            {
                **dict(zip(KEY, key)),
                "speedup": a[OURS]["median"] / b[OURS]["median"],
                "drift": a[TORCH]["median"] / b[TORCH]["median"],
                "ratio_before": a["ratio"],
                "ratio_after": b["ratio"],
                "clear": a[OURS]["q1"] > b[OURS]["q3"] or a[OURS]["q3"] < b[OURS]["q1"],
            }
        )
    return sorted(result, key=lambda change: change["speedup"])


def table(old: dict[str, Any], new: dict[str, Any]) -> str:
    """`changes` as a markdown table."""
    lines = [
        "| Cell | Shape | Mode | Threads | Speedup | torch's drift | Ratio before | after |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for c in changes(old, new):
        sign = "" if c["clear"] else " (within scatter)"
        lines.append(
            f"| {c['cell']} | {c['shape']} | {c['mode']} | {c['threads']} "
            f"| {c['speedup']:.2f}{sign} | {c['drift']:.2f} "
            f"| {c['ratio_before']:.2f} | {c['ratio_after']:.2f} |"
        )
    return "\n".join(lines)
