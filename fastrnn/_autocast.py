"""Calls under ``torch.autocast``: what they compute in, and what they return.

Inputs and states are cast here, by operations that autograd knows; float32 weights stay what they
are and are rounded inside the engine on each call, so their gradients are float32 and no rounded
copy can outlive an edit of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "autocast_dtype",
    "autocast_dtype_on",
    "autocast_refuses",
    "cast_all",
    "cast_call",
    "cast_weights",
    "output_dtype",
]

_CAST = (torch.float32, torch.bfloat16, torch.float16)
_any_enabled = torch._C._is_any_autocast_enabled


def autocast_dtype(input: Any) -> torch.dtype | None:  # noqa: A002 - torch's name
    """What autocast computes in where ``input`` is; None where it is off."""
    return autocast_dtype_on(input.device.type) if _any_enabled() else None


def autocast_dtype_on(device_type: str) -> torch.dtype | None:
    """What autocast computes in on the CPU or on GPUs; None where it is off, and elsewhere."""
    if device_type not in ("cpu", "cuda") or not torch.is_autocast_enabled(device_type):
        return None
    return torch.get_autocast_dtype(device_type)


def autocast_refuses(dtype: torch.dtype, tensors: Sequence[Any]) -> str | None:
    """Why the engine leaves a call under autocast to torch; autocast itself casts no float64."""
    for tensor in tensors:
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor):
            return f"initial state is a {type(tensor).__name__}"
        if tensor.dtype not in _CAST:
            return f"under autocast to {dtype} with a {tensor.dtype} tensor"
    return None


def cast_all(dtype: torch.dtype, tensors: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """The tensors in ``dtype``; gradients go back in the dtype that each had."""
    return tuple([None if tensor is None else tensor.to(dtype) for tensor in tensors])


def cast_weights(
    dtype: torch.dtype, weights: list[Tensor | None]
) -> tuple[list[Tensor | None], bool]:
    """Weights that the engine takes beside an input of ``dtype``; whether they are float32."""
    first = weights[0]
    if first is None or first.dtype is dtype:
        return weights, False
    if first.dtype is torch.float32:
        return weights, True
    return list(cast_all(dtype, weights)), False


def cast_call(
    input: Tensor,  # noqa: A002 - torch's name
    initial: Sequence[Any],
    weights: list[Tensor | None],
) -> tuple[Tensor, tuple[Tensor | None, ...], list[Tensor | None], bool] | str:
    """A call's tensors as autocast, which is on, has them, and whether weights stay float32.

    Or why the engine leaves the call to torch.
    """
    dtype = autocast_dtype(input)
    assert dtype is not None
    reason = autocast_refuses(dtype, (input, *initial, *weights))
    if reason is not None:
        return reason
    return input.to(dtype), cast_all(dtype, initial), *cast_weights(dtype, weights)


def output_dtype(
    kind: str,
    dtype: torch.dtype,
    input: Tensor,  # noqa: A002 - torch's name
    state: Tensor | None,
) -> torch.dtype:
    """The dtype of torch's results under autocast, which depends on the class.

    On a GPU all give the autocast dtype.  On the CPU ``RNN``, ``RNNCell`` and ``LSTM`` do;
    ``GRU``, ``GRUCell`` and ``LSTMCell`` mix the state in without a cast, so theirs is promoted
    with the state's dtype, or with the input's where no state is given.
    """
    if input.is_cuda:
        return dtype
    if kind.startswith("RNN") or (kind == "LSTM" and input.dtype is not torch.float16):
        return dtype
    return torch.promote_types(dtype, input.dtype if state is None else state.dtype)
