"""How tests judge the CUDA engine's halves: the way of `half_cases`, for functions.

The error against float64 may be at most 1.5 times that of the same call in float32, rounded.
Gradients are granted more, because what backward reads (the saved gates) and multiplies with (the
gates' gradients) are halves: 4 times, and in `test_no_less_exact_than_torch` no more than torch's
own layers of the same type err.
"""

from __future__ import annotations

import torch
from emulated import Values
from torch import Tensor

HALVES = [torch.bfloat16, torch.float16]


def halved(given: Values, half: torch.dtype) -> Values:
    """The same numbers, all of which are halves, in float64."""
    return {n: None if v is None else v.to(half).double() for n, v in given.items()}


def error(value: Tensor, exact: Tensor) -> Tensor:
    return value.double() - exact


def assert_budget(
    ours: Values, rounded: Values, exact: Values, half: torch.dtype, cell: str
) -> None:
    """Root mean square and largest error, as said above; a part of a rounding is granted."""
    assert ours.keys() == exact.keys()
    for name, truth in exact.items():
        assert ours[name].dtype == half, name
        scale = float(truth.abs().max()) * torch.finfo(half).eps
        mine, reference = error(ours[name], truth), error(rounded[name].to(half), truth)
        factor = 4.0 if name.startswith("grad") else 1.5
        for kind, got, bound, slack in (
            ("rms", mine.square().mean().sqrt(), reference.square().mean().sqrt(), 0.1),
            ("largest", mine.abs().max(), reference.abs().max(), 0.5),
        ):
            budget = factor * float(bound) + slack * scale
            assert float(got) <= budget, (
                f"{cell} {name}: {kind} error {float(got):.3g} over {budget:.3g}"
            )
