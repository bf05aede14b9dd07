"""Correlation coefficients and their p-values, with the numbers that SciPy gives."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_TINY = 1e-300
_ENOUGH = 1e-16


class Correlation(NamedTuple):
    """A coefficient, and how likely one as far from zero is without any relation."""

    statistic: float
    pvalue: float


def pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> Correlation:
    """Pearson's r; NaN if either side is constant.  Needs two pairs (``ValueError``)."""
    if len(x) < 2:
        raise ValueError("a correlation needs at least two pairs")
    # Asked before centering: the mean of equal numbers may differ from them in its last bit.
    if (x == x[0]).all() or (y == y[0]).all():
        return Correlation(math.nan, math.nan)
    x, y = x - x.mean(), y - y.mean()
    scale_x, scale_y = np.linalg.norm(x), np.linalg.norm(y)
    if scale_x == 0 or scale_y == 0:
        return Correlation(math.nan, math.nan)
    r = max(-1.0, min(1.0, float((x / scale_x) @ (y / scale_y))))
    return Correlation(r, 1.0 if len(x) == 2 else _two_sided(r, len(x)))


def spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> Correlation:
    """Spearman's rho: Pearson's r of the ranks, ties sharing the mean of theirs."""
    rho = pearson(ranks(x), ranks(y)).statistic
    if math.isnan(rho) or len(x) == 2:
        return Correlation(rho, math.nan)
    return Correlation(rho, _two_sided(rho, len(x)))


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places by size from 1 on; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse.reshape(-1)]
    return means


def _two_sided(r: float, n: int) -> float:
    """P(|t| >= r sqrt((n - 2) / (1 - r^2))) of Student's t with n - 2 degrees of freedom."""
    return incomplete_beta((n - 2) / 2, 0.5, (1 - r) * (1 + r))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    # The fraction converges fast below the mean; above it, by symmetry.
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return front / a * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x(a, b), by Lentz's method (Numerical Recipes, 6.4)."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / _away(1 + even * d), _away(1 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / _away(1 + odd * d), _away(1 + odd / c)
        value *= d * c
        if abs(d * c - 1) <= _ENOUGH:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
