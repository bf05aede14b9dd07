"""Stacks of layers and single steps on the engine, in place of `fastrnn._dispatch`'s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrnn._cuda.layer import run_layer, wants_grad
from fastrnn._cuda.plans import Engine, device_engine
from fastrnn._cuda.refusals import NO_REGULARIZERS
from fastrnn._lengths import Rows
from fastrnn._plan import LayerPlan, StackPlan

__all__ = ["run_stack", "run_step"]


def _need_nothing_drawn(draw: Any) -> None:
    if draw is not None:  # layers refuse before they get here: never a silently wrong number
        raise NotImplementedError(NO_REGULARIZERS)


def run_step(
    plan: LayerPlan,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    draw: Any = None,
    *,
    engine: Engine = device_engine,
) -> tuple[Tensor, ...]:
    """``(h',)`` or ``(h', c')`` of one step of a cell; as `_dispatch.run_step`."""
    _need_nothing_drawn(draw)
    return run_layer(engine, plan, None, x, initial, weights, wants_grad(x, initial, weights))


def run_stack(
    plan: StackPlan,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    dropout: float = 0.0,
    rows: Rows | None = None,
    draw: Any = None,
    *,
    engine: Engine = device_engine,
) -> tuple[Tensor, ...]:
    """``(y, h_n[, c_n])`` of all layers; as `_dispatch.run_stack`."""
    _need_nothing_drawn(draw)
    layers, count = plan.layers, len(plan.layers[0].weight_shapes)
    split: list[Sequence[Tensor | None]] = [
        [None] * len(layers) if state is None else state.split(layers[0].state_shape[0])
        for state in initial
    ]
    training = wants_grad(x, initial, weights)
    states: list[tuple[Tensor, ...]] = []
    for index, layer in enumerate(layers):
        if index and dropout:
            x = torch.dropout(x, dropout, True)
        own = [state[index] for state in split]
        own_weights = weights[index * count : (index + 1) * count]
        x, *finals = run_layer(engine, layer, rows, x, own, own_weights, training)
        states.append(tuple(finals))
    if len(states) == 1:
        return (x, *states[0])
    return (x, *(torch.cat(parts) for parts in zip(*states, strict=True)))
