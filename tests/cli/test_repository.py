"""The repository's promises about itself: two commands, the same for readers and for CI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fastrnn

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it, as it does packaging

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


def requirements(extra: str) -> list[Requirement]:
    """Of an extra, as far as they apply here; of the package itself where it is empty."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return [each for each in map(Requirement, lines) if applies(each)]


def applies(requirement: Requirement, extras: Iterable[str] = ()) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": each}) for each in ("", *extras))


@pytest.mark.parametrize("name", ["torch", "demo", "word2vec", "plot", "test", "lint"])
def test_constraints_pin_what_the_commands_install(name: str) -> None:
    wanted = {canonicalize_name(each.name) for each in requirements(name)} - {"fastrnn"}
    assert wanted
    # pybind11 builds in an environment of its own.
    assert wanted - {"pybind11"} <= set(pins(default_environment()))


def test_constraints_pin_what_those_bring_along() -> None:
    pinned = pins(default_environment())
    left, seen = [Requirement(f"fastrnn[{name}]") for name in ("demo", "test")], set()
    while left:
        wanted = left.pop()
        name = canonicalize_name(wanted.name)
        if name == "fastrnn":
            left += [each for extra in ("", *wanted.extras) for each in requirements(extra)]
        elif name not in seen and not name.startswith(("cuda-", "nvidia-", "triton")):
            seen.add(name)
            assert name in pinned, f"{name}, which something needs as {wanted}, is not pinned"
            assert wanted.specifier.contains(pinned[name]), (str(wanted), pinned[name])
            known = map(Requirement, metadata.requires(name) or [])
            left += [each for each in known if applies(each, wanted.extras)]
    assert {"numpy", "torch", "pytest", "matplotlib", "scikit-learn", "scipy", "tqdm"} <= seen


def pins(environment: Any) -> dict[str, str]:
    """Version by name, on a Python; nothing is pinned twice."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    result: dict[str, str] = {}
    for line in map(Requirement, (each for each in lines if each and each[0] != "#")):
        name = canonicalize_name(line.name)
        if line.marker is None or line.marker.evaluate(environment):
            assert name not in result, f"{name} is pinned twice"
            result[name] = str(line.specifier).removeprefix("==")
    return result


@pytest.mark.parametrize("minor", range(10, 15))
def test_constraints_pin_the_same_names_on_every_python(minor: int) -> None:
    """But for the backports of older Pythons, and what has no wheels for the newest."""
    here = {**default_environment(), "python_version": f"3.{minor}"}
    now = pins({**default_environment(), "python_version": "3.12"})
    older = {"coloredlogs", "exceptiongroup", "humanfriendly", "six", "tomli"}
    older = older if minor == 10 else set()
    lost = {"narwhals"} if minor == 10 else set()
    if minor == 14:
        lost = {"gensim", "smart-open", "wrapt", "zstandard"}
    assert set(pins(here)) == (set(now) | older) - lost


def test_numpy_is_all_that_the_package_needs() -> None:
    assert [each.name for each in requirements("")] == ["numpy"]


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
