"""What float32 means to torch at the moment."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["tf32_allowed"]


def tf32_allowed() -> bool:
    """Whether torch lets cuDNN's recurrent layers round float32 to TF32, as it does at first.

    ``torch.backends.cudnn.rnn.fp32_precision`` where torch has it, which
    ``torch.backends.cudnn.allow_tf32`` sets, too; else the older ``allow_tf32``.
    """
    cudnn: Any = torch.backends.cudnn
    rnn = getattr(cudnn, "rnn", None)
    if hasattr(rnn, "fp32_precision"):
        return bool(rnn.fp32_precision == "tf32")
    return bool(cudnn.allow_tf32)
