"""The benchmark itself, on toy sizes: rows, answers, tables, picture.  No timing is asserted."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from fastrnn._native import core
from fastrnn.benchmark import chart, compare, extras, memory, pair, report, runner, shapes
from fastrnn.cli.app import app


@pytest.fixture(autouse=True)
def threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def settings(**changes: Any) -> runner.Settings:
    quick = runner.Settings(shapes=shapes.SELF_CHECK, seconds=0.001, memory=False)
    return dataclasses.replace(quick, **changes)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run, after a trip through its file."""
    path = tmp_path_factory.mktemp("bench") / "run.json"
    before = torch.get_num_threads()
    runner.save(runner.run(settings()), path)
    assert torch.get_num_threads() == before
    return runner.load(path)


def test_every_row_is_there_and_right(result: dict[str, Any]) -> None:
    wanted = {
        (shape.name, cell, mode, threads)
        for shape in shapes.SELF_CHECK
        for cell in shapes.LAYERS
        for mode in shapes.MODES
        for threads in (1, 2)
    }
    found = {(r["shape"], r["cell"], r["mode"], r["threads"]) for r in result["rows"]}
    assert found == wanted
    assert len(result["rows"]) == len(wanted)
    for row in result["rows"]:
        assert row["wrong_answers"] == []
        assert "y" in row["errors"]
        assert ("grad_x" in row["errors"]) == (row["mode"] == shapes.TRAINING)
        assert row["ratio"] > 0
        assert row[pair.OURS]["q1"] <= row[pair.OURS]["median"] <= row[pair.OURS]["q3"]
        assert len(row[pair.OURS]["samples"]) == len(row[pair.TORCH]["samples"]) >= 7


def test_gradients_of_every_parameter_are_compared(result: dict[str, Any]) -> None:
    deep = shapes.SELF_CHECK[1]
    names = {name for name, _ in torch.nn.LSTM(1, 1, 2, bidirectional=True).named_parameters()}
    (row,) = report.select(result, shape=deep.name, cell="lstm", mode="training", threads=2)
    assert {f"grad_{name}" for name in names} | {"grad_x", "y", "h_n", "c_n"} == set(row["errors"])


def test_run_says_where_it_was_made(result: dict[str, Any]) -> None:
    assert result["machine"]["cpu"]
    assert result["software"]["torch"] == torch.__version__
    assert result["software"]["isa"] == core.current_isa()
    assert all(result["fma_peak_gflops"][count] > 0 for count in ("1", "2"))
    listed = {*shapes.LAYERS, *result["cells_without_a_torch_layer"]}
    assert listed == {cell["name"] for cell in core.cells()}


def test_gates_agree_with_the_engine_s_list_of_cells() -> None:
    gates = {cell["name"]: cell["num_gates"] for cell in core.cells()}
    for name, layer in shapes.LAYERS.items():
        assert layer.num_gates == gates[name]


