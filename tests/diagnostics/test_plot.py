"""The picture, its errors, and the examples in docstrings."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from subprocesses import error_message

import fastrnn.nn
from fastrnn import diagnostics
from fastrnn.diagnostics import GradientNorms, StateJacobians, plot_norms


def norms(*values: float, directions: int = 1) -> Any:
    return np.tile(np.array(values)[None, :, None], (directions, 1, 3)) * np.array([1.0, 2.0, 4.0])


def test_a_curve_for_each_result() -> None:
    results = {
        "RNN": GradientNorms("", 0, 0, norms(1, 10, 100), None),
        "LSTM": GradientNorms("", 0, 0, norms(1, 2, 3, directions=2), norms(5, 6, 7)),
    }
    axes = plot_norms(results, title="Norms")
    assert axes.get_yscale() == "log"
    assert axes.get_title() == "Norms"
    labels = [line.get_label() for line in axes.lines]
    assert labels == ["RNN", "LSTM", "LSTM (reverse)"]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [2, 20, 200])  # medians
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [1, 2, 3])
    assert [line.get_linestyle() for line in axes.lines] == ["-", "-", "--"]
    assert len(axes.collections) == 3  # bands
    again = plot_norms(results["LSTM"], kind="cell_state", axes=axes)
    assert again is axes
    np.testing.assert_array_equal(axes.lines[3].get_ydata(), [10, 12, 14])


def test_what_has_no_place_on_the_scale() -> None:
    values = norms(0, 1, 10, np.inf)
    values[0, 1, 0] = np.nan
    axes = plot_norms({"": StateJacobians(0, "hidden", values, None)})
    drawn = np.asarray(axes.lines[0].get_ydata())
    np.testing.assert_array_equal(drawn, [np.nan, 3, 20, np.nan])
    assert axes.get_legend() is None
    assert "ds_T" in axes.get_ylabel()


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_written_to_a_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"norms.{ending}"
    gru = fastrnn.nn.GRU(2, 3, bidirectional=True)
    found = diagnostics.state_jacobians(gru, torch.randn(6, 2, 2), lengths=[6, 3])
    plot_norms({"GRU": found[0]}, kind="frobenius", path=path)
    assert path.stat().st_size > 5000


def test_errors() -> None:
    only_hidden = GradientNorms("", 0, 0, norms(1, 2), None)
    with pytest.raises(ValueError, match="nothing to draw"):
        plot_norms({})
    with pytest.raises(ValueError, match="no 'cell_state' norms of 'RNN' among hidden"):
        plot_norms({"RNN": only_hidden}, kind="cell_state")
    with pytest.raises(ValueError, match="no 'spectral' norms among hidden"):
        plot_norms(only_hidden, kind="spectral")


def test_without_matplotlib() -> None:
    message = error_message(
        "import sys; sys.modules['matplotlib'] = sys.modules['matplotlib.figure'] = None\n"
        "import numpy as np; from fastrnn import diagnostics\n"
        "norms = diagnostics.GradientNorms('', 0, 0, np.ones((1, 2, 3)), None)\n"
        "diagnostics.plot_norms(norms)"
    )
    assert "plot_norms needs matplotlib" in message
    assert "pip install fastrnn[plot]" in message


@pytest.mark.parametrize(
    "name",
    [
        *(f"diagnostics.{part}" for part in ("_jacobians", "_plot", "_record")),
        *(f"utils.{part}" for part in ("_initial", "_truncated")),
    ],
)
def test_examples_in_docstrings(name: str) -> None:
    torch.manual_seed(0)
    result = doctest.testmod(importlib.import_module(f"fastrnn.{name}"))
    assert result.attempted >= 4
    assert result.failed == 0
