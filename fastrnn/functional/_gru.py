"""The gated layers without a cell state."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fastrnn.functional._layer import run_layer

__all__ = ["gru", "gru_reset_before", "ugrnn"]


def gru(
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
    """GRU layer with the reset after the matmul, gates in the order r, z, n::

        r, z = s(W_ih @ x + b_ih + W_hh @ h + b_hh)
        n    = tanh(W_in @ x + b_in + r*(W_hn @ h + b_hn))
        h'   = (1 - z)*n + z*h

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 3; returns ``(y, h_n)``.
    Source: ``torch.nn.GRU``; Keras ``reset_after=True``, ONNX ``linear_before_reset=1``.

    >>> import torch
    >>> y, h_n = gru(torch.randn(7, 2, 3), torch.randn(15, 3), torch.randn(15, 5))
    >>> y.shape, h_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]))
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    y, h_n = run_layer("gru", input, *weights, lengths=lengths, resets=resets, h0=h0)
    return y, h_n


def gru_reset_before(
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
    """GRU layer with the reset before the matmul, gates in the order r, z, n::

        r, z = s(W_ih @ x + b_ih + W_hh @ h + b_hh)
        n    = tanh(W_in @ x + b_in + W_hn @ (r*h) + b_hn)
        h'   = (1 - z)*n + z*h

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 3; returns ``(y, h_n)``.
    Source: Cho et al. 2014; Keras ``reset_after=False``, ONNX ``linear_before_reset=0``.

    >>> import torch
    >>> y, h_n = gru_reset_before(torch.randn(7, 2, 3), torch.randn(15, 3), torch.randn(15, 5))
    >>> y.shape, h_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]))
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    y, h_n = run_layer("gru_reset_before", input, *weights, lengths=lengths, resets=resets, h0=h0)
    return y, h_n


def ugrnn(
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
    """GRU layer without reset gate (update-gate RNN), gates in the order u, n::

        u  = s(W_iu @ x + b_iu + W_hu @ h + b_hu)
        n  = tanh(W_in @ x + b_in + W_hn @ h + b_hn)
        h' = u*n + (1 - u)*h

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 2; returns ``(y, h_n)``.
    Source: Collins et al. 2016, where, as in TensorFlow's ``UGRNNCell`` and in the GRU, the gate
    is the mirrored one, 1 - u: negate the u rows of such weights.

    >>> import torch
    >>> y, h_n = ugrnn(torch.randn(7, 2, 3), torch.randn(10, 3), torch.randn(10, 5))
    >>> y.shape, h_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]))
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    y, h_n = run_layer("ugrnn", input, *weights, lengths=lengths, resets=resets, h0=h0)
    return y, h_n
