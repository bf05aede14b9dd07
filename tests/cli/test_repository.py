"""The repository's promises about itself: two commands, the same for readers and for CI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

import fastrnn

ROOT = Path(__file__).parents[2]


def readme_commands() -> list[str]:
    section = (ROOT / "README.md").read_text(encoding="utf-8")
    section = section.split("## Two commands")[1].split("\n## ")[0]
    return re.findall(r"```bash\n(.*?)```", section, flags=re.DOTALL)


def test_readme_has_two_commands_of_one_line() -> None:
    demo, tests = readme_commands()
    for command in (demo, tests):
        assert command.count("\n") == 1
        assert command.startswith("python3 -m venv .venv && ")
        assert "-c constraints.txt" in command
    assert demo.endswith("fastrnn demo\n")
    assert tests.endswith("pytest\n")


def test_ci_runs_the_second_command(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    shutil.copy(ROOT / "README.md", tmp_path)
    stub = tmp_path / "bin" / "python3"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\necho "python3 $@"\nexit 7\n', encoding="utf-8")
    stub.chmod(0o755)
    done = subprocess.run(
        [tmp_path / ".ci" / "run"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{stub.parent}:{os.environ['PATH']}"},
    )
    assert done.stdout == f"+ {readme_commands()[1]}python3 -m venv .venv\n"
    assert done.returncode == 7


def extra(name: str) -> list[str]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(rf"^{name} = \[(.*?)\]$", text, flags=re.MULTILINE)
    assert found
    return re.findall(r'"([A-Za-z][\w-]*?)[\[<>=]', found[1])


@pytest.mark.parametrize("name", ["torch", "demo", "test", "lint"])
def test_constraints_pin_what_the_commands_install(name: str) -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([\w-]+)==", text, flags=re.MULTILINE))
    wanted = {requirement for requirement in extra(name) if requirement != "fastrnn"}
    assert wanted
    assert wanted - {"pybind11"} <= pinned  # pybind11 builds in an environment of its own


def test_types_are_shipped() -> None:
    package = resources.files(fastrnn)
    assert (package / "py.typed").is_file()
    assert (package / "_core.pyi").is_file()


def test_version_is_the_changelog_s() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.*?)\]", changelog, flags=re.MULTILINE)
    assert headings[0] in ("Unreleased", fastrnn.__version__)


def test_compiled_module_has_the_package_s_version() -> None:
    assert fastrnn.build_info()["version"] == fastrnn.__version__
