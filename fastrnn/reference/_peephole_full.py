"""The LSTM whose gates see the whole cell state (Gers & Schmidhuber 2000), gates i f g o.

    i, f = s(. + V c),  g = tanh(.),  c' = f*c + i*g,  o = s(. + V_o c'),  h' = o*tanh(c')

``weight_hh`` is [4H, 2H]: the columns of W_hh, then those of V.  The rows of g in V are zero in the
lectures' form; where they are not, g sees c, too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastrnn.reference import _math
from fastrnn.reference._math import Array, Params, State, sigmoid


class _Values(NamedTuple):
    i: Array
    f: Array
    g: Array
    o: Array
    c_next: Array


def _columns(p: Params) -> tuple[Array, Array]:
    w, v = np.split(p.weight_hh, 2, axis=1)
    return w, v


def _values(x: Array, state: State, p: Params) -> _Values:
    h, c = state
    w, v = _columns(p)
    v_i, v_f, v_g, v_o = np.split(v, 4)
    a = _math.affine(x, p.weight_ih, p.bias_ih) + _math.affine(h, w, p.bias_hh)
    a_i, a_f, a_g, a_o = np.split(a, 4, axis=1)
    seen_i, seen_f, seen_g = (_math.affine(c, rows, None) for rows in (v_i, v_f, v_g))
    i, f, g = sigmoid(a_i + seen_i), sigmoid(a_f + seen_f), np.tanh(a_g + seen_g)
    c_next = f * c + i * g
    return _Values(i, f, g, sigmoid(a_o + _math.affine(c_next, v_o, None)), c_next)


def peephole_lstm_full_step(x: Array, state: State, p: Params) -> State:
    v = _values(x, state, p)
    return v.o * np.tanh(v.c_next), v.c_next


def peephole_lstm_full_step_backward(
    x: Array, state: State, p: Params, d_next: State
) -> tuple[Array, State, Params]:
    (h, c), (d_h_next, d_c_next) = state, d_next
    values = _values(x, state, p)
    w, v = _columns(p)
    v_first, v_o = np.split(v, [3 * h.shape[1]])
    i, f, g, o, c_next = values
    t = np.tanh(c_next)
    d_a_o = d_h_next * t * o * (1 - o)
    d_seen, d_v_o, _ = _math.affine_backward(d_a_o, c_next, v_o)
    d_c_total = d_c_next + d_h_next * o * (1 - t**2) + d_seen
    d_a_i = d_c_total * g * i * (1 - i)
    d_a_f = d_c_total * c * f * (1 - f)
    d_a_g = d_c_total * i * (1 - g**2)
    d_first = np.concatenate([d_a_i, d_a_f, d_a_g], axis=1)
    d_a = np.concatenate([d_first, d_a_o], axis=1)
    d_x, d_weight_ih, d_bias = _math.affine_backward(d_a, x, p.weight_ih)
    d_h, d_w, _ = _math.affine_backward(d_a, h, w)
    d_c, d_v_first, _ = _math.affine_backward(d_first, c, v_first)
    d_weight_hh = np.concatenate([d_w, np.concatenate([d_v_first, d_v_o])], axis=1)
    return d_x, (d_h, d_c + d_c_total * f), Params(d_weight_ih, d_weight_hh, d_bias, d_bias)
