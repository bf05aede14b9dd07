"""The way to the CUDA engine: tensors in, addresses out; products over all steps by torch.

The engine computes what is recurrent.  The input's products with its weights before it, and the
gradients of weights and input after it, are one matrix product each over all steps, for which
torch's libraries are as fast as anything.

Nothing here asks where the tensors are: with the emulated engine, which tests use, they are on
the CPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from fastrnn._layouts import BATCH_FIRST, PACKED, STEP, UNBATCHED
from fastrnn._lengths import Rows
from fastrnn._native import core
from fastrnn._plan import LayerPlan, StackPlan
from fastrnn._rows import pack, sort_state, unpack, unsort_state

__all__ = [
    "Engine",
    "apply_layer",
    "device_engine",
    "emulated_engine",
    "Only",
    "enabled",
    "plan_of",
    "plan_only",
    "refuses",
    "run_stack",
    "run_step",
    "set_enabled",
]


class Engine(NamedTuple):
    """The compiled functions, and where they run."""

    functions: Any  # core.cuda or core.testing.emulated
    stream: Callable[[Tensor], int]  # of a tensor's device: the one that torch uses now
    caps: Callable[[int], Any]  # what plans depend on, of a device


device_engine = Engine(
    core.cuda,
    lambda tensor: int(torch.cuda.current_stream(tensor.device).cuda_stream),
    core.cuda.device_caps,
)


def _emulated_caps(device: int) -> Any:  # noqa: ARG001
    """An H100's."""
    caps = core.cuda.DeviceCaps()
    caps.name = "emulated"
    caps.major, caps.minor = 9, 0
    caps.multiprocessors = 132
    caps.shared_per_block = caps.shared_per_sm = 227 << 10
    caps.registers_per_sm = 1 << 16
    caps.threads_per_sm = 2048
    caps.max_cluster = 16
    caps.cooperative = True
    return caps


emulated_engine = Engine(core.testing.emulated, lambda tensor: 0, _emulated_caps)  # noqa: ARG005

MODES = ("stepwise", "block", "cluster", "grid")
_WEIGHTS = ("memory", "registers", "shared")


class Only(NamedTuple):
    """What plans must keep to, for tuning and tests; -1 and 0 mean anything."""

    mode: int = -1
    slices: int = 0
    group_rows: int = 0
    weights: int = -1

    @classmethod
    def read(cls, text: str) -> Only:
        """Of ``mode=grid,slices=8,group_rows=2,weights=shared``, each of them if wanted."""
        given: dict[str, int] = {}
        for part in filter(None, text.split(",")):
            name, _, value = part.partition("=")
            if name not in cls._fields:
                raise ValueError(f"FASTRNN_CUDA_PLAN: {name!r} is none of {', '.join(cls._fields)}")
            words = {"mode": MODES, "weights": _WEIGHTS}.get(name)
            if words is None:
                given[name] = int(value)
            elif value in words:
                given[name] = words.index(value)
            else:
                raise ValueError(f"FASTRNN_CUDA_PLAN: {value!r} is none of {', '.join(words)}")
        return cls(**given)


NO_REGULARIZERS = "the CUDA engine has neither zoneout nor dropout on h yet"


def enabled() -> bool:
    """Whether tensors on a GPU go to the engine at all."""
    return _switch.on


class _Switch:
    """``FASTRNN_CUDA=1`` in the environment, or `fastrnn.backends.use_cuda`."""

    def __init__(self) -> None:
        self.on = os.environ.get("FASTRNN_CUDA", "0") == "1"
        self.only = Only.read(os.environ.get("FASTRNN_CUDA_PLAN", ""))


_switch = _Switch()


def set_enabled(on: bool) -> bool:
    """Switch; returns what it was before."""
    before, _switch.on = _switch.on, on
    return before


def plan_only(only: Only) -> Only:
    """Have plans keep to something from now on; returns what it was before."""
    before, _switch.only = _switch.only, only
    return before


@cache
def _caps(engine: Engine, device: int) -> Any:
    return engine.caps(device)


