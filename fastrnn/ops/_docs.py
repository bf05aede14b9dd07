"""Docstrings of the public functions, put together from the equations of each cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastrnn.ops._problem import CellSpec

# What each cell is and where it comes from.
_TITLES = {
    "rnn_tanh": "Elman RNN with tanh (torch.nn.RNN)",
    "rnn_relu": "Elman RNN with relu (torch.nn.RNN with nonlinearity='relu')",
    "lstm": "LSTM, gates in the order i f g o (torch.nn.LSTM)",
    "gru": "GRU, reset after the matmul, gates in the order r z n (torch.nn.GRU)",
    "gru_reset_before": """GRU, reset before the matmul, gates in the order r z n
(Cho et al. 2014; Keras reset_after=False, ONNX linear_before_reset=0)""",
    "peephole_lstm": """LSTM with diagonal peepholes, gates in the order i f g o
(Gers & Schmidhuber 2000; the P of ONNX's LSTM)""",
    "rnn_sigmoid": "Elman RNN with the logistic sigmoid (Elman 1990)",
    "coupled_lstm": """LSTM whose input gate is 1 - f, gates in the order f g o
(CIFG of Greff et al. 2017; ONNX's input_forget has the mirrored gate, f = 1 - i)""",
    "ugrnn": """GRU without reset gate, gates in the order u n
(UGRNN of Collins et al. 2016, whose gate, as TensorFlow's, is the mirrored one, 1 - u)""",
    "multiplicative_lstm": """multiplicative LSTM, gates in the order m i f g o
(Krause et al. 2016)""",
    "peephole_lstm_full": """LSTM whose gates see the whole cell state, gates in the order i f g o
(Gers & Schmidhuber 2000); weight_hh is [W_hh, V], with zeros in the rows of g in V""",
    "layer_norm_lstm": """LSTM with layer normalization, gates in the order i f g o
(Ba et al. 2016, in haste's form)""",
    "layer_norm_gru": """GRU with layer normalization, reset after the matmul, gates in the order
r z n (Ba et al. 2016, in haste's form)""",
}

_EQUATIONS = {
    "rnn_tanh": """
    h' = tanh(W_ih x + b_ih + W_hh h + b_hh)
""",
    "rnn_relu": """
    h' = max(0, W_ih x + b_ih + W_hh h + b_hh)
""",
    "lstm": """
    a  = W_ih x + b_ih + W_hh h + b_hh
    i, f, g, o = s(a_i), s(a_f), tanh(a_g), s(a_o)
    c' = f*c + i*g
    h' = o*tanh(c')
""",
    "gru": """
    r  = s(W_ir x + b_ir + W_hr h + b_hr)
    z  = s(W_iz x + b_iz + W_hz h + b_hz)
    n  = tanh(W_in x + b_in + r*(W_hn h + b_hn))
    h' = (1-z)*n + z*h
""",
    "gru_reset_before": """
    r  = s(W_ir x + b_ir + W_hr h + b_hr)
    z  = s(W_iz x + b_iz + W_hz h + b_hz)
    n  = tanh(W_in x + b_in + W_hn (r*h) + b_hn)
    h' = (1-z)*n + z*h
""",
    "peephole_lstm": """
    a  = W_ih x + b_ih + W_hh h + b_hh
    i, f, g = s(a_i + p_i*c), s(a_f + p_f*c), tanh(a_g)
    c' = f*c + i*g
    o  = s(a_o + p_o*c')
    h' = o*tanh(c')
""",
    "rnn_sigmoid": """
    h' = s(W_ih x + b_ih + W_hh h + b_hh)
""",
    "coupled_lstm": """
    a  = W_ih x + b_ih + W_hh h + b_hh
    f, g, o = s(a_f), tanh(a_g), s(a_o)
    c' = f*c + (1-f)*g
    h' = o*tanh(c')
""",
    "ugrnn": """
    u  = s(W_iu x + b_iu + W_hu h + b_hu)
    n  = tanh(W_in x + b_in + W_hn h + b_hn)
    h' = u*n + (1-u)*h
""",
    "multiplicative_lstm": """
    m  = (W_im x + b_im)*(W_hm h + b_hm)
    a  = W_ia x + b_ia + W_ha m + b_ha        the rows below those of m
    i, f, g, o = s(a_i), s(a_f), tanh(a_g), s(a_o)
    c' = f*c + i*g
    h' = o*tanh(c')
""",
    "peephole_lstm_full": """
    a  = W_ih x + b_ih + W_hh h + b_hh
    i, f, g = s(a_i + V_i c), s(a_f + V_f c), tanh(a_g + V_g c)
    c' = f*c + i*g
    o  = s(a_o + V_o c')
    h' = o*tanh(c')
""",
    "layer_norm_lstm": """
    norm(v) = (v - mean(v)) / sqrt(var(v) + 1e-5), over all gates, or over the units of c'
    a  = gamma_x*norm(W_ih x) + b_ih + gamma_h*norm(W_hh h) + b_hh
    i, f, g, o = s(a_i), s(a_f), tanh(a_g), s(a_o)
    c' = f*c + i*g
    h' = o*tanh(gamma_c*norm(c') + beta_c)
""",
    "layer_norm_gru": """
    norm(v) = (v - mean(v)) / sqrt(var(v) + 1e-5), over all gates
    u, v = gamma_x*norm(W_ih x) + b_ih, gamma_h*norm(W_hh h) + b_hh
    r, z = s(u_r + v_r), s(u_z + v_z)
    n  = tanh(u_n + r*v_n)
    h' = (1-z)*n + z*h
""",
}

