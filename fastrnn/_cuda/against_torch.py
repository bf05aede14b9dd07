"""Whether torch's own layer is expected to be faster than the engine, by a model of both."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from torch import Tensor

from fastrnn._cuda import plans
from fastrnn._cuda.layer import wants_grad
from fastrnn._cuda.plans import Engine, device_engine
from fastrnn._cuda.precision import tf32_allowed
from fastrnn._cuda.switch import Only, forced, wanted
from fastrnn._layouts import STEP
from fastrnn._native import core
from fastrnn._plan import LayerPlan, StackPlan

__all__ = ["Times", "describe", "left_to_torch", "times"]


class Times(NamedTuple):
    """Microseconds of a step of all layers, forward and, in training, backward."""

    engine: float
    torch: float
    by: str  # what torch runs


@lru_cache(maxsize=4096)
def _times(
    engine: Engine,
    device: int,
    layers: tuple[LayerPlan, ...],
    packed: bool,
    training: bool,
    tf32: bool,
    only: Only,  # noqa: ARG001 - plans depend on it
) -> Times | None:
    caps = plans.caps_of(engine, device)
    ours = theirs = 0.0
    names: list[str] = []
    for layer in layers:
        seq_len, batch_size, input_size, hidden_size, directions = layer.sizes[:5]
        sizes = seq_len, batch_size, input_size, hidden_size, directions, len(layers)
        for backward in (False, True)[: 1 + training]:
            model: Any = core.cuda.torch_model(
                caps,
                layer.cell,
                layer.number,
                sizes,
                backward,
                packed,
                layer.x_layout == STEP,
                tf32,
                layer.proj_size,
            )
            if model is None:
                return None
            ours += plans.plan_of(engine, layer, device, backward).microseconds
            theirs += model[0]
            if model[1] not in names:
                names.append(model[1])
    return Times(ours, theirs, " and ".join(names))


def times(
    engine: Engine, plan: StackPlan | LayerPlan, device: int, packed: bool, training: bool
) -> Times | None:
    """Both sides' times; None where torch has no such cell."""
    layers = (plan,) if isinstance(plan, LayerPlan) else plan.layers
    tf32 = tf32_allowed(layers[0].x_layout == STEP)
    return _times(engine, device, layers, packed, training, tf32, wanted())


def left_to_torch(
    plan: StackPlan | LayerPlan,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    packed: bool = False,
    engine: Engine = device_engine,
) -> str | None:
    """Why a call that torch's own layer would compute is left to it; None: the engine takes it.

    ``packed``: it is a packed sequence, for which cuDNN has but one algorithm.
    """
    if forced():
        return None
    found = times(engine, plan, x.device.index or 0, packed, wants_grad(x, initial, weights))
    return None if found is None or found.engine <= found.torch else describe(found)


def describe(found: Times) -> str:
    """Why torch computes, with both times."""
    return (
        f"torch's layer is expected to be faster: {found.torch:.1f} us a step ({found.by}), "
        f"{found.engine:.1f} by the engine, both by a model; use_cuda(always=True) does without it"
    )
