"""One recurrent layer as a function of torch tensors, with gradients.

``rnn_tanh``, ``rnn_relu``, ``lstm``, ``gru``, ``gru_reset_before`` and ``peephole_lstm``: no
parameters of their own, one layer, one direction or two.  `fastrnn.nn` has modules, `fastrnn.ops`
the same for NumPy arrays.

Arguments:
    input: [seq_len, batch_size, input_size], any strides.
    weight_ih: [G*hidden_size, input_size], G gates in the order of the cell.
    weight_hh: [G*hidden_size, hidden_size].
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

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from fastrnn import _composed
from fastrnn._arguments import check_arguments
from fastrnn._autocast import autocast_dtype, autocast_refuses, cast_all
from fastrnn._dispatch import engine_refuses, run_stack
from fastrnn._layouts import TIME_FIRST
from fastrnn._native import core
from fastrnn._operator_calls import host_lengths, operators_refuse, planned_layer
from fastrnn._plan import CELL_INFO, CELL_NUMBERS, Uneven, rows_plan, stack_plan
from fastrnn._rows import rows_of_padded

__all__ = ["gru", "gru_reset_before", "lstm", "peephole_lstm", "rnn_relu", "rnn_tanh"]


def _layer(
    cell: str,
    input: Any,  # noqa: A002 - torch's name
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any,
    bias_hh: Any,
    peephole: Any = None,
    lengths: Any = None,
    resets: Any = None,
    **states: Any,
) -> tuple[Tensor, ...]:
    number = CELL_NUMBERS[cell]
    info = CELL_INFO[number]
    cast = autocast_dtype()
    if cast is not None:
        given = (input, weight_ih, weight_hh, bias_ih, bias_hh, peephole, *states.values())
        if autocast_refuses(cast, given) is None:
            given = cast_all(cast, given)
            input, weight_ih, weight_hh, bias_ih, bias_hh, peephole, *cast_states = given  # noqa: A001
            states = dict(zip(states, cast_states, strict=True))
    x, weights, initial, hidden_size, num_directions = check_arguments(
        info["num_gates"],
        info["num_unit_params"],
        input,
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        peephole,
        states,
    )
    outputs = rows = None
    compiling = torch.compiler.is_compiling()
    if operators_refuse(x, initial, weights, compiling) is None:
        lengths = None if lengths is None else host_lengths(lengths)
        outputs = planned_layer(
            cell, TIME_FIRST, x, initial, weights, num_directions, lengths, resets
        )
    else:
        rows = rows_of_padded(lengths, resets, tuple(x.shape[:2]), False)
    if outputs is None and not compiling and type(x) in (Tensor, Parameter):
        isa, sizes = core.isa_id(), (x.shape[-1], hidden_size, 1, num_directions)
        if rows is None or rows.batch_sizes is None:
            plan = stack_plan(isa, number, x.dtype, x.shape, *sizes, False)
        else:
            uneven = Uneven(rows.steps, rows.padded_steps, rows.batch_size, rows.total)
            plan = rows_plan(isa, number, x.dtype, x.shape, TIME_FIRST, uneven, *sizes)
        if not isinstance(plan, str) and engine_refuses(x, initial, weights, plan) is None:
            outputs = run_stack(plan, x, initial, weights, rows=rows)
    if outputs is None:
        outputs = _composed.planned_layer(
            cell, TIME_FIRST, TIME_FIRST, x, initial, weights, len(weights) // num_directions, rows
        )
    if num_directions == 1:
        return (outputs[0], *(state.squeeze(0) for state in outputs[1:]))
    return outputs


def rnn_tanh(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor]:
    """Simple recurrent layer, ``h' = tanh(W_ih @ x + b_ih + W_hh @ h + b_hh)``.

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 1; returns ``(y, h_n)``.
    Source: Elman 1990.

    >>> import torch
    >>> y, h_n = rnn_tanh(torch.randn(7, 2, 3), torch.randn(5, 3), torch.randn(5, 5))
    >>> y.shape, h_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]))
    """
    y, h_n = _layer(
        "rnn_tanh",
        input,
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        lengths=lengths,
        resets=resets,
        h0=h0,
    )
    return y, h_n


def rnn_relu(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor]:
    """Simple recurrent layer, ``h' = max(0, W_ih @ x + b_ih + W_hh @ h + b_hh)``.

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 1; returns ``(y, h_n)``.
    Source: ``torch.nn.RNN`` with ``nonlinearity="relu"``.

    >>> import torch
    >>> y, h_n = rnn_relu(torch.randn(7, 2, 3), torch.randn(5, 3), torch.randn(5, 5))
    >>> bool((y >= 0).all())
    True
    """
    y, h_n = _layer(
        "rnn_relu",
        input,
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        lengths=lengths,
        resets=resets,
        h0=h0,
    )
    return y, h_n


def lstm(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """LSTM layer, gates in the order i, f, g, o::

        i, f, o = s(W @ [x, h] + b);    g = tanh(W @ [x, h] + b)
        c' = f*c + i*g;                 h' = o*tanh(c')

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 4; returns
    ``(y, h_n, c_n)``.  Source: Hochreiter & Schmidhuber 1997, Gers et al. 2000; ``torch.nn.LSTM``.

    >>> import torch
    >>> y, h_n, c_n = lstm(torch.randn(7, 2, 3), torch.randn(2, 20, 3), torch.randn(2, 20, 5))
    >>> y.shape, h_n.shape, c_n.shape
    (torch.Size([7, 2, 10]), torch.Size([2, 2, 5]), torch.Size([2, 2, 5]))
    """
    y, h_n, c_n = _layer(
        "lstm",
        input,
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        lengths=lengths,
        resets=resets,
        h0=h0,
        c0=c0,
    )
    return y, h_n, c_n


def gru(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor]:
    """GRU layer with the reset after the matmul, gates in the order r, z, n::

        r, z = s(W_ih @ x + b_ih + W_hh @ h + b_hh)
        n    = tanh(W_in @ x + b_in + r*(W_hn @ h + b_hn))
        h'   = (1 - z)*n + z*h

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 3; returns ``(y, h_n)``.
    Source: ``torch.nn.GRU``; Keras ``reset_after=True``, ONNX ``linear_before_reset=1``.

    >>> import torch
    >>> y, h_n = gru(torch.randn(7, 2, 3), torch.randn(15, 3), torch.randn(15, 5))
    >>> y.shape, h_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]))
    """
    y, h_n = _layer(
        "gru",
        input,
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        lengths=lengths,
        resets=resets,
        h0=h0,
    )
    return y, h_n


def gru_reset_before(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor]:
    """GRU layer with the reset before the matmul, gates in the order r, z, n::

        r, z = s(W_ih @ x + b_ih + W_hh @ h + b_hh)
        n    = tanh(W_in @ x + b_in + W_hn @ (r*h) + b_hn)
        h'   = (1 - z)*n + z*h

    Arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 3; returns ``(y, h_n)``.
    Source: Cho et al. 2014; Keras ``reset_after=False``, ONNX ``linear_before_reset=0``.

    >>> import torch
    >>> y, h_n = gru_reset_before(torch.randn(7, 2, 3), torch.randn(15, 3), torch.randn(15, 5))
    >>> y.shape, h_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]))
    """
    y, h_n = _layer(
        "gru_reset_before",
        input,
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        lengths=lengths,
        resets=resets,
        h0=h0,
    )
    return y, h_n


def peephole_lstm(
    input: Tensor,  # noqa: A002
    weight_ih: Tensor,
    weight_hh: Tensor,
    peephole: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """LSTM layer whose gates see the cell state, one weight a unit; gates i, f, g, o::

        i, f = s(W @ [x, h] + b + p*c);     g = tanh(W @ [x, h] + b)
        c'   = f*c + i*g
        o    = s(W @ [x, h] + b + p_o*c');  h' = o*tanh(c')

    ``peephole`` is [3, hidden_size], rows p_i, p_f, p_o ([2, 3, hidden_size] for two
    directions).  Other arguments, shapes, dtypes and errors as in `fastrnn.functional`, G = 4;
    returns ``(y, h_n, c_n)``.  Source: Gers & Schmidhuber 2000; the P of ONNX's LSTM.

    >>> import torch
    >>> weights = torch.randn(20, 3), torch.randn(20, 5), torch.randn(3, 5)
    >>> y, h_n, c_n = peephole_lstm(torch.randn(7, 2, 3), *weights)
    >>> y.shape, h_n.shape, c_n.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]), torch.Size([2, 5]))
    """
    y, h_n, c_n = _layer(
        "peephole_lstm",
        input,
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        peephole,
        lengths=lengths,
        resets=resets,
        h0=h0,
        c0=c0,
    )
    return y, h_n, c_n
