"""Calls that the engine computes: the usual way."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils.rnn import PackedSequence

from fastrnn._autocast import autocast_dtype, cast_call
from fastrnn._cuda import left_to_torch
from fastrnn._dispatch import engine_refuses, never_compiled, run_stack
from fastrnn._layouts import BATCH_FIRST, PACKED, TIME_FIRST
from fastrnn._native import core
from fastrnn._plan import LayerPlan, Uneven, rows_plan, stack_plan
from fastrnn._regularizers import Regularizers
from fastrnn._rows import Rows
from fastrnn.nn._checks import given_states
from fastrnn.nn._layer import Layer

__all__ = ["ByEngine"]


class ByEngine(Layer):
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

    def _engine_call(
        self,
        input: Any,  # noqa: A002
        hx: Any,
        rows: Rows | None = None,
        projects: bool = False,
    ) -> tuple[Any, ...] | str:
        """Arguments of `run_stack`, or why the engine doesn't take the call.

        ``projects``: not because of a projection, which the engine on GPUs has.
        """
        packed = rows is not None and isinstance(input, PackedSequence)
        if packed:
            input = input.data  # noqa: A001
        kind = type(input)
        if kind is not Tensor and kind is not Parameter:  # fake, or some other subclass
            return f"input is a {kind.__name__}"
        initial = given_states(hx, self._num_states)
        if initial is None:
            return "hx is not a pair"
        weights = self._engine_weights()
        if weights is None:
            return "a weight is missing"
        mixed = False
        if autocast_dtype(input) is not None:
            cast = cast_call(input, initial, weights)
            if isinstance(cast, str):
                return cast
            input, initial, weights, mixed = cast  # noqa: A001
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
                self.proj_size,
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
                self.proj_size,
            )
        proj_size = 0 if projects else self.proj_size
        reason = engine_refuses(input, initial, weights, plan, proj_size)
        if not (reason or input.is_cpu or isinstance(plan, str)) and self._torch_takes(
            packed, rows
        ):
            reason = left_to_torch(plan, input, initial, weights, packed)
        if reason is not None:
            return reason
        draw = None if self._rates is None else self._draw
        return plan, input, initial, weights, self.dropout if self.training else 0.0, rows, draw

    def _engine_weights(self) -> list[Tensor | None] | None:
        """Weights as they are now, never remembered: 4 a direction, missing biases as None.

        With a projection 5.
        """
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
            if len(names) < 4:
                end = len(weights) - len(names) + 2
                weights[end:end] = (None, None)
        return weights

    def _torch_takes(self, packed: bool, rows: Rows | None) -> bool:
        """Whether torch's layer, not a loop of operations, computes what the engine refuses."""
        return self._in_torch and (rows is None or (packed and rows.resets is None))

    def _draw(self, plan: LayerPlan, x: Tensor) -> Regularizers | None:
        assert self._rates is not None
        return self._rates.draw(
            plan.state_shapes[0],
            plan.y_shape,
            x,
            self.training,
            plan.y_strides,
            plan.sizes[4] * plan.sizes[3],
        )
