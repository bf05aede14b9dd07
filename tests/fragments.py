"""Tiles as the tensor cores' instructions take them, lane by lane, and the instructions themselves.

Which lane has what is said in the PTX ISA, "Matrix Fragments for mma.m16n8k8" (.tf32) and "Matrix
Fragments for mma.m16n8k16 with floating point type".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[Any]

KINDS = {"tf32": 8, "float16": 16, "bfloat16": 16}  # and the depth of a tile


def _words(kind: str, values: Array) -> Array:
    """``values`` [.., numbers of a register] as one register of 32 bits."""
    tensor = torch.from_numpy(np.ascontiguousarray(values, np.float32))
    if kind != "tf32":
        tensor = tensor.to(getattr(torch, kind))
    return tensor.contiguous().view(torch.int32).numpy()[..., 0]


def pack(kind: str, a: Array, b: Array) -> Array:
    """[32 lanes, 6 registers] of ``a`` [16, depth] and ``b`` [depth, 8]."""
    found = np.empty((32, 6), np.int32)
    per_register = 1 if kind == "tf32" else 2
    for lane in range(32):
        group, in_group = lane >> 2, lane % 4
        for register in range(4):
            row = group + (8 if register in (1, 3) else 0)
            column = in_group * per_register + (KINDS[kind] // 2 if register >= 2 else 0)
            found[lane, register] = _words(kind, a[row, column : column + per_register])
        for register in range(2):
            row = in_group * per_register + (KINDS[kind] // 2 if register == 1 else 0)
            found[lane, 4 + register] = _words(kind, b[row : row + per_register, group])
    return found


def pack_sums(c: Array) -> Array:
    """[32 lanes, 4 registers] of ``c`` [16, 8]."""
    found = np.empty((32, 4), np.float32)
    for lane in range(32):
        for register in range(4):
            row = (lane >> 2) + (8 if register >= 2 else 0)
            found[lane, register] = c[row, lane % 4 * 2 + (register & 1)]
    return found


def multiply(engine: Any, kind: str, a: Array, b: Array, c: Array, device: str = "cpu") -> Array:
    """The instruction: ``c + a @ b``, as the lanes have it."""
    words = torch.from_numpy(pack(kind, a, b)).to(device)
    sums = torch.from_numpy(pack_sums(c)).to(device)
    number = list(KINDS).index(kind)
    engine.functions.multiply_fragments(
        number, words.data_ptr(), sums.data_ptr(), 0, engine.stream(sums)
    )
    return sums.cpu().numpy()


def round_to_tf32(engine: Any, values: Array, device: str = "cpu") -> Array:
    found = torch.from_numpy(values.astype(np.float32)).to(device)
    engine.functions.round_to_tf32(found.numel(), found.data_ptr(), 0, engine.stream(found))
    return found.cpu().numpy()


def tiles(kind: str, exact: bool) -> tuple[Array, Array, Array]:
    """a, b and c that no transposition maps on themselves.

    ``exact``: small integers, whose products and sums all are exact; else numbers that the kind
    represents.
    """
    random = np.random.default_rng(5)
    shapes = ((16, KINDS[kind]), (KINDS[kind], 8), (16, 8))
    if exact:
        return tuple(random.integers(-60, 60, shape).astype(np.float32) for shape in shapes)  # type: ignore[return-value]
    a, b, c = (random.normal(size=shape).astype(np.float32) for shape in shapes)
    if kind == "tf32":
        bits = np.int32(~0x1FFF)
        return (
            (a.view(np.int32) & bits).view(np.float32),
            (b.view(np.int32) & bits).view(np.float32),
            c,
        )
    dtype = getattr(torch, kind)
    return (*(torch.from_numpy(v).to(dtype).float().numpy() for v in (a, b)), c)  # type: ignore[return-value]
