"""What all layers share: reading the weights, and choosing who computes a call."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.modules.rnn import RNNBase
from torch.nn.utils.rnn import PackedSequence

from fastrnn import _composed
from fastrnn._autocast import autocast_dtype, autocast_refuses, cast_all, cast_weights, output_dtype
from fastrnn._cuda import left_to_torch
from fastrnn._dispatch import (
    composed_needed,
    engine_refuses,
    never_compiled,
    run_stack,
    transforms_active,
)
from fastrnn._layouts import BATCH_FIRST, PACKED, TIME_FIRST
from fastrnn._native import core
from fastrnn._operator_calls import host_lengths, is_eager, operators_refuse, run_operators
from fastrnn._plan import CELL_INFO, CELL_NUMBERS, LayerPlan, Uneven, rows_plan, stack_plan
from fastrnn._regularizers import Rates, Regularizers, check_rates
from fastrnn._rows import (
    Rows,
    pack,
    reset_steps,
    rows_of_packed,
    rows_of_padded,
    sort_state,
    unpack,
    unsort_state,
    with_resets,
)
from fastrnn.nn._checks import check_composed, no_script, public_name

__all__ = ["RecurrentLayer"]

_is_compiling = torch.compiler.is_compiling


class RecurrentLayer(RNNBase):
    """Base of the layers.  ``RNNBase`` holds parameters, names, checks and representation."""

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

    def forward(
        self,
        input: Any,  # noqa: A002 - torch's name
        hx: Any = None,
        *,
        lengths: Any = None,
        resets: Any = None,
    ) -> Any:
        if lengths is not None or resets is not None or isinstance(input, PackedSequence):
            return self._forward_rows(input, hx, lengths, resets)
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
            composed = transforms_active() or self._compile_composed()
        else:
            given = hx if isinstance(hx, tuple) else (hx,)
            composed = composed_needed(input, *given, *self.parameters(recurse=False))
        if composed or not self._in_torch:
            return self._forward_composed(input, hx)
        return self.torch_twin.forward(self, input, hx)

    @property
    def _in_torch(self) -> bool:
        """Whether torch has the cell, so that its layer computes the same."""
        return self.mode in _TORCH_MODES and self._rates is None and not self.weight_drop

    def _torch_takes(self, packed: bool, rows: Rows | None) -> bool:
        """Whether torch's layer, not a loop of operations, computes what the engine refuses."""
        return self._in_torch and (rows is None or (packed and rows.resets is None))

    def extra_repr(self) -> str:
        shown = {
            "zoneout": self.zoneout,
            "recurrent_dropout": self.recurrent_dropout,
            "weight_drop": self.weight_drop,
        }
        given = (f", {name}={value}" for name, value in shown.items() if value)
        return super().extra_repr() + "".join(given)

    def _recurrent_weight(self, weight: Tensor | None) -> Tensor | None:
        """weight_hh of a call, after weight drop."""
        if weight is None or not self.weight_drop or not self.training:
            return weight
        return torch.dropout(weight, self.weight_drop, True)

    def _draw(self, plan: LayerPlan, x: Tensor) -> Regularizers | None:
        assert self._rates is not None
        return self._rates.draw(plan.state_shape, plan.y_shape, x, self.training, plan.y_strides)

    def _compile_composed(self) -> bool:
        """Whether to compile a loop of steps: torch's LSTM operator has no compiled backward."""
        return self.mode == "LSTM" and torch.is_grad_enabled() and not torch.compiler.is_exporting()

    def refusal(
        self,
        input: Any,  # noqa: A002
        hx: Any = None,
        *,
        lengths: Any = None,
        resets: Any = None,
    ) -> str | None:
        """Why a call with these arguments would not run on the engine; None where it would."""
        if lengths is not None or resets is not None or isinstance(input, PackedSequence):
            rows = self._rows(input, lengths, resets)
            call = rows if isinstance(rows, str) else self._engine_call(input, hx, rows)
        else:
            call = self._engine_call(input, hx)
        return call if isinstance(call, str) else None

    # -- sequences of different lengths, and resets ---------------------------------------------

    def _forward_rows(self, input: Any, hx: Any, lengths: Any, resets: Any) -> Any:  # noqa: A002
        compiling = _is_compiling()
        packed = isinstance(input, PackedSequence)
        known = not packed or hx is not None or input.sorted_indices is not None  # the batch size
        if known and self._operators_take(input.data if packed else input, hx, compiling):
            if packed and lengths is None:
                return self._forward_packed_operators(input, hx, resets)
            if not packed:
                return self._forward_operators(input, hx, lengths, resets)
        if compiling and packed and resets is None:
            if not self._in_torch:
                return self._forward_composed(input, hx)
            return self.torch_twin.forward(self, input, hx)
        rows = self._rows(input, lengths, resets)
        if isinstance(rows, str):  # a malformed PackedSequence
            if not self._in_torch:
                raise ValueError(f"input: {rows}")
            return self.torch_twin.forward(self, input, hx)
        if not _is_compiling():
            result = self._forward_engine(input, hx, rows)
            if result is not None:
                return result
        data = input.data if isinstance(input, PackedSequence) else input
        given = hx if isinstance(hx, tuple) else (hx,)
        composed = composed_needed(data, *given, *self.parameters(recurse=False))
        in_torch = self._in_torch and not composed
        if isinstance(input, PackedSequence) and resets is None and in_torch:
            return self.torch_twin.forward(self, input, hx)
        return self._forward_composed(input, hx, rows)

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

    # -- the engine ---------------------------------------------------------------------------

    def _cell(self) -> int:
        return _CELLS[self.mode]

    def _engine_call(
        self,
        input: Any,  # noqa: A002
        hx: Any,
        rows: Rows | None = None,
    ) -> tuple[Any, ...] | str:
        """Arguments of `run_stack`, or why the engine doesn't take the call."""
        packed = rows is not None and isinstance(input, PackedSequence)
        if packed:
            input = input.data  # noqa: A001
        kind = type(input)
        if kind is not Tensor and kind is not Parameter:  # fake, or some other subclass
            return f"input is a {kind.__name__}"
        if self._rates is not None and not input.is_cpu:
            return f"zoneout or recurrent_dropout on {input.device}"
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
        cast = autocast_dtype(input)
        if cast is not None:
            reason = autocast_refuses(cast, (input, *initial, *weights))
            if reason is not None:
                return reason
            input = input.to(cast)  # noqa: A001
            initial = cast_all(cast, initial)
            weights, mixed = cast_weights(cast, weights)
        num_directions = 2 if self.bidirectional else 1
        zoneout = self._rates is not None and self._rates.any_zoneout
        if rows is None or rows.batch_sizes is None:
            plan = stack_plan(
                core.isa_id(),
                self._cell(),
                input.dtype,
                input.shape,
                self.input_size,
                self.hidden_size,
                self.num_layers,
                num_directions,
                self.batch_first,
                mixed,
                zoneout,
            )
        else:
            plan = rows_plan(
                core.isa_id(),
                self._cell(),
                input.dtype,
                input.shape,
                PACKED if packed else BATCH_FIRST if self.batch_first else TIME_FIRST,
                Uneven(rows.steps, rows.padded_steps, rows.batch_size, rows.total),
                self.input_size,
                self.hidden_size,
                self.num_layers,
                num_directions,
                mixed,
                zoneout,
            )
        reason = engine_refuses(input, initial, weights, plan, self.proj_size)
        if not (reason or input.is_cpu or isinstance(plan, str)) and self._torch_takes(
            packed, rows
        ):
            reason = left_to_torch(plan, input, initial, weights, packed)
        if reason is not None:
            return reason
        draw = None if self._rates is None else self._draw
        return plan, input, initial, weights, self.dropout if self.training else 0.0, rows, draw

    @never_compiled
    def _forward_engine(
        self,
        input: Any,  # noqa: A002
        hx: Any,
        rows: Rows | None = None,
    ) -> Any:
        call = self._engine_call(input, hx, rows)
        if isinstance(call, str):
            return None
        packed = input if isinstance(input, PackedSequence) else None
        outputs = self._uncast(run_stack(*call), input if packed is None else packed.data, hx)
        y: Any = outputs[0] if packed is None else PackedSequence(outputs[0], *packed[1:])
        return y, outputs[1] if self._num_states == 1 else outputs[1:]

    def _uncast(self, outputs: tuple[Tensor, ...], input: Any, hx: Any) -> tuple[Tensor, ...]:  # noqa: A002
        """Outputs in the dtype that torch's layer gives under autocast."""
        cast = autocast_dtype(input)
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
            weights[-len(names) + 1] = self._recurrent_weight(weights[-len(names) + 1])
            if len(names) == 2:
                weights += (None, None)
        return weights

    # -- torch.compile, torch.export, fake tensors, dispatch modes ------------------------------

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
            self._composed_weights(),
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
            self._composed_weights(),
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

    # -- torch.func and forward-mode differentiation ----------------------------------------------

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
        weights = self._composed_weights()
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

    def _composed_weights(self) -> list[list[Tensor | None]]:
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

    # -- TorchScript ----------------------------------------------------------------------------

    def __prepare_scriptable__(self) -> RNNBase:
        """What ``torch.jit.script`` compiles in our place: torch's layer, with our parameters."""
        if not self._in_torch:
            raise RuntimeError(no_script(self))
        twin = object.__new__(self.torch_twin)  # torch's also under fastrnn.patch_torch
        twin.__dict__ = self.__dict__.copy()
        return twin

    def flatten_parameters(self) -> None:
        """Lay the weights out for cuDNN, as torch's layers do; nothing where it lacks the cell."""
        if self._in_torch:
            super().flatten_parameters()


# A layer's mode is its cell's name in capitals, as torch has it for those of its own.
_CELLS = {name.upper(): number for name, number in CELL_NUMBERS.items()}
_TORCH_MODES = ("RNN_TANH", "RNN_RELU", "LSTM", "GRU")
_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
