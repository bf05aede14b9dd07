"""The simple recurrent cells."""

from __future__ import annotations

import numpy as np

from fastrnn.reference import _math
from fastrnn.reference._math import Array, Params, State, sigmoid

# -- RNN: h' = f(W_ih x + b_ih + W_hh h + b_hh)   (Elman 1990; torch.nn.RNN) -------------------


def _rnn_gate(x: Array, h: Array, p: Params) -> Array:
    return _math.affine(x, p.weight_ih, p.bias_ih) + _math.affine(h, p.weight_hh, p.bias_hh)


def rnn_tanh_step(x: Array, state: State, p: Params) -> State:
    (h,) = state
    return (np.tanh(_rnn_gate(x, h, p)),)


def rnn_relu_step(x: Array, state: State, p: Params) -> State:
    (h,) = state
    return (np.maximum(_rnn_gate(x, h, p), 0),)


def rnn_sigmoid_step(x: Array, state: State, p: Params) -> State:
    (h,) = state
    return (sigmoid(_rnn_gate(x, h, p)),)


def _rnn_backward(d_gate: Array, x: Array, h: Array, p: Params) -> tuple[Array, State, Params]:
    d_x, d_weight_ih, d_bias = _math.affine_backward(d_gate, x, p.weight_ih)
    d_h, d_weight_hh, _ = _math.affine_backward(d_gate, h, p.weight_hh)
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


def rnn_sigmoid_step_backward(
    x: Array, state: State, p: Params, d_next: State
) -> tuple[Array, State, Params]:
    s = sigmoid(_rnn_gate(x, state[0], p))
    return _rnn_backward(d_next[0] * s * (1 - s), x, state[0], p)
