"""The picture: both loss curves over steps, where they coincide, and over seconds."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from fastrnn.demo.training import Run

STYLES = (
    {"color": "#b8cbe0", "lw": 4.5},  # wide and pale, so that the second curve shows on top
    {"color": "#b3430f", "lw": 1.1},
)


def save_plot(runs: dict[str, Run], title: str, path: Path) -> None:
    """Write the picture; the format follows the file name's ending."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (by_step, by_time) = plt.subplots(
        1, 2, figsize=(10, 4.2), sharey=True, layout="constrained"
    )
    for (name, run), style in zip(runs.items(), STYLES):
        steps = range(1, len(run.losses) + 1)
        by_step.plot(steps, run.losses, label=name, **style)
        seconds = list(accumulate(run.seconds))
        by_time.plot(seconds, run.losses, label=f"{name}: {seconds[-1]:.1f} s", **style)
    by_step.set(xlabel="step", ylabel="training loss, nats a character")
    by_time.set(xlabel="seconds of training")
    for panel in (by_step, by_time):
        panel.grid(color="#e4e4e4", lw=0.6)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=130)
    plt.close(figure)
