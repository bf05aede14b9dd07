"""Textbook versions of every cell in plain NumPy: the oracle the engine is tested against.

Written for reading, one step at a time, and independent of the compiled code: a step computes
its gates from scratch, and its backward (a vector-Jacobian product) recomputes them instead of
saving anything.  Nothing here is on the fast path.  `layer` walks a cell over a sequence in one
direction or two and `layer_backward` returns every gradient; both compute in float64 unless told
otherwise.

Notation: ``x`` the input of a step, ``h`` and ``c`` the hidden and cell state before it,
``s()`` the logistic sigmoid, ``*`` elementwise.

>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> params = Params(rng.normal(size=(20, 3)), rng.normal(size=(20, 5)))
>>> run = layer("lstm", rng.normal(size=(7, 2, 3)), [params])
>>> run.y.shape, [state.shape for state in run.final]
((7, 2, 5), [(1, 2, 5), (1, 2, 5)])
>>> layer_backward(run, grad_y=np.ones_like(run.y)).params[0].weight_hh.shape
(20, 5)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["CELLS", "Cell", "Gradients", "Params", "Run", "layer", "layer_backward", "sigmoid"]

Array = npt.NDArray[Any]
State = tuple[Array, ...]  # (h,) or (h, c), each [B, H]


class Params(NamedTuple):
    """Parameters of one direction, or their gradients; a bias of None counts as zero."""

    weight_ih: Array  # [G*H, I]
    weight_hh: Array  # [G*H, H]
    bias_ih: Array | None = None  # [G*H]
    bias_hh: Array | None = None  # [G*H]
    unit_params: Array | None = None  # [P, H]: one number a unit, e.g. peepholes


# (x [B, I], state, params) -> next state
Step = Callable[[Array, State, Params], State]
# (x, state, params, gradient of the next state) -> gradients of x, state and params
StepBackward = Callable[[Array, State, Params, State], tuple[Array, State, Params]]


class Cell(NamedTuple):
    num_gates: int
    num_states: int
    num_unit_params: int
    step: Step
    step_backward: StepBackward


def sigmoid(v: Array) -> Array:
    with np.errstate(over="ignore"):  # exp(-v) = inf gives the right 0
        result: Array = 1 / (1 + np.exp(-v))
    return result


def _affine(v: Array, weight: Array, bias: Array | None) -> Array:
    product: Array = v @ weight.T
    return product if bias is None else product + bias


def _affine_backward(grad: Array, v: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Gradients of ``v``, ``weight`` and ``bias`` in ``_affine``."""
    return grad @ weight, grad.T @ v, grad.sum(axis=0)


# -- RNN: h' = f(W_ih x + b_ih + W_hh h + b_hh)   (Elman 1990; torch.nn.RNN) -------------------


def _rnn_gate(x: Array, h: Array, p: Params) -> Array:
    return _affine(x, p.weight_ih, p.bias_ih) + _affine(h, p.weight_hh, p.bias_hh)


def rnn_tanh_step(x: Array, state: State, p: Params) -> State:
    (h,) = state
    return (np.tanh(_rnn_gate(x, h, p)),)


def rnn_relu_step(x: Array, state: State, p: Params) -> State:
    (h,) = state
    return (np.maximum(_rnn_gate(x, h, p), 0),)


def _rnn_backward(d_gate: Array, x: Array, h: Array, p: Params) -> tuple[Array, State, Params]:
    d_x, d_weight_ih, d_bias = _affine_backward(d_gate, x, p.weight_ih)
    d_h, d_weight_hh, _ = _affine_backward(d_gate, h, p.weight_hh)
    return d_x, (d_h,), Params(d_weight_ih, d_weight_hh, d_bias, d_bias)


def rnn_tanh_step_backward(
    x: Array, state: State, p: Params, d_next: State
) -> tuple[Array, State, Params]:
    slope = 1 - np.tanh(_rnn_gate(x, state[0], p)) ** 2
    return _rnn_backward(d_next[0] * slope, x, state[0], p)


