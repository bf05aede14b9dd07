"""Float32 numbers as text: the fewest digits that read back as the same number, in bulk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_TENS = np.array([10.0**k for k in range(23)])  # exact in float64 up to 10**22


def shortest(values: NDArray[Any]) -> list[str]:
    """``[str(v) for v in values]`` of a NumPy vector, twice as fast for float32.

    The float64 quotient of an integer below 2**53 and a power of ten up to 10**22 is the one
    nearest to that decimal, so Python's ``repr`` of it gives the decimal's digits back.  What
    remains is to find for each number the fewest digits that lead back to it.  Six is where to
    start: if fewer do, rounding to six finds the same decimal, since float32 numbers lie closer
    than decimals of six digits.
    """
    if values.dtype == np.float64:
        return list(map(repr, values.tolist()))
    if values.dtype != np.float32:
        return [str(value) for value in values]
    wide = values.astype(np.float64)
    size = np.abs(wide)
    easy = (size >= 1e-12) & (size < 1e6)  # elsewhere the powers of ten would not be exact
    number = np.where(easy, wide, 1.0)
    exponent = np.floor(np.log10(np.abs(number))).astype(np.int64)
    decimal = np.empty_like(number)
    left = np.arange(len(number))
    for digits in (6, 7, 8, 9, 10):  # 10: for logarithms that were rounded up to an integer
        scale = _TENS[digits - 1 - exponent[left]]
        decimal[left] = np.rint(number[left] * scale) / scale
        left = left[decimal[left].astype(np.float32) != number[left]]
        if not len(left):
            break
    easy[left] = False
    # Below 1e-4 numbers are written with an exponent; float32's nearest to it lies below.
    easy &= (size < 1e-4) == (np.abs(decimal) < 1e-4)
    texts = list(map(repr, decimal.tolist()))
    for place in np.flatnonzero(~easy).tolist():
        texts[place] = (
            "0.0" if wide[place] == 0 and not np.signbit(wide[place]) else str(values[place])
        )
    return texts
