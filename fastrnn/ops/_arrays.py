"""What an array argument must be, checked before any memory is touched.

The engine takes raw addresses, so everything here errs on the side of an error message or a
copy: what leaves `checked` is of a type that the engine knows, native byte order and aligned.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from typing import TypeAlias

Array: TypeAlias = npt.NDArray[np.floating[Any]]

# The engine's codes of number types (csrc/core/number.h).
_NUMBERS = {np.dtype(np.float16): 1, np.dtype(np.float32): 4, np.dtype(np.float64): 8}
_BFLOAT16 = 2
_EXPECTED = "float16, bfloat16, float32 or float64"


def number_code(dtype: np.dtype[Any]) -> int | None:
    """The engine's code of a type; None where it knows none.  bfloat16 is that of ml_dtypes."""
    code = _NUMBERS.get(dtype)
    if code is None and dtype.name == "bfloat16" and dtype.type.__module__ == "ml_dtypes":
        return _BFLOAT16
    return code


def checked(name: str, value: object, like: np.dtype[Any] | None = None) -> Array:
    """``value`` as a float array the engine can read; ``like`` is the dtype it must have."""
    if not isinstance(value, np.ndarray) or _is_masked(value):
        hint = ""
        if type(value).__module__.partition(".")[0] == "torch":
            hint = "; fastrnn.functional takes torch tensors"
        raise TypeError(
            f"{name}: expected a NumPy array of {_EXPECTED}, got {type(value).__name__}{hint}"
        )
    native = value.dtype.newbyteorder("=")
    if number_code(native) is None:
        raise TypeError(f"{name}: expected dtype {_EXPECTED}, got {value.dtype}")
    if like is not None and native != like:
        raise TypeError(f"{name}: expected dtype {like}, as x has, got {value.dtype}")
    array: Array = np.asarray(value, native)  # a copy only if the bytes were swapped
    aligned: bool = array.flags.aligned
    return array if aligned else array.copy()


def _is_masked(array: npt.NDArray[Any]) -> bool:
    # Who holds a masked array has imported numpy.ma; nobody else should pay for it.
    masked = sys.modules.get("numpy.ma")
    return masked is not None and isinstance(array, masked.MaskedArray)


def check_shape(name: str, array: Array, expected: tuple[int, ...], meaning: str) -> None:
    if array.shape != expected:
        raise ValueError(f"{name}: expected shape {expected}, {meaning}, got {array.shape}")


def dense(array: Array) -> Array:
    """C-contiguous, a copy where it has to be."""
    return array if array.flags.c_contiguous else array.copy(order="C")


def rows(array: Array) -> Array:
    """[T, B, K] with a contiguous last axis and the other strides as given, or else a copy."""
    itemsize = array.itemsize
    steps = list(zip(array.shape, array.strides, strict=True))
    usable: bool = all(
        size <= 1 or (stride >= 0 and stride % itemsize == 0) for size, stride in steps[:2]
    ) and (array.shape[2] <= 1 or array.strides[2] == itemsize)
    return array if usable else array.copy(order="C")


def address(array: Array | npt.NDArray[np.uint8] | None) -> int:
    """Where the data starts; 0, the engine's "not given", for None."""
    if array is None:
        return 0
    # Unlike `array.ctypes.data`, cheap.
    start: int = array.__array_interface__["data"][0]
    return start


def placed(array: Array | None) -> tuple[int, int, int]:
    """Address and the strides of the first two axes, in elements."""
    if array is None:
        return 0, 0, 0
    seq_len, batch_size, width = array.shape
    # NumPy leaves the stride of an axis of length 1 open; give it the contiguous one.
    stride_b = array.strides[1] // array.itemsize if batch_size > 1 else width
    stride_t = array.strides[0] // array.itemsize if seq_len > 1 else stride_b * batch_size
    return address(array), stride_t, stride_b
