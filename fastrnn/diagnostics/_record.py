"""Watching the layers of a model: gradients of their states, from the engine's own backward."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from fastrnn import _autograd
from fastrnn._lengths import Rows
from fastrnn._plan import LayerPlan
from fastrnn.diagnostics._results import Floats, GradientNorms, Records
from fastrnn.nn._base import RecurrentLayer

__all__ = ["Call", "mask_padding", "record", "watching"]

_one_at_a_time = threading.Lock()


@dataclass
class Call:
    """A module's call that is going on: which one, and how many of its layers have been run."""

    name: str
    number: int
    layers: int = 0


# Takes the call, the number of the layer, what is to know of its shapes, and the gradients.
KeepStates = Callable[[Call, int, LayerPlan, "Rows | None", list[Tensor]], None]


@contextmanager
def watching(modules: dict[str, RecurrentLayer], keep: KeepStates) -> Iterator[None]:
    """Hand to ``keep`` what the backward of each layer that is called meanwhile computes."""
    if not _one_at_a_time.acquire(blocking=False):
        raise RuntimeError("fastrnn.diagnostics is recording already, and does one thing at a time")
    calls = threading.local()
    numbers = dict.fromkeys(modules, 0)
    handles = []

    def before(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            calls.current = Call(name, numbers[name])
            numbers[name] += 1

        return hook

    def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        call, calls.current = calls.current, None
        if output is None or call.layers:
            return
        y = output[0].data if isinstance(output[0], PackedSequence) else output[0]
        if y.requires_grad:  # it will have a backward, but not the engine's
            assert isinstance(module, RecurrentLayer)
            reason = module.refusal(*args, **kwargs) or "it is compiled"
            raise RuntimeError(
                f"fastrnn.diagnostics sees what the engine computes, and it does not compute this "
                f"call of {call.name or type(module).__name__!r}: {reason}"
            )

    def watch(plan: LayerPlan, rows: Rows | None) -> Callable[[list[Tensor]], None] | None:
        call: Call | None = getattr(calls, "current", None)
        if call is None:  # a function or a single step, or a module that is none of ours
            return None
        layer, call.layers = call.layers, call.layers + 1
        return lambda states: keep(call, layer, plan, rows, states)

    try:
        for name, module in modules.items():
            handles.append(module.register_forward_pre_hook(before(name), prepend=True))
            handles.append(module.register_forward_hook(after, with_kwargs=True, always_call=True))
        _autograd.set_watch(watch)
        yield
    finally:
        _autograd.set_watch(None)
        for handle in handles:
            handle.remove()
        _one_at_a_time.release()


def mask_padding(rows: Rows | None, values: Floats) -> Floats:
    """``values`` [D, T, B], NaN where the sequence has no such step."""
    if rows is not None and rows.batch_sizes is not None:
        missing = np.ones(values.shape[1:], np.bool_)
        missing[rows.places()] = False
        values[:, missing] = np.nan
    return values


@contextmanager
def record(model: nn.Module, *, whole: bool = False) -> Iterator[Records]:
    """Record d loss / d h_t and d loss / d c_t of every fastrnn layer of a model.

    Calls made inside of the ``with`` are recorded when their backward runs, be it inside or
    later: one `GradientNorms` for each module, call and layer of a stack.  Gradients come from the
    backward that trains the model, which computes them anyway, and stay as they are: recording
    adds a copy of [T, B, D*H] a state, and nothing at all while nobody records.

    What is differentiated: the state (h_t, c_t) that step t hands to the next one, h_t also to
    the layers above and to the loss.  d loss / d h_t is the whole gradient, along all those ways;
    d loss / d c_t is that of c_t as c_{t+1}, and c_n, see it, with h_t held fixed: what
    ``retain_grad`` gives in a loop of ``torch.nn.LSTMCell``.  Norms are Euclidean over the H
    units, one a direction, step and sequence, and computed in float64.  Of half layers the
    gradients are float32, as the engine computes them.

    Parameters
    ----------
    model
        A fastrnn layer, or a module with such layers inside (``fastrnn.convert`` makes them);
        not what ``torch.compile`` made of it, whose calls are computed elsewhere.
        Single-step cells are not recorded: in their loops, ``retain_grad`` is at hand.
    whole
        Also keep the gradients themselves, [D, T, B, H].

    Raises
    ------
    ValueError
        If there is no fastrnn layer in the model.
    RuntimeError
        In a call that needs gradients, but that the engine does not compute (``layer.refusal``
        says why), in a backward with ``create_graph=True``, and if a recording is going on.

    Examples
    --------
    >>> import torch, fastrnn
    >>> lstm = fastrnn.nn.LSTM(3, 5, num_layers=2)
    >>> with fastrnn.diagnostics.record(lstm) as records:
    ...     y, _ = lstm(torch.randn(20, 4, 3))
    ...     y[-1].sum().backward()
    >>> records[1]  # the upper layer
    GradientNorms('', call 0, layer 1, D 1, T 20, B 4)
    >>> bool((records[1].hidden[0, 0] < records[1].hidden[0, -1]).all())  # they vanish
    True
    """
    modules = {
        name: module for name, module in model.named_modules() if isinstance(module, RecurrentLayer)
    }
    if not modules:
        raise ValueError(
            f"record: there is no fastrnn layer in {type(model).__name__}; "
            "fastrnn.convert(model) puts them in place of torch's"
        )
    records = Records(list(modules))

    def keep(
        call: Call, layer: int, plan: LayerPlan, rows: Rows | None, states: list[Tensor]
    ) -> None:
        gradients = [_by_direction(state, plan.sizes[3]) for state in states]
        # In float32 the squares of what vanishes would be zero.
        norms = [
            mask_padding(rows, torch.linalg.vector_norm(g, dim=-1, dtype=torch.float64).numpy())
            for g in gradients
        ]
        kept = [g.numpy() if whole else None for g in gradients]
        second = len(states) == 2
        records._add(
            GradientNorms(
                call.name,
                call.number,
                layer,
                norms[0],
                norms[1] if second else None,
                kept[0],
                kept[1] if second else None,
            )
        )

    with watching(modules, keep):
        yield records


def _by_direction(state: Tensor, hidden_size: int) -> Tensor:
    """[D, T, B, H] of [T, B, D*H]."""
    return state.view(*state.shape[:2], -1, hidden_size).permute(2, 0, 1, 3)
