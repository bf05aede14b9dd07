"""``lengths=``, ``resets=`` and packed sequences of torch, as those take them who compute."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils.rnn import PackedSequence
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from fastrnn import _lengths
from fastrnn._lengths import Rows

__all__ = [
    "Rows",
    "pack",
    "reset_steps",
    "rows_of_lengths",
    "rows_of_packed",
    "rows_of_padded",
    "sort_state",
    "unpack",
    "unsort_state",
    "with_resets",
]


_functorch_active = torch._C._are_functorch_transforms_active


def _array(values: Any) -> Any:
    """Values on the host; tensors also under a transform, which can't give their memory."""
    if not isinstance(values, Tensor):
        return values
    if _functorch_active():
        integral = not (values.is_floating_point() or values.is_complex())
        dtype = bool if values.dtype == torch.bool else np.int64 if integral else None
        return np.array(values.tolist(), dtype).reshape(tuple(values.shape))
    if values.is_cpu and not values.requires_grad:
        return values.numpy()
    return values.detach().cpu().numpy()


def rows_of_lengths(lengths: Any, batch_size: int, seq_len: int) -> Rows:
    """Rows of a padded batch; TypeError or ValueError for lengths that don't fit it."""
    return _lengths.rows_of_lengths(_array(lengths), batch_size, seq_len)


def with_resets(rows: Rows | None, resets: Any, shape: tuple[int, ...], batch_first: bool) -> Rows:
    """``rows`` with resets, given as a bool array of ``shape``.

    The shape is that of the input without its features: [T, B], [B, T], [T] or, for a packed
    sequence, [rows].
    """
    if isinstance(resets, PackedSequence):
        resets = resets.data
    flags = _lengths.check_resets(_array(resets), shape)
    return _lengths.with_resets(rows, flags.T if batch_first else flags)


def rows_of_padded(
    lengths: Any, resets: Any, lead: tuple[int, ...], batch_first: bool
) -> Rows | None:
    """What the arguments of a call say; ``lead`` is the input's shape without its features."""
    rows = None
    if lengths is not None:
        if len(lead) == 1:
            raise ValueError("lengths: the input has no batch, so all its steps count")
        seq_len, batch_size = reversed(lead) if batch_first else lead
        rows = rows_of_lengths(lengths, batch_size, seq_len)
    return rows if resets is None else with_resets(rows, resets, lead, batch_first)


def rows_of_packed(packed: PackedSequence) -> Rows | str:
    """Rows of a packed sequence, or what is wrong with it (then torch shall tell)."""
    data: Any
    data, batch_sizes, order, inverse = packed
    for tensor in (data, batch_sizes):
        kind: type = type(tensor)
        if (
            kind is not Tensor  # fake, or not even a tensor
            and kind is not Parameter
            and not (tensor is data and is_traceable_wrapper_subclass(data))
        ):
            return f"the packed sequence holds a {kind.__name__}"
    if data.dim() != 2:
        return "packed data is no matrix"
    if batch_sizes.dim() != 1 or batch_sizes.dtype != torch.int64 or not batch_sizes.is_cpu:
        return "batch_sizes is no vector of int64 on the CPU"
    sizes = _array(batch_sizes).tobytes()
    if order is None and inverse is None:
        return _rows_of_packed(sizes, None, None, data.shape[0])
    if order is None or inverse is None:
        return "only one of sorted_indices and unsorted_indices is given"
    if any(t.dtype != torch.int64 or t.dim() != 1 for t in (order, inverse)):
        return "sorted_indices are not one number a sequence"
    return _rows_of_packed(sizes, _array(order).tobytes(), _array(inverse).tobytes(), data.shape[0])


@lru_cache(maxsize=256)  # by the numbers themselves: the caller may change his tensors
def _rows_of_packed(
    batch_sizes: bytes, order: bytes | None, inverse: bytes | None, total: int
) -> Rows | str:
    sizes = np.frombuffer(batch_sizes, np.int64)
    if len(sizes) == 0 or sizes[-1] < 1 or (sizes[1:] > sizes[:-1]).any():
        return "batch_sizes are not positive and falling"
    batch_size = int(sizes[0])
    if batch_size > total or sizes.sum() != total:  # the sum of huge ones may wrap around
        return "batch_sizes do not fit the data"
    if order is None or inverse is None:
        return Rows(sizes, None, None, len(sizes), batch_size, total)
    # A copy, because torch warns of arrays that can't be written to.
    numbers = np.frombuffer(order, np.int64).copy()
    if len(numbers) != batch_size or len(inverse) != len(order):
        return "sorted_indices are not one number a sequence"
    try:  # holds for inverse permutations only
        inverted = (numbers[np.frombuffer(inverse, np.int64)] == np.arange(batch_size)).all()
    except IndexError:
        inverted = False
    if not inverted:
        return "unsorted_indices do not invert sorted_indices"
    return Rows(sizes, numbers, None, len(sizes), batch_size, total)


def _places(rows: Rows, device: torch.device) -> tuple[Tensor, Tensor]:
    steps, sequences = rows.places()
    return torch.from_numpy(steps).to(device), torch.from_numpy(sequences).to(device)


def pack(rows: Rows, x: Tensor) -> Tensor:
    """Rows [rows, F] of a padded [T, B, F]."""
    return x[_places(rows, x.device)]


def unpack(rows: Rows, values: Tensor) -> Tensor:
    """The padded [T, B, F] of rows, zero elsewhere."""
    zeros = values.new_zeros((rows.padded_steps, rows.batch_size, values.shape[-1]))
    return zeros.index_put(_places(rows, values.device), values)


def sort_state(rows: Rows, state: Tensor) -> Tensor:
    """A state [D, B, H] with the sequences from the longest to the shortest."""
    if rows.order is None:
        return state
    return state.index_select(1, torch.from_numpy(rows.order).to(state.device))


def unsort_state(rows: Rows, state: Tensor) -> Tensor:
    if rows.order is None:
        return state
    return state.index_select(1, torch.from_numpy(np.argsort(rows.order)).to(state.device))


def reset_steps(rows: Rows, device: torch.device) -> list[Tensor] | None:
    """The resets of every step."""
    if rows.resets is None:
        return None
    flags = torch.from_numpy(rows.resets).to(device)
    if rows.batch_sizes is None:
        return list(flags.view(rows.padded_steps, rows.batch_size).unbind(0))
    return list(flags.split(rows.batch_sizes.tolist()))
