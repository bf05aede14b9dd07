"""The benchmark's group of layers that torch lacks, on toy sizes.  No timing is asserted."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import fastrnn.nn
from fastrnn.benchmark import cells, extras, pair, report, runner, shapes, step_loops
from fastrnn.cli.app import app

TOY = shapes.Shape(shapes.OTHER, 4, 16, 5, input_size=7)
FAST = {"ratio": 4.0, "over_plain": 1.0, "wrong_answers": []}


@pytest.fixture(autouse=True)
def threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def settings(**changes: Any) -> extras.Settings:
    given = {"seconds": 0.001, "cell_shapes": (TOY,), "cell_threads": 1, "backend": "eager"}
    return extras.Settings(**{"seed": 2, **given, **changes})


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return extras.run(extras.CELLS, settings())


def test_all_loops_compute_what_our_layers_do(rows: list[dict[str, Any]]) -> None:
    assert len(rows) == extras.count(extras.CELLS, settings()) == len(cells.VARIANTS)
    for row, variant in zip(rows, cells.VARIANTS, strict=True):
        assert row["layer"] == variant.title
        assert row["wrong_answers"] == []
        layer = getattr(fastrnn.nn, variant.layer)(1, 1, **variant.options)
        names = {f"grad_{name}" for name, _ in layer.named_parameters()}
        assert names | {"grad_x", "y", "h_n"} <= set(row["errors"])
        best = min(row[who]["median"] for who in (cells.EAGER, cells.COMPILED))
        assert row["ratio"] <= best / row[pair.OURS]["median"]
        assert row["over_plain"] == row[pair.OURS]["median"] / row[cells.PLAIN]["median"]
        assert row["bound"] > 0
        has_other = variant.other and importlib.util.find_spec("torchrecurrent")
        assert (cells.OTHERS in row) == bool(has_other)


def test_weights_that_are_multiplied_are_counted(rows: list[dict[str, Any]]) -> None:
    flop = {row["layer"]: row["flop"] for row in rows}
    of_lstm = TOY.flops(4, shapes.TRAINING)
    assert flop["PeepholeLSTM"] == flop["LayerNormLSTM"] == of_lstm
    assert flop["PeepholeLSTM full"] == of_lstm + 3 * 2 * 5 * 4 * 3 * 16 * 16
    assert flop["MultiplicativeLSTM"] == TOY.flops(5, shapes.TRAINING)
    assert flop["LayerNormGRU"] == flop["GRU reset before"] == TOY.flops(3, shapes.TRAINING)


def test_every_layer_of_our_own_is_measured() -> None:
    own = {
        name
        for name in fastrnn.nn.__all__
        if not hasattr(torch.nn, name) and not name.endswith("Cell")
    }
    assert own - {"RecurrentLayer"} <= {variant.layer for variant in cells.VARIANTS}


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of torch.compile
def test_long_loops_have_their_step_compiled(
    monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(cells, "VARIANTS", cells.VARIANTS[-1:])
    (row,) = extras.run(extras.CELLS, settings(whole_loops=2))
    assert row["wrong_answers"] == []
    assert (row["compiled"], rows[0]["compiled"]) == ("step", "loop")
    assert f"not the loop, at {TOY.name}." in cells.introduction([row])
    assert "not the loop" not in cells.introduction(rows)


@pytest.mark.parametrize("wrong", ["ours", "loop"])
def test_wrong_answers_are_reported(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    *start, step = step_loops.LOOPS["rnn_sigmoid"]

    def sloppy(x: Any, state: Any, w: Any) -> Any:
        return (step(x, state, w)[0] * 1.01,)

    variant = next(v for v in cells.VARIANTS if v.loop == "rnn_sigmoid")
    monkeypatch.setattr(cells, "VARIANTS", (variant,))
    if wrong == "ours":  # the judge and the loops agree on something else
        monkeypatch.setitem(step_loops.LOOPS, "rnn_sigmoid", (*start, sloppy))
    else:
        monkeypatch.setattr(
            cells.StepLoop,
            "compile_loop",
            lambda self, _: setattr(self, "step", sloppy),
        )
    (row,) = extras.run(extras.CELLS, settings())
    assert ("y" in row["wrong_answers"]) == (wrong == "ours")
    assert (f"y of the {cells.COMPILED}" in row["wrong_answers"]) == (wrong == "loop")
    assert "| wrong |" in cells.table([row])


def test_what_misses_its_goals_is_marked(rows: list[dict[str, Any]]) -> None:
    good, slow, heavy = (rows[0] | FAST | change for change in ({}, {"ratio": 2.5}, {}))
    heavy["over_plain"] = 1.16
    found = {"extras": {extras.CELLS: [good, slow, heavy]}}
    first, second = extras.problems(found)
    assert "2.50 of the best loop's speed, floor 3" in first
    assert "1.16 of the plain LSTM's time, limit 1.15" in second
    text = extras.summary(found)
    assert text.count("| 2.50 ✗ |") == text.count("1.16 ✗ of LSTM") == 1
    assert extras.brief(found).count("| 3 | 2 | 4.00 | 2.50 (") == 1
    free = rows[-1] | FAST | {"over_plain": 9.0}
    assert extras.problems({"extras": {extras.CELLS: [free]}}) == []


def test_shapes_are_those_of_the_goals() -> None:
    sizes = [(s.batch_size, s.seq_len, s.hidden_size) for s in cells.SHAPES]
    wanted = itertools.product((32,), (50, 100), (128, 256, 512))
    assert sorted(sizes) == sorted(wanted)


def test_group_alone_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "VARIANTS", cells.VARIANTS[:1])
    path = tmp_path / "run.json"
    options = ["--self-check", "--seconds", "0.001", "--no-memory", "--threads", "1"]
    command = ["bench", *options, "--group", "cells", "--output", str(path)]
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    result = runner.load(path)
    assert len(result["extras"]["cells"]) == 1
    assert "| PeepholeLSTM |" in report.full_report(result)
    none = CliRunner().invoke(app, ["bench", "--group", "cells", "--mode", "inference"])
    assert none.exit_code == 0, none.output
