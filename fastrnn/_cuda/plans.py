"""The engine's compiled functions, the GPU they run on, and its plans for a layer's call."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastrnn._cuda.precision import tf32_allowed
from fastrnn._cuda.switch import Only, wanted
from fastrnn._layouts import STEP
from fastrnn._native import core
from fastrnn._plan import CELL_INFO, LayerPlan, engine_number

__all__ = ["Columns", "Engine", "caps_of", "columns", "device_engine", "emulated_engine", "plan_of"]


class Engine(NamedTuple):
    """The compiled functions, and where they run."""

    functions: Any  # core.cuda or core.testing.emulated
    stream: Callable[[Tensor], int]  # of a tensor's device: the one that torch uses now
    caps: Callable[[int], Any]  # what plans depend on, of a device


device_engine = Engine(
    core.cuda,
    lambda tensor: int(torch.cuda.current_stream(tensor.device).cuda_stream),
    core.cuda.device_caps,
)


def _emulated_caps(device: int) -> Any:  # noqa: ARG001
    """An H100's."""
    caps = core.cuda.DeviceCaps()
    caps.name = "emulated"
    caps.major, caps.minor = 9, 0
    caps.multiprocessors = 132
    caps.shared_per_block = caps.shared_per_sm = 227 << 10
    caps.registers_per_sm = 1 << 16
    caps.threads_per_sm = 2048
    caps.max_cluster = 16
    caps.cooperative = True
    return caps


emulated_engine = Engine(core.testing.emulated, lambda tensor: 0, _emulated_caps)  # noqa: ARG005


@cache
def caps_of(engine: Engine, device: int) -> Any:
    """The device's properties, asked for once."""
    return engine.caps(device)


_MANY_STEPS = 1024  # from there on a launch's start counts for nothing


@lru_cache(maxsize=4096)
def _make_plan(
    engine: Engine,
    device: int,
    cell: int,
    number: int,
    backward: bool,
    sizes: tuple[int, int, int, int],
    tf32: bool,
    only: Only,
    proj_size: int,
) -> Any:
    caps = caps_of(engine, device)
    return core.cuda.make_plan(caps, cell, number, backward, sizes, tf32, only, proj_size)


def plan_of(engine: Engine, plan: LayerPlan, device: int, backward: bool) -> Any:
    """How a layer's call would run: a ``core.cuda.Plan``."""
    seq_len, batch_size, _, hidden_size, num_directions = plan.sizes[:5]
    # Sequences of about one length share a plan: what it says changes little, and it is kept.
    about = min(max(1 << seq_len.bit_length() >> 1, 1), _MANY_STEPS)
    return _make_plan(
        engine,
        device,
        plan.cell,
        engine_number(plan.number),
        backward,
        (about, batch_size, hidden_size, num_directions),
        tf32_allowed(plan.x_layout == STEP),
        wanted(),
        plan.proj_size,
    )


class Columns(NamedTuple):
    """Layout of the engine's arrays in units of H; csrc/cuda/engine.h."""

    slots: int
    working: int
    input: int
    gradients: int
    unit_gradients: int
    # (column of the gradients, row of weight_hh, how many, phase whose operand goes with them)
    segments: list[tuple[int, int, int, int]]
    num_gates: int
    unit_params: int

    @property
    def normalizes(self) -> bool:
        """Whether the engine sums the gradients of biases, which come after normalization."""
        return self.unit_gradients > self.unit_params


@cache
def columns(cell: int) -> Columns:
    info = CELL_INFO[cell]
    return Columns(*core.cuda.columns(cell), info["num_gates"], info["num_unit_params"])
