"""Recurrent layers on NumPy arrays, forward and backward, without torch.

For each cell there are three functions: ``lstm`` runs a layer for its outputs alone,
``lstm_forward`` also returns a reserve, and ``lstm_backward`` takes the reserve and the
gradients of the outputs to the gradients of everything that went in.  The cells are
``rnn_tanh``, ``rnn_relu``, ``rnn_sigmoid``, ``lstm``, ``peephole_lstm``, ``coupled_lstm``,
``multiplicative_lstm``, ``peephole_lstm_full``, ``layer_norm_lstm``, ``gru``,
``gru_reset_before``, ``ugrnn`` and ``layer_norm_gru``.

One call is one layer in one direction or two.  Arrays are float16, float32 or
float64, or bfloat16 as the package ml_dtypes adds it to NumPy, of any strides.
Calls release the GIL and may run in several Python threads at once.

>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> x = rng.normal(size=(5, 2, 3))  # [seq_len, batch_size, input_size]
>>> weight_ih, weight_hh = rng.normal(size=(16, 3)), rng.normal(size=(16, 4))
>>> y, h_n, c_n, reserve = lstm_forward(x, weight_ih, weight_hh)
>>> y.shape
(5, 2, 4)
>>> grads = lstm_backward(2 * y, reserve)  # the loss is the sum of squares of y
>>> grads.weight_hh.shape, grads.bias_ih
((16, 4), None)
"""

from __future__ import annotations

from fastrnn.ops import _families
from fastrnn.ops._engine import Reserve
from fastrnn.ops._families import (
    Gradients,
    LSTMGradients,
    NormGradients,
    NormLSTMGradients,
    PeepholeGradients,
    public,
)

__all__ = [
    "Gradients",
    "LSTMGradients",
    "NormGradients",
    "NormLSTMGradients",
    "PeepholeGradients",
    "Reserve",
    "coupled_lstm",
    "coupled_lstm_backward",
    "coupled_lstm_forward",
    "gru",
    "gru_backward",
    "gru_forward",
    "gru_reset_before",
    "gru_reset_before_backward",
    "gru_reset_before_forward",
    "layer_norm_gru",
    "layer_norm_gru_backward",
    "layer_norm_gru_forward",
    "layer_norm_lstm",
    "layer_norm_lstm_backward",
    "layer_norm_lstm_forward",
    "lstm",
    "lstm_backward",
    "lstm_forward",
    "multiplicative_lstm",
    "multiplicative_lstm_backward",
    "multiplicative_lstm_forward",
    "peephole_lstm",
    "peephole_lstm_backward",
    "peephole_lstm_forward",
    "peephole_lstm_full",
    "peephole_lstm_full_backward",
    "peephole_lstm_full_forward",
    "rnn_relu",
    "rnn_relu_backward",
    "rnn_relu_forward",
    "rnn_sigmoid",
    "rnn_sigmoid_backward",
    "rnn_sigmoid_forward",
    "rnn_tanh",
    "rnn_tanh_backward",
    "rnn_tanh_forward",
    "ugrnn",
    "ugrnn_backward",
    "ugrnn_forward",
]

rnn_tanh = public(_families.one_state, "rnn_tanh")
rnn_tanh_forward = public(_families.one_state_forward, "rnn_tanh", "forward")
rnn_tanh_backward = public(_families.one_state_backward, "rnn_tanh", "backward")

rnn_relu = public(_families.one_state, "rnn_relu")
rnn_relu_forward = public(_families.one_state_forward, "rnn_relu", "forward")
rnn_relu_backward = public(_families.one_state_backward, "rnn_relu", "backward")

lstm = public(_families.two_states, "lstm")
lstm_forward = public(_families.two_states_forward, "lstm", "forward")
lstm_backward = public(_families.two_states_backward, "lstm", "backward")

gru = public(_families.one_state, "gru")
gru_forward = public(_families.one_state_forward, "gru", "forward")
gru_backward = public(_families.one_state_backward, "gru", "backward")

gru_reset_before = public(_families.one_state, "gru_reset_before")
gru_reset_before_forward = public(_families.one_state_forward, "gru_reset_before", "forward")
gru_reset_before_backward = public(_families.one_state_backward, "gru_reset_before", "backward")

peephole_lstm = public(_families.peephole, "peephole_lstm")
peephole_lstm_forward = public(_families.peephole_forward, "peephole_lstm", "forward")
peephole_lstm_backward = public(_families.peephole_backward, "peephole_lstm", "backward")

rnn_sigmoid = public(_families.one_state, "rnn_sigmoid")
rnn_sigmoid_forward = public(_families.one_state_forward, "rnn_sigmoid", "forward")
rnn_sigmoid_backward = public(_families.one_state_backward, "rnn_sigmoid", "backward")

coupled_lstm = public(_families.two_states, "coupled_lstm")
coupled_lstm_forward = public(_families.two_states_forward, "coupled_lstm", "forward")
coupled_lstm_backward = public(_families.two_states_backward, "coupled_lstm", "backward")

ugrnn = public(_families.one_state, "ugrnn")
ugrnn_forward = public(_families.one_state_forward, "ugrnn", "forward")
ugrnn_backward = public(_families.one_state_backward, "ugrnn", "backward")

multiplicative_lstm = public(_families.two_states, "multiplicative_lstm")
multiplicative_lstm_forward = public(_families.two_states_forward, "multiplicative_lstm", "forward")
multiplicative_lstm_backward = public(
    _families.two_states_backward, "multiplicative_lstm", "backward"
)

peephole_lstm_full = public(_families.two_states, "peephole_lstm_full")
peephole_lstm_full_forward = public(_families.two_states_forward, "peephole_lstm_full", "forward")
peephole_lstm_full_backward = public(
    _families.two_states_backward, "peephole_lstm_full", "backward"
)

layer_norm_lstm = public(_families.norm_two_states, "layer_norm_lstm")
layer_norm_lstm_forward = public(_families.norm_two_states_forward, "layer_norm_lstm", "forward")
layer_norm_lstm_backward = public(_families.norm_two_states_backward, "layer_norm_lstm", "backward")

layer_norm_gru = public(_families.norm_one_state, "layer_norm_gru")
layer_norm_gru_forward = public(_families.norm_one_state_forward, "layer_norm_gru", "forward")
layer_norm_gru_backward = public(_families.norm_one_state_backward, "layer_norm_gru", "backward")
