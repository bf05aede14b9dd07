"""One recurrent layer as a function of torch tensors, with gradients.

One function a cell, with no parameters of its own: one layer, one direction or two.
`fastrnn.nn` has modules, `fastrnn.ops` the same for NumPy arrays.

Arguments:
    input: [seq_len, batch_size, input_size], any strides.
    weight_ih: [G*hidden_size, input_size], G gates in the order of the cell.
    weight_hh: [G*hidden_size, hidden_size], for `peephole_lstm_full` with twice the columns.
    bias_ih, bias_hh: [G*hidden_size], or None for zeros.
    h0, c0: [batch_size, hidden_size] (or [1, batch_size, hidden_size]), or None for zeros.
    lengths: steps of each sequence, batch_size integers from 0 to seq_len in any order (tensor,
    array or list), or None where all have all steps.  Rows of ``y`` past a sequence's end are
    zero, its final state is that after its own last step, the second direction starts there.
    Nothing past the end is looked at, and its gradient is zero.
    resets: bool [seq_len, batch_size], or None.  Where True the state before the step is zeroed,
    h and c, whatever it was, h0 too; no gradient flows back past it.  The second direction
    does so before the same steps in its own order, so it forgets what follows a marked step.

For two directions give weights, biases and states a leading axis of 2: the second walks backward
in time.  Results are ``y`` [seq_len, batch_size, D*hidden_size], the hidden state after every
step, and the final states ``h_n`` (and ``c_n``), [batch_size, hidden_size], with a leading axis
of 2 for two directions.

The engine takes float32, float64, bfloat16 and float16 on the CPU, forward and backward; under
``torch.autocast`` arguments are cast, and results are of the autocast dtype.  Other dtypes,
complex ones among them, other devices, ``torch.func`` transforms, forward-mode and double
differentiation run as a loop of torch's operations.  ``torch.compile`` and ``torch.export`` see
the engine as one operator.

Every function raises TypeError for an argument that is not a tensor or of another dtype than
``input``, and for ``lengths`` other than integers or ``resets`` other than bool; ValueError for a
shape, length or device that doesn't fit.  The message names the argument, what was expected and
what came.
"""

from __future__ import annotations

from fastrnn.functional._gru import gru, gru_reset_before, ugrnn
from fastrnn.functional._layer_norm import layer_norm_gru, layer_norm_lstm
from fastrnn.functional._lstm import (
    coupled_lstm,
    lstm,
    multiplicative_lstm,
    peephole_lstm,
    peephole_lstm_full,
)
from fastrnn.functional._rnn import rnn_relu, rnn_sigmoid, rnn_tanh

__all__ = [
    "coupled_lstm",
    "gru",
    "gru_reset_before",
    "layer_norm_gru",
    "layer_norm_lstm",
    "lstm",
    "multiplicative_lstm",
    "peephole_lstm",
    "peephole_lstm_full",
    "rnn_relu",
    "rnn_sigmoid",
    "rnn_tanh",
    "ugrnn",
]
