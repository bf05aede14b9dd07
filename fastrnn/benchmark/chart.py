"""A picture of a run: torch's time over ours, one panel a cell, floors as ticks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastrnn.benchmark.report import select, used_cells
from fastrnn.benchmark.shapes import LAYERS, MODES

COLORS = {"inference": "#3b76af", "training": "#d1702a"}
OFFSETS = {"inference": -0.17, "training": 0.17}


def draw(result: dict[str, Any], path: Path) -> None:
    """Write an SVG or PNG, by the name's ending, of the rows with the most threads."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    threads = max(row["threads"] for row in result["rows"])
    rows = select(result, threads=threads)
    shapes = list(dict.fromkeys((row["regime"], row["shape"]) for row in rows))
    place = {shape: index for index, (_, shape) in enumerate(shapes)}
    cells = used_cells(result)
    high = max(2.0, *(max(row["ratio"], row["floor"]) for row in rows)) * 1.25
    low = min(0.8, min(row["ratio"] for row in rows) / 1.25)

    style = {"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "fastrnn"}
    with mpl.rc_context(style):
        figure, panels = plt.subplots(
            1,
            len(cells),
            sharey=True,
            squeeze=False,
            figsize=(2.6 + 2.3 * len(cells), 1.5 + 0.27 * len(shapes)),
            layout="constrained",
        )
        for cell, panel in zip(cells, panels[0]):
            for mode in MODES:
                found = select(result, threads=threads, cell=cell, mode=mode)
                heights = [place[row["shape"]] + OFFSETS[mode] for row in found]
                widths = [row["ratio"] - 1 for row in found]
                panel.barh(heights, widths, 0.32, left=1, color=COLORS[mode], label=mode)
                floors = [row["floor"] for row in found]
                panel.plot(floors, heights, "|", color="black", markersize=6, mew=1.2, ls="")
            panel.set_title(LAYERS[cell].title, fontsize=10)
            panel.set_xscale("log")
            panel.set_xlim(low, high)
            ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100) if low <= t <= high]
            panel.xaxis.set_major_locator(FixedLocator(ticks))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            panel.axvline(1, color="#555555", lw=0.8)
            panel.grid(axis="x", color="#dddddd", lw=0.6)
            panel.set_axisbelow(True)
            panel.tick_params(axis="y", length=0)
            panel.spines[["top", "right", "left"]].set_visible(False)
            for (above, _), (below, shape) in zip(shapes, shapes[1:]):
                if above != below:
                    panel.axhline(place[shape] - 0.5, color="#bbbbbb", lw=0.6)
        panels[0][0].set_yticks(range(len(shapes)), [shape for _, shape in shapes])
        panels[0][0].set_ylim(len(shapes) - 0.4, -0.6)
        handles, labels = panels[0][0].get_legend_handles_labels()
        handles.append(plt.Line2D([], [], color="black", marker="|", ls="", mew=1.2))
        figure.legend(
            handles, [*labels, "floor"], loc="outside lower center", ncols=3, frameon=False
        )
        figure.suptitle(
            f"torch's time / fastrnn's time, {threads} threads (log scale)", fontsize=11
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, facecolor="white", dpi=130, metadata=metadata)
        plt.close(figure)
