"""The update-gate recurrent network: layer and cell."""

from __future__ import annotations

from fastrnn._plan import CELL_NUMBERS
from fastrnn.nn._own import OwnCell, OwnLayer

__all__ = ["UGRNN", "UGRNNCell"]


class UGRNN(OwnLayer):
    r"""Update-gate recurrent layers: a GRU without reset gate.

    For each step, layer and direction (gates in the weights in the order u, n)::

        u  = s(W_iu @ x + b_iu + W_hu @ h + b_hu)
        n  = tanh(W_in @ x + b_in + W_hn @ h + b_hn)
        h' = u*n + (1 - u)*h

    Here u lets the new value in.  In Collins et al., TensorFlow's ``UGRNNCell`` and torchrecurrent
    the gate keeps the old one, as the z of a GRU does: it is 1 - u, so negate its rows.

    Arguments, shapes, ``lengths`` and ``resets``, initialization, dtypes and errors are those of
    `fastrnn.nn.GRU`; weights and biases have 2*H rows.

    Source: Collins, Sohl-Dickstein & Sussillo, "Capacity and trainability in recurrent neural
    networks", 2017 (first in 2016).

    >>> import torch, fastrnn
    >>> layer = fastrnn.nn.UGRNN(3, 5, num_layers=2, bidirectional=True)
    >>> output, h_n = layer(torch.randn(7, 4, 3))
    >>> output.shape, h_n.shape
    (torch.Size([7, 4, 10]), torch.Size([4, 4, 5]))
    """

    _kind = "ugrnn"


class UGRNNCell(OwnCell):
    r"""One step of `UGRNN`.

    Equations, gates, dtypes as there; parameters ``weight_ih``, ``weight_hh``, ``bias_ih``,
    ``bias_hh``.

    Shapes: input [B, I] or [I]; hx [B, H] or [H], zeros if not given;
    returns h' like hx.

    Raises ValueError for a wrong rank, RuntimeError for sizes that don't fit.

    >>> import torch, fastrnn
    >>> fastrnn.nn.UGRNNCell(3, 5)(torch.randn(2, 3)).shape
    torch.Size([2, 5])
    """

    _number = CELL_NUMBERS["ugrnn"]
