"""One layer's arguments, run through ``fastrnn.ops`` and through the reference alike.

Both runs give a dictionary with the same keys: y, h_n, c_n and the gradients (grad_x, ...), so
that a test compares everything there is by looping over it.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from fastrnn import ops, reference
from fastrnn.reference import _math

Array = npt.NDArray[Any]
Values = dict[str, Array]

CELLS = list(reference.CELLS)
# The gradient of a normalization is what is left after taking away its mean, and what goes along
# with the values: of a row of one or two numbers nothing but the roundings, times 1/sqrt(1e-5).
NORMALIZED = [name for name, kind in reference.CELLS.items() if kind.unit_params == "norm"]
_STATES = ("h", "c")


class Case(NamedTuple):
    cell: str
    seq_len: int
    batch_size: int
    input_size: int
    hidden_size: int
    num_directions: int = 1
    bias: bool = True
    initial: bool = True
    seed: int = 0

    def arguments(self, dtype: npt.DTypeLike = np.float64) -> Values:
        """Keyword arguments of ops.<cell>_forward: the same numbers in either precision."""
        kind, rng = reference.CELLS[self.cell], np.random.default_rng(self.seed)
        hidden_size = self.hidden_size
        lead = (2,) if self.num_directions == 2 else ()
        rows = kind.num_gates * hidden_size
        columns = (2 if kind.operand_has_state else 1) * hidden_size

        def draw(*shape: int, scale: float) -> Array:
            return (scale * rng.uniform(-1, 1, shape)).astype(np.float32).astype(dtype)

        arguments = {
            "x": draw(self.seq_len, self.batch_size, self.input_size, scale=2.0),
            "weight_ih": draw(*lead, rows, self.input_size, scale=1.5 / self.input_size**0.5),
            "weight_hh": draw(*lead, rows, columns, scale=1.5 / columns**0.5),
        }
        if kind.num_unit_params:
            arguments[kind.unit_params] = draw(*lead, kind.num_unit_params, hidden_size, scale=1.0)
        if self.bias:
            arguments["bias_ih"] = draw(*lead, rows, scale=0.5)
            arguments["bias_hh"] = draw(*lead, rows, scale=0.5)
        if self.initial:
            for state in _STATES[: kind.num_states]:
                arguments[f"{state}0"] = draw(*lead, self.batch_size, hidden_size, scale=1.0)
        return arguments

    def output_gradients(self, dtype: npt.DTypeLike = np.float64) -> Values:
        """Keyword arguments of ops.<cell>_backward: gradients of y and of each final state."""
        rng = np.random.default_rng(self.seed + 1)
        lead = (2,) if self.num_directions == 2 else ()
        state = (*lead, self.batch_size, self.hidden_size)
        shapes = {"grad_y": (self.seq_len, self.batch_size, self.num_directions * self.hidden_size)}
        for name in _STATES[: reference.CELLS[self.cell].num_states]:
            shapes[f"grad_{name}_n"] = state
        return {
            name: rng.uniform(-1, 1, shape).astype(np.float32).astype(dtype)
            for name, shape in shapes.items()
        }


def run_ops(cell: str, arguments: Values, gradients: Values | None = None) -> Values:
    """Outputs and gradients; ``gradients`` of None runs the forward that saves nothing."""
    names = ["h_n", "c_n"][: reference.CELLS[cell].num_states]
    if gradients is None:
        return dict(zip(["y", *names], getattr(ops, cell)(**arguments), strict=True))
    *outputs, reserve = getattr(ops, f"{cell}_forward")(**arguments)
    values = dict(zip(["y", *names], outputs, strict=True))
    backward = getattr(ops, f"{cell}_backward")
    grads = backward(reserve=reserve, **{"grad_y": None, **gradients})
    for name, grad in grads._asdict().items():
        assert (grad is None) == (name not in arguments), name
        if grad is not None:
            assert grad.shape == arguments[name].shape, name
            values[f"grad_{name}"] = grad
    return values


def run_reference(
    cell: str, arguments: Values, gradients: Values | None = None, dtype: Any = np.float64
) -> Values:
    """What `run_ops` should give, computed by the textbook formulas in ``dtype``."""
    kind = reference.CELLS[cell]
    stacked = arguments["weight_ih"].ndim == 3
    names = (*_PARAMETERS, kind.unit_params)
    parameters = [_lift(arguments.get(name), stacked) for name in names]
    per_direction = [
        reference.Params(*(None if a is None else a[d] for a in parameters))
        for d in range(2 if stacked else 1)
    ]
    initial = [_lift(arguments.get(f"{state}0"), stacked) for state in _STATES[: kind.num_states]]
    run = reference.layer(cell, arguments["x"], per_direction, initial, dtype)
    values = {"y": run.y}
    for state, final in zip(_STATES, run.final, strict=False):
        values[f"{state}_n"] = final if stacked else final[0]
    if gradients is None:
        return values
    given = [_lift(gradients.get(f"grad_{s}_n"), stacked) for s in _STATES[: kind.num_states]]
    grads = reference.layer_backward(run, gradients.get("grad_y"), given)
    values["grad_x"] = grads.x
    for name, parts in zip(names, zip(*grads.params, strict=True), strict=True):
        if parts[0] is not None:
            values[f"grad_{name}"] = np.stack(parts) if stacked else parts[0]
    for state, grad in zip(_STATES, grads.initial, strict=False):
        if f"{state}0" in arguments:
            values[f"grad_{state}0"] = grad if stacked else grad[0]
    return values


def run_plain_float32(cell: str, arguments: Values, gradients: Values | None = None) -> Values:
    """The textbook formulas in float32, each product summed term after term as in a plain loop.

    A BLAS would sum in several chains of its own choosing, which says less about the formulas.
    """
    with patch.multiple(_math, affine=_plain_affine, affine_backward=_plain_backward):
        return run_reference(cell, arguments, gradients, np.float32)


def _plain_product(a: Array, b: Array) -> Array:
    total = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for column, row in zip(a.T, b, strict=True):
        total += column[:, None] * row
    return total


def _plain_affine(v: Array, weight: Array, bias: Array | None) -> Array:
    product = _plain_product(v, weight.T)
    return product if bias is None else product + bias


def _plain_backward(grad: Array, v: Array, weight: Array) -> tuple[Array, Array, Array]:
    return _plain_product(grad, weight), _plain_product(grad.T, v), grad.sum(axis=0)


_PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _lift(array: Array | None, stacked: bool) -> Array | None:
    """With a leading axis for the direction."""
    return array if array is None or stacked else array[None]
