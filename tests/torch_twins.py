"""Pairs of the same layer in torch and in fastrnn, and one way to run both."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from oracles import as_array, assert_exact, assert_within_budget
from torch import Tensor, nn

import fastrnn.nn

LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn_tanh": ("RNN", {}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
}
CELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn_tanh": ("RNNCell", {}),
    "rnn_relu": ("RNNCell", {"nonlinearity": "relu"}),
    "lstm": ("LSTMCell", {}),
    "gru": ("GRUCell", {}),
}


def twins(kind: str, *args: Any, seed: int = 0, cell: bool = False, **kwargs: Any) -> Any:
    """The same layer as ``(torch's, ours)``, with equal weights from equal seeds."""
    name, extra = (CELLS if cell else LAYERS)[kind]
    torch.manual_seed(seed)
    theirs = getattr(nn, name)(*args, **extra, **kwargs)
    torch.manual_seed(seed)
    ours = getattr(fastrnn.nn, name)(*args, **extra, **kwargs)
    return theirs, ours


def flat(result: Any) -> list[Tensor]:
    """Tensors of a layer's result in order: y, h_n, c_n."""
    if isinstance(result, Tensor):
        return [result]
    return [tensor for part in result for tensor in flat(part)]


def states(kind: str, shape: Sequence[int], dtype: torch.dtype = torch.float64) -> Any:
    """A random hx of the kind's form, h0 and c0 different."""
    if kind == "lstm":
        return torch.randn(*shape, dtype=dtype), torch.randn(*shape, dtype=dtype)
    return torch.randn(*shape, dtype=dtype)


def run(
    layer: nn.Module,
    x: Tensor,
    hx: Any = None,
    grads: Sequence[Tensor] | None = None,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Outputs and, given output gradients, the gradients of everything, by name."""
    x = x.detach().requires_grad_()
    initial = [state.detach().requires_grad_() for state in flat(hx)] if hx is not None else []
    given = None if hx is None else initial[0] if isinstance(hx, Tensor) else tuple(initial)
    torch.manual_seed(seed)  # dropout
    outputs = flat(layer(x, given))
    result = {f"output {index}": output.detach() for index, output in enumerate(outputs)}
    if grads is not None:
        names = ["x", *(f"state {index}" for index in range(len(initial)))]
        names += [name for name, _ in layer.named_parameters()]
        leaves = [x, *initial, *layer.parameters()]
        for name, grad in zip(names, torch.autograd.grad(outputs, leaves, grads), strict=True):
            result[f"grad of {name}"] = grad
    return result


def assert_equal_runs(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Float64 runs agree to a few roundings of the largest value."""
    assert ours.keys() == theirs.keys()
    for name, exact in theirs.items():
        assert_exact(ours[name], as_array(exact), name=name)


def exact_run(theirs: nn.Module, x: Tensor, hx: Any, grads: Sequence[Tensor]) -> dict[str, Tensor]:
    """`run` of torch's layer in float64, on the same numbers."""
    wide_hx = None if hx is None else [state.double() for state in flat(hx)]
    if wide_hx is not None:
        wide_hx = wide_hx[0] if isinstance(hx, Tensor) else tuple(wide_hx)
    return run(copy.deepcopy(theirs).double(), x.double(), wide_hx, [g.double() for g in grads])


def assert_runs_in_budget(kind: str, sizes: Sequence[int], draws: int = 1, **options: Any) -> None:
    """Float32 layers against torch's float64 one: our error at most twice torch's own.

    ``sizes`` are seq_len, batch_size, input_size, hidden_size.  Tensors of few numbers need
    several ``draws`` of everything, judged together, for errors to be comparable at all.
    """
    seq_len, batch_size, input_size, hidden_size = sizes
    rows = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    lead = (batch_size, seq_len) if options.get("batch_first") else (seq_len, batch_size)
    runs: list[list[dict[str, Tensor]]] = []
    for seed in range(draws):
        theirs, ours = twins(kind, input_size, hidden_size, seed=seed, **options)
        x = torch.randn(*lead, input_size)
        hx = states(kind, (rows, batch_size, hidden_size), torch.float32)
        grads = output_grads(theirs, x, hx)
        exact = exact_run(theirs, x, hx, grads)
        runs.append([run(ours, x, hx, grads), run(theirs, x, hx, grads), exact])
    for name in runs[0][0]:
        ours_all, theirs_all, exact_all = (
            torch.stack([results[index][name] for results in runs]) for index in range(3)
        )
        assert_within_budget(ours_all, theirs_all, exact_all, name=name)


def output_grads(layer: nn.Module, x: Tensor, hx: Any = None) -> list[Tensor]:
    """Random gradients in the shapes of the layer's outputs."""
    with torch.no_grad():
        return [torch.randn_like(output.contiguous()) for output in flat(layer(x, hx))]
