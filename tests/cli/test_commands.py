"""The command line's ways in, and what it says when something is missing."""

from __future__ import annotations

import subprocess

import pytest
import torch
from subprocesses import run_python
from typer.testing import CliRunner

import fastrnn
from fastrnn.cli.app import app

runner = CliRunner()


def fastrnn_command(
    *arguments: str, before: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """`python -m fastrnn` in a process of its own, after some code."""
    return run_python(
        f"import runpy, sys; sys.argv = {['fastrnn', *arguments]!r}\n{before}\n"
        "runpy.run_module('fastrnn', run_name='__main__')",
        **environment,
    )


def test_info_shows_build_threads_and_versions() -> None:
    result = runner.invoke(app, ["info"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    for expected in (
        fastrnn.__version__,
        fastrnn.current_isa(),
        ", ".join(fastrnn.build_info()["isas"]),
        torch.__version__,
    ):
        assert expected in result.output


def test_module_runs_as_command() -> None:
    done = fastrnn_command("--help")
    assert done.returncode == 0, done.stderr
    for command in ("demo", "info", "bench"):
        assert command in done.stdout


def test_info_works_without_torch() -> None:
    done = fastrnn_command(
        "info",
        before="import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
        "sys.modules['torch'] = None",
    )
    assert done.returncode == 0, done.stderr
    assert "not installed" in done.stdout


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("typer", ["info"]),
        ("rich", ["info"]),
        ("torch", ["demo", "--steps", "1"]),
        ("torch", ["bench", "--self-check"]),
        ("matplotlib", ["demo", "--steps", "1", "--hidden", "2", "--output", "/dev/null"]),
    ],
)
def test_a_missing_package_gives_a_hint(missing: str, arguments: list[str]) -> None:
    done = fastrnn_command(*arguments, before=f"sys.modules[{missing!r}] = None")
    assert done.returncode == 1
    message = " ".join(done.stderr.split())
    assert "Traceback" not in message
    assert missing in message
    assert "install" in message


def test_unknown_isa_is_one_line() -> None:
    done = fastrnn_command("info", FASTRNN_ISA="abacus")
    assert done.returncode == 1
    assert "abacus" in done.stderr
    assert "generic" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("option", "value"), [("--cell", "gtu"), ("--mode", "dreaming")])
def test_bench_rejects_unknown_choices(option: str, value: str) -> None:
    result = runner.invoke(app, ["bench", "--self-check", option, value])
    assert result.exit_code == 2
    assert value in result.output


def test_bench_with_no_row_left() -> None:
    result = runner.invoke(app, ["bench", "--self-check", "--shape", "H999"])
    assert result.exit_code == 1
    assert "no row" in result.output
