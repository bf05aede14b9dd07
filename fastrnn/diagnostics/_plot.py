"""Pictures of norms over time."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from fastrnn.diagnostics._results import GradientNorms, StateJacobians

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_norms"]

Result = GradientNorms | StateJacobians
_COLORS = ("#3b76af", "#d1702a", "#4f9a4a", "#a8458c", "#7a6a53", "#3a9c9c")


def plot_norms(
    results: Mapping[str, Result] | Result,
    *,
    kind: Literal["hidden", "cell_state", "spectral", "frobenius"] | None = None,
    axes: Axes | None = None,
    title: str | None = None,
    path: str | PathLike[str] | None = None,
) -> Axes:
    """Draw norms over the steps of the input on a logarithmic scale, a curve for each result.

    A curve is the median over the sequences that have the step, and the pale band behind it
    reaches from the smallest to the largest.  The reverse direction is dashed.  What is zero or
    has overflowed has no place on the scale: there the curve ends.

    Parameters
    ----------
    results
        What `record` or `state_jacobians` found, by the labels that the legend shall show.
    kind
        "hidden" (the default) or "cell_state" of gradients; "spectral" (the default where it was
        computed) or "frobenius" of Jacobian products.
    axes
        Where to draw; by default in a figure of its own, ``axes.figure``.
    title
        Over the axes.
    path
        Also write the figure to this file; its ending says how.

    Raises
    ------
    ImportError
        Without matplotlib, which ``pip install fastrnn[plot]`` brings.
    ValueError
        If there is nothing to draw, or a result has no norms of that kind.

    Examples
    --------
    >>> import torch, fastrnn
    >>> layers = {"RNN": fastrnn.nn.RNN(3, 16), "LSTM": fastrnn.nn.LSTM(3, 16)}
    >>> x = torch.randn(30, 4, 3)
    >>> found = {k: fastrnn.diagnostics.state_jacobians(v, x)[0] for k, v in layers.items()}
    >>> axes = fastrnn.diagnostics.plot_norms(found)
    >>> axes.get_yscale(), len(axes.lines)
    ('log', 2)
    """
    if not isinstance(results, Mapping):
        results = {"": results}
    if not results:
        raise ValueError("results: nothing to draw")
    curves = {label: _norms(label, result, kind) for label, result in results.items()}
    if axes is None:
        axes = _new_axes()
    for number, (label, norms) in enumerate(curves.items()):
        color = _COLORS[number % len(_COLORS)]
        for direction, values in enumerate(norms):
            _draw(axes, values, color, label, reverse=direction == 1)
    jacobians = all(isinstance(result, StateJacobians) for result in results.values())
    axes.set_yscale("log")
    axes.set_xlabel("step t")
    axes.set_ylabel("norm of ds_T / ds_t" if jacobians else "norm of dL / dh_t")
    axes.grid(color="#e4e4e4", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if title is not None:
        axes.set_title(title, fontsize=10)
    if any(results):
        axes.legend(frameon=False, fontsize=8)
    if path is not None:
        figure: Any = axes.figure
        figure.savefig(path, facecolor="white", dpi=130)
    return axes


def _norms(label: str, result: Result, kind: str | None) -> npt.NDArray[np.float64]:
    """[D, T, B]."""
    if isinstance(result, GradientNorms):
        found: dict[str, Any] = {"hidden": result.hidden, "cell_state": result.cell_state}
    else:
        found = {"spectral": result.spectral, "frobenius": result.frobenius}
    if kind is None:
        kind = next(name for name, norms in found.items() if norms is not None)
    norms: npt.NDArray[np.float64] | None = found.get(kind)
    if norms is None:
        of = f" of {label!r}" if label else ""
        raise ValueError(f"kind: there are no {kind!r} norms{of} among {', '.join(found)}")
    return norms


def _new_axes() -> Axes:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ImportError(
            "plot_norms needs matplotlib; install it with `pip install fastrnn[plot]`",
            name="matplotlib",
        ) from error
    # Not pyplot, which keeps figures, and may ask for a screen.
    return Figure(figsize=(6.4, 4.0), layout="constrained").add_subplot()


def _draw(axes: Axes, values: Any, color: str, label: str, *, reverse: bool) -> None:
    drawn = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    some = ~np.isnan(drawn).all(-1)
    low, middle, high = np.full((3, len(drawn)), np.nan)
    low[some], high[some] = np.nanmin(drawn[some], -1), np.nanmax(drawn[some], -1)
    middle[some] = np.nanmedian(drawn[some], -1)
    steps = np.arange(1, len(drawn) + 1)
    if reverse:
        label = f"{label} (reverse)".strip()
    axes.plot(steps, middle, "--" if reverse else "-", color=color, lw=1.6, label=label)
    if values.shape[-1] > 1:
        axes.fill_between(steps, low, high, color=color, alpha=0.15, lw=0)
