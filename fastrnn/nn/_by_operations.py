"""Calls by a loop of torch's own operations: torch.func, forward-mode differentiation, and more."""

from __future__ import annotations

from typing import Any

from torch.nn.utils.rnn import PackedSequence

from fastrnn import _composed
from fastrnn._plan import CELL_INFO
from fastrnn._rows import Rows, pack, reset_steps, sort_state, unpack, unsort_state
from fastrnn.nn._checks import check_composed
from fastrnn.nn._layer import Layer

__all__ = ["ByOperations"]


class ByOperations(Layer):
    def _forward_composed(
        self,
        input: Any,  # noqa: A002
        hx: Any,
        rows: Rows | None = None,
    ) -> Any:
        packed = input if isinstance(input, PackedSequence) else None
        batch_sizes = None if packed is None else packed.batch_sizes
        if packed is not None:
            x = packed.data
            if hx is not None:
                hx = self.permute_hidden(hx, packed.sorted_indices)
        else:
            x, hx = self._to_batched(input, hx)
        self.check_input(x, batch_sizes)
        if hx is not None:
            self.check_forward_args(x, hx, batch_sizes)
        initial = [None] * self._num_states if hx is None else [hx] if self._num_states == 1 else hx
        weights = self._layer_weights()
        if not self._in_torch:
            check_composed(self, x, initial, weights)
        batch_first = self.batch_first and packed is None
        if batch_first:
            x = x.transpose(0, 1)
        sizes: Any = batch_sizes
        uneven = None
        if packed is None and rows is not None and rows.batch_sizes is not None:
            uneven = rows
        if uneven is not None:
            x, initial = (
                pack(uneven, x),
                [s if s is None else sort_state(uneven, s) for s in initial],
            )
            sizes = uneven.batch_sizes
        y: Any
        y, *states = _composed.stack(
            CELL_INFO[self._cell()]["name"],
            x,
            None if sizes is None else sizes.tolist(),
            initial,
            weights,
            self.dropout if self.training else 0.0,
            None if rows is None else reset_steps(rows, x.device),
            None if uneven is None else uneven.batch_size,
            self._rates,
            self.training,
        )
        if not self._in_torch:
            y, *states = self._uncast((y, *states), x, hx)
        if uneven is not None:
            y, states = unpack(uneven, y), [unsort_state(uneven, state) for state in states]
        if batch_first:
            y = y.transpose(0, 1)
        if packed is not None:
            y = PackedSequence(y, *packed[1:])
        elif input.dim() == 2:
            y = y.squeeze(0 if batch_first else 1)
            states = [state.squeeze(1) for state in states]
        state: Any = states[0] if self._num_states == 1 else tuple(states)
        return y, self.permute_hidden(state, packed.unsorted_indices if packed else None)
