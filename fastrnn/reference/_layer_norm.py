"""The cells with layer normalization, as in haste (after Ba et al. 2016).

``norm(v) = (v - mean(v)) / sqrt(var(v) + 1e-5)``, mean and variance over a row: all gates together,
or the units of a state.  ``unit_params``: the scales of the input's part, one row a gate, those of
the recurrent part, and for the LSTM scale and shift of the cell state.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastrnn.reference import _math
from fastrnn.reference._gru import gru_values
from fastrnn.reference._math import Array, Params, State, sigmoid

_EPSILON = 1e-5


class _Norm(NamedTuple):
    values: Array
    scale: Array  # 1 / deviation, [B, 1]

    def backward(self, d_values: Array) -> Array:
        n = self.values
        mean = d_values.mean(axis=1, keepdims=True)
        mean_product = (d_values * n).mean(axis=1, keepdims=True)
        result: Array = self.scale * (d_values - mean - n * mean_product)
        return result


def _norm(v: Array) -> _Norm:
    centered = v - v.mean(axis=1, keepdims=True)
    scale = 1 / np.sqrt((centered**2).mean(axis=1, keepdims=True) + _EPSILON)
    return _Norm(centered * scale, scale)


class _Part(NamedTuple):
    """gamma norm(W v) + b"""

    v: Array
    weight: Array
    gamma: Array  # [G*H]
    norm: _Norm
    gates: Array


def _part(v: Array, weight: Array, gamma: Array, bias: Array | None) -> _Part:
    gamma = gamma.reshape(-1)
    norm = _norm(_math.affine(v, weight, None))
    gates = gamma * norm.values
    return _Part(v, weight, gamma, norm, gates if bias is None else gates + bias)


class _PartGradients(NamedTuple):
    v: Array
    weight: Array
    bias: Array
    gamma: Array  # [G, H]


def _part_backward(part: _Part, d_gates: Array, num_gates: int) -> _PartGradients:
    d_product = part.norm.backward(d_gates * part.gamma)
    d_gamma = (d_gates * part.norm.values).sum(axis=0).reshape(num_gates, -1)
    d_v, d_weight, _ = _math.affine_backward(d_product, part.v, part.weight)
    return _PartGradients(d_v, d_weight, d_gates.sum(axis=0), d_gamma)


def _parts(x: Array, h: Array, p: Params, num_gates: int) -> tuple[_Part, _Part]:
    assert p.unit_params is not None
    gamma_x, gamma_h = p.unit_params[:num_gates], p.unit_params[num_gates : 2 * num_gates]
    return (
        _part(x, p.weight_ih, gamma_x, p.bias_ih),
        _part(h, p.weight_hh, gamma_h, p.bias_hh),
    )


# -- LSTM, gates i f g o: h' = o*tanh(gamma_c*norm(c') + beta_c) ---------------------------------


class _LstmValues(NamedTuple):
    parts: tuple[_Part, _Part]
    i: Array
    f: Array
    g: Array
    o: Array
    c_next: Array
    norm: _Norm
    t: Array


def _lstm_values(x: Array, state: State, p: Params) -> _LstmValues:
    h, c = state
    assert p.unit_params is not None
    parts = _parts(x, h, p, 4)
    a_i, a_f, a_g, a_o = np.split(parts[0].gates + parts[1].gates, 4, axis=1)
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
    c_next = f * c + i * g
    norm = _norm(c_next)
    t = np.tanh(p.unit_params[8] * norm.values + p.unit_params[9])
    return _LstmValues(parts, i, f, g, o, c_next, norm, t)


def layer_norm_lstm_step(x: Array, state: State, p: Params) -> State:
    v = _lstm_values(x, state, p)
    return v.o * v.t, v.c_next


def layer_norm_lstm_step_backward(
    x: Array, state: State, p: Params, d_next: State
) -> tuple[Array, State, Params]:
    (_, c), (d_h_next, d_c_next) = state, d_next
    v = _lstm_values(x, state, p)
    assert p.unit_params is not None
    d_inner = d_h_next * v.o * (1 - v.t**2)
    d_c_total = d_c_next + v.norm.backward(d_inner * p.unit_params[8])
    d_a = np.concatenate(
        [
            d_c_total * v.g * v.i * (1 - v.i),
            d_c_total * c * v.f * (1 - v.f),
            d_c_total * v.i * (1 - v.g**2),
            d_h_next * v.t * v.o * (1 - v.o),
        ],
        axis=1,
    )
    of_x, of_h = (_part_backward(part, d_a, 4) for part in v.parts)
    of_state = np.stack([(d_inner * v.norm.values).sum(axis=0), d_inner.sum(axis=0)])
    d_unit = np.concatenate([of_x.gamma, of_h.gamma, of_state])
    d_params = Params(of_x.weight, of_h.weight, of_x.bias, of_h.bias, d_unit)
    return of_x.v, (of_h.v, d_c_total * v.f), d_params


# -- GRU, gates r z n, reset after the product ---------------------------------------------------


def layer_norm_gru_step(x: Array, state: State, p: Params) -> State:
    (h,) = state
    of_x, of_h = _parts(x, h, p, 3)
    _, z, n, _ = gru_values(of_x.gates, of_h.gates)
    return ((1 - z) * n + z * h,)


def layer_norm_gru_step_backward(
    x: Array, state: State, p: Params, d_next: State
) -> tuple[Array, State, Params]:
    (h,), (d_h_next,) = state, d_next
    parts = _parts(x, h, p, 3)
    r, z, n, h_n = gru_values(parts[0].gates, parts[1].gates)
    d_a_n = d_h_next * (1 - z) * (1 - n**2)
    d_a_z = d_h_next * (h - n) * z * (1 - z)
    d_a_r = d_a_n * h_n * r * (1 - r)
    of_x = _part_backward(parts[0], np.concatenate([d_a_r, d_a_z, d_a_n], axis=1), 3)
    of_h = _part_backward(parts[1], np.concatenate([d_a_r, d_a_z, d_a_n * r], axis=1), 3)
    d_unit = np.concatenate([of_x.gamma, of_h.gamma])
    d_params = Params(of_x.weight, of_h.weight, of_x.bias, of_h.bias, d_unit)
    return of_x.v, (of_h.v + d_h_next * z,), d_params
