"""How tests judge bfloat16 and float16: against the same layer in float32, rounded.

Three runs of the same numbers: ours in the half type, ours in float32 with every result of a
layer rounded to the half type, and torch's in float64.  Our error may be at most 1.5 times that of
the second, whose error is little more than the rounding of its results.  Where gate gradients are
rounded for bfloat16 products, gradients may err twice as much as it (torch's: 2 to 5 times).
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch_twins import exact_run, flat, output_grads, run, states, twins

import fastrnn
import fastrnn.nn
from fastrnn._native import core

NO_BF16 = "avx512_no_bf16"  # AVX-512 that widens although it has bfloat16 products
HALF_ISAS = [*fastrnn.available_isas(), *([NO_BF16] if core.bf16_products() else [])]
HALVES = [torch.bfloat16, torch.float16]


class RoundedStack(nn.Module):
    """A stack as float32 layers of one layer each, whose results are rounded to ``half``."""

    def __init__(self, layer: Any, half: torch.dtype) -> None:
        super().__init__()
        self.dtype, self.rows = half, 2 if layer.bidirectional else 1
        self.layers = nn.ModuleList()
        extra = {"nonlinearity": layer.nonlinearity} if hasattr(layer, "nonlinearity") else {}
        for index in range(layer.num_layers):
            inputs = layer.input_size if index == 0 else self.rows * layer.hidden_size
            one = type(layer)(
                inputs,
                layer.hidden_size,
                bias=layer.bias,
                batch_first=layer.batch_first,
                bidirectional=layer.bidirectional,
                **extra,
            )
            one.load_state_dict(
                {
                    name.replace(f"_l{index}", "_l0"): value.float()
                    for name, value in layer.state_dict().items()
                    if f"_l{index}" in name
                }
            )
            self.layers.append(one)

    def forward(self, x: Tensor, hx: Any = None) -> Any:
        rows = self.rows
        initial = [None] * len(self.layers)
        if hx is not None:
            parts = [state.float().split(rows) for state in flat(hx)]
            initial = [p if len(p) > 1 else p[0] for p in zip(*parts, strict=True)]
        finals = []
        x = x.float()
        for layer, given in zip(self.layers, initial, strict=True):
            y, final = layer(x, given)
            x = y.to(self.dtype).float()
            finals.append([state.to(self.dtype) for state in flat(final)])
        stacked = [torch.cat(parts) for parts in zip(*finals, strict=True)]
        return x.to(self.dtype), tuple(stacked) if len(stacked) > 1 else stacked[0]


def assert_half_budget(
    ours: dict[str, Tensor],
    rounded: dict[str, Tensor],
    exact: dict[str, Tensor],
    half: torch.dtype,
    theirs: dict[str, Tensor] | None = None,
) -> None:
    """Root mean square and largest error within the budget.

    With ``theirs``, twice torch's error is granted to gradients: relu's slope jumps at zero, where
    the least rounding of a state before it decides.

    Beyond that a tenth of a unit in the last place of the largest value is granted to the first
    and half a unit to the second, for tensors of few numbers.
    """
    assert ours.keys() == exact.keys()
    for name, truth in exact.items():
        scale = float(truth.abs().max()) * torch.finfo(half).eps
        mine, reference = ours[name].double() - truth, rounded[name].to(half).double() - truth
        rounds_gates = half is torch.bfloat16 and core.bf16_products() and "grad" in name
        factor = 2.0 if rounds_gates else 1.5
        if rounds_gates and theirs is not None:
            other = theirs[name].double() - truth
            reference = max(reference, other, key=torch.linalg.vector_norm)
        for kind, got, bound, slack in (
            ("rms", mine.square().mean().sqrt(), reference.square().mean().sqrt(), 0.1),
            ("largest", mine.abs().max(), reference.abs().max(), 0.5),
        ):
            budget = factor * float(bound) + slack * scale
            assert float(got) <= budget, f"{name}: {kind} error {float(got):.3g} over {budget:.3g}"


def half_runs(
    kind: str, half: torch.dtype, sizes: tuple[int, int, int, int], *, seed: int = 0, **options: Any
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """``(ours, rounded, exact, torch's)`` on the same numbers, all of which are halves."""
    seq_len, batch_size, input_size, hidden_size = sizes
    theirs, ours = twins(kind, input_size, hidden_size, seed=seed, dtype=half, **options)
    lead = (batch_size, seq_len) if options.get("batch_first") else (seq_len, batch_size)
    x = torch.randn(*lead, input_size).to(half)
    rows = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    hx = states(kind, (rows, batch_size, hidden_size), half)
    assert ours.refusal(x, hx) is None
    grads = output_grads(theirs, x, hx)
    exact = exact_run(theirs, x, hx, grads)
    stack = RoundedStack(copy.deepcopy(ours), half)
    rounded_values = run(stack, x, hx, grads)
    rounded: dict[str, Tensor] = {}
    for name, value in rounded_values.items():
        if name.startswith("grad of layers."):
            _, index, parameter = name.removeprefix("grad of ").split(".")
            name = "grad of " + parameter.replace("_l0", f"_l{index}")
        rounded[name] = value
    return run(ours, x, hx, grads), rounded, exact, run(theirs, x, hx, grads)


def fastrnn_cell(kind: str, *args: Any, **kwargs: Any) -> Any:
    name = {"rnn_tanh": "RNNCell", "rnn_relu": "RNNCell", "lstm": "LSTMCell", "gru": "GRUCell"}
    if kind == "rnn_relu":
        kwargs["nonlinearity"] = "relu"
    return getattr(fastrnn.nn, name[kind])(*args, **kwargs)
