"""The gated cells without a cell state."""

from __future__ import annotations

import numpy as np

from fastrnn.reference import _math
from fastrnn.reference._math import Array, Params, State, sigmoid

# -- GRU, gates r z n: h' = (1-z)*n + z*h ------------------------------------------------------


def gru_values(x_gates: Array, h_gates: Array) -> tuple[Array, Array, Array, Array]:
    """r, z, n and the recurrent part of n, which r multiplies."""
    (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(x_gates, 3, axis=1), np.split(h_gates, 3, axis=1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    return r, z, np.tanh(x_n + r * h_n), h_n


def gru_step(x: Array, state: State, p: Params) -> State:
    """Reset after the matmul, n = tanh(W_in x + b_in + r*(W_hn h + b_hn)): torch.nn.GRU."""
    (h,) = state
    x_gates = _math.affine(x, p.weight_ih, p.bias_ih)
    _, z, n, _ = gru_values(x_gates, _math.affine(h, p.weight_hh, p.bias_hh))
    return ((1 - z) * n + z * h,)


def gru_step_backward(
    x: Array, state: State, p: Params, d_next: State
) -> tuple[Array, State, Params]:
    (h,), (d_h_next,) = state, d_next
    x_gates = _math.affine(x, p.weight_ih, p.bias_ih)
    r, z, n, h_n = gru_values(x_gates, _math.affine(h, p.weight_hh, p.bias_hh))
    d_a_n = d_h_next * (1 - z) * (1 - n**2)
    d_a_z = d_h_next * (h - n) * z * (1 - z)
    d_a_r = d_a_n * h_n * r * (1 - r)
    # W_hn h + b_hn is multiplied by r: the two sides of n get different gradients.
    d_x_gates = np.concatenate([d_a_r, d_a_z, d_a_n], axis=1)
    d_h_gates = np.concatenate([d_a_r, d_a_z, d_a_n * r], axis=1)
    d_x, d_weight_ih, d_bias_ih = _math.affine_backward(d_x_gates, x, p.weight_ih)
    d_h, d_weight_hh, d_bias_hh = _math.affine_backward(d_h_gates, h, p.weight_hh)
    d_params = Params(d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh)
    return d_x, (d_h + d_h_next * z,), d_params


def _reset_before_values(x: Array, h: Array, p: Params) -> tuple[Array, Array, Array]:
    hidden_size = h.shape[1]
    split = 2 * hidden_size
    bias_rz, bias_n = (None, None) if p.bias_hh is None else np.split(p.bias_hh, [split])
    weight_rz, weight_n = np.split(p.weight_hh, [split])
    x_rz, x_n = np.split(_math.affine(x, p.weight_ih, p.bias_ih), [split], axis=1)
    r, z = np.split(sigmoid(x_rz + _math.affine(h, weight_rz, bias_rz)), 2, axis=1)
    n = np.tanh(x_n + _math.affine(r * h, weight_n, bias_n))
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
    d_reset_h, d_weight_n, _ = _math.affine_backward(d_a_n, r * h, weight_n)
    d_a_r = d_reset_h * h * r * (1 - r)
    d_a = np.concatenate([d_a_r, d_a_z, d_a_n], axis=1)
    d_x, d_weight_ih, d_bias = _math.affine_backward(d_a, x, p.weight_ih)
    d_h, d_weight_rz, _ = _math.affine_backward(d_a[:, : 2 * h.shape[1]], h, weight_rz)
    d_weight_hh = np.concatenate([d_weight_rz, d_weight_n])
    d_h = d_h + d_reset_h * r + d_h_next * z
    return d_x, (d_h,), Params(d_weight_ih, d_weight_hh, d_bias, d_bias)


# -- UGRNN, gates u n: h' = u*n + (1-u)*h   (a GRU without reset gate; Collins et al. 2016) -----


def _ugrnn_values(x: Array, h: Array, p: Params) -> tuple[Array, Array]:
    a = _math.affine(x, p.weight_ih, p.bias_ih) + _math.affine(h, p.weight_hh, p.bias_hh)
    a_u, a_n = np.split(a, 2, axis=1)
    return sigmoid(a_u), np.tanh(a_n)


def ugrnn_step(x: Array, state: State, p: Params) -> State:
    (h,) = state
    u, n = _ugrnn_values(x, h, p)
    return (u * n + (1 - u) * h,)


def ugrnn_step_backward(
    x: Array, state: State, p: Params, d_next: State
) -> tuple[Array, State, Params]:
    (h,), (d_h_next,) = state, d_next
    u, n = _ugrnn_values(x, h, p)
    d_a_u = d_h_next * (n - h) * u * (1 - u)
    d_a_n = d_h_next * u * (1 - n**2)
    d_a = np.concatenate([d_a_u, d_a_n], axis=1)
    d_x, d_weight_ih, d_bias = _math.affine_backward(d_a, x, p.weight_ih)
    d_h, d_weight_hh, _ = _math.affine_backward(d_a, h, p.weight_hh)
    return d_x, (d_h + d_h_next * (1 - u),), Params(d_weight_ih, d_weight_hh, d_bias, d_bias)
