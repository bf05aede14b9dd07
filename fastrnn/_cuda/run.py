"""Stacks of layers and single steps on the engine, in place of `fastrnn._dispatch`'s."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fastrnn._cuda.layer import run_layer, wants_grad
from fastrnn._cuda.plans import Engine, device_engine
from fastrnn._lengths import Rows
from fastrnn._plan import LayerPlan, StackPlan
from fastrnn._regularizers import Regularizers

__all__ = ["run_stack", "run_step"]


# (plan of a layer, its input) -> what is drawn for the recurrence
Draw = Callable[[LayerPlan, Tensor], "Regularizers | None"]


def run_step(
    plan: LayerPlan,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    draw: Draw | None = None,
    *,
    engine: Engine = device_engine,
) -> tuple[Tensor, ...]:
    """``(h',)`` or ``(h', c')`` of one step of a cell; as `_dispatch.run_step`."""
    training = wants_grad(x, initial, weights)
    noise = None if draw is None else draw(plan, x)
    return run_layer(engine, plan, None, x, initial, weights, noise, training)


def run_stack(
    plan: StackPlan,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    dropout: float = 0.0,
    rows: Rows | None = None,
    draw: Draw | None = None,
    *,
    engine: Engine = device_engine,
) -> tuple[Tensor, ...]:
    """``(y, h_n[, c_n])`` of all layers; as `_dispatch.run_stack`."""
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
        noise = None if draw is None else draw(layer, x)
        x, *finals = run_layer(engine, layer, rows, x, own, own_weights, noise, training)
        states.append(tuple(finals))
    if len(states) == 1:
        return (x, *states[0])
    return (x, *(torch.cat(parts) for parts in zip(*states, strict=True)))
