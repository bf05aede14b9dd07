"""The cells that torch lacks, as one writes them in torch today: a Python loop of steps.

The input's products of all steps at once, then a step after the other.  `StepLoop` has the
parameters of one of our layers under their names, so that answers can be compared by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.nn.functional import layer_norm, linear

__all__ = ["LOOPS", "Loop", "StepLoop"]

Params = Mapping[str, Tensor]
State = tuple[Tensor, ...]
# What the steps take of the parameters, and one step: (x_t, state, of the parameters) -> state.
Loop = tuple[int, Callable[[Params, Tensor], tuple[Tensor, ...]], Callable[..., State]]


class StepLoop(Module):
    """A layer of ours, one direction, as a loop; zoneout as it has it.

    Dropout on h, too, where h goes nowhere but into products, as in an LSTM.
    """

    def __init__(self, loop: str, layer: Module, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        for name, value in layer.named_parameters():
            self.register_parameter(name, Parameter(value.detach().to(dtype, copy=True)))
        self.num_states, self.prepare, self.step = LOOPS[loop]
        self.hidden_size: Any = layer.hidden_size
        rates: Any = getattr(layer, "zoneout", 0.0)
        self.zoneout = tuple(rates) if isinstance(rates, (tuple, list)) else (rates,) * 2
        self.dropout: Any = getattr(layer, "recurrent_dropout", 0.0)

    def compile_loop(self, backend: str) -> None:
        self.walk = torch.compile(self.walk, backend=backend)  # type: ignore[method-assign]

    def compile_step(self, backend: str) -> None:
        self.step = torch.compile(self.step, backend=backend)

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        y, *state = self.walk(x, *self.masks(x))
        return y, tuple(state) if len(state) == 2 else state[0]

    def masks(self, x: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """For h in the products, and of the old h and c that is kept; drawn as our layers do."""
        sizes = x.shape[0], x.shape[1], self.hidden_size
        scale = kept_h = kept_c = None
        if self.dropout:
            drawn = torch.empty(1, *sizes[1:]).bernoulli_(1 - self.dropout)
            scale = drawn.div(1 - self.dropout).squeeze(0).to(x.dtype)
        if self.zoneout[0]:
            kept_h = torch.empty(sizes).bernoulli_(self.zoneout[0]).to(x.dtype)
        if self.zoneout[1] and self.num_states == 2:
            kept_c = torch.empty(sizes).bernoulli_(self.zoneout[1]).to(x.dtype)
        return scale, kept_h, kept_c

    def walk(
        self, x: Tensor, scale: Tensor | None, kept_h: Tensor | None, kept_c: Tensor | None
    ) -> tuple[Tensor, ...]:
        params = {name.removesuffix("_l0"): value for name, value in self.named_parameters()}
        x_gates, *fixed = self.prepare(params, x)
        state = (x.new_zeros(x.shape[1], self.hidden_size),) * self.num_states
        outputs = []
        for time, x_t in enumerate(x_gates.unbind(0)):
            before = state if scale is None else (state[0] * scale, *state[1:])
            after = self.step(x_t, before, *fixed)
            if kept_h is not None:
                after = (torch.lerp(after[0], state[0], kept_h[time]), *after[1:])
            if kept_c is not None:
                after = (after[0], torch.lerp(after[1], state[1], kept_c[time]))
            state = after
            outputs.append(state[0])
        return (torch.stack(outputs), *(s.unsqueeze(0) for s in state))


def _one_product(p: Params, x: Tensor) -> tuple[Tensor, ...]:
    """The recurrent bias joins the input's."""
    return linear(x, p["weight_ih"], p["bias_ih"] + p["bias_hh"]), p["weight_hh"]


def _with_peephole(p: Params, x: Tensor) -> tuple[Tensor, ...]:
    return (*_one_product(p, x), p["weight_peephole"])


def _two_biases(p: Params, x: Tensor) -> tuple[Tensor, ...]:
    return linear(x, p["weight_ih"], p["bias_ih"]), p["weight_hh"], p["bias_hh"]