_UNIT_PARAMS = {
    "peephole_lstm": "the rows p_i p_f p_o",
    "layer_norm_lstm": "gamma_x and gamma_h of each gate, gamma_c, beta_c",
    "layer_norm_gru": "gamma_x and gamma_h of each gate",
}

_TEMPLATE = """{purpose}: {title}.
{equations}
x is the input of a step, h (and c) the state before it, h' (and c') the state after it,
s the logistic sigmoid, * elementwise.

{signature}

Raises TypeError for anything but a NumPy array of float16, float32, float64 or ml_dtypes'
bfloat16, for mixed dtypes, for lengths other than integers and resets other than bool, ValueError
for a wrong shape or length; the message names the argument, what was expected and what came.

>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> x = rng.normal(size=(5, 2, 3)).astype("float32")
>>> weight_ih = rng.normal(size=({gates}*4, 3)).astype("float32")
>>> weight_hh = rng.normal(size=({gates}*4, {columns})).astype("float32")
{example}
"""

_FORWARD = """Arguments, all float32 or all float64, of any strides:
    x: [seq_len, batch_size, input_size]; seq_len at least 1, batch_size may be 0
    weight_ih: [{rows}, input_size]
    weight_hh: [{rows}, {columns}hidden_size]
{unit_params}    bias_ih, bias_hh: [{rows}], None for zeros
    {initial}: [batch_size, hidden_size], None for zeros
    lengths: steps of each sequence, batch_size integers from 0 to seq_len in any order, None for
        all; y is zero past a sequence's end, and nothing there is looked at
    resets: bool [seq_len, batch_size], True where the state before the step is zeroed, in either
        direction's own order, and gradients stop; None for nowhere
For two directions, give weights, biases and states a leading axis of length 2: the first entry
walks forward in time, the second backward.

Returns:
    y: [seq_len, batch_size, num_directions*hidden_size], the hidden state after every step
    {final}: in the shape of {initial}, the state after each direction's last step"""

_RESERVE = """
    reserve: for {name}_backward; it refers to the arguments and to y, so change none of
        them in place before that"""

_BACKWARD = """Arguments, in the dtype of the forward call, of any strides:
    grad_y: gradient of y, None for zeros
    reserve: what {name}_forward returned; it may be used again
    {grad_final}: gradient of {final}, None for zeros

Returns a named tuple with the gradient of each argument of the forward call, None for an
argument that was not given."""


def docstring(cell: CellSpec, kind: str) -> str:
    """Docstring of one function; ``kind`` is "", "forward" or "backward"."""
    two, columns = cell.num_states == 2, 4 * cell.num_operand_states
    fields = {
        "name": cell.name,
        "gates": cell.num_gates,
        "rows": f"{cell.num_gates}*hidden_size" if cell.num_gates > 1 else "hidden_size",
        "initial": "h0, c0" if two else "h0",
        "final": "h_n, c_n" if two else "h_n",
        "grad_final": "grad_h_n, grad_c_n" if two else "grad_h_n",
        "columns": "" if cell.num_operand_states == 1 else f"{cell.num_operand_states}*",
        "unit_params": "",
    }
    arguments, setup = "x, weight_ih, weight_hh", ""
    if cell.num_unit_params:
        name, rows = cell.unit_params, cell.num_unit_params
        fields["unit_params"] = f"    {name}: [{rows}, hidden_size], {_UNIT_PARAMS[cell.name]}\n"
        setup = f'>>> {name} = rng.normal(size=({rows}, 4)).astype("float32")\n'
        arguments += f", {name}"
    outputs = f">>> y, {fields['final']}"
    save = f"{outputs}, reserve = {cell.name}_forward({arguments})\n"
    shapes = ">>> y.shape, h_n.shape\n((5, 2, 4), (2, 4))"
    if kind == "":
        purpose, signature = "Outputs of a layer", _FORWARD
        example = f"{outputs} = {cell.name}({arguments})\n{shapes}"
    elif kind == "forward":
        purpose, signature = "Forward of a layer", _FORWARD + _RESERVE
        example = save + shapes
    else:
        purpose, signature = "Backward of a layer", _BACKWARD
        example = (
            f"{save}>>> grads = {cell.name}_backward(np.ones_like(y), reserve)\n"
            f">>> grads.weight_hh.shape\n({cell.num_gates * 4}, {columns})"
        )
    return _TEMPLATE.format(
        purpose=purpose,
        title=_TITLES[cell.name],
        equations=_EQUATIONS[cell.name],
        signature=signature.format(**fields),
        gates=cell.num_gates,
        columns=columns,
        example=setup + example,
    )
