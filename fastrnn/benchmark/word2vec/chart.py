"""A picture of a run: words a second, one panel a way to train, one bar a contestant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastrnn.benchmark.word2vec.report import contestants
from fastrnn.benchmark.word2vec.settings import C_TOOL, DETERMINISTIC, GENSIM, MODES, OURS

COLORS = {OURS: "#d1702a", DETERMINISTIC: "#e8a878", GENSIM: "#3b76af"}
C_COLOR = "#8a8a8a"


def draw(result: dict[str, Any], path: Path) -> None:
    """Write an SVG or PNG, by the name's ending, of the rows with the most threads."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    threads = max(row["threads"] for row in result["rows"])
    rows = [row for row in result["rows"] if row["threads"] == threads]
    names = contestants(rows)
    style = {"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "fastrnn"}
    with mpl.rc_context(style):
        figure, panels = plt.subplots(
            1,
            len(rows),
            sharey=True,
            squeeze=False,
            figsize=(1.8 + 2.2 * len(rows), 1.1 + 0.3 * len(names)),
            layout="constrained",
        )
        for row, panel in zip(rows, panels[0]):
            for place, name in enumerate(names):
                found = row["contestants"].get(name)
                if not found:
                    continue
                color = C_COLOR if name.startswith(C_TOOL) else COLORS.get(name, C_COLOR)
                panel.barh(place, found["words_per_second"] / 1e6, 0.7, color=color)
                rates = [rate / 1e6 for rate in found["rates"]]
                panel.plot(rates, [place] * len(rates), "|", color="black", markersize=6)
            title = MODES[row["mode"]].title.replace(", ", ",\n")
            dims = {other["dim"] for other in rows}
            panel.set_title(title + (f", d = {row['dim']}" if len(dims) > 1 else ""), fontsize=10)
            panel.grid(axis="x", color="#dddddd", lw=0.6)
            panel.set_axisbelow(True)
            panel.tick_params(axis="y", length=0)
            panel.spines[["top", "right", "left"]].set_visible(False)
        panels[0][0].set_yticks(range(len(names)), names)
        panels[0][0].set_ylim(len(names) - 0.5, -0.5)
        figure.supxlabel(
            f"million words a second, {threads} thread{'s' if threads > 1 else ''}; "
            "ticks: single rounds",
            fontsize=9,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, facecolor="white", dpi=130, metadata=metadata)
        plt.close(figure)
