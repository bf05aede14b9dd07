"""Every cell as a loop of torch's own operations: slow, but right under any transform.

Nothing here writes in place, so it works under ``torch.func`` (``vmap``, ``grad``, ``jvp``),
forward-mode differentiation and double backward, also where torch's own layers do not.  The
engine's layers come here when a call needs one of those.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import linear

from fastrnn._layouts import BATCH_FIRST, PACKED, STEP, UNBATCHED
from fastrnn._lengths import Rows
from fastrnn._plan import CELL_INFO, CELL_NUMBERS
from fastrnn._regularizers import Rates, Regularizers, StepRegularizers, of_directions
from fastrnn._rows import pack, reset_steps, sort_state, unpack, unsort_state
from fastrnn._steps import STEPS, State, input_gates

__all__ = ["STEPS", "layer", "planned_layer", "stack"]


def walk(
    cell: str,
    x_gates: Sequence[Tensor],
    state: State,
    params: Sequence[Tensor | None],
    reverse: bool,
    resets: Sequence[Tensor] | None = None,
    regularizers: StepRegularizers | None = None,
) -> tuple[list[Tensor], State]:
    """One direction: the hidden state of every step, in the order of time, and the final state.

    Steps may differ in their number of rows, as in a packed sequence (longest first): a row
    whose sequence is over keeps its state, one whose sequence starts later (walking backwards)
    starts from its initial state.  ``resets`` has a mask of each step's rows: there the state
    before the step is zero.
    """
    step = STEPS[cell]
    _, weight_hh, _, bias_hh, extra = params
    assert weight_hh is not None
    outputs: list[Tensor] = []
    times = range(len(x_gates))
    for time in reversed(times) if reverse else times:
        gates = x_gates[time]
        rows = gates.shape[0]
        before = state if rows == state[0].shape[0] else tuple(s[:rows] for s in state)
        if resets is not None:
            mask = resets[time].unsqueeze(-1)
            before = tuple(torch.where(mask, torch.zeros_like(s), s) for s in before)
        scale = None if regularizers is None else regularizers.scale_of(rows, gates.dtype)
        running = step(gates, before, weight_hh, bias_hh, extra, scale)
        if regularizers is not None:
            running = regularizers.zoned(time, before, running)
        if rows == state[0].shape[0]:
            state = running
            outputs.append(state[0])
        else:
            state = tuple(torch.cat((r, s[rows:])) for r, s in zip(running, state, strict=True))
            outputs.append(running[0])
    return (outputs[::-1] if reverse else outputs), state


def layer(
    cell: str,
    steps: Sequence[Tensor],
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    batch_size: int,
    resets: Sequence[Tensor] | None = None,
    regularizers: Sequence[StepRegularizers | None] | None = None,
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """One layer over ``steps`` (each [B_t, I]); ``weights`` are 5 a direction, in the order
    weight_ih, weight_hh, bias_ih, bias_hh, extra; initial and final states are [D, B, H].
    """
    results = []
    for direction in range(len(weights) // 5):
        params = weights[5 * direction : 5 * direction + 5]
        weight_ih, weight_hh, bias_ih, _, extra = params
        assert weight_ih is not None
        assert weight_hh is not None
        x_gates = [input_gates(cell, x, weight_ih, bias_ih, extra) for x in steps]
        # hidden [B, P or H]: weight_hh's columns; cell state [B, H]: a projection's columns.
        info = CELL_INFO[CELL_NUMBERS[cell]]
        widths = [weight_hh.shape[-1] // info["num_operand_states"]]
        if info["num_states"] == 2:
            projected = cell == "lstm" and extra is not None
            widths.append(extra.shape[-1] if projected and extra is not None else widths[0])
        like = steps[0] if steps else weight_ih  # all sequences may be empty
        state = tuple(
            like.new_zeros(batch_size, width) if given is None else given[direction]
            for given, width in zip(initial, widths, strict=True)
        )
        noise = None if regularizers is None else regularizers[direction]
        results.append(walk(cell, x_gates, state, params, direction == 1, resets, noise))
    outputs = [torch.cat(per_step, -1) for per_step in zip(*(r[0] for r in results), strict=True)]
    finals = tuple(torch.stack(states) for states in zip(*(r[1] for r in results), strict=True))
    return outputs, finals


def stack(
    cell: str,
    x: Tensor,
    batch_sizes: list[int] | None,
    initial: Sequence[Tensor | None],
    weights: Sequence[Sequence[Tensor | None]],
    dropout: float,
    resets: Sequence[Tensor] | None = None,
    batch_size: int | None = None,
    rates: Rates | None = None,
    training: bool = False,
) -> tuple[Tensor, ...]:
    """``(y, h_n[, c_n])`` of a stack of layers with ``dropout`` between them.

    ``x`` is [T, B, I], or the rows of a packed sequence with its ``batch_sizes``; ``batch_size``
    is that of the first step unless there are empty sequences, too.  ``weights`` has one entry a
    layer, as for `layer`; the states hold all layers and directions.
    """
    states: list[tuple[Tensor, ...]] = []
    for index, layer_weights in enumerate(weights):
        if index and dropout:
            x = torch.dropout(x, dropout, True)
        directions = len(layer_weights) // 5
        here = slice(index * directions, (index + 1) * directions)
        here_initial = [None if s is None else s[here] for s in initial]
        noise = None
        if rates is not None:
            noise = _drawn(cell, x, layer_weights, rates, training, batch_sizes, batch_size)
        if batch_sizes is None:
            outputs, finals = layer(
                cell, x.unbind(0), here_initial, layer_weights, x.shape[1], resets, noise
            )
            x = torch.stack(outputs)
        else:
            first = batch_sizes[0] if batch_size is None else batch_size
            x, *finals_list = _packed_layer(
                cell, x, batch_sizes, here_initial, layer_weights, first, resets, noise
            )
            finals = tuple(finals_list)
        states.append(finals)
    return (x, *(torch.cat(parts) for parts in zip(*states, strict=True)))


def _drawn(
    cell: str,
    x: Tensor,
    weights: Sequence[Tensor | None],
    rates: Rates,
    training: bool,
    batch_sizes: list[int] | None,
    batch_size: int | None,
) -> list[StepRegularizers | None] | None:
    directions = len(weights) // 5
    assert weights[0] is not None
    hidden_size = width = weights[0].shape[0] // CELL_INFO[CELL_NUMBERS[cell]]["num_gates"]
    if cell == "lstm" and weights[4] is not None:  # a projection
        width = weights[4].shape[0]
    if batch_size is None:
        batch_size = x.shape[1] if batch_sizes is None else batch_sizes[0]
    state, y = (directions, batch_size, width), (*x.shape[:-1], directions * width)
    drawn = rates.draw(state, y, x, training, None, directions * hidden_size)
    return of_directions(drawn, directions, batch_sizes)


def _packed_layer(
    cell: str,
    x: Tensor,
    batch_sizes: list[int],
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    batch_size: int,
    resets: Sequence[Tensor] | None,
    regularizers: Sequence[StepRegularizers | None] | None = None,
) -> tuple[Tensor, ...]:
    """`layer` from rows in packed order to rows in packed order."""
    steps = x.split(batch_sizes) if batch_sizes else ()
    outputs, finals = layer(cell, steps, initial, weights, batch_size, resets, regularizers)
    if outputs:
        return (torch.cat(outputs), *finals)
    # No rows, but still a result that depends on the input and the weights.
    parts = [
        linear(x, weight_ih)[:, : finals[0].shape[-1]]
        for weight_ih in weights[::5]
        if weight_ih is not None
    ]
    return (torch.cat(parts, -1), *finals)


def _in_time_order(
    given: Regularizers, layout: int, missing_batch: bool, rows: Rows | None
) -> Regularizers:
    """From the engine's layouts to masks [T, B, D*H], or of rows in packed order, and [D, B, H]."""

    def mask_in_order(mask: Tensor) -> Tensor:
        if layout == BATCH_FIRST:
            mask = mask.transpose(0, 1)
        if missing_batch:
            mask = mask.unsqueeze(-2)
        if layout == STEP:
            mask = mask.unsqueeze(0)
        uneven = rows is not None and rows.batch_sizes is not None
        return pack(rows, mask) if rows is not None and uneven and layout != PACKED else mask

    scale = given.hidden_scale
    if scale is not None:
        if missing_batch:
            scale = scale.unsqueeze(-2)
        if layout == STEP:
            scale = scale.unsqueeze(0)
        if rows is not None:
            scale = sort_state(rows, scale)
    masks = [None if mask is None else mask_in_order(mask) for mask in given.masks]
    return Regularizers(scale, tuple(masks), given.rates)


