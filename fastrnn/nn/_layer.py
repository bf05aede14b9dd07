"""What a layer is, whoever computes its calls: parameters, rates, shapes."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.modules.rnn import RNNBase
from torch.nn.utils.rnn import PackedSequence

from fastrnn._autocast import autocast_dtype, output_dtype
from fastrnn._plan import CELL_NUMBERS
from fastrnn._regularizers import Rates, check_rates
from fastrnn._rows import Rows, rows_of_packed, rows_of_padded, with_resets
from fastrnn.nn._checks import public_name

__all__ = ["Layer"]

# A layer's mode is its cell's name in capitals, as torch has it for those of its own.
_CELLS = {name.upper(): number for name, number in CELL_NUMBERS.items()}
_TORCH_MODES = ("RNN_TANH", "RNN_RELU", "LSTM", "GRU")
_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


class Layer(RNNBase):
    """``RNNBase`` holds parameters, names, checks and representation."""

    # torch's class of the same name: its forward computes, or raises, where the engine doesn't.
    # Where torch has no such cell, a loop of torch's operations does.
    torch_twin: ClassVar[type[RNNBase]]
    _num_states: ClassVar[int] = 1

    # Regularizers inside the recurrence; `_regularizers` says what they do.
    zoneout: float | tuple[float, ...] = 0.0
    recurrent_dropout: float = 0.0
    weight_drop: float = 0.0
    _rates: Rates | None = None  # None where neither of the first two is asked for

    def __init__(
        self,
        *args: Any,
        zoneout: float | tuple[float, ...] = 0.0,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
        **kwargs: Any,
    ) -> None:
        rates = check_rates(zoneout, recurrent_dropout, weight_drop, self._num_states)
        super().__init__(*args, **kwargs)
        if zoneout or recurrent_dropout:  # what is not asked for costs no attribute
            self.zoneout, self.recurrent_dropout, self._rates = zoneout, recurrent_dropout, rates
        if weight_drop:
            self.weight_drop = weight_drop

    @property
    def _in_torch(self) -> bool:
        """Whether torch has the cell, so that its layer computes the same."""
        return self.mode in _TORCH_MODES and self._rates is None and not self.weight_drop

    def extra_repr(self) -> str:
        shown = {
            "zoneout": self.zoneout,
            "recurrent_dropout": self.recurrent_dropout,
            "weight_drop": self.weight_drop,
        }
        given = (f", {name}={value}" for name, value in shown.items() if value)
        return super().extra_repr() + "".join(given)

    def _cell(self) -> int:
        return _CELLS[self.mode]

    def _recurrent_weight(self, weight: Tensor | None) -> Tensor | None:
        """weight_hh of a call, after weight drop."""
        if weight is None or not self.weight_drop or not self.training:
            return weight
        return torch.dropout(weight, self.weight_drop, True)

    def _layer_weights(self) -> list[list[Tensor | None]]:
        """Of each layer, five a direction, None for missing ones."""
        directions = 2 if self.bidirectional else 1
        layers: list[list[Tensor | None]] = [[] for _ in range(self.num_layers)]
        for index, names in enumerate(self._all_weights):
            given = {name.rsplit("_l", 1)[0]: getattr(self, name) for name in names}
            given["weight_hh"] = self._recurrent_weight(given["weight_hh"])
            one = self._cell_weights(given)
            layers[index // directions] += [*one, *[None] * (5 - len(one))]
        return layers

    def _cell_weights(self, given: dict[str, Tensor | None]) -> list[Tensor | None]:
        """Four or five that a direction of the cell has, None for missing ones, from parameters."""
        return [given.get(kind) for kind in _KINDS]

    def _to_batched(self, input: Tensor, hx: Any) -> tuple[Tensor, Any]:  # noqa: A002
        """Input and states with a batch dimension, or the error that torch's layers raise."""
        if input.dim() not in (2, 3):
            name = public_name(self)
            tensor = "tensor " if name == "RNN" else ""
            raise ValueError(
                f"{name}: Expected input to be 2D or 3D, got {input.dim()}D {tensor}instead"
            )
        states = () if hx is None else (hx,) if self._num_states == 1 else tuple(hx)
        if (
            self._num_states == 2
            and hx is not None
            and (len(states) != 2 or isinstance(hx, Tensor))
        ):
            raise RuntimeError(f"{public_name(self)} expects two hidden states")
        dims = tuple(state.dim() for state in states)
        if any(dim != input.dim() for dim in dims):
            expected = f"{'batched' if input.dim() == 3 else 'unbatched'} {input.dim()}-D input"
            if self._num_states == 1:
                detail = f"hx should also be {input.dim()}-D but got {dims[0]}-D tensor"
            else:
                detail = (
                    f"hx and cx should also be {input.dim()}-D but got "
                    f"({dims[0]}-D, {dims[1]}-D) tensors"
                )
            raise RuntimeError(f"For {expected}, {detail}")
        if input.dim() == 3:
            return input, hx
        states = tuple(state.unsqueeze(1) for state in states)
        hx = None if hx is None else states[0] if self._num_states == 1 else states
        return input.unsqueeze(0 if self.batch_first else 1), hx

    def _rows(self, input: Any, lengths: Any, resets: Any) -> Rows | str:  # noqa: A002
        """What ``lengths``, ``resets`` or a packed input say; errors where they don't fit it."""
        if not isinstance(input, PackedSequence):
            if input.dim() not in (2, 3):
                self._to_batched(input, None)  # raises torch's error
            batch_first = self.batch_first and input.dim() == 3
            rows = rows_of_padded(lengths, resets, tuple(input.shape[:-1]), batch_first)
            assert rows is not None  # one of both is given
            return rows
        if lengths is not None:
            raise ValueError("lengths: a PackedSequence has lengths of its own")
        found = rows_of_packed(input)
        if resets is None:
            return found
        if isinstance(found, str):
            raise ValueError(f"input: {found}")
        return with_resets(found, resets, tuple(input.data.shape[:1]), batch_first=False)

    def _uncast(self, outputs: tuple[Tensor, ...], input: Any, hx: Any) -> tuple[Tensor, ...]:  # noqa: A002
        """Outputs in the dtype that torch's layer gives under autocast."""
        cast = autocast_dtype(input)
        if cast is None:
            return outputs
        state = hx[0] if isinstance(hx, (tuple, list)) else hx
        dtype = output_dtype(self.mode, cast, input, state)
        return tuple([output.to(dtype) for output in outputs])
