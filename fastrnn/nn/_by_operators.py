"""Calls by the operators ``fastrnn::layer``: torch.compile, torch.export, fake tensors, modes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from fastrnn._operator_calls import host_lengths, is_eager, operators_refuse, run_operators
from fastrnn._plan import CELL_INFO
from fastrnn.nn._layer import Layer

__all__ = ["ByOperators"]


class ByOperators(Layer):
    def _operators_take(self, input: Any, hx: Any, compiling: bool) -> bool:  # noqa: A002
        if not isinstance(input, Tensor) or self.proj_size or (not compiling and is_eager(input)):
            return False
        initial = () if hx is None else (hx,) if self._num_states == 1 else hx
        if type(initial) not in (tuple, list) or not all(isinstance(s, Tensor) for s in initial):
            return False
        weights = [getattr(self, name, None) for names in self._all_weights for name in names]
        if len(initial) not in (0, self._num_states) or any(w is None for w in weights):
            return False
        return operators_refuse(input, initial, weights, compiling) is None

    def _forward_operators(
        self,
        input: Tensor,  # noqa: A002
        hx: Any,
        lengths: Any = None,
        resets: Any = None,
    ) -> Any:
        if lengths is not None:
            if input.dim() == 2:
                raise ValueError("lengths: the input has no batch, so all its steps count")
            lengths = host_lengths(lengths)
        if resets is not None:
            resets = torch.as_tensor(resets)
            if input.dim() == 2:
                resets = resets.unsqueeze(1)
            elif self.batch_first:
                resets = resets.transpose(0, 1)
        x, hx = self._to_batched(input, hx)
        self.check_input(x, None)
        if hx is not None:
            self.check_forward_args(x, hx, None)
        y, *states = run_operators(
            CELL_INFO[self._cell()]["name"],
            x.transpose(0, 1) if self.batch_first else x,
            (None, None) if hx is None else (hx,) if self._num_states == 1 else hx,
            self._layer_weights(),
            2 if self.bidirectional else 1,
            self.dropout if self.training else 0.0,
            lengths,
            None,
            resets,
            self._rates,
            self.training,
        )
        y = y.transpose(0, 1) if self.batch_first else y
        if input.dim() == 2:
            y = y.squeeze(0 if self.batch_first else 1)
            states = [state.squeeze(1) for state in states]
        y, *states = self._uncast((y, *states), input, hx)
        return y, states[0] if self._num_states == 1 else tuple(states)

    def _forward_packed_operators(
        self,
        input: PackedSequence,  # noqa: A002
        hx: Any,
        resets: Any,
    ) -> Any:
        data, batch_sizes, order, inverse = input
        rows = self.num_layers * (2 if self.bidirectional else 1)
        if hx is None:
            assert order is not None
            zeros = data.new_zeros(rows, order.shape[0], self.hidden_size)
            states: tuple[Tensor, ...] = (zeros,) * self._num_states
        else:
            given = self.permute_hidden(hx, order)
            states = (given,) if self._num_states == 1 else tuple(given)
            for state in states:
                self.check_hidden_size(state, (rows, state.shape[1], self.hidden_size))
        self.check_input(data, batch_sizes)
        resets = resets.data if isinstance(resets, PackedSequence) else resets
        y, *finals = run_operators(
            CELL_INFO[self._cell()]["name"],
            data,
            states,
            self._layer_weights(),
            2 if self.bidirectional else 1,
            self.dropout if self.training else 0.0,
            None,
            batch_sizes,
            None if resets is None else torch.as_tensor(resets),
            self._rates,
            self.training,
        )
        y, *finals = self._uncast((y, *finals), data, hx)
        final: Any = finals[0] if self._num_states == 1 else tuple(finals)
        result = PackedSequence(y, batch_sizes, order, inverse)
        return result, self.permute_hidden(final, inverse)
