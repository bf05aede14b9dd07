"""The GPU's benchmark as far as it goes without a GPU: shapes, answers, tables, plans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import fastrnn
from fastrnn.benchmark.gpu import command, report
from fastrnn.benchmark.gpu.measure import FORWARD, GRAPHS, TRAINING, measure
from fastrnn.benchmark.gpu.shapes import (
    REGIMES,
    Shape,
    core_set,
    full_grid,
    quick_set,
    regime_of,
)
from fastrnn.benchmark.pair import OURS, TORCH


@pytest.fixture(autouse=True)
def short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """No timing is asserted."""
    monkeypatch.setattr("fastrnn.benchmark.gpu.measure.CALLS", 1)


def test_every_regime_is_measured() -> None:
    names = {regime.name for regime in REGIMES}
    assert len(names) == len(REGIMES)
    for shapes in (quick_set(), core_set(), full_grid()):
        found = list(shapes)
        assert len(set(found)) == len(found)
        assert {regime_of(shape).name for shape in found} >= names - {REGIMES[-1].name}
        assert len({shape.title for shape in found}) == len(found)


@pytest.mark.parametrize(
    ("shape", "floor"),
    [
        (Shape("LSTM", "float16", 768, 16), (1, 1)),
        (Shape("LSTM", "float16", 768, 16, bidirectional=True), (2, 1.8)),
        (Shape("GRU", "float16", 768, 16), (2, 1.8)),
        (Shape("LSTM", "bfloat16", 192, 16), (5, 2.5)),
        (Shape("RNN", "float32", 64, 8), (1.2, 1.2)),
        (Shape("LSTM", "tf32", 1024, 256), (1, 1)),
        (Shape("LSTM", "float32", 2048, 32), (1.5, 1.3)),
        (Shape("LSTM", "tf32", 512, 16, proj=128), (1, 1)),
    ],
)
def test_floors(shape: Shape, floor: tuple[float, float]) -> None:
    assert regime_of(shape).floor == floor


@pytest.mark.parametrize(
    "shape",
    [
        Shape("LSTM", "float32", 8, 3, 4, packed=True),
        Shape("GRU", "bfloat16", 8, 2, 3, layers=2),
        Shape("RNN", "float16", 5, 1, 2, bidirectional=True),
    ],
    ids=lambda shape: str(shape.title),
)
def test_a_row(shape: Shape) -> None:
    """On the CPU, where it is the CPU engine's."""
    row = measure(shape, "cpu")
    assert row["wrong_answers"] == []
    assert {"y", "grad_x", "weight_hh_l0"} <= set(row["errors"])
    assert row["refusal"] is None
    assert set(row["microseconds"]) == {FORWARD, TRAINING}
    for mode in (FORWARD, TRAINING):
        value = report.ratio(row, mode)
        assert value is not None
        assert value > 0
    assert shape.title in report.line(row)
    json.dumps(row)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_a_projection() -> None:
    row = measure(Shape("LSTM", "float32", 8, 3, 4, proj=2), "cpu")
    assert row["wrong_answers"] == []
    assert "weight_hr_l0" in row["errors"]
    assert "projected to 2" in row["title"]


def test_wrong_answers_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = fastrnn.nn.LSTM.forward

    def off_by_little(self: Any, *args: Any) -> Any:
        y, state = forward(self, *args)
        return y + 1e-5, state

    monkeypatch.setattr(fastrnn.nn.LSTM, "forward", off_by_little)
    row = measure(Shape("LSTM", "float32", 8, 3, 4), "cpu")
    assert row["wrong_answers"] == ["y"]
    assert "WRONG y" in report.line(row)


def row(shape: Shape, forward: float, training: float, **changes: Any) -> dict[str, Any]:
    """With ours taking 100 us a call."""
    times = {
        mode: {TORCH: {"median": value * 100}, OURS: {"median": 100.0}}
        for mode, value in ((FORWARD, forward), (TRAINING, training), (GRAPHS[FORWARD], 4.0))
    }
    times[GRAPHS[TRAINING]] = {TORCH: {"error": "no"}, OURS: {"median": 100.0}}  # type: ignore[dict-item]
    return {
        "title": shape.title,
        "regime": regime_of(shape).name,
        "seq_len": shape.seq_len,
        "refusal": None,
        "plan": "on it:\n  layer 0 forward: grid: much",
        "cudnn_kernels": ["a|b"],
        "wrong_answers": [],
        "microseconds": times,
        **changes,
    }


def test_tables(tmp_path: Path) -> None:
    small, middle = Shape("LSTM", "float32", 64, 8), Shape("LSTM", "float32", 256, 8)
    result = {
        "machine": {"gpu": "Some GPU", "torch": "2"},
        "left_out": 3,
        "rows": [
            row(small, 1.3, 1.1),
            row(small, 1.5, 2.0),
            row(middle, 0.5, 9.0, refusal="too big"),
            row(middle, 3.5, 9.0, wrong_answers=["y"]),
        ],
    }
    command.save(result, tmp_path / "gpu.json")
    assert json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8")) == result
    text = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert "| H up to 96, B up to 16 | 2 of 2 | 1.30, 1.40 | 4.00, 4.00 | 1.2 (2) " in text
    assert "| 1.10 ✗, 1.55 | – | 1.2 (2.5) |" in text
    assert "| H 256 to 512, B up to 64 | 1 of 2 | 3.50, 3.50 |" in text
    assert "1 of 4 rows have answers outside" in text
    assert "3 shapes were left out" in text
    assert "| a/b | too big |" in text
    assert "(wrong)" in text
    regime = regime_of(small)
    assert report.below_floor(result["rows"][0], regime) == [TRAINING]
    assert report.below_floor(result["rows"][2], regime_of(middle)) == []


def invoke(*arguments: str) -> Any:
    import typer

    app = typer.Typer()
    app.command()(command.main)
    return CliRunner().invoke(app, arguments)


def test_plans_without_a_gpu() -> None:
    done = invoke("--plans", "a100", "--quick", "--only", "LSTM float32")
    assert done.exit_code == 0
    assert "LSTM float32 H64 B8 T128\non NVIDIA A100" in done.output
    assert "grid: " in done.output
    assert "GRU" not in done.output


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    done = invoke("--quick")
    assert done.exit_code == 1
    assert "there is no GPU here" in done.output
