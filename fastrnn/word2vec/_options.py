"""The settings of a Word2Vec model, checked before anything is read or allocated."""

from __future__ import annotations

import math
import operator
from typing import SupportsIndex

COMPAT = (None, "word2vec.c", "gensim")
SIGMOIDS = ("exact", "table")
CBOW_GRADS = ("gensim", "corrected")
MAX_WINDOW = 100_000
MAX_NEGATIVE = 10_000
MAX_THREADS = 4096
BOTH_OFF = (
    "You must set either 'hs' or 'negative' to be positive for proper training. "
    "When both 'hs=0' and 'negative=0', there will be no training."
)
BOTH_ON = (
    "Both hierarchical softmax and negative sampling are activated, and both will be trained. "
    "negative is 5 unless set: pass negative=0 for hierarchical softmax alone."
)


def whole_number(
    name: str, value: SupportsIndex | float, least: int, most: int | None = None
) -> int:
    """``value`` as an int from ``least`` to ``most``; a float must be a whole number."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")
    if most is not None and number > most:
        raise ValueError(f"{name} must be at most {most}, not {number}")
    return number


def optional_whole_number(name: str, value: SupportsIndex | None, least: int) -> int | None:
    """As ``whole_number``, but None stays None."""
    return None if value is None else whole_number(name, value, least)


def flag(name: str, value: SupportsIndex | bool) -> int:
    """``value`` as 0 or 1."""
    number = whole_number(name, value, 0)
    if number > 1:
        raise ValueError(f"{name} must be 0 or 1, not {number}")
    return number


def finite(name: str, value: float, *, zero: bool = True, negative: bool = False) -> float:
    """``value`` as a finite float, positive unless said otherwise."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {value!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, not {number}")
    if number < 0 and not negative:
        raise ValueError(f"{name} must not be negative, not {number}")
    if number == 0 and not zero:
        raise ValueError(f"{name} must not be zero: nothing would be learned")
    return number


def choice(name: str, value: str | None, choices: tuple[str | None, ...]) -> str | None:
    """``value`` if it is one of ``choices``."""
    if value not in choices:
        *some, last = map(repr, choices)
        raise ValueError(f"{name} must be {', '.join(some)} or {last}, not {value!r}")
    return value
