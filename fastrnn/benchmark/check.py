"""Answers first: a row is timed only after both contenders were held against float64.

The rule is that of the tests: our error against float64 is at most twice torch's own, plus two
roundings of the largest value; both for the largest error and for the root mean square.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fastrnn.benchmark.pair import OURS, TORCH

#: Kinds of error, all relative to the largest value of the exact answer.
LARGEST, MEAN = "largest", "root mean square"
SLACK = 2 * torch.finfo(torch.float32).eps

Errors = dict[str, float]


def relative_errors(value: Tensor, truth: Tensor) -> Errors:
    """Both kinds of error; infinite for a NaN or a wrong shape."""
    if value.shape != truth.shape:
        return {LARGEST: math.inf, MEAN: math.inf}
    scale = truth.abs().max().item() or 1.0
    error = (value.double() - truth).abs() / scale
    found = {LARGEST: error.max().item(), MEAN: error.square().mean().sqrt().item()}
    return {kind: math.inf if math.isnan(e) else e for kind, e in found.items()}


def within_budget(ours: Errors, theirs: Errors) -> bool:
    """Whether our errors are small enough, given torch's."""
    return all(ours[kind] <= 2 * theirs[kind] + SLACK for kind in (LARGEST, MEAN))


def compare_answers(
    answers: dict[str, dict[str, Tensor]], truth: dict[str, Tensor]
) -> dict[str, dict[str, Errors]]:
    """Errors of both contenders for every output and gradient."""
    return {
        name: {who: relative_errors(answers[who][name], value) for who in (OURS, TORCH)}
        for name, value in truth.items()
    }


def failures(errors: dict[str, dict[str, Errors]]) -> list[str]:
    """Names of the answers that break the budget."""
    return [name for name, e in errors.items() if not within_budget(e[OURS], e[TORCH])]


def error_ratio(errors: dict[str, dict[str, Errors]]) -> float:
    """Our root mean square error over torch's, for the answer where it is the greatest."""
    smallest = torch.finfo(torch.float32).tiny  # torch may be exact on toy sizes
    return max(e[OURS][MEAN] / max(e[TORCH][MEAN], smallest) for e in errors.values())
