"""Recurrent layers and cells: ``torch.nn``'s, drop-in, and ones that torch does not have.

`RNN`, `LSTM`, `GRU` and their cells have torch's constructors, parameters, ``state_dict``, results
and errors; `fastrnn.convert` swaps them into a model that exists.  The others have the same form:
`PeepholeLSTM`, `CoupledLSTM`, `MultiplicativeLSTM`, `UGRNN`, `LayerNormLSTM`, `LayerNormGRU`, and
by keyword
``GRU(reset_after=False)`` and ``RNN(nonlinearity="sigmoid")``.
"""

from __future__ import annotations

from fastrnn.nn.cells import GRUCell, LSTMCell, RNNCell
from fastrnn.nn.coupled_lstm import CoupledLSTM, CoupledLSTMCell
from fastrnn.nn.gru import GRU
from fastrnn.nn.layer_norm import (
    LayerNormGRU,
    LayerNormGRUCell,
    LayerNormLSTM,
    LayerNormLSTMCell,
)
from fastrnn.nn.lstm import LSTM
from fastrnn.nn.multiplicative_lstm import MultiplicativeLSTM, MultiplicativeLSTMCell
from fastrnn.nn.peephole_lstm import PeepholeLSTM, PeepholeLSTMCell
from fastrnn.nn.rnn import RNN
from fastrnn.nn.ugrnn import UGRNN, UGRNNCell

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "UGRNN",
    "CoupledLSTM",
    "CoupledLSTMCell",
    "GRUCell",
    "LSTMCell",
    "LayerNormGRU",
    "LayerNormGRUCell",
    "LayerNormLSTM",
    "LayerNormLSTMCell",
    "MultiplicativeLSTM",
    "MultiplicativeLSTMCell",
    "PeepholeLSTM",
    "PeepholeLSTMCell",
    "RNNCell",
    "UGRNNCell",
]
