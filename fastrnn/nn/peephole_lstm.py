"""The LSTM with peepholes: layer and cell."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastrnn._plan import CELL_NUMBERS
from fastrnn.nn._own import Combined, OwnCell, TwoStateLayer

__all__ = ["PeepholeLSTM", "PeepholeLSTMCell"]


class PeepholeLSTM(TwoStateLayer):
    r"""Long short-term memory layers whose gates see the cell state.

    For each step, layer and direction (gates in the weights in the order i, f, g, o)::

        i, f = s(W @ [x, h] + b + p*c)     one row of W_ih, W_hh, b_ih + b_hh, and one p each
        g    = tanh(W @ [x, h] + b)
        c'   = f*c + i*g
        o    = s(W @ [x, h] + b + p_o*c')
        h'   = o*tanh(c')

    The peepholes are a diagonal by default: one weight a unit and gate, p_i, p_f and p_o, the rows
    of ``weight_peephole_l0`` [3, H], which follows the layer's biases.  With ``peephole="full"``
    they are matrices, V_i @ c, V_f @ c and V_o @ c' in the place of p_i*c, p_f*c and p_o*c', one
    after the other in ``weight_peephole_l0`` [3*H, H]: what texts mean that write
    ``W @ [c, h, x]``.

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
        self.peephole = _checked(peephole)
        self._kind = _CELLS[peephole]
        super().__init__(*args, **kwargs)

    def _further_shapes(self) -> dict[str, tuple[int, ...]]:
        return _shapes(self.peephole, self.hidden_size)

    def _combined(self, weight_hh: Tensor, further: dict[str, Tensor]) -> Combined:
        if self.peephole == "full":
            return _beside(weight_hh, further["weight_peephole"]), None
        return super()._combined(weight_hh, further)

    def extra_repr(self) -> str:
        return super().extra_repr() + _shown(self.peephole)


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

    def __init__(self, *args: Any, peephole: str = "diagonal", **kwargs: Any) -> None:
        self.peephole = _checked(peephole)
        self._number = CELL_NUMBERS[_CELLS[peephole]]
        super().__init__(*args, **kwargs)

    def _further_shapes(self) -> dict[str, tuple[int, ...]]:
        return _shapes(self.peephole, self.hidden_size)

    def _combined(self, weight_hh: Tensor, further: dict[str, Tensor]) -> Combined:
        if self.peephole == "full":
            return _beside(weight_hh, further["weight_peephole"]), None
        return super()._combined(weight_hh, further)

    def extra_repr(self) -> str:
        return super().extra_repr() + _shown(self.peephole)


_CELLS = {"diagonal": "peephole_lstm", "full": "peephole_lstm_full"}


def _checked(peephole: object) -> str:
    if not isinstance(peephole, str) or peephole not in _CELLS:
        raise ValueError(f"Unknown peephole '{peephole}'. Select from 'diagonal' or 'full'.")
    return peephole


def _shapes(peephole: str, hidden_size: int) -> dict[str, tuple[int, ...]]:
    if peephole == "full":
        return {"weight_peephole": (3 * hidden_size, hidden_size)}
    return {"weight_peephole": (3, hidden_size)}


def _shown(peephole: str) -> str:
    return "" if peephole == "diagonal" else f", peephole={peephole}"


def _beside(weight_hh: Tensor, peephole: Tensor) -> Tensor:
    """The engine's weight_hh [4H, 2H], for [h, c]: nothing of c for g."""
    first, output = peephole.split((2 * weight_hh.shape[1], weight_hh.shape[1]))
    return torch.cat((weight_hh, torch.cat((first, torch.zeros_like(output), output))), 1)
