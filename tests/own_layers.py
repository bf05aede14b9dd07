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
from fastrnn._plan import CELL_INFO

# Cell: the class of its layer and what it is asked for by; the single step is named alike.
OWN: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn_sigmoid": ("RNN", {"nonlinearity": "sigmoid"}),
    "gru_reset_before": ("GRU", {"reset_after": False}),
    "ugrnn": ("UGRNN", {}),
    "peephole_lstm": ("PeepholeLSTM", {}),
    "peephole_lstm_full": ("PeepholeLSTM", {"peephole": "full"}),
    "layer_norm_lstm": ("LayerNormLSTM", {}),
    "layer_norm_gru": ("LayerNormGRU", {}),
    "coupled_lstm": ("CoupledLSTM", {}),
    "multiplicative_lstm": ("MultiplicativeLSTM", {}),
}

# Parameters beyond weights and biases.
FURTHER = {
    "peephole_lstm": ["weight_peephole"],
    "peephole_lstm_full": ["weight_peephole"],
    "layer_norm_gru": ["weight_norm_ih", "weight_norm_hh"],
    "layer_norm_lstm": ["weight_norm_ih", "weight_norm_hh", "weight_norm_cell", "bias_norm_cell"],
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
    kind = CELL_INFO[layer._cell()]["name"]
    for index, weights in enumerate(wide._layer_weights()):
        arrays = [None if w is None else as_array(w) for w in weights]
        params = [reference.Params(*arrays[5 * d : 5 * d + 5]) for d in range(directions)]
        here = slice(index * directions, (index + 1) * directions)
        start = [s[here] for s in initial] if hx is not None else None
        runs.append(reference.layer(kind, values, params, start))
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
            for name, value in layer_gradients(kind, one).items():
                d_weights[f"{name}_l{index}{'_reverse' if d else ''}"] = value
    result["grad of x"] = d_y
    if hx is not None:
        for i, parts in enumerate(zip(*d_initial, strict=True)):
            result[f"grad of state {i}"] = np.concatenate(parts)
    for name, _ in layer.named_parameters():
        result[f"grad of {name}"] = d_weights[name]
    return result


def layer_gradients(kind: str, found: reference.Params) -> dict[str, Any]:
    """Of a layer's parameters, from those of its cell's."""
    grads = dict(found._asdict())
    units = grads.pop("unit_params")
    if kind == "peephole_lstm":
        grads["weight_peephole"] = units
    elif kind == "peephole_lstm_full":
        grads["weight_hh"], seen = np.split(found.weight_hh, 2, axis=1)
        rows = np.split(seen, 4)
        grads["weight_peephole"] = np.concatenate([rows[0], rows[1], rows[3]])
    elif units is not None:
        gates = reference.CELLS[kind].num_gates
        grads["weight_norm_ih"] = units[:gates].reshape(-1)
        grads["weight_norm_hh"] = units[gates : 2 * gates].reshape(-1)
        if len(units) > 2 * gates:
            grads["weight_norm_cell"], grads["bias_norm_cell"] = units[2 * gates :]
    return grads


def assert_runs_agree(layer: Any, x: Tensor, hx: Any, grads: Sequence[Tensor]) -> None:
    """Float64: the oracle's numbers; float32: at most twice the error of torch's operations."""
    assert layer.refusal(x, hx) is None
    ours, exact = run(layer, x, hx, grads), exact_run(layer, x, hx, grads)
    assert ours.keys() == exact.keys()
    if x.dtype == torch.float64:
        rtol = 1e-9 if "LayerNorm" in type(layer).__name__ else 1e-12  # as layer_cases.NORMALIZED
        for name, value in exact.items():
            assert_exact(ours[name], value, name=name, rtol=rtol)
        return
    theirs = run(composed(layer), x, hx, grads)
    for name, value in exact.items():
        # Normalizing blows up the roundings of gates, and the engine's are up to 3 ulp.
        factor = 4.0 if "LayerNorm" in type(layer).__name__ else 2.0
        assert_within_budget(ours[name], theirs[name], value, name=name, factor=factor)
