"""In one process with torch: one OpenMP runtime, one thread count, nobody's settings changed."""

from __future__ import annotations

import sys

import pytest
from subprocesses import python_output

import fastrnn

RUN = """
import numpy as np
import fastrnn
from layer_cases import Case, run_ops
case = Case("lstm", 6, 70, 40, 96)
run_ops("lstm", case.arguments(np.float32), case.output_gradients(np.float32))
"""


def test_num_threads_follows_torch() -> None:
    code = """
import torch
import fastrnn
for number in (1, 3, 2):
    torch.set_num_threads(number)
    print(fastrnn.num_threads(), end=" ")
"""
    assert python_output(code) == ("1 3 2" if fastrnn.build_info()["openmp"] else "1 1 1")


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's list of loaded libraries")
@pytest.mark.parametrize("order", ["torch first", "fastrnn first"])
def test_one_openmp_runtime(order: str) -> None:
    """Two of them would fight over the cores, with twice the threads."""
    use_torch = "import torch\ntorch.ones(10**6).exp().sum()\n"
    code = use_torch + RUN if order == "torch first" else RUN + use_torch
    code += """
libraries = {line.split()[-1] for line in open("/proc/self/maps") if "/" in line}
print(*(name for name in libraries if any(s in name for s in ("libgomp", "libomp", "libiomp"))))
"""
    assert len(python_output(code).split()) == 1


def test_torch_keeps_denormals_in_every_thread() -> None:
    """The kernels flush them in the threads they share with torch, and restore those after."""
    code = f"""
import torch
torch.set_num_threads(2)
{RUN}
tiny = torch.full((1 << 20,), 1e-40)
print(int(torch.count_nonzero(tiny * 1.0)) == 1 << 20)
"""
    assert python_output(code) == "True"
