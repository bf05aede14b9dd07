"""Initial weights through which gradients last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.rnn import RNNBase, RNNCellBase

from fastrnn._plan import CELL_INFO

__all__ = ["init_forget_gate_", "init_orthogonal_"]

_Module = TypeVar("_Module", bound=nn.Module)

# Gates that keep a unit's old value: 1 where they do so by being 1, -1 by being 0.
_KEEPING = {"f": 1, "z": 1, "u": -1}
_TORCH_GATES = {
    nn.RNN: "h",
    nn.RNNCell: "h",
    nn.LSTM: "i f g o",
    nn.LSTMCell: "i f g o",
    nn.GRU: "r z n",
    nn.GRUCell: "r z n",
}


def _recurrent(module: nn.Module) -> Iterator[tuple[Any, list[str]]]:
    """Every recurrent layer or cell inside, torch's or ours, and the names of its gates."""
    found = False
    for part in module.modules():
        if not isinstance(part, (RNNBase, RNNCellBase)):
            continue
        cell: Any = getattr(part, "_cell", None)
        number = None if cell is None else cell()
        gates = next((g for kind, g in _TORCH_GATES.items() if isinstance(part, kind)), None)
        if number is not None:
            gates = CELL_INFO[number]["gates"]
        if gates is not None:
            found = True
            yield part, gates.split()
    if not found:
        raise ValueError(f"module: there is no recurrent layer in {type(module).__name__}")


def _parameters(part: nn.Module, kind: str) -> list[Tensor]:
    return [p for name, p in part.named_parameters(recurse=False) if name.startswith(kind)]


@torch.no_grad()
def init_forget_gate_(module: _Module, bias: float = 1.0) -> _Module:
    """Set the bias of every gate that keeps the old state, in all recurrent layers inside.

    That is the forget gate f of an LSTM, c' = f*c + i*g, and the update gate z of a GRU,
    h' = (1 - z)*n + z*h; the gate u of h' = (1 - u)*h + u*n gets minus the number.  Directly,
    d c' / d c is f: with a bias of 0, as torch about starts, 1/2, of which 20 steps leave a
    millionth; with 1 about 0.73, and with 3 about 0.95 (Gers, Schmidhuber and Cummins 2000;
    Jozefowicz, Zaremba and Sutskever 2015).  ``bias_ih`` gets the number, ``bias_hh`` zero.
    Layers without such a gate (RNN) stay as they are.

    Raises
    ------
    ValueError
        If there is no recurrent layer, none with such a gate, or one of these has no biases.

    >>> import torch, fastrnn
    >>> lstm = fastrnn.utils.init_forget_gate_(torch.nn.LSTM(2, 3))
    >>> lstm.bias_ih_l0[3:6].tolist(), lstm.bias_hh_l0[3:6].tolist()
    ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    """
    found = False
    for part, gates in _recurrent(module):
        for index, gate in enumerate(gates):
            if gate not in _KEEPING:
                continue
            if not part.bias:
                raise ValueError(f"module: {type(part).__name__} has no biases")
            found = True
            rows = slice(index * part.hidden_size, (index + 1) * part.hidden_size)
            for kind, value in (("bias_ih", bias * _KEEPING[gate]), ("bias_hh", 0.0)):
                for parameter in _parameters(part, kind):
                    parameter[rows] = value
    if not found:
        raise ValueError(f"module: no layer in {type(module).__name__} has a forget gate")
    return module


@torch.no_grad()
def init_orthogonal_(module: _Module, gain: float = 1.0) -> _Module:
    """Make each gate's recurrent matrix ``gain`` times an orthogonal one, in all layers inside.

    All its singular values are then ``gain``: what an RNN's Jacobians diag(f') W stretch by where
    f' is 1 (Saxe, McClelland and Ganguli 2014).  By ``torch.nn.init.orthogonal_`` for each gate,
    where that function itself would make the stacked gates one matrix of orthogonal columns.

    Raises
    ------
    ValueError
        If there is no recurrent layer inside.

    >>> import torch, fastrnn
    >>> gru = fastrnn.utils.init_orthogonal_(fastrnn.nn.GRU(2, 8), gain=0.9)
    >>> bool(torch.linalg.svdvals(gru.weight_hh_l0[8:16]).sub(0.9).abs().max() < 1e-6)
    True
    """
    for part, _ in _recurrent(module):
        for weight in _parameters(part, "weight_hh"):
            for block in weight.split(part.hidden_size):
                nn.init.orthogonal_(block, gain)
    return module
