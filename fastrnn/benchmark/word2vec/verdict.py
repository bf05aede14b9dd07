"""What a run misses, one line each; empty when it meets every floor."""

from __future__ import annotations

from typing import Any

from fastrnn.benchmark.word2vec import likelihood, quality
from fastrnn.benchmark.word2vec.settings import DETERMINISTIC, FLOORS, OURS


def problems(result: dict[str, Any]) -> list[str]:
    return [
        *_speed(result),
        *_vocabulary(result),
        *_memory(result),
        *_quality(result),
        *_likelihood(result),
    ]


def label(row: dict[str, Any]) -> str:
    return f"{row['mode']}, d = {row['dim']}, threads {row['threads']}"


def _speed(result: dict[str, Any]) -> list[str]:
    lines = []
    for row in result["rows"]:
        for rival, key in (("gensim", "over_gensim"), ("the best word2vec.c", "over_best_c")):
            ratio, floor = row[key], row[f"{key}_floor"]
            if ratio is not None and floor is not None and ratio < floor:
                lines.append(f"{label(row)}: {ratio:.2f} times {rival}, floor {floor:g}")
        share = row["deterministic_share"]
        if share is not None and share < FLOORS["deterministic"]:
            lines.append(
                f"{label(row)}: deterministic at {share:.0%} of full speed, "
                f"floor {FLOORS['deterministic']:.0%}"
            )
    return lines


def _vocabulary(result: dict[str, Any]) -> list[str]:
    ratio = (result["vocabulary"] or {}).get("over_gensim")
    if ratio is None or ratio >= FLOORS["vocabulary"]:
        return []
    return [f"vocabulary: {ratio:.2f} times gensim, floor {FLOORS['vocabulary']:g}"]


def _memory(result: dict[str, Any]) -> list[str]:
    return [
        f"{label(row)}: peak memory {row['ratio']:.2f} times matrices and ids, "
        f"limit {FLOORS['memory']:g}"
        for row in result["memory"]
        if row["ratio"] > FLOORS["memory"]
    ]


def _quality(result: dict[str, Any]) -> list[str]:
    lines = []
    for row in result["quality"]:
        for who in (OURS, DETERMINISTIC):
            for rival in rivals(row):
                for name, ours in row["scores"].get(who, {}).items():
                    theirs = row["scores"][rival][name]
                    gap = quality.below(ours, theirs)
                    if not gap <= FLOORS["quality"]:
                        lines.append(
                            f"{label(row)}: {name} of {who} {ours['mean']:.3f}, "
                            f"{gap:.1f} standard deviations below {rival} ({theirs['mean']:.3f})"
                        )
    return lines


def rivals(row: dict[str, Any]) -> list[str]:
    return [name for name in row["scores"] if name not in (OURS, DETERMINISTIC)]


def _likelihood(result: dict[str, Any]) -> list[str]:
    lines = []
    for row in result["likelihood"]:
        for name, worse in likelihood.relative(row["log_likelihood"]).items():
            if not worse <= FLOORS["likelihood"]:
                lines.append(
                    f"{label(row)}: held-out log-likelihood {name} is {worse:.2%} below strict "
                    f"mode, limit {FLOORS['likelihood']:.1%}"
                )
    return lines
