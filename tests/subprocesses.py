"""Python in a process of its own, for what would disturb or outlive this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fastrnn


def child_environment(**more: str) -> dict[str, str]:
    """What a child needs to import the same fastrnn as here, and the test helpers."""
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    package = Path(fastrnn.__file__).parents[1]
    if package.name != "site-packages":  # a source tree, which only its own root makes importable
        paths.insert(0, str(package))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}


def run_python(
    code: str, *flags: str, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``code`` with the same fastrnn as here and the test helpers importable."""
    return subprocess.run(
        [sys.executable, *flags, "-c", code],
        env=child_environment(**environment),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def python_output(code: str, *flags: str, timeout: float = 120, **environment: str) -> str:
    """What ``code`` prints; it must succeed."""
    result = run_python(code, *flags, timeout=timeout, **environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def error_message(code: str, *flags: str, timeout: float = 120, **environment: str) -> str:
    """The last line of the traceback; ``code`` must fail."""
    result = run_python(code, *flags, timeout=timeout, **environment)
    assert result.returncode == 1, result.stdout + result.stderr
    return result.stderr.strip().splitlines()[-1]