def planned_layer(
    cell: str,
    x_layout: int,
    y_layout: int,
    x: Tensor,
    initial: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    params_per_direction: int,
    rows: Rows | None = None,
    regularizers: Regularizers | None = None,
) -> tuple[Tensor, ...]:
    """``(y, h_n[, c_n])`` of one layer in the engine's layouts."""
    padded: list[Tensor | None] = []
    for start in range(0, len(weights), params_per_direction):
        padded += weights[start : start + params_per_direction]
        padded += [None] * (5 - params_per_direction)
    # To [T, B, F] and [D, B, H], and back; a step is a sequence of one.
    missing_batch = x_layout == UNBATCHED or (x_layout == STEP and x.dim() == 1)
    if x_layout == BATCH_FIRST:
        x = x.transpose(0, 1)
    if missing_batch:
        x, initial = x.unsqueeze(-2), [None if s is None else s.unsqueeze(-2) for s in initial]
    if x_layout == STEP:
        x, initial = x.unsqueeze(0), [None if s is None else s.unsqueeze(0) for s in initial]
    resets = None if rows is None else reset_steps(rows, x.device)
    if regularizers is not None:
        regularizers = _in_time_order(regularizers, y_layout, missing_batch, rows)
    if rows is not None and rows.batch_sizes is not None:
        initial = [None if s is None else sort_state(rows, s) for s in initial]
        packed = x if x_layout == PACKED else pack(rows, x)
        sizes = rows.batch_sizes.tolist()
        noise = of_directions(regularizers, len(padded) // 5, sizes)
        y, *sorted_states = _packed_layer(
            cell, packed, sizes, initial, padded, rows.batch_size, resets, noise
        )
        y = y if y_layout == PACKED else unpack(rows, y)
        result = [y, *(unsort_state(rows, state) for state in sorted_states)]
    else:
        noise = of_directions(regularizers, len(padded) // 5)
        outputs, finals = layer(cell, x.unbind(0), initial, padded, x.shape[1], resets, noise)
        result = [torch.stack(outputs), *finals]
    if x_layout == STEP:
        result = [tensor.squeeze(0) for tensor in result]
    if missing_batch:
        result = [tensor.squeeze(-2) for tensor in result]
    if y_layout == BATCH_FIRST:
        result[0] = result[0].transpose(0, 1)
    return tuple(result)
