"""The cells with a cell state."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastrnn.reference import _math
from fastrnn.reference._math import Array, Params, State, sigmoid

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
    a = _math.affine(x, p.weight_ih, p.bias_ih) + _math.affine(h, p.weight_hh, p.bias_hh)
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
    d_x, d_weight_ih, d_bias = _math.affine_backward(d_a, x, p.weight_ih)
    d_h, d_weight_hh, _ = _math.affine_backward(d_a, h, p.weight_hh)
    return d_x, (d_h, d_c), Params(d_weight_ih, d_weight_hh, d_bias, d_bias, d_unit)


# -- coupled gates f g o: c' = f*c + (1-f)*g,  h' = o*tanh(c')   (CIFG; Greff et al. 2017) ------


def _coupled_values(x: Array, h: Array, p: Params) -> list[Array]:
    a = _math.affine(x, p.weight_ih, p.bias_ih) + _math.affine(h, p.weight_hh, p.bias_hh)
    a_f, a_g, a_o = np.split(a, 3, axis=1)
    return [sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)]


def coupled_lstm_step(x: Array, state: State, p: Params) -> State:
    h, c = state
    f, g, o = _coupled_values(x, h, p)
    c_next = f * c + (1 - f) * g
    return o * np.tanh(c_next), c_next


def coupled_lstm_step_backward(
    x: Array, state: State, p: Params, d_next: State
) -> tuple[Array, State, Params]:
    (h, c), (d_h_next, d_c_next) = state, d_next
    f, g, o = _coupled_values(x, h, p)
    t = np.tanh(f * c + (1 - f) * g)
    d_c_total = d_c_next + d_h_next * o * (1 - t**2)
    d_a_f = d_c_total * (c - g) * f * (1 - f)
    d_a_g = d_c_total * (1 - f) * (1 - g**2)
    d_a_o = d_h_next * t * o * (1 - o)
    d_a = np.concatenate([d_a_f, d_a_g, d_a_o], axis=1)
    d_x, d_weight_ih, d_bias = _math.affine_backward(d_a, x, p.weight_ih)
    d_h, d_weight_hh, _ = _math.affine_backward(d_a, h, p.weight_hh)
    return d_x, (d_h, d_c_total * f), Params(d_weight_ih, d_weight_hh, d_bias, d_bias)


# -- multiplicative, gates m i f g o: an LSTM on m in the place of h   (Krause et al. 2016) -----
# m = (W_xm x + b_xm) * (W_hm h + b_hm)


def _split_m(p: Params) -> tuple[Params, Params]:
    """The rows of m, and those of the LSTM."""
    hidden_size = p.weight_hh.shape[1]
    parts: list[Any] = [(None, None) if a is None else np.split(a, [hidden_size]) for a in p]
    return Params(*(part[0] for part in parts)), Params(*(part[1] for part in parts))


def multiplicative_lstm_step(x: Array, state: State, p: Params) -> State:
    h, c = state
    m, rest = _split_m(p)
    x_m, h_m = _math.affine(x, m.weight_ih, m.bias_ih), _math.affine(h, m.weight_hh, m.bias_hh)
    return lstm_step(x, (x_m * h_m, c), rest)


def multiplicative_lstm_step_backward(
    x: Array, state: State, p: Params, d_next: State
) -> tuple[Array, State, Params]:
    h, c = state
    m, rest = _split_m(p)
    x_m, h_m = _math.affine(x, m.weight_ih, m.bias_ih), _math.affine(h, m.weight_hh, m.bias_hh)
    d_x, (d_m, d_c), d_rest = lstm_step_backward(x, (x_m * h_m, c), rest, d_next)
    d_x_by_m, d_weight_ih, d_bias_ih = _math.affine_backward(d_m * h_m, x, m.weight_ih)
    d_h, d_weight_hh, d_bias_hh = _math.affine_backward(d_m * x_m, h, m.weight_hh)
    of_m = Params(d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh)
    pairs = zip(of_m, d_rest, strict=True)
    whole: list[Any] = [None if a is None else np.concatenate([a, b]) for a, b in pairs]
    return d_x + d_x_by_m, (d_h, d_c), Params(*whole)
