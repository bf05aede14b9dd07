"""One step of every cell in torch's own operations, nothing in place."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

__all__ = ["STEPS", "State", "Step", "input_gates"]

State = tuple[Tensor, ...]
# (x_gates [B, G*H], state, weight_hh, bias_hh, extra, scale) -> next state; extra: unit parameters
# or, for the LSTM, the projection's weight; scale: multiplies h wherever it enters a product.
Step = Callable[[Tensor, State, Tensor, "Tensor | None", "Tensor | None", "Tensor | None"], State]


def _scaled(h: Tensor, scale: Tensor | None) -> Tensor:
    return h if scale is None else h * scale


def _rnn(activation: Callable[[Tensor], Tensor]) -> Step:
    def step(
        x_gates: Tensor,
        state: State,
        weight_hh: Tensor,
        bias_hh: Tensor | None,
        extra: Tensor | None,  # noqa: ARG001 - one signature for all cells
        scale: Tensor | None,
    ) -> State:
        return (activation(x_gates + linear(_scaled(state[0], scale), weight_hh, bias_hh)),)

    return step


def _lstm(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    weight_hr: Tensor | None,
    scale: Tensor | None,
) -> State:
    h, c = state
    i, f, g, o = (x_gates + linear(_scaled(h, scale), weight_hh, bias_hh)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return (h if weight_hr is None else linear(h, weight_hr), c)


def _peephole_lstm(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    peephole: Tensor | None,
    scale: Tensor | None,
) -> State:
    assert peephole is not None
    h, c = state
    p_i, p_f, p_o = peephole.unbind(-2)
    i, f, g, o = (x_gates + linear(_scaled(h, scale), weight_hh, bias_hh)).chunk(4, -1)
    c_next = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(g)
    return (torch.sigmoid(o + p_o * c_next) * torch.tanh(c_next), c_next)


def _coupled_lstm(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    extra: Tensor | None,  # noqa: ARG001
    scale: Tensor | None,
) -> State:
    h, c = state
    f, g, o = (x_gates + linear(_scaled(h, scale), weight_hh, bias_hh)).chunk(3, -1)
    g = torch.tanh(g)
    c = (c - g) * torch.sigmoid(f) + g
    return (torch.sigmoid(o) * torch.tanh(c), c)


def _multiplicative_lstm(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    extra: Tensor | None,  # noqa: ARG001
    scale: Tensor | None,
) -> State:
    """An LSTM on m in the place of h."""
    h, c = state
    sizes = (h.shape[-1], 4 * h.shape[-1])
    x_m, x_rest = x_gates.split(sizes, -1)
    w_m, w_rest = weight_hh.split(sizes, -2)
    b_m, b_rest = (None, None) if bias_hh is None else bias_hh.split(sizes, -1)
    return _lstm(x_rest, (x_m * linear(_scaled(h, scale), w_m, b_m), c), w_rest, b_rest, None, None)


def _gru(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    extra: Tensor | None,  # noqa: ARG001
    scale: Tensor | None,
) -> State:
    (h,) = state
    x_r, x_z, x_n = x_gates.chunk(3, -1)
    h_r, h_z, h_n = linear(_scaled(h, scale), weight_hh, bias_hh).chunk(3, -1)
    n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
    return ((h - n) * torch.sigmoid(x_z + h_z) + n,)


def _gru_reset_before(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    extra: Tensor | None,  # noqa: ARG001
    scale: Tensor | None,
) -> State:
    (h,) = state
    hidden_size = h.shape[-1]
    x_r, x_z, x_n = x_gates.chunk(3, -1)
    w_gates, w_n = weight_hh.split((2 * hidden_size, hidden_size), -2)
    b_gates, b_n = (
        (None, None) if bias_hh is None else bias_hh.split((2 * hidden_size, hidden_size), -1)
    )
    h_r, h_z = linear(_scaled(h, scale), w_gates, b_gates).chunk(2, -1)
    n = torch.tanh(x_n + linear(torch.sigmoid(x_r + h_r) * _scaled(h, scale), w_n, b_n))
    return ((h - n) * torch.sigmoid(x_z + h_z) + n,)


def _ugrnn(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    extra: Tensor | None,  # noqa: ARG001
    scale: Tensor | None,
) -> State:
    (h,) = state
    u, n = (x_gates + linear(_scaled(h, scale), weight_hh, bias_hh)).chunk(2, -1)
    return ((torch.tanh(n) - h) * torch.sigmoid(u) + h,)


def _peephole_lstm_full(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    extra: Tensor | None,  # noqa: ARG001
    scale: Tensor | None,
) -> State:
    h, c = state
    hidden_size = h.shape[-1]
    w, v = weight_hh.split((hidden_size, hidden_size), -1)
    v_first, v_o = v.split((3 * hidden_size, hidden_size), -2)
    first, o = (x_gates + linear(_scaled(h, scale), w, bias_hh)).split(
        (3 * hidden_size, hidden_size), -1
    )
    i, f, g = (first + linear(c, v_first)).chunk(3, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return (torch.sigmoid(o + linear(c, v_o)) * torch.tanh(c), c)


def _norm(v: Tensor) -> Tensor:
    return layer_norm(v, v.shape[-1:], eps=1e-5)


def _layer_norm_lstm(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    norm: Tensor | None,
    scale: Tensor | None,
) -> State:
    assert norm is not None
    h, c = state
    gamma_h = norm[4:8].flatten()
    a = x_gates + _biased(gamma_h * _norm(linear(_scaled(h, scale), weight_hh)), bias_hh)
    i, f, g, o = a.chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return (torch.sigmoid(o) * torch.tanh(norm[8] * _norm(c) + norm[9]), c)


def _layer_norm_gru(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    norm: Tensor | None,
    scale: Tensor | None,
) -> State:
    assert norm is not None
    (h,) = state
    x_r, x_z, x_n = x_gates.chunk(3, -1)
    h_gates = _biased(norm[3:6].flatten() * _norm(linear(_scaled(h, scale), weight_hh)), bias_hh)
    h_r, h_z, h_n = h_gates.chunk(3, -1)
    n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
    return ((h - n) * torch.sigmoid(x_z + h_z) + n,)


def _biased(v: Tensor, bias: Tensor | None) -> Tensor:
    return v if bias is None else v + bias


def input_gates(
    cell: str, x: Tensor, weight_ih: Tensor, bias_ih: Tensor | None, extra: Tensor | None
) -> Tensor:
    """The input's part of the pre-activations, as the steps take it."""
    if not cell.startswith("layer_norm"):
        return linear(x, weight_ih, bias_ih)
    assert extra is not None
    product = linear(x, weight_ih)
    gamma_x = extra[: product.shape[-1] // extra.shape[-1]].flatten()
    return _biased(gamma_x * _norm(product), bias_ih)


STEPS: dict[str, Step] = {
    "rnn_tanh": _rnn(torch.tanh),
    "rnn_relu": _rnn(torch.relu),
    "lstm": _lstm,
    "gru": _gru,
    "gru_reset_before": _gru_reset_before,
    "peephole_lstm": _peephole_lstm,
    "rnn_sigmoid": _rnn(torch.sigmoid),
    "coupled_lstm": _coupled_lstm,
    "ugrnn": _ugrnn,
    "multiplicative_lstm": _multiplicative_lstm,
    "peephole_lstm_full": _peephole_lstm_full,
    "layer_norm_lstm": _layer_norm_lstm,
    "layer_norm_gru": _layer_norm_gru,
}
