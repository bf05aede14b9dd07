"""The LSTM with coupled input and forget gate: layer and cell."""

from __future__ import annotations

from fastrnn._plan import CELL_NUMBERS
from fastrnn.nn._own import OwnCell, TwoStateLayer

__all__ = ["CoupledLSTM", "CoupledLSTMCell"]


class CoupledLSTM(TwoStateLayer):
    r"""Long short-term memory layers with one gate for input and forgetting (CIFG).

    For each step, layer and direction (gates in the weights in the order f, g, o)::

        f, o = s(W @ [x, h] + b)           one row of W_ih, W_hh, b_ih + b_hh each
        g    = tanh(W @ [x, h] + b)
        c'   = f*c + (1 - f)*g
        h'   = o*tanh(c')

    The input gate is 1 - f.  ONNX's ``input_forget`` has the mirrored gate, i computed and
    f = 1 - i: negate those rows.

    Arguments, shapes, ``lengths`` and ``resets``, initialization, dtypes and errors are those of
    `fastrnn.nn.LSTM`; there is no ``proj_size``, and weights and biases have 3*H rows.

    Source: Greff et al., "LSTM: A search space odyssey", 2017.

    >>> import torch, fastrnn
    >>> layer = fastrnn.nn.CoupledLSTM(3, 5, num_layers=2, bidirectional=True)
    >>> output, (h_n, c_n) = layer(torch.randn(7, 4, 3))
    >>> output.shape, h_n.shape
    (torch.Size([7, 4, 10]), torch.Size([4, 4, 5]))
    """

    _kind = "coupled_lstm"


class CoupledLSTMCell(OwnCell):
    r"""One step of `CoupledLSTM`.

    Equations, gates, dtypes as there; parameters ``weight_ih``, ``weight_hh``, ``bias_ih``,
    ``bias_hh``.

    Shapes: input [B, I] or [I]; hx a pair ``(h, c)`` of [B, H] or [H], zeros if not given;
    returns ``(h', c')`` alike.

    Raises ValueError for a wrong rank, RuntimeError for sizes that don't fit.

    >>> import torch, fastrnn
    >>> h, c = fastrnn.nn.CoupledLSTMCell(3, 5)(torch.randn(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    _num_states = 2
    _number = CELL_NUMBERS["coupled_lstm"]
