"""The textbook formulas over sequences of different lengths and with resets."""

from __future__ import annotations

from typing import Any

import numpy as np
from layer_cases import Values, run_reference


def run_reference_rows(
    cell: str, arguments: Values, gradients: Values, lengths: Any = None, resets: Any = None
) -> Values:
    """What the functions of ops give: one sequence, direction and piece at a time."""
    stacked = arguments["weight_ih"].ndim == 3
    seq_len, batch_size, _ = arguments["x"].shape
    states = [name[0] for name in arguments if name in ("h0", "c0")]
    hidden_size = gradients["grad_h_n"].shape[-1]
    values: Values = {
        "y": np.zeros((seq_len, batch_size, (2 if stacked else 1) * hidden_size)),
        **{f"{s}_n": arguments[f"{s}0"].copy() for s in states},
        **{f"grad_{name}": np.zeros_like(value) for name, value in arguments.items()},
    }
    for s in states:  # a sequence without steps hands gradients on
        values[f"grad_{s}0"] = gradients[f"grad_{s}_n"].copy()
    for direction in range(2 if stacked else 1):
        for b in range(batch_size):
            length = seq_len if lengths is None else int(lengths[b])
            marked = np.zeros(seq_len, bool) if resets is None else resets[:, b]
            _sequence(cell, arguments, gradients, values, direction, b, length, marked, states)
    return values


def _sequence(
    cell: str,
    arguments: Values,
    gradients: Values,
    values: Values,
    direction: int,
    b: int,
    length: int,
    marked: Any,
    states: list[str],
) -> None:
    """One direction of one sequence, in the order of its steps."""
    stacked = arguments["weight_ih"].ndim == 3
    hidden_size = values["y"].shape[2] // (2 if stacked else 1)
    columns = slice(direction * hidden_size, (direction + 1) * hidden_size)
    at = (direction, b) if stacked else (b,)
    steps = np.arange(length)[:: -1 if direction else 1]
    starts = [i for i in range(length) if i == 0 or marked[steps[i]]]
    weights = {
        name: value[direction] if stacked else value
        for name, value in arguments.items()
        if name not in ("x", "h0", "c0")
    }
    state = {f"{s}0": arguments[f"{s}0"][at][None] for s in states}
    pieces = []
    for start, stop in zip(starts, [*starts, length][1:], strict=True):
        if marked[steps[start]]:
            state = {name: np.zeros_like(value) for name, value in state.items()}
        piece = steps[start:stop]
        given = {"x": arguments["x"][piece, b][:, None], **weights, **state}
        run = run_reference(cell, given)
        pieces.append((piece, given))
        values["y"][piece, b, columns] = run["y"][:, 0]
        state = {f"{s}0": run[f"{s}_n"] for s in states}
    if pieces:
        for s in states:
            values[f"{s}_n"][at] = state[f"{s}0"][0]
    d_state = {f"grad_{s}_n": gradients[f"grad_{s}_n"][at][None] for s in states}
    for piece, given in reversed(pieces):
        d_y = gradients["grad_y"][piece, b, columns][:, None]
        run = run_reference(cell, given, {"grad_y": d_y, **d_state})
        values["grad_x"][piece, b] += run["grad_x"][:, 0]
        for name in weights:
            values[f"grad_{name}"][direction if stacked else ...] += run[f"grad_{name}"]
        keep = not marked[piece[0]]
        d_state = {f"grad_{s}_n": run[f"grad_{s}0"] * keep for s in states}
    for s in states:
        values[f"grad_{s}0"][at] = d_state[f"grad_{s}_n"][0]
