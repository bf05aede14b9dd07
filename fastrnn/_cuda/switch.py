"""Whether tensors on a GPU go to the engine, and what its plans must keep to."""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = ["MODES", "Only", "enabled", "forced", "plan_only", "set_enabled", "wanted"]

MODES = ("stepwise", "block", "cluster", "grid")
_WEIGHTS = ("memory", "registers", "shared")
_PRODUCTS = ("ffma", "tf32", "3xtf32", "half")
_SUMS = ("gather", "scatter")
_EXCHANGES = ("counter", "tagged")

_WORDS = {
    "mode": MODES,
    "weights": _WEIGHTS,
    "product": _PRODUCTS,
    "sums": _SUMS,
    "exchange": _EXCHANGES,
}


class Only(NamedTuple):
    """What plans must keep to, for tuning and tests; -1 and 0 mean anything."""

    mode: int = -1
    slices: int = 0
    group_rows: int = 0
    weights: int = -1
    product: int = -1
    shared: int = 0  # KiB of shared memory for a block
    sums: int = -1  # of backward, where blocks exchange
    exchange: int = -1  # of a grid

    @classmethod
    def read(cls, text: str) -> Only:
        """Of ``mode=grid,slices=8,weights=shared,product=tf32,exchange=tagged``, each if wanted."""
        given: dict[str, int] = {}
        for part in filter(None, text.split(",")):
            name, _, value = part.partition("=")
            if name not in cls._fields:
                raise ValueError(f"FASTRNN_CUDA_PLAN: {name!r} is none of {', '.join(cls._fields)}")
            words = _WORDS.get(name)
            if words is None:
                given[name] = int(value)
            elif value in words:
                given[name] = words.index(value)
            else:
                raise ValueError(f"FASTRNN_CUDA_PLAN: {value!r} is none of {', '.join(words)}")
        return cls(**given)


def enabled() -> bool:
    """Whether tensors on a GPU go to the engine at all."""
    return _switch.on


def forced() -> bool:
    """Whether they do also where torch is expected to be faster: asked for, or for a plan."""
    return _switch.always or _switch.only != Only()


class _Switch:
    """``FASTRNN_CUDA=1`` in the environment, or `fastrnn.backends.use_cuda`."""

    def __init__(self) -> None:
        self.on = os.environ.get("FASTRNN_CUDA", "0") == "1"
        self.always = False
        self.only = Only.read(os.environ.get("FASTRNN_CUDA_PLAN", ""))


_switch = _Switch()


def set_enabled(on: bool, always: bool = False) -> tuple[bool, bool]:
    """Switch; returns what it was before."""
    before = _switch.on, _switch.always
    _switch.on, _switch.always = on, always
    return before


def plan_only(only: Only) -> Only:
    """Have plans keep to something from now on; returns what it was before."""
    before, _switch.only = _switch.only, only
    return before


def wanted() -> Only:
    """What `plan_only` or ``FASTRNN_CUDA_PLAN`` said."""
    return _switch.only
