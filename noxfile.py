"""One command a chore: ``nox -s lint``, ``tests``, ``sanitize``, ``tidy``, ``bench``, ``docs``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml("pyproject.toml")
SOURCES = [
    str(path.relative_to(ROOT))
    for path in sorted((ROOT / "csrc").rglob("*"))
    if path.suffix in {".h", ".cpp", ".cuh", ".cu"}
]


def install(session: nox.Session, *arguments: str) -> None:
    """Install under the constraints; nothing at all with ``--no-venv``."""
    if not isinstance(session.virtualenv, nox.virtualenv.PassthroughEnv):
        session.install("-c", "constraints.txt", *arguments)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and types; ``-- --fix`` reformats first."""
    install(session, *PROJECT["project"]["optional-dependencies"]["lint"])
    # What mypy needs to see of the libraries that are used.
    install(session, "numpy", "torch", "typer", "rich", "nox")
    if "--fix" in session.posargs:
        session.run("ruff", "check", "--fix", ".")
        session.run("ruff", "format", ".")
        session.run("clang-format", "-i", *SOURCES)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    if SOURCES:
        session.run("clang-format", "--dry-run", "--Werror", *SOURCES)
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Build, install and test."""
    install(session, ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def tidy(session: nox.Session) -> None:
    """Run clang-tidy over every file that CMake compiles, once for each of its builds."""
    install(session, "clang-tidy", "cmake", "ninja", "pybind11")
    bindings = session.run("python", "-m", "pybind11", "--cmakedir", silent=True)
    session.run(
        *("cmake", "--preset", "tidy", "-DPYBIND11_FINDPYTHON=ON"),
        *(f"-DPython_EXECUTABLE={python(session)}", f"-Dpybind11_DIR={str(bindings).strip()}"),
    )
    files = [name for name in SOURCES if name.endswith(".cpp")]
    session.run("clang-tidy", "-p", "build/tidy", "--quiet", *(session.posargs or files))


@nox.session
def sanitize(session: nox.Session) -> None:
    """Run the tests of kernels and cells with AddressSanitizer and UBSan built in."""
    install(session, "scikit-build-core", "pybind11", "ninja", ".[test]")
    target = Path(session.create_tmp()).resolve() / "site"
    session.run(
        *("python", "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--upgrade"),
        *("--target", str(target), "-Ccmake.define.FASTRNN_SANITIZE=ON"),
        *("-Ccmake.build-type=RelWithDebInfo", "-Cbuild-dir=build/sanitize", "."),
    )
    compiler = os.environ.get("CXX", "g++")
    libraries = [
        subprocess.check_output([compiler, f"-print-file-name={name}"], text=True).strip()
        for name in ("libasan.so", "libubsan.so", "libstdc++.so")
    ]
    session.run(
        *("pytest", *(session.posargs or ("tests/math", "tests/cells", "tests/ops"))),
        env={
            "PYTHONPATH": str(target),  # before the plain build in site-packages
            "LD_PRELOAD": " ".join(libraries),
            # Python and torch keep memory until exit, which is no leak of ours.
            "ASAN_OPTIONS": "detect_leaks=0:strict_string_checks=1",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        },
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmark with the options after ``--``."""
    install(session, ".[demo]")
    session.run("python", "bench/run.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; warnings are errors."""
    install(session, ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def arm(session: nox.Session) -> None:
    """Cross-compile the kernels for ARM64 and run their tests under qemu-user."""
    install(session, "cmake", "ninja")
    session.run("cmake", "-P", "cmake/aarch64_check.cmake")


def python(session: nox.Session) -> str:
    """The interpreter of the session."""
    found = session.run("python", "-c", "import sys; print(sys.executable)", silent=True)
    return str(found).strip()