@lru_cache(maxsize=4096)
def _make_plan(
    engine: Engine,
    device: int,
    cell: int,
    number: int,
    backward: bool,
    batch_size: int,
    hidden_size: int,
    num_directions: int,
    only: Only,
) -> Any:
    caps = _caps(engine, device)
    return core.cuda.make_plan(
        caps, cell, number, backward, batch_size, hidden_size, num_directions, only
    )


def plan_of(engine: Engine, plan: LayerPlan, device: int, backward: bool) -> Any:
    """How a layer's call would run: a ``core.cuda.Plan``."""
    _, batch_size, _, hidden_size, num_directions = plan.sizes[:5]
    return _make_plan(
        engine,
        device,
        plan.cell,
        plan.number,
        backward,
        batch_size,
        hidden_size,
        num_directions,
        _switch.only,
    )


class _Columns(NamedTuple):
    """Layout of the engine's arrays in units of H; csrc/cuda/engine.h."""

    slots: int
    gradients: int
    # (column of the gradients, row of weight_hh, how many, phase whose operand goes with them)
    segments: list[tuple[int, int, int, int]]


@cache
def _columns(cell: int) -> _Columns:
    return _Columns(*core.cuda.columns(cell))


@dataclass(frozen=True, slots=True)
class _Shape:
    """A layer's call as the engine sees it."""

    engine: Engine
    plan: LayerPlan
    rows: Rows | None
    seq_len: int
    batch_size: int
    hidden_size: int
    num_directions: int
    row_step: int  # rows of the engine's arrays lie as those of x do
    row_sequence: int
    offsets: Any  # NumPy [T + 1]; None: every step has all rows
    device_offsets: Tensor | None
    device_resets: Tensor | None

    @property
    def num_rows(self) -> int:
        return self.seq_len * self.batch_size if self.rows is None else self.rows.total

    def rows_at(self) -> tuple[int, ...]:
        offsets = 0 if self.offsets is None else self.offsets.__array_interface__["data"][0]
        return (
            offsets,
            _at(self.device_offsets),
            _at(self.device_resets),
            self.row_step,
            self.row_sequence,
        )

    def sizes(self) -> tuple[int, int, int, int]:
        return self.seq_len, self.batch_size, self.hidden_size, self.num_directions

    def plan_call(self, x: Tensor, backward: bool) -> tuple[Any, Tensor | None]:
        """The plan, and memory for it."""
        device = x.device.index or 0
        if x.is_cuda and self.engine.functions.failures(device):
            raise RuntimeError(
                "fastrnn: blocks of an earlier call on this GPU waited for others in vain (longer "
                "than FASTRNN_CUDA_PATIENCE, 10 seconds if not set); its results are wrong"
            )
        how = plan_of(self.engine, self.plan, device, backward)
        size = how.scratch_bytes(self.num_directions)
        return how, x.new_empty((size,), dtype=torch.uint8) if size else None

    def steps_at(self, values: Tensor | None) -> tuple[int, int, int]:
        """Address and strides of [T, B, F], or of packed rows [rows, F]."""
        if values is None:
            return (0, 0, 0)
        if values.dim() == 2:
            return values.data_ptr(), 0, values.stride(0)
        return values.data_ptr(), values.stride(0), values.stride(1)


