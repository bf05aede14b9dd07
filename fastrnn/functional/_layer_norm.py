"""The cells with layer normalization."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fastrnn.functional._layer import run_layer

__all__ = ["layer_norm_gru", "layer_norm_lstm"]


def layer_norm_lstm(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    norm: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """LSTM layer with layer normalization, gates in the order i, f, g, o::

        a  = gamma_x*N(W_ih @ x) + b_ih + gamma_h*N(W_hh @ h) + b_hh
        i, f, o = s(a);   g = tanh(a)
        c' = f*c + i*g;   h' = o*tanh(gamma_c*N(c') + beta_c)
        N(v) = (v - mean(v)) / sqrt(var(v) + 1e-5)     over all gates, or over the units of c'

    ``norm`` is [10, hidden_size]: gamma_x of i, f, g, o, then gamma_h, then gamma_c and beta_c
    ([2, 10, hidden_size] for two directions).  Other arguments, shapes, dtypes and errors as in
    `fastrnn.functional`, G = 4; returns ``(y, h_n, c_n)``.  Source: Ba et al. 2016, in the form of
    haste's ``LayerNormLSTM`` (gates there in the order i, g, f, o, one bias).

    >>> import torch
    >>> weights = torch.randn(20, 3), torch.randn(20, 5), torch.ones(10, 5)
    >>> y, h_n, c_n = layer_norm_lstm(torch.randn(7, 2, 3), *weights)
    >>> y.shape, h_n.shape, c_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]), torch.Size([2, 5]))
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh, norm
    y, h_n, c_n = run_layer(
        "layer_norm_lstm", input, *weights, lengths=lengths, resets=resets, h0=h0, c0=c0
    )
    return y, h_n, c_n


def layer_norm_gru(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    norm: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor]:
    """GRU layer with layer normalization, reset after the matmul, gates in the order r, z, n::

        u  = gamma_x*N(W_ih @ x) + b_ih;   v = gamma_h*N(W_hh @ h) + b_hh
        r, z = s(u + v);   n = tanh(u_n + r*v_n);   h' = (1 - z)*n + z*h
        N(v) = (v - mean(v)) / sqrt(var(v) + 1e-5)     over all gates

    ``norm`` is [6, hidden_size]: gamma_x of r, z, n, then gamma_h ([2, 6, hidden_size] for two
    directions).  Other arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 3;
    returns ``(y, h_n)``.  Source: Ba et al. 2016, in the form of haste's ``LayerNormGRU`` (gates
    there in the order z, r, n).

    >>> import torch
    >>> weights = torch.randn(15, 3), torch.randn(15, 5), torch.ones(6, 5)
    >>> y, h_n = layer_norm_gru(torch.randn(7, 2, 3), *weights)
    >>> y.shape, h_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]))
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh, norm
    y, h_n = run_layer("layer_norm_gru", input, *weights, lengths=lengths, resets=resets, h0=h0)
    return y, h_n
