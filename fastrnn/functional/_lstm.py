"""The layers with a cell state."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fastrnn.functional._layer import run_layer

__all__ = ["coupled_lstm", "lstm", "multiplicative_lstm", "peephole_lstm"]


def lstm(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """LSTM layer, gates in the order i, f, g, o::

        i, f, o = s(W @ [x, h] + b);    g = tanh(W @ [x, h] + b)
        c' = f*c + i*g;                 h' = o*tanh(c')

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 4; returns
    ``(y, h_n, c_n)``.  Source: Hochreiter & Schmidhuber 1997, Gers et al. 2000; ``torch.nn.LSTM``.

    >>> import torch
    >>> y, h_n, c_n = lstm(torch.randn(7, 2, 3), torch.randn(2, 20, 3), torch.randn(2, 20, 5))
    >>> y.shape, h_n.shape, c_n.shape
    (torch.Size([7, 2, 10]), torch.Size([2, 2, 5]), torch.Size([2, 2, 5]))
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    states = {"h0": h0, "c0": c0}
    y, h_n, c_n = run_layer("lstm", input, *weights, lengths=lengths, resets=resets, **states)
    return y, h_n, c_n


def peephole_lstm(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    peephole: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """LSTM layer whose gates see the cell state, one weight a unit; gates i, f, g, o::

        i, f = s(W @ [x, h] + b + p*c);     g = tanh(W @ [x, h] + b)
        c'   = f*c + i*g
        o    = s(W @ [x, h] + b + p_o*c');  h' = o*tanh(c')

    ``peephole`` is [3, hidden_size], rows p_i, p_f, p_o ([2, 3, hidden_size] for two
    directions).  Other arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 4;
    returns ``(y, h_n, c_n)``.  Source: Gers & Schmidhuber 2000; the P of ONNX's LSTM.

    >>> import torch
    >>> weights = torch.randn(20, 3), torch.randn(20, 5), torch.randn(3, 5)
    >>> y, h_n, c_n = peephole_lstm(torch.randn(7, 2, 3), *weights)
    >>> y.shape, h_n.shape, c_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]), torch.Size([2, 5]))
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh, peephole
    y, h_n, c_n = run_layer(
        "peephole_lstm", input, *weights, lengths=lengths, resets=resets, h0=h0, c0=c0
    )
    return y, h_n, c_n


def coupled_lstm(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """LSTM layer whose input gate is 1 - f (CIFG), gates in the order f, g, o::

        f, o = s(W @ [x, h] + b);       g = tanh(W @ [x, h] + b)
        c' = f*c + (1 - f)*g;           h' = o*tanh(c')

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 3; returns
    ``(y, h_n, c_n)``.  Source: Greff et al. 2017.  ONNX's ``input_forget`` has the mirrored gate:
    there i is computed and f = 1 - i.

    >>> import torch
    >>> y, h_n, c_n = coupled_lstm(torch.randn(7, 2, 3), torch.randn(15, 3), torch.randn(15, 5))
    >>> y.shape, h_n.shape, c_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]), torch.Size([2, 5]))
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    y, h_n, c_n = run_layer(
        "coupled_lstm", input, *weights, lengths=lengths, resets=resets, h0=h0, c0=c0
    )
    return y, h_n, c_n


def multiplicative_lstm(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """LSTM layer on m, which mixes h with x, in the place of h; gates m, i, f, g, o::

        m       = (W_xm @ x + b_xm)*(W_hm @ h + b_hm)
        i, f, o = s(W @ [x, m] + b);    g = tanh(W @ [x, m] + b)
        c' = f*c + i*g;                 h' = o*tanh(c')

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 5, with W_xm and b_xm the
    first rows of ``weight_ih`` and ``bias_ih``, W_hm and b_hm those of ``weight_hh`` and
    ``bias_hh``; returns ``(y, h_n, c_n)``.  Source: Krause et al. 2016; the "sentiment neuron" of
    Radford et al. 2017.

    >>> import torch
    >>> weights = torch.randn(25, 3), torch.randn(25, 5)
    >>> y, h_n, c_n = multiplicative_lstm(torch.randn(7, 2, 3), *weights)
    >>> y.shape, h_n.shape, c_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]), torch.Size([2, 5]))
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    y, h_n, c_n = run_layer(
        "multiplicative_lstm", input, *weights, lengths=lengths, resets=resets, h0=h0, c0=c0
    )
    return y, h_n, c_n


def peephole_lstm_full(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """LSTM layer whose gates see the whole cell state, gates in the order i, f, g, o::

        i, f, g = s, s, tanh(W @ [x, h] + b + V @ c);   c' = f*c + i*g
        o       = s(W @ [x, h] + b + V_o @ c');         h' = o*tanh(c')

    ``weight_hh`` is [4*hidden_size, 2*hidden_size]: the columns for h, then V.  In the lectures'
    form g does not see c, its rows of V are zero.  Other arguments, shapes, dtypes and errors as in
    `fastrnn.functional`, G = 4; returns ``(y, h_n, c_n)``.  Source: Gers & Schmidhuber 2000, where
    the matrices are diagonal: `peephole_lstm`.

    >>> import torch
    >>> weights = torch.randn(20, 3), torch.randn(20, 10)
    >>> y, h_n, c_n = peephole_lstm_full(torch.randn(7, 2, 3), *weights)
    >>> y.shape, h_n.shape, c_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]), torch.Size([2, 5]))
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    y, h_n, c_n = run_layer(
        "peephole_lstm_full", input, *weights, lengths=lengths, resets=resets, h0=h0, c0=c0
    )
    return y, h_n, c_n
