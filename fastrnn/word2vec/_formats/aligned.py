"""Arrays that start on a cache line, and matrices whose rows all do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

ALIGNMENT = 64
_ROW = 16  # float32 numbers in a cache line


def aligned_empty(shape: int | tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """As ``np.empty``, starting at a multiple of 64 bytes."""
    kind = np.dtype(dtype)
    sizes = (shape,) if isinstance(shape, int) else shape
    count = math.prod(sizes) * kind.itemsize
    raw = np.empty(count + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + count].view(kind).reshape(sizes)


def aligned_zeros(shape: int | tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """As ``np.zeros``, starting at a multiple of 64 bytes."""
    kind = np.dtype(dtype)
    sizes = (shape,) if isinstance(shape, int) else shape
    count = math.prod(sizes) * kind.itemsize
    raw = np.zeros(count + ALIGNMENT, dtype=np.uint8)  # pages the system hands out already zero
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + count].view(kind).reshape(sizes)


def padded_stride(vector_size: int) -> int:
    """Numbers from one row's start to the next: ``vector_size`` rounded up to a multiple of 16."""
    return -(-vector_size // _ROW) * _ROW


def padded_storage(count: int, vector_size: int, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """A zero matrix [count, stride] of padded rows; ``[:, :vector_size]`` is what users see."""
    return aligned_zeros((count, padded_stride(vector_size)), dtype)
