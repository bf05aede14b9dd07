"""Times the CUDA engine beside torch's layers on cuDNN: ``python bench/gpu.py --quick``.

``--plans h100`` needs no GPU: it prints which kernels each shape would run, and why.
"""

from __future__ import annotations

from fastrnn.benchmark.gpu.command import run

if __name__ == "__main__":
    run()