@pytest.mark.parametrize("wrong", ["output", "gradient"])
def test_wrong_answers_are_reported(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class WrongLSTM(torch.nn.LSTM):
        def forward(self, x: Any, state: Any = None) -> Any:
            y, state = super().forward(x, state)
            if wrong == "output":
                return y + 1e-5 * y.detach().sign(), state
            y.register_hook(lambda grad: grad * (1 + 1e-5))
            return y, state

    class Namespace:
        LSTM = WrongLSTM

    monkeypatch.setattr(pair, "namespaces", lambda: {pair.OURS: Namespace, pair.TORCH: torch.nn})
    padded = tuple(shape for shape in shapes.SELF_CHECK if not shape.packed)
    found = runner.run(settings(shapes=padded, cells=("lstm",), modes=("training",), threads=(1,)))
    for row in found["rows"]:
        assert ("y" in row["wrong_answers"]) == (wrong == "output")
        assert ("grad_x" in row["wrong_answers"]) == (wrong == "gradient")
    assert any("wrong answers" in line for line in runner.problems(found))
    assert "wrong" in report.regime_table(found, 1)


def test_unequal_threads_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastrnn.num_threads", lambda: 5)
    with pytest.raises(RuntimeError, match="fastrnn would use 5"):
        runner.run(settings())


@pytest.mark.parametrize("contender", pair.CONTENDERS)
def test_memory_of_a_step(contender: str) -> None:
    shape = shapes.Shape(shapes.OTHER, 64, 128, 100)
    peak = memory.measure(contender, "lstm", shape, threads=1)
    assert peak is not None
    # At least y and the gates must be kept; a hundred times that would be a broken counter.
    kept = 4 * 100 * 64 * 128 * (1 + 4)
    assert kept < peak < 100 * kept


def test_floors_cover_every_shape_and_names_are_unique() -> None:
    names = [shape.name for shape in shapes.SHAPES]
    assert len(set(names)) == len(names)
    assert {shape.regime for shape in shapes.SHAPES} == set(shapes.FLOORS)
    assert {shape.regime for shape in shapes.QUICK} == set(shapes.FLOORS)
    for shape in shapes.SHAPES:
        for cell in shape.cells:
            for mode in shapes.MODES:
                assert shapes.floor(shape.regime, cell, mode, 2) >= 1
                assert shapes.floor(shape.regime, cell, mode, 1) == 1


def test_flops_of_a_deep_bidirectional_layer() -> None:
    shape = shapes.Shape(shapes.OTHER, 3, 5, 7, input_size=2, num_layers=2, bidirectional=True)
    first, second = 2 * 4 * 5 * (2 + 5), 2 * 4 * 5 * (10 + 5)
    assert shape.flops(4, shapes.INFERENCE) == 2 * 7 * 3 * (first + second)
    assert shape.flops(4, shapes.TRAINING) == 3 * 2 * 7 * 3 * (first + second)


def test_packed_shapes() -> None:
    shape = shapes.Shape(shapes.PACKED_SMALL, 8, 16, 60, shortest=5)
    assert len(shape.lengths) == 8
    assert min(shape.lengths) >= 5
    assert max(shape.lengths) <= 60
    assert shape.flops(1, shapes.INFERENCE) == 2 * sum(shape.lengths) * 16 * 32
    x, grad_y, packing = pair.inputs(shape, 1)
    assert len(x) == len(grad_y) == packing[0].sum() == sum(shape.lengths)


def test_packed_rows_are_set_against_padded_ones(result: dict[str, Any]) -> None:
    packed = [row for row in result["rows"] if row["padded_speed"]]
    assert {row["shape"] for row in packed} == {s.name for s in shapes.SELF_CHECK if s.packed}
    slow = {**result, "rows": [dict(packed[0], padded_speed=0.5, threads=2)]}
    assert "0.50 to 0.50 ✗ | 0.9 |" in report.packed_table(slow, 2)
    assert any("of our padded speed" in line for line in runner.problems(slow))
    none = {**result, "rows": [dict(packed[0], padded_speed=None)]}
    assert "No packed" in report.packed_table(none, packed[0]["threads"])


def test_a_row_below_its_floor_is_marked(result: dict[str, Any]) -> None:
    row = dict(result["rows"][0], ratio=0.5, floor=1.0, wrong_answers=[])
    slow = {**result, "rows": [row]}
    assert report.mark(row) == "0.50 ✗"
    assert "1 are slower than torch" in report.verdict(slow)
    assert len(runner.problems(slow)) == 1
    assert runner.problems({**result, "rows": [dict(row, ratio=1.5)]}) == []


def test_tables_name_every_shape(result: dict[str, Any]) -> None:
    text = report.full_report(result)
    for shape in shapes.SELF_CHECK:
        assert text.count(f"| {shape.name} |") == 2 * 2 * len(shapes.LAYERS)
    assert result["machine"]["cpu"] in text


def test_readme_markers(result: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n", encoding="utf-8")
    report.write_between_markers(page, report.summary(result))
    once = page.read_text(encoding="utf-8")
    assert once.startswith(f"above\n{report.BEGIN}\ntorch's time")
    assert once.endswith(f"\n{report.END}\nbelow\n")
    assert "old" not in once
    report.write_between_markers(page, report.summary(result))
    assert page.read_text(encoding="utf-8") == once
    page.write_text("no markers", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the markers"):
        report.write_between_markers(page, "text")


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_picture(result: dict[str, Any], tmp_path: Path, ending: str, start: bytes) -> None:
    path = tmp_path / f"run.{ending}"
    chart.draw(result, path)
    assert path.read_bytes().startswith(start)


def test_compare_finds_what_changed(result: dict[str, Any]) -> None:
    changed = result["rows"][3]
    ours = changed[pair.OURS]
    faster = {**ours, **{key: ours[key] / 100 for key in ("median", "q1", "q3")}}
    rows = [dict(row, **{pair.OURS: faster}) if row is changed else row for row in result["rows"]]
    found = compare.changes(result, {**result, "rows": rows})
    assert found[-1]["speedup"] == pytest.approx(100)
    assert found[-1]["clear"]
    assert all(change["speedup"] == 1 and not change["clear"] for change in found[:-1])
    assert "100.00" in compare.table(result, {**result, "rows": rows})


def test_command_writes_its_file(tmp_path: Path) -> None:
    output = tmp_path / "folder" / "run.json"
    arguments = ["bench", "--self-check", "--no-memory", "--seconds", "0.001", "--cell", "gru"]
    done = CliRunner().invoke(app, [*arguments, "--threads", "1", "--output", str(output)])
    assert done.exit_code == 0, done.output
    rows = runner.load(output)["rows"]
    assert {row["cell"] for row in rows} == {"gru"}
    assert {row["threads"] for row in rows} == {1}


def test_load_rejects_other_json(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="not a result"):
        runner.load(path)


@pytest.mark.parametrize("group", [group for group in extras.GROUPS if group != extras.CELLS])
def test_groups_beside_the_shapes(group: str) -> None:
    toy = extras.Settings(
        seconds=0.001,
        compiled_shapes=(shapes.SELF_CHECK[1],),
        backend="aot_eager",
        half_shapes=(shapes.Shape(shapes.OTHER, 5, 12, 3, input_size=7),),
        half_threads=1,
    )
    seen: list[dict[str, Any]] = []
    before = torch.get_num_threads()
    rows = extras.run(group, toy, seen.append)
    assert torch.get_num_threads() == before
    assert seen == rows
    assert len(rows) == extras.count(group, toy)
    assert {row["mode"] for row in rows} == set(shapes.MODES)
    assert not any(row["wrong_answers"] for row in rows)
    for row in rows:
        assert row["ratio"] == row[pair.TORCH]["median"] / row[pair.OURS]["median"]
        assert any(name.startswith("grad_") for name in row["errors"]) == (
            row["mode"] == shapes.TRAINING
        )
    slow = [rows[0] | {"ratio": 0.5}, rows[1] | {"wrong_answers": ["y"]}]
    found = {"extras": {group: slow}}
    fast = rows[0] | {"ratio": 1.5, "over_float32": 2.0}
    assert extras.problems({"extras": {group: [fast]}}) == []
    assert "0.50 of torch's speed" in extras.problems(found)[0]
    assert "wrong answers in y" in extras.problems(found)[1]
    assert extras.brief({"extras": {group: [fast]}}).count("| 1 | 1 | 1.50 | 1.50 (") == 1
    text = extras.summary(found)
    assert text.count("| 0.50 ✗ |") == text.count("| wrong |") == 1


def test_floors_of_bfloat16_rows() -> None:
    assert extras.half_floor("lstm", 256, shapes.TRAINING, 2) == 1.1
    assert extras.half_floor("gru", 128, shapes.INFERENCE, 2) == 3.0
    assert extras.half_floor("rnn_tanh", 1024, shapes.INFERENCE, 2) == 1.15
    assert extras.half_floor("gru", 128, shapes.INFERENCE, 1) == 1.0
    slow = {"layer": "GRU", "shape": "B8", "mode": "training", "ratio": 2.0, "floor": 1.4}
    slow |= {"wrong_answers": [], "over_float32": 1.5, "float32_goal": 1.6}
    assert "1.50 of float32's speed" in extras.problems({"extras": {"bf16": [slow]}})[0]


def test_a_run_of_one_group_alone(tmp_path: Path) -> None:
    options = ["--self-check", "--seconds", "0.001", "--no-memory"]
    path = tmp_path / "run.json"
    done = CliRunner().invoke(
        app, ["bench", *options, "--group", "overhead", "--output", str(path)]
    )
    assert done.exit_code == 0, done.output
    result = runner.load(path)
    assert result["rows"] == []
    assert "RNNCell" in report.full_report(result)
    assert "RNNCell" in report.summary(result)
    assert CliRunner().invoke(app, ["bench", "--group", "speed"]).exit_code == 2
