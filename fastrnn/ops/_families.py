"""The public functions, written once for each family of cells.

Cells of a family take the same arguments: one state or two, with peepholes, with normalization.
`public` makes a function of its own for each cell, with its name, signature and docstring.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Concatenate, NamedTuple, ParamSpec, TypeVar, cast

from fastrnn.ops import _engine
from fastrnn.ops._docs import docstring
from fastrnn.ops._problem import cell_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastrnn.ops._arrays import Array
    from fastrnn.ops._engine import Reserve

P = ParamSpec("P")
R = TypeVar("R")


def public(template: Callable[Concatenate[str, P], R], cell: str, kind: str = "") -> Callable[P, R]:
    """``template`` with its first argument bound to ``cell``; kind: "", "forward", "backward"."""

    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        return template(cell, *args, **kwargs)

    signature = inspect.signature(template)
    parameters = list(signature.parameters.values())[1:]
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    function.__name__ = function.__qualname__ = f"{cell}_{kind}" if kind else cell
    function.__module__ = "fastrnn.ops"
    function.__doc__ = docstring(cell_spec(cell), kind)
    return function


# -- one state ----------------------------------------------------------------------------------


class Gradients(NamedTuple):
    """Gradients of a cell with one state; None for an argument that was not given."""

    x: Array
    weight_ih: Array
    weight_hh: Array
    bias_ih: Array | None
    bias_hh: Array | None
    h0: Array | None


def one_state(
    cell: str,
    x: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    h0: Array | None = None,
    *,
    lengths: object = None,
    resets: object = None,
) -> tuple[Array, Array]:
    weights = weight_ih, weight_hh, bias_ih, bias_hh, None
    run = _engine.forward(cell, x, *weights, (h0,), lengths, resets, save=False)
    return run.y, run.final[0]


def one_state_forward(
    cell: str,
    x: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    h0: Array | None = None,
    *,
    lengths: object = None,
    resets: object = None,
) -> tuple[Array, Array, Reserve]:
    weights = weight_ih, weight_hh, bias_ih, bias_hh, None
    run = _engine.forward(cell, x, *weights, (h0,), lengths, resets, save=True)
    return run.y, run.final[0], run.reserve


def one_state_backward(
    cell: str, grad_y: Array | None, reserve: Reserve, grad_h_n: Array | None = None
) -> Gradients:
    grads = _engine.backward(cell, grad_y, reserve, (grad_h_n,))
    w = grads.weights
    return Gradients(grads.x, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh, *grads.initial)


# -- two states ---------------------------------------------------------------------------------


class LSTMGradients(NamedTuple):
    """Gradients of a cell with two states; None for an argument that was not given."""

    x: Array
    weight_ih: Array
    weight_hh: Array
    bias_ih: Array | None
    bias_hh: Array | None
    h0: Array | None
    c0: Array | None


def two_states(
    cell: str,
    x: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    *,
    lengths: object = None,
    resets: object = None,
) -> tuple[Array, Array, Array]:
    weights = weight_ih, weight_hh, bias_ih, bias_hh, None
    run = _engine.forward(cell, x, *weights, (h0, c0), lengths, resets, save=False)
    return run.y, run.final[0], run.final[1]


def two_states_forward(
    cell: str,
    x: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    *,
    lengths: object = None,
    resets: object = None,
) -> tuple[Array, Array, Array, Reserve]:
    weights = weight_ih, weight_hh, bias_ih, bias_hh, None
    run = _engine.forward(cell, x, *weights, (h0, c0), lengths, resets, save=True)
    return run.y, run.final[0], run.final[1], run.reserve


def two_states_backward(
    cell: str,
    grad_y: Array | None,
    reserve: Reserve,
    grad_h_n: Array | None = None,
    grad_c_n: Array | None = None,
) -> LSTMGradients:
    grads = _engine.backward(cell, grad_y, reserve, (grad_h_n, grad_c_n))
    w = grads.weights
    return LSTMGradients(grads.x, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh, *grads.initial)


# -- two states and peepholes -------------------------------------------------------------------


class PeepholeGradients(NamedTuple):
    """Gradients of a cell with peepholes; None for an argument that was not given."""

    x: Array
    weight_ih: Array
    weight_hh: Array
    peephole: Array
    bias_ih: Array | None
    bias_hh: Array | None
    h0: Array | None
    c0: Array | None


def peephole(
    cell: str,
    x: Array,
    weight_ih: Array,
    weight_hh: Array,
    peephole: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    *,
    lengths: object = None,
    resets: object = None,
) -> tuple[Array, Array, Array]:
    weights = weight_ih, weight_hh, bias_ih, bias_hh, peephole
    run = _engine.forward(cell, x, *weights, (h0, c0), lengths, resets, save=False)
    return run.y, run.final[0], run.final[1]


def peephole_forward(
    cell: str,
    x: Array,
    weight_ih: Array,
    weight_hh: Array,
    peephole: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    *,
    lengths: object = None,
    resets: object = None,
) -> tuple[Array, Array, Array, Reserve]:
    weights = weight_ih, weight_hh, bias_ih, bias_hh, peephole
    run = _engine.forward(cell, x, *weights, (h0, c0), lengths, resets, save=True)
    return run.y, run.final[0], run.final[1], run.reserve


def peephole_backward(
    cell: str,
    grad_y: Array | None,
    reserve: Reserve,
    grad_h_n: Array | None = None,
    grad_c_n: Array | None = None,
) -> PeepholeGradients:
    grads = _engine.backward(cell, grad_y, reserve, (grad_h_n, grad_c_n))
    w = grads.weights
    unit_params = cast("Array", w.unit_params)  # always there for these cells
    return PeepholeGradients(
        grads.x, w.weight_ih, w.weight_hh, unit_params, w.bias_ih, w.bias_hh, *grads.initial
    )


# -- two states and normalization ---------------------------------------------------------------


class NormLSTMGradients(NamedTuple):
    """Gradients of a normalized cell with two states; None for an argument that was not given."""

    x: Array
    weight_ih: Array
    weight_hh: Array
    norm: Array
    bias_ih: Array | None
    bias_hh: Array | None
    h0: Array | None
    c0: Array | None


def norm_two_states(
    cell: str,
    x: Array,
    weight_ih: Array,
    weight_hh: Array,
    norm: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    *,
    lengths: object = None,
    resets: object = None,
) -> tuple[Array, Array, Array]:
    weights = weight_ih, weight_hh, bias_ih, bias_hh, norm
    run = _engine.forward(cell, x, *weights, (h0, c0), lengths, resets, save=False)
    return run.y, run.final[0], run.final[1]


def norm_two_states_forward(
    cell: str,
    x: Array,
    weight_ih: Array,
    weight_hh: Array,
    norm: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    *,
    lengths: object = None,
    resets: object = None,
) -> tuple[Array, Array, Array, Reserve]:
    weights = weight_ih, weight_hh, bias_ih, bias_hh, norm
    run = _engine.forward(cell, x, *weights, (h0, c0), lengths, resets, save=True)
    return run.y, run.final[0], run.final[1], run.reserve


def norm_two_states_backward(
    cell: str,
    grad_y: Array | None,
    reserve: Reserve,
    grad_h_n: Array | None = None,
    grad_c_n: Array | None = None,
) -> NormLSTMGradients:
    grads = _engine.backward(cell, grad_y, reserve, (grad_h_n, grad_c_n))
    w = grads.weights
    unit_params = cast("Array", w.unit_params)  # always there for these cells
    return NormLSTMGradients(
        grads.x, w.weight_ih, w.weight_hh, unit_params, w.bias_ih, w.bias_hh, *grads.initial
    )


# -- one state and normalization ----------------------------------------------------------------


class NormGradients(NamedTuple):
    """Gradients of a normalized cell with one state; None for an argument that was not given."""

    x: Array
    weight_ih: Array
    weight_hh: Array
    norm: Array
    bias_ih: Array | None
    bias_hh: Array | None
    h0: Array | None


def norm_one_state(
    cell: str,
    x: Array,
    weight_ih: Array,
    weight_hh: Array,
    norm: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    h0: Array | None = None,
    *,
    lengths: object = None,
    resets: object = None,
) -> tuple[Array, Array]:
    weights = weight_ih, weight_hh, bias_ih, bias_hh, norm
    run = _engine.forward(cell, x, *weights, (h0,), lengths, resets, save=False)
    return run.y, run.final[0]


def norm_one_state_forward(
    cell: str,
    x: Array,
    weight_ih: Array,
    weight_hh: Array,
    norm: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    h0: Array | None = None,
    *,
    lengths: object = None,
    resets: object = None,
) -> tuple[Array, Array, Reserve]:
    weights = weight_ih, weight_hh, bias_ih, bias_hh, norm
    run = _engine.forward(cell, x, *weights, (h0,), lengths, resets, save=True)
    return run.y, run.final[0], run.reserve


def norm_one_state_backward(
    cell: str, grad_y: Array | None, reserve: Reserve, grad_h_n: Array | None = None
) -> NormGradients:
    grads = _engine.backward(cell, grad_y, reserve, (grad_h_n,))
    w = grads.weights
    unit_params = cast("Array", w.unit_params)  # always there for these cells
    return NormGradients(
        grads.x, w.weight_ih, w.weight_hh, unit_params, w.bias_ih, w.bias_hh, *grads.initial
    )
