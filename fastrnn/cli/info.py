"""``fastrnn info``: what is built in, what this machine runs, with which threads."""

from __future__ import annotations

import importlib.util
import platform

from rich.console import Console
from rich.table import Table

import fastrnn
from fastrnn.backends import cuda_info
from fastrnn.benchmark.machine import cpu_model
from fastrnn.cli.app import app, fail, friendly_errors


def rows() -> list[tuple[str, str]]:
    """Name and value of every line."""
    build = fastrnn.build_info()
    torch_version, torch_threads = "not installed", "–"
    if importlib.util.find_spec("torch"):
        import torch

        torch_version, torch_threads = str(torch.__version__), str(torch.get_num_threads())
    return [
        ("fastrnn", fastrnn.__version__),
        ("compiler", str(build["compiler"])),
        ("instruction sets built", ", ".join(build["isas"])),
        ("instruction sets this machine runs", ", ".join(fastrnn.available_isas())),
        ("instruction set in use", fastrnn.current_isa()),
        ("OpenMP", "yes" if build["openmp"] else "no"),
        ("CUDA engine", _cuda_engine()),
        ("threads of fastrnn", str(fastrnn.num_threads())),
        ("threads of torch", torch_threads),
        ("torch", torch_version),
        ("Python", platform.python_version()),
        ("processor", cpu_model()),
    ]


def _cuda_engine() -> str:
    found = cuda_info()
    if not found["built"]:
        return "not built"
    names = ", ".join(device["name"] for device in found["devices"])
    return f"built for {', '.join(found['architectures'])}; {names or found['why']}"


@app.command()
def info() -> None:
    """Show what the compiled module can do and what this machine makes of it."""
    table = Table(show_header=False, box=None)
    with friendly_errors():
        try:
            found = rows()
        except ValueError as error:  # FASTRNN_ISA names an instruction set that is not there
            raise fail(str(error)) from error
    for name, value in found:
        table.add_row(f"[bold]{name}[/]", value)
    Console().print(table, highlight=False)
