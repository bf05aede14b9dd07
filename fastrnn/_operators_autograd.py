"""Derivatives of the operators: the engine's, and through torch's operations the second ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastrnn._autograd import composed_gradients
from fastrnn._layouts import PACKED, TIME_FIRST
from fastrnn._operators_kernels import operator_rows
from fastrnn._operators_schema import LIBRARY, full_wanted, full_weights
from fastrnn._plan import CELL_INFO, CELL_NUMBERS
from fastrnn._regularizers import Regularizers

_layer = torch.ops.fastrnn.layer.default
_layer_backward = torch.ops.fastrnn.layer_backward.default
_is_grad_enabled = torch.is_grad_enabled


# lengths, batch_sizes, resets, scale, keep_h, keep_c, rates
_Extra = tuple[
    "Tensor | None",
    "Tensor | None",
    "Tensor | None",
    "Tensor | None",
    "Tensor | None",
    "Tensor | None",
    Sequence[float],
]


class _Form(NamedTuple):
    """What `composed_gradients` asks of a plan."""

    cell: int
    num_states: int
    params_per_direction: int
    x_layout: int
    y_layout: int


def _below_autograd(operator: Any, keyset: Any, *arguments: Any) -> Any:
    with torch._C._AutoDispatchBelowAutograd():
        return operator.redispatch(keyset & torch._C._after_autograd_keyset, *arguments)


def _any_needs_grad(tensors: Sequence[Tensor | None]) -> bool:
    return _is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


class _LayerNode(torch.autograd.Function):
    """``(keyset, cell, num_directions, extra, x, h0, c0, *weights) -> (y, h_n, c_n, reserve)``."""

    @staticmethod
    def forward(
        ctx: Any,
        keyset: Any,
        cell: str,
        num_directions: int,
        extra: _Extra,
        x: Tensor,
        h0: Tensor | None,
        c0: Tensor | None,
        *weights: Tensor,
    ) -> tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...] = _below_autograd(
            _layer,
            keyset,
            *(x, h0, c0, weights, cell, num_directions, True, *extra),
        )
        y, _, c_n, reserve = outputs
        *tensors, ctx.rates = extra
        ctx.save_for_backward(*tensors, x, h0, c0, y, reserve, *weights)
        ctx.set_materialize_grads(False)
        one_state = CELL_INFO[CELL_NUMBERS[cell]]["num_states"] == 1
        ctx.mark_non_differentiable(*((c_n, reserve) if one_state else (reserve,)))
        ctx.cell, ctx.num_directions = cell, num_directions
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        extra, (x, h0, c0, y, reserve, *weights) = ctx.saved_tensors[:6], ctx.saved_tensors[6:]
        wanted = ctx.needs_input_grad[4:]
        nothing = (None,) * 4
        if all(grad is None for grad in grads[:3]):
            return (*nothing, *(None for _ in wanted))
        given = (x, h0, c0, weights, y, reserve, ctx.cell, ctx.num_directions, wanted)
        found = iter(_layer_backward(*grads[:3], *given, *extra, ctx.rates))
        return (*nothing, *(next(found) if want else None for want in wanted))


_layer_node: Callable[..., tuple[Tensor, ...]] = _LayerNode.apply


def _layer_autograd(
    keyset: Any,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    cell: str,
    num_directions: int,
    save: bool = False,
    lengths: Tensor | None = None,
    batch_sizes: Tensor | None = None,
    resets: Tensor | None = None,
    scale: Tensor | None = None,
    keep_h: Tensor | None = None,
    keep_c: Tensor | None = None,
    rates: Sequence[float] = (),
) -> Any:
    extra = (lengths, batch_sizes, resets, scale, keep_h, keep_c, rates)
    if _any_needs_grad((x, h0, c0, *weights)):
        return _layer_node(keyset, cell, num_directions, extra, x, h0, c0, *weights)
    return _below_autograd(_layer, keyset, x, h0, c0, weights, cell, num_directions, save, *extra)


def _backward_autograd(
    keyset: Any,
    grad_y: Tensor | None,
    grad_h_n: Tensor | None,
    grad_c_n: Tensor | None,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    y: Tensor,
    reserve: Tensor,
    cell: str,
    num_directions: int,
    wanted: Sequence[bool],
    lengths: Tensor | None = None,
    batch_sizes: Tensor | None = None,
    resets: Tensor | None = None,
    scale: Tensor | None = None,
    keep_h: Tensor | None = None,
    keep_c: Tensor | None = None,
    rates: Sequence[float] = (),
) -> Any:
    grads = (grad_y, grad_h_n, grad_c_n)
    extra = (lengths, batch_sizes, resets, scale, keep_h, keep_c, rates)
    if not _any_needs_grad((*grads, x, h0, c0, *weights)):
        return _below_autograd(
            _layer_backward,
            keyset,
            *(*grads, x, h0, c0, weights, y, reserve, cell, num_directions, wanted, *extra),
        )
    info = CELL_INFO[CELL_NUMBERS[cell]]
    full = full_weights(cell, weights, num_directions)
    assert full is not None
    tensors, layout = (x, h0, c0, *full), TIME_FIRST if x.dim() == 3 else PACKED
    wanted = full_wanted(full, wanted)
    found = composed_gradients(
        _Form(CELL_NUMBERS[cell], info["num_states"], len(full) // num_directions, layout, layout),
        tensors,
        wanted,
        grads[: 1 + info["num_states"]],
        operator_rows(x, h0, *extra[:3]),
        Regularizers(scale, (keep_h, keep_c)[: len(rates)], tuple(rates)) if rates else None,
    )
    return [
        torch.zeros_like(tensor) if grad is None else grad
        for tensor, grad, want in zip(tensors, found, wanted, strict=True)
        if tensor is not None and want
    ]


LIBRARY.impl("layer", _layer_autograd, "Autograd", with_keyset=True)
LIBRARY.impl("layer_backward", _backward_autograd, "Autograd", with_keyset=True)
