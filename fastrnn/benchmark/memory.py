"""Peak memory of one training step, each contender in a fresh process.

The step's peak is the process's high-water mark minus what it held before the step.  A step of
toy size goes first, so that libraries, thread stacks and generated code are there already.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from fastrnn.benchmark.shapes import OTHER, TRAINING, Shape

#: What the process runs; it looks for modules where this one does, so it finds the same fastrnn.
CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from fastrnn.benchmark.memory import main; main(sys.argv[2])"
)


def _status(key: str) -> int:
    """Bytes of one line of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}")


def step_peak(contender: str, cell: str, shape: Shape, threads: int) -> int:
    """Bytes that a training step needs on top of weights and input, in this process."""
    import torch

    from fastrnn.benchmark.pair import Subject, build, inputs, namespaces

    torch.set_num_threads(threads)
    namespace = namespaces()[contender]

    def subject(sizes: Shape) -> Subject:
        x, grad_y, packing = inputs(sizes, seed=0)
        return Subject(build(namespace, cell, sizes), x.requires_grad_(), grad_y, packing)

    shortest = min(shape.shortest, 1)
    toy = dataclasses.replace(
        shape, regime=OTHER, batch_size=2, hidden_size=8, seq_len=2, shortest=shortest
    )
    subject(toy).call(TRAINING)()
    measured = subject(shape)
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark to what is held now
    before = _status("VmHWM")
    measured.call(TRAINING)()
    return _status("VmHWM") - before


def measure(contender: str, cell: str, shape: Shape, threads: int) -> int | None:
    """`step_peak` in a process of its own; None where the system has no such counters."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    job = {
        "contender": contender,
        "cell": cell,
        "shape": dataclasses.asdict(shape),
        "threads": threads,
    }
    command = [sys.executable, "-c", CODE, json.dumps(sys.path), json.dumps(job)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"measuring memory failed: {done.stderr.strip()}")
    return int(done.stdout)


def main(text: str) -> None:
    """Measure what a JSON text describes, and print the bytes."""
    job: dict[str, Any] = json.loads(text)
    sizes = job.pop("shape")
    sizes["cells"] = tuple(sizes["cells"])
    print(step_peak(shape=Shape(**sizes), **job))