def rnn_relu_step_backward(
    x: Array, state: State, p: Params, d_next: State
) -> tuple[Array, State, Params]:
    slope = _rnn_gate(x, state[0], p) > 0
    return _rnn_backward(d_next[0] * slope, x, state[0], p)


# -- LSTM, gates i f g o: c' = f*c + i*g,  h' = o*tanh(c')   (torch.nn.LSTM) --------------------
# With peepholes (Gers & Schmidhuber 2000, one weight a unit, unit_params in the order i f o):
# i = s(. + p_i*c), f = s(. + p_f*c) look at the old cell state, o = s(. + p_o*c') at the new one.


class _LstmValues(NamedTuple):
    i: Array
    f: Array
    g: Array
    o: Array
    c_next: Array


def _lstm_values(x: Array, state: State, p: Params) -> _LstmValues:
    h, c = state
    a = _affine(x, p.weight_ih, p.bias_ih) + _affine(h, p.weight_hh, p.bias_hh)
    a_i, a_f, a_g, a_o = np.split(a, 4, axis=1)
    peep = p.unit_params
    if peep is not None:
        a_i, a_f = a_i + peep[0] * c, a_f + peep[1] * c
    i, f, g = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g)
    c_next = f * c + i * g
    o = sigmoid(a_o if peep is None else a_o + peep[2] * c_next)
    return _LstmValues(i, f, g, o, c_next)


def lstm_step(x: Array, state: State, p: Params) -> State:
    v = _lstm_values(x, state, p)
    return v.o * np.tanh(v.c_next), v.c_next


def lstm_step_backward(
    x: Array, state: State, p: Params, d_next: State
) -> tuple[Array, State, Params]:
    (h, c), (d_h_next, d_c_next) = state, d_next
    v = _lstm_values(x, state, p)
    t = np.tanh(v.c_next)
    d_a_o = d_h_next * t * v.o * (1 - v.o)
    d_c_total = d_c_next + d_h_next * v.o * (1 - t**2)
    if p.unit_params is not None:
        d_c_total = d_c_total + d_a_o * p.unit_params[2]
    d_a_i = d_c_total * v.g * v.i * (1 - v.i)
    d_a_f = d_c_total * c * v.f * (1 - v.f)
    d_a_g = d_c_total * v.i * (1 - v.g**2)
    d_c = d_c_total * v.f
    d_unit = None
    if p.unit_params is not None:
        d_c = d_c + d_a_i * p.unit_params[0] + d_a_f * p.unit_params[1]
        d_unit = np.stack([(d_a_i * c).sum(0), (d_a_f * c).sum(0), (d_a_o * v.c_next).sum(0)])
    d_a = np.concatenate([d_a_i, d_a_f, d_a_g, d_a_o], axis=1)
    d_x, d_weight_ih, d_bias = _affine_backward(d_a, x, p.weight_ih)
    d_h, d_weight_hh, _ = _affine_backward(d_a, h, p.weight_hh)
    return d_x, (d_h, d_c), Params(d_weight_ih, d_weight_hh, d_bias, d_bias, d_unit)


# -- GRU, gates r z n: h' = (1-z)*n + z*h ------------------------------------------------------


