"""Drop-in replacements for ``torch.nn``'s recurrent layers and cells.

Same constructors, parameters, ``state_dict``, results and errors; `fastrnn.convert` swaps them
into a model that exists.
"""

from __future__ import annotations

from fastrnn.nn.cells import GRUCell, LSTMCell, RNNCell
from fastrnn.nn.gru import GRU
from fastrnn.nn.lstm import LSTM
from fastrnn.nn.rnn import RNN

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]