def _norm(v: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return layer_norm(v, v.shape[-1:], weight, bias, 1e-5)


def _normalized(p: Params, x: Tensor) -> tuple[Tensor, ...]:
    x_gates = _norm(linear(x, p["weight_ih"]), p["weight_norm_ih"], p["bias_ih"])
    names = ("weight_hh", "bias_hh", "weight_norm_hh", "weight_norm_cell", "bias_norm_cell")
    return (x_gates, *(p[name] for name in names if name in p))


def _sigmoid_rnn(x: Tensor, state: State, w: Tensor) -> State:
    return (torch.sigmoid(x + linear(state[0], w)),)


def _gated(i: Tensor, f: Tensor, g: Tensor, o: Tensor, c: Tensor) -> State:
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _lstm(x: Tensor, state: State, w: Tensor) -> State:
    h, c = state
    i, f, g, o = (x + linear(h, w)).chunk(4, -1)
    return _gated(i, f, g, o, c)


def _peephole_lstm(x: Tensor, state: State, w: Tensor, p: Tensor) -> State:
    h, c = state
    i, f, g, o = (x + linear(h, w)).chunk(4, -1)
    new = torch.sigmoid(f + p[1] * c) * c + torch.sigmoid(i + p[0] * c) * torch.tanh(g)
    return torch.sigmoid(o + p[2] * new) * torch.tanh(new), new


def _peephole_lstm_full(x: Tensor, state: State, w: Tensor, p: Tensor) -> State:
    h, c = state
    size = c.shape[-1]
    i, f, g, o = (x + linear(h, w)).chunk(4, -1)
    p_i, p_f = linear(c, p[: 2 * size]).chunk(2, -1)
    new = torch.sigmoid(f + p_f) * c + torch.sigmoid(i + p_i) * torch.tanh(g)
    return torch.sigmoid(o + linear(new, p[2 * size :])) * torch.tanh(new), new


def _coupled_lstm(x: Tensor, state: State, w: Tensor) -> State:
    h, c = state
    f, g, o = (x + linear(h, w)).chunk(3, -1)
    f = torch.sigmoid(f)
    c = f * c + (1 - f) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _multiplicative_lstm(x: Tensor, state: State, w: Tensor, b: Tensor) -> State:
    h, c = state
    size = h.shape[-1]
    m = x[:, :size] * linear(h, w[:size], b[:size])
    i, f, g, o = (x[:, size:] + linear(m, w[size:], b[size:])).chunk(4, -1)
    return _gated(i, f, g, o, c)


def _gru_reset_before(x: Tensor, state: State, w: Tensor) -> State:
    (h,) = state
    size = h.shape[-1]
    r, z = torch.sigmoid(x[:, : 2 * size] + linear(h, w[: 2 * size])).chunk(2, -1)
    n = torch.tanh(x[:, 2 * size :] + linear(r * h, w[2 * size :]))
    return ((1 - z) * n + z * h,)


def _ugrnn(x: Tensor, state: State, w: Tensor) -> State:
    (h,) = state
    u, n = (x + linear(h, w)).chunk(2, -1)
    u = torch.sigmoid(u)
    return (u * torch.tanh(n) + (1 - u) * h,)


def _layer_norm_lstm(
    x: Tensor, state: State, w: Tensor, b: Tensor, gamma: Tensor, gamma_c: Tensor, beta_c: Tensor
) -> State:
    h, c = state
    i, f, g, o = (x + _norm(linear(h, w), gamma, b)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(_norm(c, gamma_c, beta_c)), c


def _layer_norm_gru(x: Tensor, state: State, w: Tensor, b: Tensor, gamma: Tensor) -> State:
    (h,) = state
    x_r, x_z, x_n = x.chunk(3, -1)
    h_r, h_z, h_n = _norm(linear(h, w), gamma, b).chunk(3, -1)
    z = torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
    return ((1 - z) * n + z * h,)


#: By the engine's name of the cell: how many states, and the two parts of a loop.
LOOPS: dict[str, Loop] = {
    "rnn_sigmoid": (1, _one_product, _sigmoid_rnn),
    "lstm": (2, _one_product, _lstm),
    "peephole_lstm": (2, _with_peephole, _peephole_lstm),
    "peephole_lstm_full": (2, _with_peephole, _peephole_lstm_full),
    "coupled_lstm": (2, _one_product, _coupled_lstm),
    "multiplicative_lstm": (2, _two_biases, _multiplicative_lstm),
    "gru_reset_before": (1, _one_product, _gru_reset_before),
    "ugrnn": (1, _one_product, _ugrnn),
    "layer_norm_lstm": (2, _normalized, _layer_norm_lstm),
    "layer_norm_gru": (1, _normalized, _layer_norm_gru),
}
