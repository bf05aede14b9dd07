"""One command a chore: ``nox -s lint``, ``tests``, ``sanitize``, ``tidy``, ``bench``, ``docs``.

With real models of other packages: ``models``; trained by other frameworks: ``ecosystem``.
Against broken files of vectors: ``fuzz``; against races between threads: ``tsan``.
Compiled layers, slowly: ``inductor``.
For machines other than this one: ``arm``, ``cuda`` and ``rehearse``.
"""

from __future__ import annotations

import os
import re
import shutil
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
def models(session: nox.Session) -> None:
    """Convert real models of other packages, and compare outputs and gradients."""
    install(session, ".[models,test]")
    if not isinstance(session.virtualenv, nox.virtualenv.PassthroughEnv):
        # For the pkg_resources of the torchmetrics that asteroid asks for; against the constraints.
        session.install("setuptools<81")
    files = ["tests/models/real_models.py", "tests/models/real_keras.py"]
    session.run("pytest", *(session.posargs or files))


@nox.session
def ecosystem(session: nox.Session) -> None:
    """Train with frameworks that the tests do not need otherwise."""
    install(session, ".[ecosystem,test]")
    session.run("pytest", *(session.posargs or ["tests/nn/test_lightning.py"]))


@nox.session
def inductor(session: nox.Session) -> None:
    """Compile layers of every kind with inductor and AOTInductor, which takes minutes."""
    install(session, ".[test]")
    session.run("pytest", *(session.posargs or ["tests/nn/inductor_cases.py"]))


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
    # clang-tidy comes without OpenMP's header; the compiler's other headers are not for it.
    compiler = os.environ.get("CXX", "g++")
    found = subprocess.check_output([compiler, "-print-file-name=include"], text=True).strip()
    headers = Path(session.create_tmp()).resolve() / "include"
    headers.mkdir(exist_ok=True)
    shutil.copy(Path(found) / "omp.h", headers)
    session.run(
        *("clang-tidy", "-p", "build/tidy", "--quiet", f"--extra-arg=-isystem{headers}"),
        *(session.posargs or files),
    )


@nox.session
def sanitize(session: nox.Session) -> None:
    """Run tests with AddressSanitizer and UBSan built in: the engine's own, or pytest's.

    ``-- tests/math tests/cells`` runs those through an instrumented module in Python.
    """
    install(session, "cmake", "ninja")
    if not session.posargs:
        native_test(session, "sanitize")
        return
    install(session, "scikit-build-core", "pybind11", ".[test]")
    target = Path(session.create_tmp()).resolve() / "site"
    session.run(
        *("python", "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--upgrade"),
        *("--target", str(target), "-Ccmake.define.FASTRNN_SANITIZE=ON"),
        *("-Ccmake.build-type=RelWithDebInfo", "-Cbuild-dir=build/sanitize-python", "."),
    )
    compiler = os.environ.get("CXX", "g++")
    libraries = [
        subprocess.check_output([compiler, f"-print-file-name={name}"], text=True).strip()
        for name in ("libasan.so", "libubsan.so", "libstdc++.so")
    ]
    session.run(
        *("pytest", *session.posargs),
        env={
            "PYTHONPATH": str(target),  # before the plain build in site-packages
            "LD_PRELOAD": " ".join(libraries),
            # Python and torch keep memory until exit, which is no leak of ours.
            "ASAN_OPTIONS": "detect_leaks=0:strict_string_checks=1",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        },
    )


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz the readers of vector files for a minute, or as the options after ``--`` say."""
    install(session, "atheris", ".[test]")
    options = session.posargs or ["--seconds", "60"]
    session.run("python", "tests/fuzz/fuzz_readers.py", *options)


@nox.session
def tsan(session: nox.Session) -> None:
    """Run the tests of the word2vec trainer and of a grid's exchange under ThreadSanitizer."""
    install(session, "cmake", "ninja")
    session.run("cmake", "--preset", "tsan")
    session.run("cmake", "--build", "--preset", "tsan")
    # Where addresses vary much, older runtimes find the place of their shadow memory taken.
    fixed = ["setarch", "-R"]
    allowed = shutil.which("setarch") and subprocess.run([*fixed, "true"]).returncode == 0
    command = ["ctest", "--test-dir", "build/tsan", "--verbose"]
    session.run(*(fixed if allowed else []), *command, external=True)


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
    """Cross-compile the engine for ARM64 and run its test program under qemu-user."""
    install(session, "cmake", "ninja")
    native_test(session, "arm")


@nox.session
def cuda(session: nox.Session) -> None:
    """Compile the CUDA engine's kernels, without running them; no kernel may spill."""
    architectures = (80, 90, 100)
    folder = Path(session.create_tmp()).resolve()
    for source in sorted((ROOT / "csrc" / "cuda").glob("*.cu")):
        output = session.run(
            *("nvcc", "-std=c++17", "-I", "csrc", "-fmad=false", "-Xptxas", "-v", "-t", "0"),
            *("-Werror", "all-warnings", '-DFASTRNN_CUDA_ARCHITECTURES="checked"'),
            *(f"-gencode=arch=compute_{n},code=sm_{n}" for n in architectures),
            *("-c", str(source.relative_to(ROOT)), "-o", str(folder / f"{source.stem}.o")),
            external=True,
            silent=True,
        )
        problems, kernels = spills(str(output))
        session.log(f"{source.name}: {kernels} kernels for {len(architectures)} architectures")
        # Fewer than the kernels there are: the compiler no longer says what is read here.
        if source.name == "stepwise.cu" and kernels < 4 * 6 * len(architectures):
            session.error(f"{kernels} kernels are too few:\n{output}")
        if problems:
            session.error("registers spilled:\n" + "\n".join(problems))


@nox.session
def rehearse(session: nox.Session) -> None:
    """Run the tests for a GPU on the emulated one: whether they would run, not what they show."""
    install(session, ".[test]")
    # Graphs, streams and the GPU's own instructions; what takes long on the emulation.
    without = "bits or graph or streams or instructions or rounding or more_steps or 64] or 200]"
    command = ("pytest", "-p", "rehearsal", "tests/cuda/test_on_gpu.py", "-k", f"not ({without})")
    session.run(*command, *session.posargs)


def spills(report: str) -> tuple[list[str], int]:
    """What ptxas' report (``-Xptxas -v``) says: kernels that spill, and how many there are."""
    found = re.findall(
        r"Compiling entry function '(\w+)' for '(\w+)'.*?"
        r"(\d+) bytes spill stores, (\d+) bytes spill loads",
        report,
        re.DOTALL,
    )
    bad = [f"{name} for {target}" for name, target, *counts in found if counts != ["0", "0"]]
    return bad, len(found)


def native_test(session: nox.Session, preset: str) -> None:
    """Build the engine's test program by a preset and run it."""
    session.run("cmake", "--preset", preset)
    session.run("cmake", "--build", f"build/{preset}")
    session.run("ctest", "--test-dir", f"build/{preset}", "--verbose")


def python(session: nox.Session) -> str:
    """The interpreter of the session."""
    found = session.run("python", "-c", "import sys; print(sys.executable)", silent=True)
    return str(found).strip()