def _at(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _shape_of(engine: Engine, plan: LayerPlan, rows: Rows | None, x: Tensor) -> _Shape:
    seq_len, batch_size, _, hidden_size, num_directions = plan.sizes[:5]
    uneven = rows is not None and rows.batch_sizes is not None
    offsets = device_offsets = device_resets = None
    if rows is not None and rows.batch_sizes is not None:
        offsets = np.concatenate(([0], np.cumsum(rows.batch_sizes)))
        device_offsets = torch.from_numpy(offsets).to(x.device)
    if rows is not None and rows.resets is not None:
        device_resets = torch.from_numpy(rows.resets.view(np.uint8)).to(x.device)
    row_step, row_sequence = batch_size, 1
    if not uneven and plan.x_layout == BATCH_FIRST and x.stride(0) >= x.stride(1):
        row_step, row_sequence = 1, seq_len
    return _Shape(
        engine,
        plan,
        rows,
        seq_len,
        batch_size,
        hidden_size,
        num_directions,
        row_step,
        row_sequence,
        offsets,
        device_offsets,
        device_resets,
    )


def _to_rows(shape: _Shape, values: Tensor, layout: int) -> Tensor:
    """``values`` in a layout of callers as [rows, F], without a copy where they lie well."""
    if shape.offsets is not None:
        if layout == PACKED:
            return values
        assert shape.rows is not None
        return pack(shape.rows, values.transpose(0, 1) if layout == BATCH_FIRST else values)
    if layout == BATCH_FIRST and shape.row_step != 1:
        values = values.transpose(0, 1)
    return values.reshape(-1, values.shape[-1])


def _from_rows(shape: _Shape, values: Tensor, layout: int, like: tuple[int, ...]) -> Tensor:
    """`_to_rows` backwards, to a tensor of shape ``like``."""
    if shape.offsets is not None:
        if layout == PACKED:
            return values
        assert shape.rows is not None
        padded = unpack(shape.rows, values)
        return padded.transpose(0, 1) if layout == BATCH_FIRST else padded
    if layout == BATCH_FIRST and shape.row_step != 1:
        return values.view(shape.seq_len, shape.batch_size, -1).transpose(0, 1)
    return values.view(like)


def _to_steps(shape: _Shape, values: Tensor, layout: int) -> Tensor:
    """``values`` as [T, B, F], or packed rows; a view but for padded lengths."""
    if shape.offsets is not None:
        return _to_rows(shape, values, layout)
    if layout == BATCH_FIRST:
        return values.transpose(0, 1)
    if layout == UNBATCHED:
        return values.unsqueeze(1)
    if layout == STEP:
        return values.unsqueeze(0) if values.dim() == 2 else values.view(1, 1, -1)
    return values


def _from_steps(shape: _Shape, values: Tensor, layout: int, like: tuple[int, ...]) -> Tensor:
    if shape.offsets is not None:
        return _from_rows(shape, values, layout, like)
    if layout == BATCH_FIRST:
        return values.transpose(0, 1)
    return values if layout not in (UNBATCHED, STEP) else values.view(like)


def _state(shape: _Shape, state: Tensor | None) -> Tensor | None:
    """A state as the engine reads it: [D, B, H], contiguous, longest sequence first."""
    if state is None:
        return None
    state = state.resolve_neg().contiguous()
    state = state.view(shape.num_directions, shape.batch_size, shape.hidden_size)
    return state if shape.rows is None else sort_state(shape.rows, state)


def _new_state(shape: _Shape, like: Tensor, given: Tensor | None) -> Tensor:
    """Memory for a state that the engine writes; sequences without steps keep ``given``."""
    size = (shape.num_directions, shape.batch_size, shape.hidden_size)
    if shape.offsets is None or int(shape.offsets[1]) == shape.batch_size:
        return like.new_empty(size)
    return like.new_zeros(size) if given is None else given.clone()


def _state_out(shape: _Shape, state: Tensor) -> Tensor:
    if shape.rows is not None:
        state = unsort_state(shape.rows, state)
    return state.view(shape.plan.state_shape)


def _per_direction(plan: LayerPlan, weights: Sequence[Tensor | None]) -> list[list[Tensor | None]]:
    """weight_ih, weight_hh, bias_ih, bias_hh, unit_params of each direction."""
    count = plan.params_per_direction
    return [[*weights[i : i + count], *[None] * (5 - count)] for i in range(0, len(weights), count)]


class _Outputs(NamedTuple):
    y: Tensor  # [T, B, D * H] or packed rows
    finals: list[Tensor]
    gates: Tensor | None  # [D, rows, slots * H]: what backward needs
    cells: Tensor | None  # [D, rows, H]


def _forward(
    shape: _Shape,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    saving: bool,
) -> _Outputs:
    plan, H, D = shape.plan, shape.hidden_size, shape.num_directions
    columns, num_rows = _columns(plan.cell), shape.num_rows
    x_rows = _to_rows(shape, x, plan.x_layout)
    gates = x.new_empty((D, num_rows, columns.slots * H))
    two_states = plan.num_states == 2
    cells = x.new_empty((D, num_rows if saving else shape.batch_size, H)) if two_states else None
    operand = x.new_empty((D, shape.batch_size, H))
    directions = []
    for d, params in enumerate(_per_direction(plan, weights)):
        weight_ih = params[0]
        assert weight_ih is not None
        torch.mm(x_rows, weight_ih.t(), out=gates[d][:, : weight_ih.shape[0]])
        cells_at = 0 if cells is None else cells[d].data_ptr()
        directions.append(
            (gates[d].data_ptr(), *map(_at, params[1:]), cells_at, operand[d].data_ptr())
        )
    y = x.new_empty(
        (num_rows, D * H) if shape.offsets is not None else (shape.seq_len, shape.batch_size, D * H)
    )
    given = [_state(shape, state) for state in initial]
    finals = [_new_state(shape, x, state) for state in given]
    how, scratch = shape.plan_call(x, backward=False)
    shape.engine.functions.forward(
        plan.cell,
        plan.number,
        how,
        _at(scratch),
        (*shape.sizes(), int(saving)),
        shape.rows_at(),
        tuple(directions),
        shape.steps_at(y),
        tuple(map(_at, given)),
        tuple(map(_at, finals)),
        x.device.index or 0,
        shape.engine.stream(x),
    )
    return _Outputs(y, finals, gates if saving else None, cells if saving else None)


def _backward(
    shape: _Shape,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    y: Tensor,
    gates: Tensor,
    cells: Tensor | None,
    grad_y: Tensor | None,
    grad_final: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """Gradients of ``(x, h0, c0, *weights)`` where wanted."""
    plan, H, D = shape.plan, shape.hidden_size, shape.num_directions
    columns, num_rows, states = _columns(plan.cell), shape.num_rows, plan.num_states
    params = _per_direction(plan, weights)
    num_unit_params = 0 if params[0][4] is None else params[0][4].shape[0]
    num_phases = 1 + max(segment[3] for segment in columns.segments)
    grad_gates = x.new_empty((D, num_rows, columns.gradients * H))
    operands = x.new_empty((num_phases, D, num_rows, H))
    grad_states = x.new_empty((2, D, shape.batch_size, H))
    grad_units = x.new_zeros((D, shape.batch_size, num_unit_params, H))
    directions = [
        (
            gates[d].data_ptr(),
            _at(params[d][1]),
            _at(params[d][4]),
            0 if cells is None else cells[d].data_ptr(),
            grad_gates[d].data_ptr(),
            operands[0, d].data_ptr(),
            operands[-1, d].data_ptr(),
            grad_states[0, d].data_ptr(),
            grad_states[1, d].data_ptr(),
            grad_units[d].data_ptr() if num_unit_params else 0,
        )
        for d in range(D)
    ]
    given = [_state(shape, state) for state in initial]
    given_final = [_state(shape, state) for state in grad_final]
    grad_initial = [
        _new_state(shape, x, grad) if want else None
        for grad, want in zip(given_final, wanted[1 : 1 + states], strict=True)
    ]
    how, scratch = shape.plan_call(x, backward=True)
    shape.engine.functions.backward(
        plan.cell,
        plan.number,
        how,
        _at(scratch),
        shape.sizes(),
        shape.rows_at(),
        tuple(directions),
        shape.steps_at(y),
        shape.steps_at(grad_y),
        tuple(map(_at, given)),
        tuple(map(_at, given_final)),
        tuple(map(_at, grad_initial)),
        x.device.index or 0,
        shape.engine.stream(x),
    )
    x_rows = _to_rows(shape, x, plan.x_layout)
    grad_x: Tensor | None = None
    grad_weights: list[Tensor | None] = []
    for d in range(D):
        weight_ih, weight_hh = params[d][:2]
        assert weight_ih is not None
        assert weight_hh is not None
        grads = grad_gates[d]
        x_part = grads[:, : weight_ih.shape[0]]
        here = wanted[3 + d * plan.params_per_direction :]
        if wanted[0]:
            if grad_x is None:
                grad_x = torch.mm(x_part, weight_ih)
            else:
                grad_x.addmm_(x_part, weight_ih)
        found: list[Tensor | None] = [None] * 5
        if here[0]:
            found[0] = torch.mm(x_part.t(), x_rows)
        if here[1]:
            found[1] = grad_hh = torch.empty_like(weight_hh)
            for column, gate, count, phase in columns.segments:
                torch.mm(
                    grads[:, column * H : (column + count) * H].t(),
                    operands[phase, d],
                    out=grad_hh[gate * H : (gate + count) * H],
                )
        if params[d][2] is not None and (here[2] or here[3]):
            sums = grads.sum(0)
            found[2] = sums[: weight_ih.shape[0]]
            found[3] = grad_bias = sums.new_empty(weight_ih.shape[0])
            for column, gate, count, _ in columns.segments:
                grad_bias[gate * H : (gate + count) * H] = sums[column * H : (column + count) * H]
        if num_unit_params:
            found[4] = grad_units[d].sum(0)
        count = plan.params_per_direction
        grad_weights += [g if want else None for g, want in zip(found[:count], here, strict=False)]
    if grad_x is not None:
        grad_x = _from_rows(shape, grad_x, plan.x_layout, plan.x_shape)
    results = [None if grad is None else _state_out(shape, grad) for grad in grad_initial]
    return (grad_x, *results, *[None] * (2 - states), *grad_weights)


class _Layer(torch.autograd.Function):
    """As `fastrnn._autograd`'s: ``(engine, plan, rows, x, h0, c0, *weights)`` -> outputs."""

    @staticmethod
    def forward(
        ctx: Any,
        engine: Engine,
        plan: LayerPlan,
        rows: Rows | None,
        x: Tensor,
        h0: Tensor | None,
        c0: Tensor | None,
        *weights: Tensor | None,
    ) -> tuple[Tensor, ...]:
        shape = _shape_of(engine, plan, rows, x)
        initial = (h0, c0)[: plan.num_states]
        done = _forward(shape, x, initial, weights, saving=True)
        ctx.save_for_backward(x, h0, c0, done.y, done.gates, done.cells, *weights)
        ctx.set_materialize_grads(False)
        ctx.plan = plan
        ctx.rows = rows
        ctx.shape = shape
        return _results(shape, done)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        from fastrnn._autograd import composed_gradients

        x, h0, c0, y, gates, cells, *weights = ctx.saved_tensors
        wanted = ctx.needs_input_grad[3:]
        if torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
            inputs = (x, h0, c0, *weights)
            return (
                None,
                None,
                None,
                *composed_gradients(ctx.plan, inputs, wanted, grads, ctx.rows),
            )
        plan, shape = ctx.plan, ctx.shape
        is_step = plan.x_layout == STEP
        grad_y = grads[0]
        if grad_y is not None:
            grad_y = grad_y.resolve_neg()
            if grad_y.stride(-1) != 1:
                grad_y = grad_y.contiguous()
            grad_y = _to_steps(shape, grad_y, plan.y_layout)
        # A step's grad_y is the gradient of its hidden state, too.
        grad_final = [None, *grads[1:]] if is_step else list(grads[1:])
        found = _backward(
            shape,
            x,
            (h0, c0)[: plan.num_states],
            weights,
            y,
            gates,
            cells,
            grad_y,
            grad_final,
            wanted,
        )
        return (None, None, None, *found)


apply_layer: Callable[..., tuple[Tensor, ...]] = _Layer.apply


def _results(shape: _Shape, done: _Outputs) -> tuple[Tensor, ...]:
    """``(y, h_n[, c_n])``, for a step ``(y[, c_n])``, in the caller's layout."""
    plan = shape.plan
    y = _from_steps(shape, done.y, plan.y_layout, plan.y_shape)
    finals = [_state_out(shape, state) for state in done.finals]
    return (y, *finals[1:]) if plan.x_layout == STEP else (y, *finals)


def refuses(
    input: Tensor,  # noqa: A002 - torch's name
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    plan: StackPlan | LayerPlan,
) -> str | None:
    """Why the engine does not take tensors on a GPU, or None; see `_dispatch.engine_refuses`."""
    if not enabled():
        return (
            f"input is on {input.device}, and the CUDA engine is off: it has not been measured on "
            "a GPU yet (fastrnn.backends.use_cuda)"
        )
    first = plan if isinstance(plan, LayerPlan) else plan.layers[0]
    reason = device_engine.functions.refuses(first.cell, first.number)
    if reason is not None:
        return str(reason)
    if input.is_neg():
        return "input is a negative view"
    if len(weights) != len(plan.weight_shapes):
        return f"there are {len(weights)} weights, not {len(plan.weight_shapes)}"
    expected = [("initial state", state, plan.state_shape) for state in initial]
    expected += [("weight", w, s) for w, s in zip(weights, plan.weight_shapes, strict=True)]
    for name, tensor, shape in expected:
        if tensor is None:
            continue
        if type(tensor) not in (Tensor, Parameter):
            return f"a tensor ({name}) is a {type(tensor).__name__}"
        if tensor.dtype != input.dtype or tensor.shape != shape:
            return f"a tensor ({name}) is {tensor.dtype} {tuple(tensor.shape)}, not {shape}"
        if tensor.device != input.device or tensor.layout != torch.strided or tensor.is_neg():
            return f"a tensor ({name}) is a {tensor.layout} tensor on {tensor.device}"
    return None


def _need_nothing_drawn(draw: Any) -> None:
    if draw is not None:  # layers refuse before they get here: never a silently wrong number
        raise NotImplementedError(NO_REGULARIZERS)


def run_step(
    plan: LayerPlan,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    draw: Any = None,
    *,
    engine: Engine = device_engine,
) -> tuple[Tensor, ...]:
    """``(h',)`` or ``(h', c')`` of one step of a cell; as `_dispatch.run_step`."""
    _need_nothing_drawn(draw)
    return _run_layer(engine, plan, None, x, initial, weights, _wants_grad(x, initial, weights))


def run_stack(
    plan: StackPlan,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    dropout: float = 0.0,
    rows: Rows | None = None,
    draw: Any = None,
    *,
    engine: Engine = device_engine,
) -> tuple[Tensor, ...]:
    """``(y, h_n[, c_n])`` of all layers; as `_dispatch.run_stack`."""
    _need_nothing_drawn(draw)
    layers, count = plan.layers, len(plan.layers[0].weight_shapes)
    split: list[Sequence[Tensor | None]] = [
        [None] * len(layers) if state is None else state.split(layers[0].state_shape[0])
        for state in initial
    ]
    training = _wants_grad(x, initial, weights)
    states: list[tuple[Tensor, ...]] = []
    for index, layer in enumerate(layers):
        if index and dropout:
            x = torch.dropout(x, dropout, True)
        own = [state[index] for state in split]
        own_weights = weights[index * count : (index + 1) * count]
        x, *finals = _run_layer(engine, layer, rows, x, own, own_weights, training)
        states.append(tuple(finals))
    if len(states) == 1:
        return (x, *states[0])
    return (x, *(torch.cat(parts) for parts in zip(*states, strict=True)))


def _wants_grad(
    x: Tensor, initial: Sequence[Tensor | None], weights: Sequence[Tensor | None]
) -> bool:
    return torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in (x, *initial, *weights)
    )


def _run_layer(
    engine: Engine,
    plan: LayerPlan,
    rows: Rows | None,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    training: bool,
) -> tuple[Tensor, ...]:
    weights = [None if weight is None else weight.contiguous() for weight in weights]
    if x.stride(-1) != 1:
        x = x.contiguous()
    if training:
        c0 = initial[1] if len(initial) == 2 else None
        return apply_layer(engine, plan, rows, x, initial[0], c0, *weights)
    shape = _shape_of(engine, plan, rows, x)
    return _results(shape, _forward(shape, x, initial, weights, saving=False))
