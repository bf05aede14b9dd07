"""Every example runs and does what it is about."""

from __future__ import annotations

import math
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

EXAMPLES = Path(__file__).parents[2] / "examples"
MAX_LINES = 120


def load(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / name))


def test_every_example_is_tested_and_short() -> None:
    tested = Path(__file__).read_text(encoding="utf-8")
    examples = sorted(EXAMPLES.glob("*.py"))
    assert examples
    for path in examples:
        assert f'load("{path.name}")' in tested
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_char_lm(tmp_path: Path) -> None:
    source = tmp_path / "text.txt"
    source.write_text("she sells sea shells by the sea shore. " * 20, encoding="utf-8")
    loss, sample = load("char_lm.py")["main"](source, steps=120, hidden_size=32)
    assert loss < 0.5  # an alphabet of 13 starts at 2.6; the text repeats itself
    assert len(sample) == 201
    assert "sea" in sample


def test_forecast_beats_repeating_the_last_value() -> None:
    error, naive = load("forecast.py")["main"](steps=150)
    assert error < 0.75 * naive


def test_gradient_flow_vanishes_explodes_and_is_cured(tmp_path: Path) -> None:
    example = load("gradient_flow.py")
    random_state = torch.random.get_rng_state()
    found, runs = example["main"](steps=450)
    torch.random.set_rng_state(random_state)
    first = {name: result.spectral[0, 0].max() for name, result in found.items()}
    assert first["RNN, singular values 0.5"] < 1e-11
    assert first["RNN, singular values 2"] > 1e2
    for name in ("LSTM (c), forget bias", "GRU, update bias"):
        assert first[f"{name} 0"] < 1e-5
        assert 0.1 < first[f"{name} 3"] < 100
    error = {name: sum(run["losses"][-50:]) / 50 for name, run in runs.items()}
    assert error["RNN, singular values 0.5"] > 0.15
    assert error["RNN, 1.1 I, clipped"] < 0.3 * error["RNN, 1.1 I"]
    assert max(runs["RNN, 1.1 I"]["norms"]) > 1e3
    assert error["GRU, update bias 3"] < 0.01
    example["draw"](found, runs, tmp_path)
    pictures = sorted(path.name for path in tmp_path.iterdir())
    assert pictures == ["gradients-jacobians.svg", "gradients-training.svg"]


def test_numpy_only_learns_to_echo() -> None:
    first, last = load("numpy_only.py")["main"](steps=300)
    assert last < 0.5 * first


def test_convert_model_trains_alike(capsys: pytest.CaptureFixture[str]) -> None:
    random_state = torch.random.get_rng_state()
    load("convert_model.py")["main"](steps=5)
    torch.random.set_rng_state(random_state)
    lines = capsys.readouterr().out.splitlines()
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in lines if "loss" in line]
    assert len(losses) == 2
    assert math.isclose(*losses, abs_tol=2e-6)  # printed with six digits
    assert any("converted" in line for line in lines)


def test_train_word2vec_tells_animals_from_machines(capsys: pytest.CaptureFixture[str]) -> None:
    example = load("train_word2vec.py")
    model = example["main"](epochs=10)
    assert model.loss_history[-1] < model.loss_history[0]
    animals = set(example["SUBJECTS"]["animal"])
    nearest = [word for word, _ in model.wv.most_similar("cat", topn=4)]
    assert set(nearest) | {"cat"} == animals
    assert "near cat:" in capsys.readouterr().out


def test_train_word2vec_on_a_file(tmp_path: Path) -> None:
    source = tmp_path / "text.txt"
    source.write_text("she sells sea shells by the sea shore\n" * 20, encoding="utf-8")
    model = load("train_word2vec.py")["main"](source, epochs=1)
    assert len(model.wv) == 7
