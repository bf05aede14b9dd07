"""What RNN, LSTM and GRU share: reading the weights, and choosing who computes a call."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.modules.rnn import RNNBase
from torch.nn.utils.rnn import PackedSequence

from fastrnn import _composed
from fastrnn._autocast import autocast_dtype, autocast_refuses, cast_all, cast_weights, output_dtype
from fastrnn._dispatch import (
    composed_needed,
    engine_refuses,
    never_compiled,
    run_stack,
    transforms_active,
)
from fastrnn._native import core
from fastrnn._operator_calls import operators_refuse, run_operators
from fastrnn._plan import CELL_INFO, CELL_NUMBERS, stack_plan

__all__ = ["RecurrentLayer"]

_is_compiling = torch.compiler.is_compiling


class RecurrentLayer(RNNBase):
    """Base of the layers.  ``RNNBase`` holds parameters, names, checks and representation."""

    # torch's class of the same name: its forward computes, or raises, where the engine doesn't.
    torch_twin: ClassVar[type[RNNBase]]
    _num_states: ClassVar[int] = 1

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002 - torch's name
        compiling = _is_compiling()
        if not compiling:
            result = self._forward_engine(input, hx)
            if result is not None:
                return result
        return self._forward_otherwise(input, hx, compiling)

    def _forward_otherwise(self, input: Any, hx: Any, compiling: bool) -> Any:  # noqa: A002
        """What the engine does not take: by the operators, torch's operations or torch's layer."""
        if self._operators_take(input, hx, compiling):
            return self._forward_operators(input, hx)
        if compiling:
            composed = transforms_active() or self._compile_composed(input)
        else:
            given = hx if isinstance(hx, tuple) else (hx,)
            composed = composed_needed(input, *given, *self.parameters(recurse=False))
        if composed:
            return self._forward_composed(input, hx)
        return self.torch_twin.forward(self, input, hx)

    def _compile_composed(self, input: Any) -> bool:  # noqa: A002
        """Whether to compile a loop of steps: torch's LSTM operator has no compiled backward."""
        return (
            self.mode == "LSTM"
            and torch.is_grad_enabled()
            and not torch.compiler.is_exporting()
            and not isinstance(input, PackedSequence)
        )

    def refusal(self, input: Any, hx: Any = None) -> str | None:  # noqa: A002
        """Why a call with these arguments would not run on the engine; None where it would."""
        call = self._engine_call(input, hx)
        return call if isinstance(call, str) else None

    # -- the engine ---------------------------------------------------------------------------

    def _cell(self) -> int:
        return _CELLS[self.mode]

    def _engine_call(self, input: Any, hx: Any) -> tuple[Any, ...] | str:  # noqa: A002
        """Arguments of `run_stack`, or why the engine doesn't take the call."""
        kind = type(input)
        if kind is not Tensor and kind is not Parameter:  # packed, fake, or some other subclass
            return f"input is a {kind.__name__}"
        initial: tuple[Any, ...]
        if self._num_states == 1:
            initial = (hx,)
        elif hx is None:
            initial = (None, None)
        elif type(hx) in (tuple, list) and len(hx) == 2 and hx[0] is not None and hx[1] is not None:
            initial = (hx[0], hx[1])
        else:
            return "hx is not a pair"
        weights = self._engine_weights()
        if weights is None:
            return "a weight is missing"
        mixed = False
        cast = autocast_dtype()
        if cast is not None:
            reason = autocast_refuses(cast, (input, *initial, *weights))
            if reason is not None:
                return reason
            input = input.to(cast)  # noqa: A001
            initial = cast_all(cast, initial)
            weights, mixed = cast_weights(cast, weights)
        plan = stack_plan(
            core.isa_id(),
            self._cell(),
            input.dtype,
            input.shape,
            self.input_size,
            self.hidden_size,
            self.num_layers,
            2 if self.bidirectional else 1,
            self.batch_first,
            mixed,
        )
        reason = engine_refuses(input, initial, weights, plan, self.proj_size)
        if reason is not None:
            return reason
        return plan, input, initial, weights, self.dropout if self.training else 0.0

    @never_compiled
    def _forward_engine(self, input: Any, hx: Any) -> Any:  # noqa: A002
        call = self._engine_call(input, hx)
        if isinstance(call, str):
            return None
        outputs = run_stack(*call)
        outputs = self._uncast(outputs, input, hx)
        return outputs if self._num_states == 1 else (outputs[0], outputs[1:])

    def _uncast(self, outputs: tuple[Tensor, ...], input: Any, hx: Any) -> tuple[Tensor, ...]:  # noqa: A002
        """Outputs in the dtype that torch's layer gives under autocast."""
        cast = autocast_dtype()
        if cast is None:
            return outputs
        state = hx[0] if isinstance(hx, (tuple, list)) else hx
        dtype = output_dtype(self.mode, cast, input, state)
        return tuple([output.to(dtype) for output in outputs])

    def _engine_weights(self) -> list[Tensor | None] | None:
        """Weights as they are now, never remembered: 4 a direction, missing biases as None."""
        parameters = self._parameters
        weights: list[Tensor | None] = []
        for names in self._all_weights:
            for name in names:
                weight = parameters.get(name)
                if weight is None:  # parametrized, pruned, weight-normed, replicated, ...
                    weight = getattr(self, name, None)
                    if weight is None:
                        return None
                weights.append(weight)
            if len(names) == 2:
                weights += (None, None)
        return weights

    # -- torch.compile, torch.export, fake tensors, dispatch modes ------------------------------

    def _operators_take(self, input: Any, hx: Any, compiling: bool) -> bool:  # noqa: A002
        if not isinstance(input, Tensor) or self.proj_size:
            return False
        initial = () if hx is None else (hx,) if self._num_states == 1 else hx
        if type(initial) not in (tuple, list) or not all(isinstance(s, Tensor) for s in initial):
            return False
        weights = [getattr(self, name, None) for names in self._all_weights for name in names]
        if len(initial) not in (0, self._num_states) or any(w is None for w in weights):
            return False
        return operators_refuse(input, initial, weights, compiling) is None

    def _forward_operators(self, input: Tensor, hx: Any) -> Any:  # noqa: A002
        x, hx = self._to_batched(input, hx)
        self.check_input(x, None)
        if hx is not None:
            self.check_forward_args(x, hx, None)
        y, *states = run_operators(
            CELL_INFO[self._cell()]["name"],
            x.transpose(0, 1) if self.batch_first else x,
            (None, None) if hx is None else (hx,) if self._num_states == 1 else hx,
            self._composed_weights(),
            2 if self.bidirectional else 1,
            self.dropout if self.training else 0.0,
        )
        y = y.transpose(0, 1) if self.batch_first else y
        if input.dim() == 2:
            y = y.squeeze(0 if self.batch_first else 1)
            states = [state.squeeze(1) for state in states]
        y, *states = self._uncast((y, *states), input, hx)
        return y, states[0] if self._num_states == 1 else tuple(states)

    # -- torch.func and forward-mode differentiation ----------------------------------------------

    def _forward_composed(self, input: Any, hx: Any) -> Any:  # noqa: A002
        packed = input if isinstance(input, PackedSequence) else None
        batch_sizes = None
        if packed is not None:
            x, batch_sizes = packed.data, packed.batch_sizes
            if hx is not None:
                hx = self.permute_hidden(hx, packed.sorted_indices)
        else:
            x, hx = self._to_batched(input, hx)
        self.check_input(x, batch_sizes)
        if hx is not None:
            self.check_forward_args(x, hx, batch_sizes)
        batch_first = self.batch_first and packed is None
        outputs = _composed.stack(
            CELL_INFO[self._cell()]["name"],
            x.transpose(0, 1) if batch_first else x,
            None if batch_sizes is None else batch_sizes.tolist(),
            [None] * self._num_states if hx is None else [hx] if self._num_states == 1 else hx,
            self._composed_weights(),
            self.dropout if self.training else 0.0,
        )
        y: Any = outputs[0].transpose(0, 1) if batch_first else outputs[0]
        states = outputs[1:]
        if packed is not None:
            y = PackedSequence(y, *packed[1:])
        elif input.dim() == 2:
            y = y.squeeze(0 if batch_first else 1)
            states = tuple(state.squeeze(1) for state in states)
        state: Any = states[0] if self._num_states == 1 else states
        return y, self.permute_hidden(state, packed.unsorted_indices if packed else None)

    def _to_batched(self, input: Tensor, hx: Any) -> tuple[Tensor, Any]:  # noqa: A002
        """Input and states with a batch dimension, or the error that torch's layers raise."""
        name = "RNN" if self.mode.startswith("RNN") else self.mode
        if input.dim() not in (2, 3):
            tensor = "tensor " if name == "RNN" else ""
            raise ValueError(
                f"{name}: Expected input to be 2D or 3D, got {input.dim()}D {tensor}instead"
            )
        states = () if hx is None else (hx,) if self._num_states == 1 else tuple(hx)
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

    def _composed_weights(self) -> list[list[Tensor | None]]:
        directions = 2 if self.bidirectional else 1
        layers: list[list[Tensor | None]] = [[] for _ in range(self.num_layers)]
        for index, names in enumerate(self._all_weights):
            given = {name.rsplit("_l", 1)[0]: getattr(self, name) for name in names}
            layers[index // directions] += [
                given.get(kind)
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
            ]
        return layers

    # -- TorchScript ----------------------------------------------------------------------------

    def __prepare_scriptable__(self) -> RNNBase:
        """What ``torch.jit.script`` compiles in our place: torch's layer, with our parameters."""
        twin = object.__new__(self.torch_twin)  # torch's also under fastrnn.patch_torch
        twin.__dict__ = self.__dict__.copy()
        return twin


_CELLS = {
    "RNN_TANH": CELL_NUMBERS["rnn_tanh"],
    "RNN_RELU": CELL_NUMBERS["rnn_relu"],
    "LSTM": CELL_NUMBERS["lstm"],
    "GRU": CELL_NUMBERS["gru"],
}
