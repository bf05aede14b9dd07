"""Reading array arguments, and what all conversions do to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "add_biases", "float_array", "recurrent_kernel", "reorder", "shaped"]

Array = npt.NDArray[np.floating[Any]]


def float_array(name: str, value: object, dtype: np.dtype[Any] | None = None) -> Array:
    """``value`` as an array; ValueError where it is not floating-point, or not of ``dtype``."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists, tensors with gradients
        raise ValueError(f"{name}: cannot be read as an array: {error}") from error
    if array.dtype.kind != "f":
        raise ValueError(f"{name}: expected a floating-point array, got dtype {array.dtype}")
    if dtype is not None and array.dtype != dtype:
        raise ValueError(f"{name}: expected dtype {dtype} as the other weights, got {array.dtype}")
    return array


def shaped(
    name: str,
    value: object,
    shape: Sequence[int | str],
    dtype: np.dtype[Any] | None = None,
    hint: str = "",
) -> Array:
    """``value`` as an array of ``shape``; a name in place of a size takes any size but 0."""
    array = float_array(name, value, dtype)
    fits = array.ndim == len(shape) and all(
        size > 0 if isinstance(want, str) else size == want
        for size, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        text = ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "")
        raise ValueError(f"{name}: expected shape ({text}), got {array.shape}{hint}")
    return array


def reorder(array: Array, old: str, new: str, axis: int = 0) -> Array:
    """A copy with the gates along ``axis``, equal blocks in the order ``old``, in order ``new``."""
    blocks = np.split(array, len(old), axis)
    return np.ascontiguousarray(np.concatenate([blocks[old.index(gate)] for gate in new], axis))


def recurrent_kernel(name: str, value: object, gates: int) -> Array:
    """``value`` as an array [H, G*H] of frameworks that compute ``h @ kernel``."""
    array = shaped(name, value, ("H", f"{gates}*H"))
    if array.shape[1] != gates * array.shape[0]:
        raise ValueError(f"{name}: expected shape (H, {gates}*H), got {array.shape}")
    return array


def add_biases(bias_ih: Array, bias_hh: Array) -> Array:
    """Their sum; one that was split into itself and zeros comes back bit by bit, -0 included."""
    return np.where(bias_hh == 0, bias_ih, bias_ih + bias_hh)
