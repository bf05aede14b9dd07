"""Markdown tables out of a run's JSON, and their place in README.md and docs/word2vec.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastrnn.benchmark.word2vec import likelihood, quality, verdict
from fastrnn.benchmark.word2vec.settings import DETERMINISTIC, FLOORS, GENSIM, MODES, OURS

BEGIN = "<!-- word2vec table: written by bench/word2vec_report.py, do not edit -->"
END = "<!-- end of word2vec table -->"


def against(ratio: float | None, floor: float | None) -> str:
    """A ratio with its floor, and a cross where it misses it."""
    if ratio is None:
        return "–"
    if floor is None:
        return f"{ratio:.2f}"
    return f"{ratio:.2f} (floor {floor:g})" + ("" if ratio >= floor else " ✗")


def contestants(rows: list[dict[str, Any]]) -> list[str]:
    """Everybody who took part, ours first."""
    return list(dict.fromkeys(name for row in rows for name in row["contestants"]))


def speed_table(rows: list[dict[str, Any]]) -> str:
    """Million in-vocabulary words a second, and our ratios."""
    names = contestants(rows)
    lines = [
        "| Training | d | Threads | " + " | ".join(names) + " | over gensim | over best C |",
        "|---|--:|--:|" + "--:|" * (len(names) + 2),
    ]
    for row in rows:
        rates = [
            f"{row['contestants'][name]['words_per_second'] / 1e6:.2f}"
            if name in row["contestants"]
            else "–"
            for name in names
        ]
        lines.append(
            f"| {MODES[row['mode']].title} | {row['dim']} | {row['threads']} | "
            + " | ".join(rates)
            + f" | {against(row['over_gensim'], row['over_gensim_floor'])}"
            + f" | {against(row['over_best_c'], row['over_best_c_floor'])} |"
        )
    return "\n".join(lines)


def scaling_lines(rows: list[dict[str, Any]]) -> list[str]:
    """What the second thread brings, where a row was measured with one and with two."""
    rates = {
        (row["mode"], row["dim"], row["threads"], name): found["words_per_second"]
        for row in rows
        for name, found in row["contestants"].items()
        if name in (OURS, DETERMINISTIC, GENSIM)
    }
    lines: dict[str, list[str]] = {}
    for (mode, dim, threads, name), rate in rates.items():
        one = rates.get((mode, dim, 1, name))
        if threads == 2 and one:
            lines.setdefault(name, []).append(f"{rate / one:.2f} ({mode}, d = {dim})")
    return [f"Two threads over one, {name}: {', '.join(texts)}." for name, texts in lines.items()]


def vocabulary_line(result: dict[str, Any]) -> str | None:
    found = result["vocabulary"]
    if not found:
        return None
    text = ", ".join(f"{name} {one['seconds']:.2f} s" for name, one in found["contestants"].items())
    ratio = found["over_gensim"]
    end = f"; {against(ratio, FLOORS['vocabulary'])} times as fast" if ratio else ""
    return f"`build_vocab` of a file, in fastrnn with encoding: {text}{end}."


def memory_line(result: dict[str, Any]) -> str | None:
    """The worst mode of each number of dimensions."""
    worst: dict[int, dict[str, Any]] = {}
    for row in result["memory"]:
        if row["dim"] not in worst or row["ratio"] > worst[row["dim"]]["ratio"]:
            worst[row["dim"]] = row
    if not worst:
        return None
    texts = [
        f"{row['peak'] / 1e6:.0f} MB, {row['ratio']:.2f}"
        + ("" if row["ratio"] <= FLOORS["memory"] else " ✗")
        + f" times matrices and ids ({row['mode']}, d = {dim})"
        for dim, row in sorted(worst.items())
    ]
    limit = f"limit {FLOORS['memory']:g}"
    return f"Peak memory of training, at most: {'; '.join(texts)}; {limit}."


def deterministic_line(result: dict[str, Any]) -> str | None:
    found = [
        (row["deterministic_share"], verdict.label(row))
        for row in result["rows"]
        if row["deterministic_share"] is not None
    ]
    if not found:
        return None
    share, where = min(found)
    mark = "" if share >= FLOORS["deterministic"] else " ✗"
    return (
        f"Deterministic mode runs at {share:.0%}{mark} of full speed or more "
        f"(floor {FLOORS['deterministic']:.0%}; least: {where})."
    )


def quality_table(result: dict[str, Any]) -> str | None:
    """Mean and standard deviation over the seeds; a cross where a rival is out of reach."""
    rows = result["quality"]
    if not rows:
        return None
    names = list(dict.fromkeys(name for row in rows for name in row["scores"]))
    tests = list(next(iter(rows[0]["scores"].values())))
    lines = [
        "| Training | Test | " + " | ".join(names) + " |",
        "|---|---|" + "--:|" * len(names),
    ]
    for row in rows:
        for test in tests:
            texts = [_score(row, name, test) for name in names]
            lines.append(f"| {MODES[row['mode']].title} | {test} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def _score(row: dict[str, Any], name: str, test: str) -> str:
    score = row["scores"][name][test]
    text = f"{score['mean']:.3f} ± {score['stdev']:.3f}"
    if name in (OURS, DETERMINISTIC):
        gaps = [quality.below(score, row["scores"][rival][test]) for rival in verdict.rivals(row)]
        if any(not gap <= FLOORS["quality"] for gap in gaps):
            text += " ✗"
    return text


def likelihood_table(result: dict[str, Any]) -> str | None:
    """Relative loss of held-out log-likelihood against strict mode."""
    rows = result["likelihood"]
    if not rows:
        return None
    names = list(likelihood.relative(rows[0]["log_likelihood"]))
    lines = ["| Training | " + " | ".join(names) + " |", "|---|" + "--:|" * len(names)]
    for row in rows:
        found = likelihood.relative(row["log_likelihood"])
        texts = [f"{x:+.2%}" + ("" if x <= FLOORS["likelihood"] else " ✗") for x in found.values()]
        lines.append(f"| {MODES[row['mode']].title} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def where(result: dict[str, Any]) -> str:
    """One line on machine and software."""
    machine, software, corpus = result["machine"], result["software"], result["corpus"]
    commit = result["commit"]
    source = f"commit {commit['hash'][:10]}" if commit else "an installed package"
    if commit and commit["changed"]:
        source += " with local changes"
    return (
        f"{corpus['words']:,} words of text, {corpus['vocabulary']:,} in the vocabulary. "
        f"{machine['cpu']}, {machine['cores']} cores, {software['isa']}; "
        f"gensim {software['gensim']}; fastrnn {software['fastrnn']}, {source}."
    )


def paragraphs(result: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    rounds, settings = result["settings"]["rounds"], result["settings"]
    parts: list[str | None] = []
    if rows:
        parts += [
            f"Million words a second while training (median of {rounds} rounds in turn, "
            f"window {settings['window']}, sample {settings['sample']:g}; "
            "✗: below the project's floor):",
            speed_table(rows),
            vocabulary_line(result),
            memory_line(result),
            deterministic_line(result),
            *scaling_lines(result["rows"]),
        ]
    if table := quality_table(result):
        parts += [
            "Quality after the same training, mean ± standard deviation over the seeds "
            "(✗: more than one standard deviation below a rival):",
            table,
        ]
    if table := likelihood_table(result):
        parts += [
            "Held-out log-likelihood, exact, relative to strict mode; positive is worse "
            f"(limit {FLOORS['likelihood']:.1%}):",
            table,
        ]
    return [part for part in parts if part] + [where(result)]


def summary(result: dict[str, Any]) -> str:
    """What README.md shows: the rows that have floors, and all else in short."""
    rows = [row for row in result["rows"] if row["over_gensim_floor"] is not None]
    return "\n\n".join(paragraphs(result, rows or result["rows"]))


def full_report(result: dict[str, Any]) -> str:
    """Everything, for docs/word2vec.md."""
    found = verdict.problems(result)
    closing = "Missed floors:\n\n" + "\n".join(f"- {line}" for line in found) if found else ""
    return "\n\n".join([*paragraphs(result, result["rows"]), *filter(None, [closing])])


def write_between_markers(path: Path, text: str) -> None:
    """Replace what stands between the markers of ``path``."""
    page = path.read_text(encoding="utf-8")
    before, found, rest = page.partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not found or not found_end:
        raise ValueError(f"{path} lacks the markers {BEGIN!r} and {END!r}")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
