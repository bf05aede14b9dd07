"""The list of cells, in the engine's order."""

from __future__ import annotations

from fastrnn.reference import _gru, _layer_norm, _lstm, _peephole_full, _rnn
from fastrnn.reference._math import Cell

__all__ = ["CELLS"]

# Gates, states, parameters that a unit has one of; a step, and its backward.
CELLS: dict[str, Cell] = {
    "rnn_tanh": Cell(1, 1, 0, _rnn.rnn_tanh_step, _rnn.rnn_tanh_step_backward),
    "rnn_relu": Cell(1, 1, 0, _rnn.rnn_relu_step, _rnn.rnn_relu_step_backward),
    "lstm": Cell(4, 2, 0, _lstm.lstm_step, _lstm.lstm_step_backward),
    "gru": Cell(3, 1, 0, _gru.gru_step, _gru.gru_step_backward),
    "gru_reset_before": Cell(
        3, 1, 0, _gru.gru_reset_before_step, _gru.gru_reset_before_step_backward
    ),
    "peephole_lstm": Cell(
        4, 2, 3, _lstm.lstm_step, _lstm.lstm_step_backward, unit_params="peephole"
    ),
    "rnn_sigmoid": Cell(1, 1, 0, _rnn.rnn_sigmoid_step, _rnn.rnn_sigmoid_step_backward),
    "coupled_lstm": Cell(3, 2, 0, _lstm.coupled_lstm_step, _lstm.coupled_lstm_step_backward),
    "ugrnn": Cell(2, 1, 0, _gru.ugrnn_step, _gru.ugrnn_step_backward),
    "multiplicative_lstm": Cell(
        5, 2, 0, _lstm.multiplicative_lstm_step, _lstm.multiplicative_lstm_step_backward
    ),
    "peephole_lstm_full": Cell(
        4,
        2,
        0,
        _peephole_full.peephole_lstm_full_step,
        _peephole_full.peephole_lstm_full_step_backward,
        operand_has_state=True,
    ),
    "layer_norm_lstm": Cell(
        4,
        2,
        10,
        _layer_norm.layer_norm_lstm_step,
        _layer_norm.layer_norm_lstm_step_backward,
        unit_params="norm",
    ),
    "layer_norm_gru": Cell(
        3,
        1,
        6,
        _layer_norm.layer_norm_gru_step,
        _layer_norm.layer_norm_gru_step_backward,
        unit_params="norm",
    ),
}
