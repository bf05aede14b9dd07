"""Base of the layers and cells that torch does not have: parameters in torch's manner."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import LSTM, Parameter

from fastrnn._autocast import autocast_dtype, autocast_refuses
from fastrnn._plan import CELL_INFO
from fastrnn.nn._base import RecurrentLayer
from fastrnn.nn._cell_base import RecurrentCell

__all__ = ["OwnCell", "OwnLayer", "TwoStateLayer"]


class OwnLayer(RecurrentLayer):
    """A layer of a cell that torch lacks.

    Parameters, their names, order and initialization are as torch would have them: for each layer
    and direction ``weight_ih``, ``weight_hh``, both biases, then those of `_further_shapes`.
    """

    _kind: ClassVar[str]  # the cell's name

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        # torch's checks and attributes; its parameters, which take no memory, are replaced.
        super().__init__(
            "RNN_TANH",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device="meta",
        )
        for name in self._flat_weights_names:
            delattr(self, name)
        self.mode = self._kind.upper()
        self._create_parameters(device, dtype)
        self.reset_parameters()

    def _create_parameters(self, device: Any, dtype: Any) -> None:
        rows = CELL_INFO[self._cell()]["num_gates"] * self.hidden_size
        directions = 2 if self.bidirectional else 1
        self._flat_weights_names: list[str] = []
        self._all_weights: list[list[str]] = []
        for layer in range(self.num_layers):
            columns = directions * self.hidden_size if layer else self.input_size
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (rows, columns),
                "weight_hh": (rows, self.hidden_size),
            }
            if self.bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            further = self._further_shapes()
            shapes |= further
            self._given_kinds = tuple(shapes)
            self._kinds = (*_KINDS, *further)
            for suffix in ("", "_reverse")[:directions]:
                names = [f"{kind}_l{layer}{suffix}" for kind in shapes]
                for name, shape in zip(names, shapes.values(), strict=True):
                    setattr(self, name, Parameter(torch.empty(shape, device=device, dtype=dtype)))
                self._flat_weights_names += names
                self._all_weights.append(names)
        self._init_flat_weights()

    def _further_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of a direction's parameters beyond weights and biases, by kind."""
        return {}

    def _cell_weights(self, given: dict[str, Tensor | None]) -> list[Tensor | None]:
        """The cell's weights, biases and unit parameters: here the parameters themselves."""
        return [given.get(kind) for kind in self._kinds]

    def _engine_weights(self) -> list[Tensor | None] | None:
        parameters = self._parameters
        weights: list[Tensor | None] = []
        for names in self._all_weights:
            given: dict[str, Tensor | None] = {}
            for kind, name in zip(self._given_kinds, names, strict=True):
                weight = parameters.get(name)
                if weight is None:
                    weight = getattr(self, name, None)
                    if weight is None:
                        return None
                given[kind] = weight
            weights += self._cell_weights(given)
        return weights

    def _uncast(self, outputs: tuple[Tensor, ...], input: Any, hx: Any) -> tuple[Tensor, ...]:  # noqa: A002, ARG002
        """Under autocast results are of its dtype, as those of ``torch.nn.LSTM``."""
        return _cast_outputs(outputs, input)


class TwoStateLayer(OwnLayer):
    """One with a cell state: hx is a pair, checked and permuted as by ``torch.nn.LSTM``."""

    _num_states = 2

    get_expected_cell_size = LSTM.get_expected_cell_size
    permute_hidden = LSTM.permute_hidden  # type: ignore[assignment]
    check_forward_args = LSTM.check_forward_args  # type: ignore[assignment]


class OwnCell(RecurrentCell):
    """A cell that torch lacks."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        num_gates = CELL_INFO[self._number]["num_gates"]
        super().__init__(input_size, hidden_size, bias, num_gates, device=device, dtype=dtype)
        further = self._further_shapes()
        for name, shape in further.items():
            setattr(self, name, Parameter(torch.empty(shape, device=device, dtype=dtype)))
        if further:
            self.reset_parameters()

    def _further_shapes(self) -> dict[str, tuple[int, ...]]:
        """As a layer's; `_names` has them, too."""
        return {}

    @property
    def _in_torch(self) -> bool:
        return False

    def _uncast(self, states: tuple[Tensor, ...], input: Any, hx: Any) -> tuple[Tensor, ...]:  # noqa: A002, ARG002
        return _cast_outputs(states, input)


def _cast_outputs(outputs: tuple[Tensor, ...], input: Any) -> tuple[Tensor, ...]:  # noqa: A002
    cast = autocast_dtype()
    if cast is None or autocast_refuses(cast, (input, *outputs)) is not None:
        return outputs
    return tuple([output.to(cast) for output in outputs])


_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
