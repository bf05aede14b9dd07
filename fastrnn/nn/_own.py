"""Base of the layers and cells that torch does not have: parameters in torch's manner."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import LSTM, Parameter

from fastrnn._autocast import autocast_dtype, autocast_refuses
from fastrnn._plan import CELL_INFO
from fastrnn.nn._base import RecurrentLayer
from fastrnn.nn._cell_base import RecurrentCell

__all__ = ["Combined", "OwnCell", "OwnLayer", "TwoStateLayer"]

Combined = tuple[Tensor, "Tensor | None"]


class OwnLayer(RecurrentLayer):
    """A layer of a cell that torch lacks.

    Parameters, their names, order and initialization are as torch would have them: for each layer
    and direction ``weight_ih``, ``weight_hh``, both biases, then those of `_further_shapes`.
    """

    _kind: str  # the cell's name

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
        *,
        zoneout: float | tuple[float, ...] = 0.0,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
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
            zoneout=zoneout,
            recurrent_dropout=recurrent_dropout,
            weight_drop=weight_drop,
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
            shapes |= self._further_shapes()
            self._given_kinds = tuple(shapes)
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
        """The cell's weights, biases and unit parameters."""
        return _cell_weights(self, given)

    def _combined(self, weight_hh: Tensor, further: dict[str, Tensor]) -> Combined:
        """weight_hh and the unit parameters as the cell has them."""
        return weight_hh, next(iter(further.values()), None)

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
            given["weight_hh"] = self._recurrent_weight(given["weight_hh"])
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
        """As a layer's."""
        return {}

    def _combined(self, weight_hh: Tensor, further: dict[str, Tensor]) -> Combined:
        """As a layer's."""
        return weight_hh, next(iter(further.values()), None)

    def _engine_weights(self) -> list[Tensor | None]:
        kinds = (*_KINDS, *self._further_shapes())
        return _cell_weights(self, {kind: getattr(self, kind) for kind in kinds})

    @property
    def _in_torch(self) -> bool:
        return False

    def _uncast(self, states: tuple[Tensor, ...], input: Any, hx: Any) -> tuple[Tensor, ...]:  # noqa: A002, ARG002
        return _cast_outputs(states, input)


def _cell_weights(
    module: OwnLayer | OwnCell, given: dict[str, Tensor | None]
) -> list[Tensor | None]:
    """The weights, biases and unit parameters that a cell has, None for a missing bias."""
    further: dict[str, Tensor] = {}
    for kind, shape in module._further_shapes().items():
        value = given[kind]
        assert value is not None
        if value.shape != shape:
            raise RuntimeError(f"{kind} must have shape {shape}, got {tuple(value.shape)}")
        further[kind] = value
    weight_hh, units = given["weight_hh"], None
    if further and weight_hh is not None:
        cell = module._cell()
        assert cell is not None  # only layers of torch's have options that name none
        expected = (CELL_INFO[cell]["num_gates"] * module.hidden_size, module.hidden_size)
        if weight_hh.shape != expected:
            raise RuntimeError(
                f"weight_hh must have shape {expected}, got {tuple(weight_hh.shape)}"
            )
        weight_hh, units = module._combined(weight_hh, further)
    weights = [given["weight_ih"], weight_hh, given.get("bias_ih"), given.get("bias_hh")]
    return weights if units is None else [*weights, units]


def _cast_outputs(outputs: tuple[Tensor, ...], input: Any) -> tuple[Tensor, ...]:  # noqa: A002
    cast = autocast_dtype(input)
    if cast is None or autocast_refuses(cast, (input, *outputs)) is not None:
        return outputs
    return tuple([output.to(cast) for output in outputs])


_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
