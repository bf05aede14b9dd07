"""One step of every cell in torch's own operations, nothing in place."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import linear

__all__ = ["STEPS", "State", "Step"]

State = tuple[Tensor, ...]
# (x_gates [B, G*H], state, weight_hh, bias_hh, extra) -> next state; extra: unit parameters or,
# for the LSTM, the projection's weight.
Step = Callable[[Tensor, State, Tensor, "Tensor | None", "Tensor | None"], State]


def _rnn(activation: Callable[[Tensor], Tensor]) -> Step:
    def step(
        x_gates: Tensor,
        state: State,
        weight_hh: Tensor,
        bias_hh: Tensor | None,
        extra: Tensor | None,  # noqa: ARG001 - one signature for all cells
    ) -> State:
        return (activation(x_gates + linear(state[0], weight_hh, bias_hh)),)

    return step


def _lstm(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    weight_hr: Tensor | None,
) -> State:
    h, c = state
    i, f, g, o = (x_gates + linear(h, weight_hh, bias_hh)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return (h if weight_hr is None else linear(h, weight_hr), c)


def _peephole_lstm(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    peephole: Tensor | None,
) -> State:
    assert peephole is not None
    h, c = state
    p_i, p_f, p_o = peephole.unbind(-2)
    i, f, g, o = (x_gates + linear(h, weight_hh, bias_hh)).chunk(4, -1)
    c_next = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(g)
    return (torch.sigmoid(o + p_o * c_next) * torch.tanh(c_next), c_next)


def _coupled_lstm(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    extra: Tensor | None,  # noqa: ARG001
) -> State:
    h, c = state
    f, g, o = (x_gates + linear(h, weight_hh, bias_hh)).chunk(3, -1)
    g = torch.tanh(g)
    c = (c - g) * torch.sigmoid(f) + g
    return (torch.sigmoid(o) * torch.tanh(c), c)


def _multiplicative_lstm(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    extra: Tensor | None,  # noqa: ARG001
) -> State:
    """An LSTM on m in the place of h."""
    h, c = state
    sizes = (h.shape[-1], 4 * h.shape[-1])
    x_m, x_rest = x_gates.split(sizes, -1)
    w_m, w_rest = weight_hh.split(sizes, -2)
    b_m, b_rest = (None, None) if bias_hh is None else bias_hh.split(sizes, -1)
    return _lstm(x_rest, (x_m * linear(h, w_m, b_m), c), w_rest, b_rest, None)


def _gru(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    extra: Tensor | None,  # noqa: ARG001
) -> State:
    (h,) = state
    x_r, x_z, x_n = x_gates.chunk(3, -1)
    h_r, h_z, h_n = linear(h, weight_hh, bias_hh).chunk(3, -1)
    n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
    return ((h - n) * torch.sigmoid(x_z + h_z) + n,)


def _gru_reset_before(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    extra: Tensor | None,  # noqa: ARG001
) -> State:
    (h,) = state
    hidden_size = h.shape[-1]
    x_r, x_z, x_n = x_gates.chunk(3, -1)
    w_gates, w_n = weight_hh.split((2 * hidden_size, hidden_size), -2)
    b_gates, b_n = (
        (None, None) if bias_hh is None else bias_hh.split((2 * hidden_size, hidden_size), -1)
    )
    h_r, h_z = linear(h, w_gates, b_gates).chunk(2, -1)
    n = torch.tanh(x_n + linear(torch.sigmoid(x_r + h_r) * h, w_n, b_n))
    return ((h - n) * torch.sigmoid(x_z + h_z) + n,)


def _ugrnn(
    x_gates: Tensor,
    state: State,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    extra: Tensor | None,  # noqa: ARG001
) -> State:
    (h,) = state
    u, n = (x_gates + linear(h, weight_hh, bias_hh)).chunk(2, -1)
    return ((torch.tanh(n) - h) * torch.sigmoid(u) + h,)


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
}
