"""Where and with what a run was made."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def cpu_model() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or platform.machine()


def caches() -> dict[str, str]:
    """Cache sizes of the first core, e.g. ``{"L1 Data": "32K", ...}``."""
    result = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind = _read(f"{index}/type")
        level = "L" + _read(f"{index}/level")
        result[level if kind == "Unified" else f"{level} {kind}"] = _read(f"{index}/size")
    return result


def describe_machine() -> dict[str, Any]:
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "cores_allowed": len(affinity(0)) if affinity else os.cpu_count(),
        "caches": caches(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_average": list(os.getloadavg()),  # a busy machine shows here
    }


def describe_software() -> dict[str, Any]:
    import numpy as np
    import torch

    import fastrnn

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "fastrnn": fastrnn.__version__,
        "build": fastrnn.build_info(),
        "isa": fastrnn.current_isa(),
    }


def commit(folder: Path) -> dict[str, Any] | None:
    """The commit of the checkout that ``folder`` lies in, and whether sources differ from it."""
    try:
        git = ["git", "-C", str(folder)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True)
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no", "--", "csrc", "fastrnn"],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"hash": head.stdout.decode().strip(), "changed": bool(changes.stdout.strip())}
