"""The simple recurrent layers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fastrnn.functional._layer import run_layer

__all__ = ["rnn_relu", "rnn_sigmoid", "rnn_tanh"]


def rnn_tanh(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor]:
    """Simple recurrent layer, ``h' = tanh(W_ih @ x + b_ih + W_hh @ h + b_hh)``.

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 1; returns ``(y, h_n)``.
    Source: Elman 1990.

    >>> import torch
    >>> y, h_n = rnn_tanh(torch.randn(7, 2, 3), torch.randn(5, 3), torch.randn(5, 5))
    >>> y.shape, h_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]))
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    y, h_n = run_layer("rnn_tanh", input, *weights, lengths=lengths, resets=resets, h0=h0)
    return y, h_n


def rnn_relu(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor]:
    """Simple recurrent layer, ``h' = max(0, W_ih @ x + b_ih + W_hh @ h + b_hh)``.

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 1; returns ``(y, h_n)``.
    Source: ``torch.nn.RNN`` with ``nonlinearity="relu"``.

    >>> import torch
    >>> y, h_n = rnn_relu(torch.randn(7, 2, 3), torch.randn(5, 3), torch.randn(5, 5))
    >>> bool((y >= 0).all())
    True
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    y, h_n = run_layer("rnn_relu", input, *weights, lengths=lengths, resets=resets, h0=h0)
    return y, h_n


def rnn_sigmoid(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor]:
    """Simple recurrent layer, ``h' = s(W_ih @ x + b_ih + W_hh @ h + b_hh)``.

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 1; returns ``(y, h_n)``.
    Source: Elman 1990, whose units were logistic; torch has no such layer.

    >>> import torch
    >>> y, h_n = rnn_sigmoid(torch.randn(7, 2, 3), torch.randn(5, 3), torch.randn(5, 5))
    >>> bool((y > 0).all() and (y < 1).all())
    True
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    y, h_n = run_layer("rnn_sigmoid", input, *weights, lengths=lengths, resets=resets, h0=h0)
    return y, h_n
