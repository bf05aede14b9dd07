"""The multiplicative LSTM: layer and cell."""

from __future__ import annotations

from fastrnn._plan import CELL_NUMBERS
from fastrnn.nn._own import OwnCell, TwoStateLayer

__all__ = ["MultiplicativeLSTM", "MultiplicativeLSTMCell"]


class MultiplicativeLSTM(TwoStateLayer):
    r"""Multiplicative long short-term memory layers.

    For each step, layer and direction (gates in the weights in the order m, i, f, g, o)::

        m       = (W_xm @ x + b_xm)*(W_hm @ h + b_hm)
        i, f, o = s(W @ [x, m] + b)        one row of W_ih, W_hh, b_ih + b_hh each
        g       = tanh(W @ [x, m] + b)
        c'      = f*c + i*g
        h'      = o*tanh(c')

    An LSTM whose recurrent products see m in the place of h: which transition h goes through
    depends on the input.  W_xm and b_xm are the first H rows of ``weight_ih`` and ``bias_ih``,
    W_hm and b_hm those of ``weight_hh`` and ``bias_hh``.  Texts that have no biases in m:
    set both to zero.

    Arguments, shapes, ``lengths`` and ``resets``, initialization, dtypes and errors are those of
    `fastrnn.nn.LSTM`; there is no ``proj_size``, and weights and biases have 5*H rows.

    Source: Krause et al., "Multiplicative LSTM for sequence modelling", 2016; the cell of the
    "sentiment neuron", Radford et al. 2017.

    >>> import torch, fastrnn
    >>> layer = fastrnn.nn.MultiplicativeLSTM(3, 5, num_layers=2, bidirectional=True)
    >>> output, (h_n, c_n) = layer(torch.randn(7, 4, 3))
    >>> output.shape, h_n.shape
    (torch.Size([7, 4, 10]), torch.Size([4, 4, 5]))
    """

    _kind = "multiplicative_lstm"


class MultiplicativeLSTMCell(OwnCell):
    r"""One step of `MultiplicativeLSTM`.

    Equations, gates, dtypes as there; parameters ``weight_ih``, ``weight_hh``, ``bias_ih``,
    ``bias_hh``.

    Shapes: input [B, I] or [I]; hx a pair ``(h, c)`` of [B, H] or [H], zeros if not given;
    returns ``(h', c')`` alike.

    Raises ValueError for a wrong rank, RuntimeError for sizes that don't fit.

    >>> import torch, fastrnn
    >>> h, c = fastrnn.nn.MultiplicativeLSTMCell(3, 5)(torch.randn(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    _num_states = 2
    _number = CELL_NUMBERS["multiplicative_lstm"]
