"""Answers first: a row is timed only after both contenders were held against float64."""

from __future__ import annotations

import torch
from torch import Tensor

from fastrnn.benchmark.pair import OURS, TORCH

#: What our error may exceed twice torch's by: rounding of the result itself.
EPSILON = 2 * torch.finfo(torch.float32).eps


def relative_error(value: Tensor, truth: Tensor) -> float:
    """Euclidean norm of the error over that of the truth; NaN or a wrong shape is infinite."""
    if value.shape != truth.shape:
        return float("inf")
    error: float = torch.linalg.vector_norm(value.double() - truth).item()
    scale: float = torch.linalg.vector_norm(truth).item()
    if error != error:
        return float("inf")
    return error / scale if scale else error


def within_budget(ours: float, theirs: float) -> bool:
    """Our error against float64 is at most twice torch's own, plus rounding."""
    return ours <= 2 * theirs + EPSILON


def compare_answers(
    answers: dict[str, dict[str, Tensor]], truth: dict[str, Tensor]
) -> dict[str, dict[str, float]]:
    """Relative errors of both contenders for every output and gradient."""
    return {
        name: {who: relative_error(answers[who][name], value) for who in (OURS, TORCH)}
        for name, value in truth.items()
    }


def failures(errors: dict[str, dict[str, float]]) -> list[str]:
    """Names of the answers that break the budget."""
    return [name for name, e in errors.items() if not within_budget(e[OURS], e[TORCH])]
