"""The demo on a small text: it passes, and it fails when the layers disagree."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import fastrnn.nn
from fastrnn.cli.app import app
from fastrnn.demo import text, training, verdict

runner = CliRunner()


@pytest.fixture(autouse=True)
def threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    source = tmp_path / "text.txt"
    source.write_text("the quick brown fox jumps over the lazy dog; " * 60, encoding="utf-8")
    return [
        *("demo", "layers", "--text", str(source), "--steps", "6", "--hidden", "12"),
        *("--threads", "1", "--output", str(tmp_path / "curves.png")),
    ]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_curves_coincide(cell: str, arguments: list[str], tmp_path: Path) -> None:
    result = runner.invoke(app, [*arguments, "--cell", cell])
    assert result.exit_code == 0, result.output
    assert "The loss curves coincide" in " ".join(result.output.split())
    assert "times as fast" in " ".join(result.output.split())
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_slightly_wrong_layer_is_caught(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(torch.nn.LSTM):
        def forward(self, x: Any, state: Any = None) -> Any:
            y, state = super().forward(x, state)
            return 1.01 * y, state

    monkeypatch.setattr(fastrnn.nn, "LSTM", Wrong)
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert "do not coincide" in " ".join(result.output.split())


def test_other_weights_are_caught(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Shifted(torch.nn.LSTM):
        def reset_parameters(self) -> None:
            super().reset_parameters()
            with torch.no_grad():
                self.bias_hh_l0[0] += 1e-6

    monkeypatch.setattr(fastrnn.nn, "LSTM", Shifted)
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert "different weights" in " ".join(result.output.split())


def test_interrupt_is_clean(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Iterator[int]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(training, "train", interrupted)
    result = runner.invoke(app, arguments)
    assert result.exit_code == 130
    assert "stopped" in result.output
    assert "Traceback" not in result.output


def test_text_too_short(tmp_path: Path) -> None:
    source = tmp_path / "short.txt"
    source.write_text("too short", encoding="utf-8")
    result = runner.invoke(app, ["demo", "layers", "--text", str(source)])
    assert result.exit_code == 1
    assert "9 characters" in " ".join(result.output.split())


def test_builtin_text_is_english_of_some_size() -> None:
    corpus = text.load_corpus(None, seq_len=64)
    assert len(corpus.train) + len(corpus.held_out) > 300_000
    assert len(corpus.alphabet) > 60
    assert " the " in text.builtin_text()


def test_targets_are_the_next_characters() -> None:
    corpus = text.load_corpus(None, seq_len=8)
    x, target = corpus.batch(corpus.train, 8, 3, torch.Generator().manual_seed(0))
    assert x.shape == target.shape == (8, 3)
    assert torch.equal(x[1:], target[:-1])


@pytest.mark.parametrize(
    ("difference", "steps", "coincide"),
    [
        (0.5 * verdict.EARLY_LIMIT, 10, True),
        (2 * verdict.EARLY_LIMIT, 10, False),
        (2 * verdict.EARLY_LIMIT, 60, False),  # a long run does not excuse an early difference
        (math.nan, 10, False),
        (math.nan, 60, False),
    ],
)
def test_verdict_from_the_first_step(difference: float, steps: int, coincide: bool) -> None:
    assert verdict.judge([1.0] * steps, [1.0 + difference] * steps).coincide is coincide


@pytest.mark.parametrize(("difference", "coincide"), [(0.01, True), (0.03, False)])
def test_verdict_leaves_late_steps_more_room(difference: float, coincide: bool) -> None:
    ours = [1.0] * verdict.EARLY_STEPS + [1.0 + difference] * 50
    assert verdict.judge([1.0] * len(ours), ours).coincide is coincide


def test_verdict_needs_steps() -> None:
    with pytest.raises(ValueError, match="no step"):
        verdict.judge([], [])
