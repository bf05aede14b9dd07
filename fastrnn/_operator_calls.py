"""Layers run through their operators: under ``torch.compile``, exporters and dispatch modes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor
from torch.nn import Parameter

from fastrnn import _operators
from fastrnn._autocast import autocast_dtype, autocast_refuses, cast_all, cast_weights
from fastrnn._dispatch import transforms_active
from fastrnn._layouts import BATCH_FIRST, STEP, UNBATCHED
from fastrnn._operators_schema import hidden_size, state_shape
from fastrnn._plan import CELL_INFO, CELL_NUMBERS
from fastrnn._regularizers import Rates

__all__ = ["host_lengths", "is_eager", "operators_refuse", "planned_layer", "run_operators"]

_dispatch_modes = torch._C._len_torch_dispatch_stack
_KINDS = (Tensor, Parameter, FakeTensor, FunctionalTensor)
_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_DEVICES = ("cpu", "meta")


def is_eager(x: Tensor) -> bool:
    """Whether a call with this input computes here and now, as far as the input tells."""
    return not (
        _dispatch_modes() or type(x) in (FakeTensor, FunctionalTensor) or x.device.type == "meta"
    )


def operators_refuse(
    x: Any, initial: Sequence[Any], weights: Sequence[Any], compiling: bool
) -> str | None:
    """Why the operators do not take this call, or None where they do.

    Whether sizes fit is for others to say: the layers' own checks, and the operators'.
    """
    if not compiling and is_eager(x):
        return "the call is eager"
    if torch._C._get_tracing_state() is not None:
        return "under torch.jit.trace"
    if transforms_active():
        return "under a torch.func transform or forward-mode differentiation"
    cast = autocast_dtype(x)
    if cast is not None and (reason := autocast_refuses(cast, (x, *initial, *weights))):
        return reason
    for tensor in (x, *initial, *weights):
        if tensor is not None:
            if type(tensor) not in _KINDS:
                return f"there is a {type(tensor).__name__}"
            if tensor.layout is not torch.strided or tensor.device.type not in _DEVICES:
                return f"there is a {tensor.layout} tensor on {tensor.device}"
            if tensor.dtype not in _DTYPES or (cast is None and tensor.dtype != x.dtype):
                return f"there is a {tensor.dtype} tensor"
            if tensor.device != x.device:
                return f"tensors are on {tensor.device} and {x.device}"
    return None


def run_operators(
    cell: str,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Sequence[Tensor | None]],
    num_directions: int,
    dropout: float,
    lengths: Tensor | None = None,
    batch_sizes: Tensor | None = None,
    resets: Tensor | None = None,
    rates: Rates | None = None,
    training: bool = False,
) -> tuple[Tensor, ...]:
    """``(y, h_n[, c_n])`` of a stack of layers with ``dropout`` between them.

    ``x`` is [T, B, I], or with ``batch_sizes`` [rows, I]; ``weights`` has one entry a layer; the
    states hold all of them.
    """
    num_states = CELL_INFO[CELL_NUMBERS[cell]]["num_states"]
    cast = autocast_dtype(x)
    if cast is not None:
        first, *initial = cast_all(cast, (x, *initial))
        assert first is not None
        x, weights = first, [cast_weights(cast, list(one))[0] for one in weights]
    states: list[tuple[Tensor, ...]] = []
    for index, one in enumerate(weights):
        if index and dropout:
            x = torch.dropout(x, dropout, True)
        here = slice(index * num_directions, (index + 1) * num_directions)
        h0, c0 = (
            None if state is None else state[here]
            for state in (initial[0], initial[1] if num_states == 2 else None)
        )
        given = [weight for weight in one if weight is not None]
        drawn: tuple[Any, ...] = ()
        if rates is not None:
            sizes = (num_directions, hidden_size(cell, given))
            state = state_shape(x, h0, batch_sizes, *sizes)
            noise = rates.draw(state, (*x.shape[:-1], sizes[0] * sizes[1]), x, training)
            if noise is not None:
                keep_h, keep_c = (*noise.masks, None)[:2]
                drawn = (noise.hidden_scale, keep_h, keep_c, noise.rates)
        x, h_n, c_n, _ = _operators.layer(
            *(x, h0, c0, given, cell, num_directions, False, lengths, batch_sizes, resets), *drawn
        )
        states.append((h_n, c_n)[:num_states])
    if len(states) == 1:
        return (x, *states[0])
    return (x, *(torch.cat(parts) for parts in zip(*states, strict=True)))


def host_lengths(values: Any) -> Tensor:
    """``lengths`` as the operators take them; TypeError for what are no integers."""
    vector = torch.as_tensor(values)
    if vector.is_floating_point() or vector.is_complex() or vector.dtype == torch.bool:
        raise TypeError(f"lengths: expected integers, got {vector.dtype}")
    return vector.to("cpu", torch.int64)


def planned_layer(
    cell: str,
    x_layout: int,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    num_directions: int,
    lengths: Tensor | None = None,
    resets: Any = None,
) -> tuple[Tensor, ...]:
    """``(y, h_n[, c_n])`` of one layer, or step, in the engine's layouts."""
    missing_batch = x_layout == UNBATCHED or (x_layout == STEP and x.dim() == 1)
    if x_layout == BATCH_FIRST:
        x = x.transpose(0, 1)
    if missing_batch:
        x, initial = x.unsqueeze(-2), [None if s is None else s.unsqueeze(-2) for s in initial]
    if x_layout == STEP:
        x, initial = x.unsqueeze(0), [None if s is None else s.unsqueeze(0) for s in initial]
    result = list(
        run_operators(cell, x, initial, [weights], num_directions, 0.0, lengths, None, resets)
    )
    if x_layout == STEP:
        result = [tensor.squeeze(0) for tensor in result]
    if missing_batch:
        result = [tensor.squeeze(-2) for tensor in result]
    if x_layout == BATCH_FIRST:
        result[0] = result[0].transpose(0, 1)
    return tuple(result)
