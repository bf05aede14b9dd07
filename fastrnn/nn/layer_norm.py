"""LSTM and GRU with layer normalization: layers and cells."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Module

from fastrnn._plan import CELL_NUMBERS
from fastrnn.nn._own import Combined, OwnCell, OwnLayer, TwoStateLayer

__all__ = ["LayerNormGRU", "LayerNormGRUCell", "LayerNormLSTM", "LayerNormLSTMCell"]


class _Normalized(Module):
    """What both cells' layers and single steps share."""

    def _combined(self, weight_hh: Tensor, further: dict[str, Tensor]) -> Combined:
        return weight_hh, torch.cat(list(further.values())).view(-1, weight_hh.shape[-1])

    def reset_parameters(self) -> None:
        super().reset_parameters()  # type: ignore[misc]
        for name, parameter in self.named_parameters(recurse=False):
            if "_norm_" in name:
                torch.nn.init.constant_(parameter, 1.0 if name.startswith("weight") else 0.0)


class LayerNormLSTM(_Normalized, TwoStateLayer):
    r"""Long short-term memory layers with layer normalization inside the recurrence.

    For each step, layer and direction (gates in the weights in the order i, f, g, o)::

        a       = gamma_x*N(W_ih @ x) + b_ih + gamma_h*N(W_hh @ h) + b_hh
        i, f, o = s(a)              one row of W_ih, W_hh and of each vector for every gate
        g       = tanh(a)
        c'      = f*c + i*g
        h'      = o*tanh(gamma_c*N(c') + beta_c)
        N(v)    = (v - mean(v)) / sqrt(var(v) + 1e-5)

    N is over all four gates of a row together, or over the units of c'; ``var`` is the mean of the
    squares, as in ``torch.nn.LayerNorm``.  Parameters follow the layer's biases: gamma_x
    ``weight_norm_ih_l0`` [4H], gamma_h ``weight_norm_hh_l0`` [4H], gamma_c ``weight_norm_cell_l0``
    [H] and beta_c ``bias_norm_cell_l0`` [H]; they begin as ones and zeros, the others as torch's.

    Arguments, shapes, ``lengths`` and ``resets``, dtypes and errors are those of `fastrnn.nn.LSTM`;
    there is no ``proj_size``.

    Source: Ba, Kiros & Hinton, "Layer normalization", 2016, in the form of haste's
    ``LayerNormLSTM`` (whose gates lie in the order i, g, f, o and which has one bias).

    >>> import torch, fastrnn
    >>> layer = fastrnn.nn.LayerNormLSTM(3, 5, num_layers=2, bidirectional=True)
    >>> output, (h_n, c_n) = layer(torch.randn(7, 4, 3))
    >>> output.shape, h_n.shape
    (torch.Size([7, 4, 10]), torch.Size([4, 4, 5]))
    """

    _kind = "layer_norm_lstm"

    def _further_shapes(self) -> dict[str, tuple[int, ...]]:
        return _lstm_shapes(self.hidden_size)


class LayerNormLSTMCell(_Normalized, OwnCell):
    r"""One step of `LayerNormLSTM`.

    Equations, gates, dtypes as there; parameters ``weight_ih``, ``weight_hh``, ``bias_ih``,
    ``bias_hh``, ``weight_norm_ih``, ``weight_norm_hh``, ``weight_norm_cell``, ``bias_norm_cell``.

    Shapes: input [B, I] or [I]; hx a pair ``(h, c)`` of [B, H] or [H], zeros if not given;
    returns ``(h', c')`` alike.

    Raises ValueError for a wrong rank, RuntimeError for sizes that don't fit.

    >>> import torch, fastrnn
    >>> h, c = fastrnn.nn.LayerNormLSTMCell(3, 5)(torch.randn(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    _num_states = 2
    _number = CELL_NUMBERS["layer_norm_lstm"]

    def _further_shapes(self) -> dict[str, tuple[int, ...]]:
        return _lstm_shapes(self.hidden_size)


class LayerNormGRU(_Normalized, OwnLayer):
    r"""Gated recurrent layers with layer normalization inside the recurrence.

    For each step, layer and direction (gates in the weights in the order r, z, n)::

        u, v = gamma_x*N(W_ih @ x) + b_ih, gamma_h*N(W_hh @ h) + b_hh
        r, z = s(u + v)             one row of W_ih, W_hh and of each vector for every gate
        n    = tanh(u + r*v)
        h'   = (1 - z)*n + z*h
        N(v) = (v - mean(v)) / sqrt(var(v) + 1e-5)

    N is over all three gates of a row together; ``var`` is the mean of the squares, as in
    ``torch.nn.LayerNorm``.  Parameters follow the layer's biases: gamma_x ``weight_norm_ih_l0`` and
    gamma_h ``weight_norm_hh_l0``, [3H] each; they begin as ones, the others as torch's.

    Arguments, shapes, ``lengths`` and ``resets``, dtypes and errors are those of `fastrnn.nn.GRU`
    with ``reset_after=True``.

    Source: Ba, Kiros & Hinton, "Layer normalization", 2016, in the form of haste's
    ``LayerNormGRU`` (whose gates lie in the order z, r, n).

    >>> import torch, fastrnn
    >>> layer = fastrnn.nn.LayerNormGRU(3, 5, batch_first=True)
    >>> output, h_n = layer(torch.randn(4, 7, 3))
    >>> output.shape, h_n.shape
    (torch.Size([4, 7, 5]), torch.Size([1, 4, 5]))
    """

    _kind = "layer_norm_gru"

    def _further_shapes(self) -> dict[str, tuple[int, ...]]:
        return _gru_shapes(self.hidden_size)


class LayerNormGRUCell(_Normalized, OwnCell):
    r"""One step of `LayerNormGRU`.

    Equations, gates, dtypes as there; parameters ``weight_ih``, ``weight_hh``, ``bias_ih``,
    ``bias_hh``, ``weight_norm_ih``, ``weight_norm_hh``.

    Shapes: input [B, I] or [I]; hx [B, H] or [H], zeros if not given; returns h' alike.

    Raises ValueError for a wrong rank, RuntimeError for sizes that don't fit.

    >>> import torch, fastrnn
    >>> fastrnn.nn.LayerNormGRUCell(3, 5)(torch.randn(2, 3)).shape
    torch.Size([2, 5])
    """

    _number = CELL_NUMBERS["layer_norm_gru"]

    def _further_shapes(self) -> dict[str, tuple[int, ...]]:
        return _gru_shapes(self.hidden_size)


def _gru_shapes(hidden_size: int) -> dict[str, tuple[int, ...]]:
    return {"weight_norm_ih": (3 * hidden_size,), "weight_norm_hh": (3 * hidden_size,)}


def _lstm_shapes(hidden_size: int) -> dict[str, tuple[int, ...]]:
    return {
        "weight_norm_ih": (4 * hidden_size,),
        "weight_norm_hh": (4 * hidden_size,),
        "weight_norm_cell": (hidden_size,),
        "bias_norm_cell": (hidden_size,),
    }
