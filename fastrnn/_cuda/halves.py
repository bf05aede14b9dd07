"""What differs where arrays hold halves: the engine computes in float32 all the same."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastrnn._plan import LayerPlan, is_mixed

__all__ = ["compute_dtype", "product", "stored_weights"]

_HALVES = (torch.float16, torch.bfloat16)


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Of the states that steps hand on, and of sums over rows."""
    return torch.float32 if dtype in _HALVES else dtype


def stored_weights(
    plan: LayerPlan, x: Tensor, weights: Sequence[Tensor | None]
) -> Sequence[Tensor | None]:
    """Weights in the type of ``x``: float32 ones beside halves are rounded, as on the CPU."""
    if not is_mixed(plan.number):
        return weights
    return [None if weight is None else weight.to(x.dtype) for weight in weights]


def product(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """``out[:] = a @ b``, summed in float32 and never rounded to a half where ``out`` is wider."""
    if out.dtype == a.dtype:
        return torch.mm(a, b, out=out)
    if a.is_cuda:
        return torch.mm(a, b, out_dtype=out.dtype, out=out)
    return torch.mm(a.to(out.dtype), b.to(out.dtype), out=out)
