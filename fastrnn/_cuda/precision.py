"""What float32 means to torch at the moment."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["tf32_allowed"]


def tf32_allowed(step: bool) -> bool:
    """Whether torch lets products of recurrent layers round float32 to TF32.

    cuDNN's layers may at first: ``torch.backends.cudnn.rnn.fp32_precision`` where torch has it,
    which ``torch.backends.cudnn.allow_tf32`` sets, too, else the older ``allow_tf32``.  Single
    steps are torch's own products to it, which may not: ``torch.backends.cuda.matmul``.
    """
    backends: Any = torch.backends
    switch: Any = backends.cuda.matmul if step else getattr(backends.cudnn, "rnn", None)
    if hasattr(switch, "fp32_precision"):
        return bool(switch.fp32_precision == "tf32")
    return bool((backends.cuda.matmul if step else backends.cudnn).allow_tf32)
