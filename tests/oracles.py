"""How tests judge a result: an error budget instead of a tolerance.

Each float32 result is compared with the exact (float64) one, and so is the same quantity as
somebody else computes it in float32: torch, or the textbook formulas in NumPy.  Our error may be
at most twice theirs, plus a rounding or two of the largest value.  Nothing here imports torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def as_array(values: Any) -> Array:
    """A NumPy view of an array or of a torch tensor, with or without a gradient."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def assert_within_budget(
    ours: Any, theirs: Any, exact: Any, *, name: str = "result", factor: float = 2.0
) -> None:
    """The error of ``ours`` is at most ``factor`` times that of ``theirs`` plus two roundings.

    Both the largest error and the root mean square are held to it.  ``exact`` is float64; the
    roundings are those of ours' dtype at the magnitude of the largest exact value.  Where exact is
    not finite ours must be the same.
    """
    ours, theirs, exact = as_array(ours), as_array(theirs), as_array(exact)
    assert exact.dtype == np.float64, f"{name}: the exact values are {exact.dtype}, not float64"
    assert ours.dtype == theirs.dtype, f"{name}: dtype {ours.dtype}, expected {theirs.dtype}"
    assert ours.shape == theirs.shape == exact.shape, (
        f"{name}: shape {ours.shape}, expected {exact.shape}"
    )
    finite = np.isfinite(exact)
    np.testing.assert_array_equal(ours[~finite], exact[~finite].astype(ours.dtype), err_msg=name)
    if not finite.any():
        return
    scale = float(np.abs(exact[finite]).max())
    slack = 2 * float(np.finfo(ours.dtype).eps) * scale
    our_error = np.abs(ours[finite] - exact[finite])
    their_error = np.abs(theirs[finite] - exact[finite])
    for kind, measure in (("largest", np.max), ("root mean square", _rms)):
        got, budget = float(measure(our_error)), factor * float(measure(their_error)) + slack
        assert got <= budget, (  # also fails when ours is NaN
            f"{name}: {kind} error {got:.3g}, budget {budget:.3g} "
            f"(theirs {float(measure(their_error)):.3g}, scale {scale:.3g})"
        )


def assert_exact(ours: Any, exact: Any, *, name: str = "result", rtol: float = 1e-12) -> None:
    """Float64 against the float64 oracle, relative to the largest value of the array."""
    ours, exact = as_array(ours), as_array(exact)
    assert ours.dtype == exact.dtype == np.float64, f"{name}: {ours.dtype} against {exact.dtype}"
    assert ours.shape == exact.shape, f"{name}: shape {ours.shape}, expected {exact.shape}"
    scale = float(np.abs(exact).max(initial=0.0))
    np.testing.assert_allclose(ours, exact, rtol=0, atol=rtol * max(scale, 1e-300), err_msg=name)


def assert_same_bits(ours: Any, expected: Any, *, name: str = "result") -> None:
    """Equal to the last bit, signs of zeros and NaNs included."""
    ours, expected = as_array(ours), as_array(expected)
    assert ours.dtype == expected.dtype, name
    assert ours.shape == expected.shape, name
    bits = np.dtype(f"u{ours.itemsize}")
    different = np.ascontiguousarray(ours).view(bits) != np.ascontiguousarray(expected).view(bits)
    assert not different.any(), f"{name}: {int(different.sum())} of {different.size} numbers differ"


def ulp_error(got: Any, exact: npt.NDArray[np.longdouble], dtype: npt.DTypeLike) -> Array:
    """Error in units of the last place of ``exact`` rounded to ``dtype``.

    Below the smallest normal number a unit is that number's: results there may be flushed to
    zero, which then counts as at most 2^mantissa units, so callers mask those out.
    """
    info = np.finfo(dtype)
    magnitude = np.maximum(np.abs(exact), np.longdouble(info.tiny))
    unit = np.ldexp(np.longdouble(1), np.frexp(magnitude)[1] - (info.nmant + 1))
    return np.asarray(np.abs(as_array(got).astype(np.longdouble) - exact) / unit, np.float64)


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
