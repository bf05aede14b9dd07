"""The layers and cells that torch does not have, and the oracle for a stack of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from oracles import as_array, assert_exact, assert_within_budget
from torch import Tensor
from torch_twins import flat, run

import fastrnn.nn
from fastrnn import reference
from fastrnn.convert_weights import from_module

# Cell: the class of its layer and what it is asked for by; the single step is named alike.
OWN: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn_sigmoid": ("RNN", {"nonlinearity": "sigmoid"}),
    "gru_reset_before": ("GRU", {"reset_after": False}),
    "ugrnn": ("UGRNN", {}),
    "peephole_lstm": ("PeepholeLSTM", {}),
    "coupled_lstm": ("CoupledLSTM", {}),
    "multiplicative_lstm": ("MultiplicativeLSTM", {}),
}


def make(kind: str, *sizes: Any, cell: bool = False, seed: int = 0, **options: Any) -> Any:
    name, extra = OWN[kind]
    torch.manual_seed(seed)
    return getattr(fastrnn.nn, name + ("Cell" if cell else ""))(*sizes, **extra, **options)


def states(kind: str, *shape: int, dtype: torch.dtype = torch.float64) -> Any:
    """A random hx of the kind's form, h0 and c0 different."""
    values = [torch.randn(*shape, dtype=dtype) for _ in range(reference.CELLS[kind].num_states)]
    return values[0] if len(values) == 1 else tuple(values)


def composed(layer: Any) -> Any:
    """The same layer computed step by step with torch's operations."""
    twin = copy.deepcopy(layer)
    twin.forward = lambda x, hx=None: twin._forward_composed(x, hx)
    return twin


def exact_run(
    layer: Any, x: Tensor, hx: Any = None, grads: Sequence[Tensor] = ()
) -> dict[str, np.ndarray[Any, Any]]:
    """What `torch_twins.run` should give, by the float64 oracle: [T, B, I], all layers."""
    wide = copy.deepcopy(layer).double()
    directions = 2 if layer.bidirectional else 1
    values: Any = as_array(x.double())
    initial = [] if hx is None else [as_array(s.double()) for s in flat(hx)]
    runs = []
    for index, weights in enumerate(from_module(wide)):
        params = [
            reference.Params(d.weight_ih, d.weight_hh, d.bias_ih, d.bias_hh, d.peephole)
            for d in weights.directions
        ]
        here = slice(index * directions, (index + 1) * directions)
        start = [s[here] for s in initial] if hx is not None else None
        runs.append(reference.layer(weights.cell, values, params, start))
        values = runs[-1].y
    finals = [np.concatenate(parts) for parts in zip(*(r.final for r in runs), strict=True)]
    result = {f"output {i}": value for i, value in enumerate([values, *finals])}
    if not grads:
        return result
    d_y, *d_finals = (as_array(grad.double()) for grad in grads)
    d_initial: list[Any] = []
    d_weights: dict[str, Any] = {}
    for index in reversed(range(len(runs))):
        here = slice(index * directions, (index + 1) * directions)
        found = reference.layer_backward(runs[index], d_y, [d[here] for d in d_finals])
        d_y = found.x
        d_initial.insert(0, found.initial)
        for d, one in enumerate(found.params):
            for name, value in zip(reference.Params._fields, one, strict=True):
                kind = name.replace("unit_params", "weight_peephole")
                d_weights[f"{kind}_l{index}{'_reverse' if d else ''}"] = value
    result["grad of x"] = d_y
    if hx is not None:
        for i, parts in enumerate(zip(*d_initial, strict=True)):
            result[f"grad of state {i}"] = np.concatenate(parts)
    for name, _ in layer.named_parameters():
        result[f"grad of {name}"] = d_weights[name]
    return result


def assert_runs_agree(layer: Any, x: Tensor, hx: Any, grads: Sequence[Tensor]) -> None:
    """Float64: the oracle's numbers; float32: at most twice the error of torch's operations."""
    assert layer.refusal(x, hx) is None
    ours, exact = run(layer, x, hx, grads), exact_run(layer, x, hx, grads)
    assert ours.keys() == exact.keys()
    if x.dtype == torch.float64:
        for name, value in exact.items():
            assert_exact(ours[name], value, name=name)
        return
    theirs = run(composed(layer), x, hx, grads)
    for name, value in exact.items():
        assert_within_budget(ours[name], theirs[name], value, name=name)
