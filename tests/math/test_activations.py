"""The kernels' activations, number by number, on every instruction set."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from oracles import assert_same_bits, ulp_error

from fastrnn._native import core

Array = npt.NDArray[Any]

DTYPES = [np.float32, np.float64]
MAX_ULP = {np.float32: 3.0, np.float64: 4.0}
# The kernels' exp is exact here and keeps its value at the ends beyond, where 2^n or a product of
# it would not be a normal number.
EXP_RANGE = {np.float32: (-60.0, 88.37), np.float64: (-400.0, 709.43)}
# From here on sigmoid is a normal number.
SIGMOID_NORMAL = {np.float32: -87.0, np.float64: -708.0}

per_dtype = pytest.mark.parametrize("dtype", DTYPES)


def activation(name: str, values: Array) -> Array:
    result = core.testing.activation(name, values, core.isa_id())
    assert result.dtype == values.dtype
    assert result.shape == values.shape
    return np.asarray(result)


def exact(name: str, values: Array) -> npt.NDArray[np.longdouble]:
    v = values.astype(np.longdouble)
    with np.errstate(over="ignore"):
        if name == "exp":
            return np.exp(v)
        return np.tanh(v) if name == "tanh" else 1 / (1 + np.exp(-v))


def sweep(dtype: type, low: float, high: float) -> Array:
    """Evenly spaced numbers, every magnitude down to the smallest normal, and their neighbors."""
    info = np.finfo(dtype)
    even = np.linspace(low, high, 200_001)
    magnitudes = np.exp(np.linspace(np.log(float(info.tiny)), np.log(max(-low, high)), 100_001))
    # Halfway points of exp's range reduction, where the remainder is largest.
    halfway = (np.arange(int(low / np.log(2)), int(high / np.log(2))) + 0.5) * np.log(2)
    values = np.concatenate([even, magnitudes, -magnitudes, halfway]).astype(dtype)
    values = np.concatenate([values, np.nextafter(values, dtype(np.inf))])
    normal = (np.abs(values) >= info.tiny) | (values == 0)
    return values[normal & (values >= low) & (values <= high)]


@per_dtype
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "exp"])
def test_error_in_ulps(isa: str, name: str, dtype: type) -> None:
    limits = {
        "exp": EXP_RANGE[dtype],
        "tanh": (-25.0, 25.0),
        "sigmoid": (SIGMOID_NORMAL[dtype], -SIGMOID_NORMAL[dtype]),
    }
    values = sweep(dtype, *limits[name])
    error = ulp_error(activation(name, values), exact(name, values), dtype)
    worst = int(np.argmax(error))
    assert error[worst] <= MAX_ULP[dtype], f"{name}({values[worst]!r}): {error[worst]:.2f} ulp"


@per_dtype
def test_sigmoid_below_the_normal_numbers(isa: str, dtype: type) -> None:
    """There the result may be 0; it is never more than the smallest normal number away."""
    edge = SIGMOID_NORMAL[dtype]
    values = np.concatenate([np.linspace(edge - 20, edge, 10_001), np.linspace(-1e4, edge, 10_001)])
    values = values.astype(dtype)
    difference = activation("sigmoid", values).astype(np.longdouble) - exact("sigmoid", values)
    assert np.abs(difference).max() <= np.finfo(dtype).tiny


@per_dtype
def test_tanh_of_denormals(isa: str, dtype: type) -> None:
    """tanh(x) is x there; it may also be 0."""
    tiny = np.finfo(dtype).tiny
    values = np.linspace(-1, 1, 1001).astype(dtype) * tiny
    result = activation("tanh", values)
    assert (np.abs(result.astype(np.longdouble) - values) <= tiny).all()


@per_dtype
@pytest.mark.parametrize(
    ("name", "expected"), [("sigmoid", (0, 0.5, 1)), ("tanh", (-1, 0, 1))], ids=lambda v: str(v)
)
def test_limits_are_exact(
    isa: str, name: str, expected: tuple[float, float, float], dtype: type
) -> None:
    huge = np.finfo(dtype).max
    values = np.array([-np.inf, -huge, -1e30, -0.0, 0.0, 1e30, huge, np.inf], dtype)
    low, middle, high = expected
    result = activation(name, values)
    np.testing.assert_array_equal(result, [low, low, low, middle, middle, high, high, high])


@per_dtype
def test_exp_keeps_the_values_at_the_ends_of_its_range(isa: str, dtype: type) -> None:
    low, high = (activation("exp", np.array([end], dtype))[0] for end in EXP_RANGE[dtype])
    above = np.array([EXP_RANGE[dtype][1] + 0.1, 1e30, np.inf], dtype)
    assert (activation("exp", above) == high).all()
    assert (
        activation("exp", np.array([EXP_RANGE[dtype][0] - 1, -1e30, -np.inf], dtype)) == low
    ).all()


@per_dtype
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "exp"])
def test_nan_in_every_lane(isa: str, name: str, dtype: type) -> None:
    for position in range(40):
        values = np.linspace(-3, 3, 40).astype(dtype)
        clean = activation(name, values)
        values[position] = np.nan
        result = activation(name, values)
        assert np.isnan(result[position])
        assert_same_bits(np.delete(result, position), np.delete(clean, position), name=name)


@per_dtype
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "exp"])
def test_same_bits_in_every_lane_and_at_every_length(isa: str, name: str, dtype: type) -> None:
    """What a number becomes depends neither on its place in a register nor on a tail."""
    values = np.linspace(-9, 9, 67).astype(dtype)
    expected = activation(name, values)
    for start in range(20):
        assert_same_bits(activation(name, values[start:].copy()), expected[start:], name=name)
    for stop in range(1, 67):
        assert_same_bits(activation(name, values[:stop].copy()), expected[:stop], name=name)


@per_dtype
@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_range_and_monotony(isa: str, name: str, dtype: type) -> None:
    result = activation(name, np.linspace(-30, 30, 50_001).astype(dtype))
    assert (result <= 1).all()
    assert (result >= (0 if name == "sigmoid" else -1)).all()
    # Neighbors may swap by an error of a few ulps, never by more.
    assert (np.diff(result) >= -4 * np.finfo(dtype).eps).all()
