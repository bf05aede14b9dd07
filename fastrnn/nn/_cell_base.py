"""What all cells share: reading the weights, and choosing who computes a step."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.nn.modules.rnn import RNNCellBase

from fastrnn import _composed
from fastrnn._autocast import autocast_dtype, cast_call, output_dtype
from fastrnn._cuda import left_to_torch
from fastrnn._dispatch import (
    composed_needed,
    engine_refuses,
    never_compiled,
    run_step,
    transforms_active,
)
from fastrnn._layouts import STEP
from fastrnn._native import core
from fastrnn._operator_calls import operators_refuse, planned_layer
from fastrnn._plan import CELL_INFO, step_plan
from fastrnn.nn._checks import check_states, check_weights, given_states, no_script, public_name

__all__ = ["RecurrentCell"]

_is_compiling = torch.compiler.is_compiling
_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class RecurrentCell(RNNCellBase):
    """Base of the cells.  ``RNNCellBase`` holds parameters and representation."""

    # torch's class of the same name: its forward computes, or raises, where the engine doesn't.
    # Where torch has no such cell, torch's operations do.
    torch_twin: ClassVar[type[RNNCellBase]]
    _num_states: ClassVar[int] = 1
    _names: ClassVar[tuple[str, ...]] = _NAMES  # of the parameters, in the engine's order
    _number: int  # the cell's

    def _cell(self) -> int | None:
        return self._number

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002 - torch's name
        compiling = _is_compiling()
        if not compiling:
            result = self._forward_engine(input, hx)
            if result is not None:
                return result
        return self._forward_otherwise(input, hx, compiling)

    def _forward_otherwise(self, input: Any, hx: Any, compiling: bool) -> Any:  # noqa: A002
        """What the engine does not take: by the operators, torch's operations or torch's cell."""
        if self._operators_take(input, hx, compiling):
            return self._forward_operators(input, hx)
        given = hx if isinstance(hx, tuple) else (hx,)
        composed = not self._in_torch or (
            transforms_active()
            if compiling
            else composed_needed(input, *given, *self.parameters(recurse=False))
        )
        if composed:
            return self._forward_composed(input, hx)
        return self.torch_twin.forward(self, input, hx)

    @property
    def _in_torch(self) -> bool:
        """Whether torch has the cell, so that its class computes the same."""
        return True

    def refusal(self, input: Any, hx: Any = None) -> str | None:  # noqa: A002
        """Why a call with these arguments would not run on the engine; None where it would."""
        call = self._engine_call(input, hx)
        return call if isinstance(call, str) else None

    def _engine_call(self, input: Any, hx: Any) -> tuple[Any, ...] | str:  # noqa: A002
        kind = type(input)
        if kind is not Tensor and kind is not Parameter:
            return f"input is a {kind.__name__}"
        initial = given_states(hx, self._num_states)
        if initial is None:
            return "hx is not a pair"
        cell = self._cell()
        if cell is None:
            return "unknown nonlinearity"
        weights = self._engine_weights()
        if (weights[2] is None) != (weights[3] is None):
            return "one bias is missing"
        mixed = False
        if autocast_dtype(input) is not None:
            cast = cast_call(input, initial, weights)
            if isinstance(cast, str):
                return cast
            input, initial, weights, mixed = cast  # noqa: A001
        plan = step_plan(
            core.isa_id(), cell, input.dtype, input.shape, self.input_size, self.hidden_size, mixed
        )
        reason = engine_refuses(input, initial, weights, plan)
        if reason is None and not input.is_cpu and self._in_torch:
            assert not isinstance(plan, str)
            reason = left_to_torch(plan, input, initial, weights)
        return (plan, input, initial, weights) if reason is None else reason

    @never_compiled
    def _forward_engine(self, input: Any, hx: Any) -> Any:  # noqa: A002
        call = self._engine_call(input, hx)
        if isinstance(call, str):
            return None
        states = run_step(*call)
        states = self._uncast(states, input, hx)
        return states[0] if self._num_states == 1 else states

    def _uncast(self, states: tuple[Tensor, ...], input: Any, hx: Any) -> tuple[Tensor, ...]:  # noqa: A002
        """States in the dtype that torch's cell gives under autocast."""
        cast = autocast_dtype(input)
        if cast is None:
            return states
        state = hx[0] if isinstance(hx, (tuple, list)) else hx
        dtype = output_dtype(public_name(self), cast, input, state)
        return tuple([state.to(dtype) for state in states])

    def _engine_weights(self) -> list[Tensor | None]:
        """Weights as they are now, never remembered; a missing one as None."""
        parameters = self._parameters
        return [
            parameters[name] if name in parameters else getattr(self, name) for name in self._names
        ]

    def _operators_take(self, input: Any, hx: Any, compiling: bool) -> bool:  # noqa: A002
        if not isinstance(input, Tensor) or self._cell() is None:
            return False
        initial = () if hx is None else (hx,) if self._num_states == 1 else hx
        if type(initial) not in (tuple, list) or not all(isinstance(s, Tensor) for s in initial):
            return False
        weights = self._engine_weights()
        if len(initial) not in (0, self._num_states) or (weights[2] is None) != (
            weights[3] is None
        ):
            return False
        return operators_refuse(input, initial, weights, compiling) is None

    def _forward_operators(self, input: Tensor, hx: Any) -> Any:  # noqa: A002
        states = () if hx is None else (hx,) if self._num_states == 1 else tuple(hx)
        self._check(input, states)
        cell = self._cell()
        assert cell is not None
        outputs = planned_layer(
            CELL_INFO[cell]["name"],
            STEP,
            input,
            states or (None,) * self._num_states,
            self._engine_weights(),
            1,
        )
        outputs = self._uncast(outputs, input, hx)
        return outputs[0] if self._num_states == 1 else (outputs[0], outputs[2])

    def _forward_composed(self, input: Tensor, hx: Any) -> Any:  # noqa: A002
        states = () if hx is None else (hx,) if self._num_states == 1 else tuple(hx)
        self._check(input, states)
        cell = self._cell()
        if cell is None:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        weights = self._engine_weights()
        if not self._in_torch:
            check_states(input, states)
            check_weights(cell, self.input_size, self.hidden_size, weights)
        outputs = _composed.planned_layer(
            CELL_INFO[cell]["name"],
            STEP,
            STEP,
            input,
            states or (None,) * self._num_states,
            weights,
            len(weights),
        )
        if not self._in_torch:
            outputs = self._uncast(outputs, input, hx)
        return outputs[0] if self._num_states == 1 else (outputs[0], outputs[2])

    def _check(self, input: Tensor, states: tuple[Tensor, ...]) -> None:  # noqa: A002
        """The errors of torch's cells, where torch's own code is not there to raise them."""
        if input.dim() not in (1, 2):
            name = public_name(self)
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        for index, state in enumerate(states):
            if state.dim() not in (1, 2):
                name = public_name(self)
                what = "hidden" if self._num_states == 1 else f"hx[{index}]"
                raise ValueError(
                    f"{name}: Expected {what} to be 1D or 2D, got {state.dim()}D instead"
                )
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {input.shape[-1]} "
                f"expected {self.input_size}"
            )
        batch_size = input.shape[0] if input.dim() == 2 else 1
        if len(states) not in (0, self._num_states):
            raise RuntimeError(f"{public_name(self)} expects two hidden states")
        for index, state in enumerate(states):
            sizes = state.shape if input.dim() == 2 else (1, *state.shape)
            if sizes[0] != batch_size:
                raise RuntimeError(
                    f"Input batch size {batch_size} doesn't match "
                    f"hidden{index} batch size {sizes[0]}"
                )
            if sizes[-1] != self.hidden_size or len(sizes) != 2:
                raise RuntimeError(
                    f"hidden{index} has inconsistent hidden_size: "
                    f"got {sizes[1] if len(sizes) > 1 else 1}, expected {self.hidden_size}"
                )

    def __prepare_scriptable__(self) -> Module:
        """What ``torch.jit.script`` compiles in our place: torch's cell, with our parameters."""
        if not self._in_torch:
            raise RuntimeError(no_script(self))
        twin = object.__new__(self.torch_twin)  # torch's also under fastrnn.patch_torch
        twin.__dict__ = self.__dict__.copy()
        return twin
