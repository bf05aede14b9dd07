"""The LSTM with peepholes: layer and cell."""

from __future__ import annotations

from typing import Any

from fastrnn._plan import CELL_NUMBERS
from fastrnn.nn._own import OwnCell, TwoStateLayer

__all__ = ["PeepholeLSTM", "PeepholeLSTMCell"]


class PeepholeLSTM(TwoStateLayer):
    r"""Long short-term memory layers whose gates see the cell state.

    For each step, layer and direction (gates in the weights in the order i, f, g, o)::

        i, f = s(W @ [x, h] + b + p*c)     one row of W_ih, W_hh, b_ih + b_hh, and one p each
        g    = tanh(W @ [x, h] + b)
        c'   = f*c + i*g
        o    = s(W @ [x, h] + b + p_o*c')
        h'   = o*tanh(c')

    The peepholes are a diagonal: one weight a unit and gate, p_i, p_f and p_o, the rows of
    ``weight_peephole_l0`` [3, H], which follows the layer's biases.

    Arguments, shapes, ``lengths`` and ``resets``, initialization, dtypes and errors are those of
    `fastrnn.nn.LSTM`; there is no ``proj_size``, and ``peephole`` is by keyword only.

    Source: Gers & Schmidhuber, "Recurrent nets that time and count", 2000; the P of ONNX's LSTM.

    >>> import torch, fastrnn
    >>> layer = fastrnn.nn.PeepholeLSTM(3, 5, num_layers=2, bidirectional=True)
    >>> output, (h_n, c_n) = layer(torch.randn(7, 4, 3))
    >>> output.shape, h_n.shape
    (torch.Size([7, 4, 10]), torch.Size([4, 4, 5]))
    """

    _kind = "peephole_lstm"

    def __init__(self, *args: Any, peephole: str = "diagonal", **kwargs: Any) -> None:
        _check_peephole(peephole)
        self.peephole = peephole
        super().__init__(*args, **kwargs)

    def _further_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight_peephole": (3, self.hidden_size)}


class PeepholeLSTMCell(OwnCell):
    r"""One step of `PeepholeLSTM`.

    Equations, gates, dtypes as there; parameters ``weight_ih``, ``weight_hh``, ``bias_ih``,
    ``bias_hh``, ``weight_peephole``.

    Shapes: input [B, I] or [I]; hx a pair ``(h, c)`` of [B, H] or [H], zeros if not given;
    returns ``(h', c')`` alike.

    Raises ValueError for a wrong rank, RuntimeError for sizes that don't fit.

    >>> import torch, fastrnn
    >>> h, c = fastrnn.nn.PeepholeLSTMCell(3, 5)(torch.randn(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    _num_states = 2
    _names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_peephole")
    _number = CELL_NUMBERS["peephole_lstm"]

    def __init__(self, *args: Any, peephole: str = "diagonal", **kwargs: Any) -> None:
        _check_peephole(peephole)
        self.peephole = peephole
        super().__init__(*args, **kwargs)

    def _further_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight_peephole": (3, self.hidden_size)}


def _check_peephole(peephole: object) -> None:
    if peephole != "diagonal":
        raise ValueError(f"Unknown peephole '{peephole}'. Select 'diagonal'.")