def gru_step(x: Array, state: State, p: Params) -> State:
    """Reset after the matmul, n = tanh(W_in x + b_in + r*(W_hn h + b_hn)): torch.nn.GRU."""
    (h,) = state
    x_r, x_z, x_n = np.split(_affine(x, p.weight_ih, p.bias_ih), 3, axis=1)
    h_r, h_z, h_n = np.split(_affine(h, p.weight_hh, p.bias_hh), 3, axis=1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = np.tanh(x_n + r * h_n)
    return ((1 - z) * n + z * h,)


def gru_step_backward(
    x: Array, state: State, p: Params, d_next: State
) -> tuple[Array, State, Params]:
    (h,), (d_h_next,) = state, d_next
    x_r, x_z, x_n = np.split(_affine(x, p.weight_ih, p.bias_ih), 3, axis=1)
    h_r, h_z, h_n = np.split(_affine(h, p.weight_hh, p.bias_hh), 3, axis=1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = np.tanh(x_n + r * h_n)
    d_a_n = d_h_next * (1 - z) * (1 - n**2)
    d_a_z = d_h_next * (h - n) * z * (1 - z)
    d_a_r = d_a_n * h_n * r * (1 - r)
    # W_hn h + b_hn is multiplied by r: the two sides of n get different gradients.
    d_x_gates = np.concatenate([d_a_r, d_a_z, d_a_n], axis=1)
    d_h_gates = np.concatenate([d_a_r, d_a_z, d_a_n * r], axis=1)
    d_x, d_weight_ih, d_bias_ih = _affine_backward(d_x_gates, x, p.weight_ih)
    d_h, d_weight_hh, d_bias_hh = _affine_backward(d_h_gates, h, p.weight_hh)
    d_params = Params(d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh)
    return d_x, (d_h + d_h_next * z,), d_params


def _reset_before_values(x: Array, h: Array, p: Params) -> tuple[Array, Array, Array]:
    hidden_size = h.shape[1]
    split = 2 * hidden_size
    bias_rz, bias_n = (None, None) if p.bias_hh is None else np.split(p.bias_hh, [split])
    weight_rz, weight_n = np.split(p.weight_hh, [split])
    x_rz, x_n = np.split(_affine(x, p.weight_ih, p.bias_ih), [split], axis=1)
    r, z = np.split(sigmoid(x_rz + _affine(h, weight_rz, bias_rz)), 2, axis=1)
    n = np.tanh(x_n + _affine(r * h, weight_n, bias_n))
    return r, z, n


def gru_reset_before_step(x: Array, state: State, p: Params) -> State:
    """Reset before the matmul, n = tanh(W_in x + b_in + W_hn (r*h) + b_hn): Cho et al. 2014."""
    (h,) = state
    _, z, n = _reset_before_values(x, h, p)
    return ((1 - z) * n + z * h,)


def gru_reset_before_step_backward(
    x: Array, state: State, p: Params, d_next: State
) -> tuple[Array, State, Params]:
    (h,), (d_h_next,) = state, d_next
    r, z, n = _reset_before_values(x, h, p)
    weight_rz, weight_n = np.split(p.weight_hh, [2 * h.shape[1]])
    d_a_n = d_h_next * (1 - z) * (1 - n**2)
    d_a_z = d_h_next * (h - n) * z * (1 - z)
    d_reset_h, d_weight_n, _ = _affine_backward(d_a_n, r * h, weight_n)
    d_a_r = d_reset_h * h * r * (1 - r)
    d_a = np.concatenate([d_a_r, d_a_z, d_a_n], axis=1)
    d_x, d_weight_ih, d_bias = _affine_backward(d_a, x, p.weight_ih)
    d_h, d_weight_rz, _ = _affine_backward(d_a[:, : 2 * h.shape[1]], h, weight_rz)
    d_weight_hh = np.concatenate([d_weight_rz, d_weight_n])
    d_h = d_h + d_reset_h * r + d_h_next * z
    return d_x, (d_h,), Params(d_weight_ih, d_weight_hh, d_bias, d_bias)


CELLS: dict[str, Cell] = {
    "rnn_tanh": Cell(1, 1, 0, rnn_tanh_step, rnn_tanh_step_backward),
    "rnn_relu": Cell(1, 1, 0, rnn_relu_step, rnn_relu_step_backward),
    "lstm": Cell(4, 2, 0, lstm_step, lstm_step_backward),
    "gru": Cell(3, 1, 0, gru_step, gru_step_backward),
    "gru_reset_before": Cell(3, 1, 0, gru_reset_before_step, gru_reset_before_step_backward),
    "peephole_lstm": Cell(4, 2, 3, lstm_step, lstm_step_backward),
}


# -- a whole layer ------------------------------------------------------------------------------


class Run(NamedTuple):
    """What `layer` returns; the fields after ``final`` are for `layer_backward`."""

    y: Array  # [T, B, D*H], the directions side by side
    final: State  # h_n and, with a cell state, c_n: [D, B, H] each
    cell: Cell
    x: Array
    params: list[Params]
    states: list[list[State]]  # a direction: the state before each step, in the order of walking


class Gradients(NamedTuple):
    """What `layer_backward` returns, in the shapes of `layer`'s arguments."""

    x: Array
    params: list[Params]
    initial: State


def layer(
    cell: str,
    x: Array,
    params: Sequence[Params],
    initial: Sequence[Array | None] | None = None,
    dtype: npt.DTypeLike = np.float64,
) -> Run:
    """One layer over a whole sequence.

    ``x`` is [T, B, I]; ``params`` has one entry a direction, the second walking backward in
    time; ``initial`` has one [D, B, H] array a state, None for zeros.
    """
    kind = CELLS[cell]
    x = np.asarray(x, dtype)
    params = [_map(lambda a: np.asarray(a, dtype), p) for p in params]
    seq_len, batch_size, _ = x.shape
    hidden_size = params[0].weight_hh.shape[1]
    shape = (len(params), batch_size, hidden_size)
    given = initial if initial is not None else [None] * kind.num_states
    start = [np.zeros(shape, dtype) if s is None else np.asarray(s, dtype) for s in given]

    y = np.empty((seq_len, batch_size, len(params) * hidden_size), dtype)
    final = [np.empty(shape, dtype) for _ in start]
    states: list[list[State]] = []
    for d, p in enumerate(params):
        state: State = tuple(s[d] for s in start)
        states.append([])
        for t in _order(seq_len, d):
            states[d].append(state)
            state = kind.step(x[t], state, p)
            y[t, :, d * hidden_size : (d + 1) * hidden_size] = state[0]
        for whole, part in zip(final, state, strict=True):
            whole[d] = part
    return Run(y, tuple(final), kind, x, params, states)


def layer_backward(
    run: Run, grad_y: Array | None = None, grad_final: Sequence[Array | None] | None = None
) -> Gradients:
    """Gradients of ``sum(grad_y * y) + sum(grad_final * final)``; None counts as zero."""
    kind, x, dtype = run.cell, run.x, run.x.dtype
    hidden_size = run.final[0].shape[2]
    d_y = np.zeros_like(run.y) if grad_y is None else np.asarray(grad_y, dtype)
    given = grad_final if grad_final is not None else [None] * kind.num_states
    d_final = [
        np.zeros_like(f) if g is None else np.asarray(g, dtype)
        for f, g in zip(run.final, given, strict=True)
    ]
    d_x, d_initial = np.zeros_like(x), [np.empty_like(f) for f in run.final]
    d_params: list[Params] = []
    for d, p in enumerate(run.params):
        total = _map(np.zeros_like, p)
        d_state: State = tuple(f[d] for f in d_final)
        for t, state in reversed(list(zip(_order(len(x), d), run.states[d], strict=True))):
            d_output = d_y[t, :, d * hidden_size : (d + 1) * hidden_size]
            d_next = (d_state[0] + d_output, *d_state[1:])
            d_x_t, d_state, step = kind.step_backward(x[t], state, p, d_next)
            d_x[t] += d_x_t
            total = _map(np.add, total, step)
        d_params.append(total)
        for whole, part in zip(d_initial, d_state, strict=True):
            whole[d] = part
    return Gradients(d_x, d_params, tuple(d_initial))


def _map(function: Callable[..., Array], first: Params, *others: Params) -> Params:
    """Apply to each parameter; one that ``first`` lacks stays None."""
    rows = zip(first, *others, strict=True)
    values: list[Any] = [None if row[0] is None else function(*row) for row in rows]
    return Params(*values)


def _order(seq_len: int, direction: int) -> range:
    return range(seq_len) if direction == 0 else range(seq_len - 1, -1, -1)
