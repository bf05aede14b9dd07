"""The LSTM layer."""

from __future__ import annotations

from typing import Any, overload

import torch
from torch import Tensor

from fastrnn.nn._base import RecurrentLayer

__all__ = ["LSTM"]


class LSTM(RecurrentLayer):
    r"""Long short-term memory layers, in place of ``torch.nn.LSTM``.

    For each step, layer and direction (gates in the weights in the order i, f, g, o)::

        i, f, o = s(W @ [x, h] + b)        one row of W_ih, W_hh, b_ih + b_hh each
        g       = tanh(W @ [x, h] + b)
        c'      = f*c + i*g
        h'      = o*tanh(c')               with proj_size: h' = W_hr @ (o*tanh(c'))

    Arguments, parameters and their names, initialization, ``state_dict`` and errors are those of
    ``torch.nn.LSTM``.

    Args:
        input_size: number of features of the input, I.
        hidden_size: number of units, H.
        num_layers: layers, each taking the outputs of the one before.
        bias: whether there are ``b_ih`` and ``b_hh``.
        batch_first: input and output are [B, T, *] instead of [T, B, *]; the states are not.
        dropout: probability of zeroing an element between layers, in training.
        bidirectional: add a second direction, D = 2; outputs are concatenated.
        proj_size: size P of a projection of the hidden state; 0 for none (then P = H below).
        device, dtype: of the parameters.
        zoneout, recurrent_dropout, weight_drop: rates, from 0 to 1, of regularizers inside the
            recurrence; by keyword only, and not in torch. zoneout may be a pair, of h and of c.
            docs/regularizers.md defines them.

    Shapes:
        - input: [T, B, I], [B, T, I] or, without a batch, [T, I]; or a ``PackedSequence``.
        - hx: a pair ``(h0, c0)``, [D*num_layers, B, P] and [D*num_layers, B, H], without the B
          where the input has none; zeros if not given.
        - returns ``(output, (h_n, c_n))``: output [T, B, D*P], [B, T, D*P] or [T, D*P]; the
          states as in hx.

    The call is ``layer(input, hx=None, *, lengths=None, resets=None)``:
        - lengths: steps of each sequence of a padded input, B integers from 0 to T in any order
          (tensor, array, list). ``output`` is zero past a sequence's end, its final state is that
          after its own last step, and reverse directions start there; what the input holds past
          the end is not looked at and gets a gradient of zero. The numbers are those of
          ``pack_padded_sequence``, which has no empty sequences: those keep their initial state.
        - resets: bool, the shape of the input without its features ([rows] or a
          ``PackedSequence`` for a packed input). Where True the state is zeroed before the step,
          in every layer, and no gradient flows back past it; at the first step ``hx`` counts for
          nothing. A reverse direction zeroes its state before the same steps in its own order:
          it forgets what follows a marked step.

    The engine takes float32, float64, bfloat16 and float16 on the CPU, packed sequences included,
    also under ``torch.autocast``; the one for GPUs, off by default, takes ``proj_size``, too.
    Anything else (``proj_size`` on the CPU, complex, other devices, ``torch.func`` transforms,
    forward-mode and double differentiation) is computed with torch's own operations; `refusal`
    tells for a given call.  ``torch.compile`` and ``torch.export`` see the engine as one operator
    a layer.

    Raises:
        ValueError: input of another rank, or of another dtype than the weights.
        TypeError, ValueError: lengths that are no integers, resets that are not bool, or either of
            a shape or value that doesn't fit the input.
        RuntimeError: feature or state sizes that don't fit, or a sequence of no steps.

    Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000; conventions
    of ``torch.nn.LSTM``.

    >>> import torch, fastrnn
    >>> lstm = fastrnn.nn.LSTM(3, 5, bidirectional=True)
    >>> output, (h_n, c_n) = lstm(torch.randn(7, 4, 3))
    >>> output.shape, h_n.shape, c_n.shape
    (torch.Size([7, 4, 10]), torch.Size([2, 4, 5]), torch.Size([2, 4, 5]))
    >>> output, (h_n, c_n) = lstm(torch.randn(7, 4, 3), lengths=[3, 7, 0, 5])
    >>> bool((output[3:, 0] == 0).all())
    True
    """

    torch_twin = torch.nn.LSTM
    _num_states = 2

    # What torch's forward calls on itself beyond RNNBase.
    get_expected_cell_size = torch.nn.LSTM.get_expected_cell_size
    permute_hidden = torch.nn.LSTM.permute_hidden  # type: ignore[assignment]

    def check_forward_args(
        self,
        input: Tensor,  # noqa: A002 - torch's name
        hidden: Any,
        batch_sizes: Tensor | None,
    ) -> None:
        """Run torch's checks, and one of the weights: its LSTM reads past the end of small ones."""
        torch.nn.LSTM.check_forward_args(self, input, hidden, batch_sizes)  # type: ignore[arg-type]
        rows, columns = 4 * self.hidden_size, self.proj_size or self.hidden_size
        for name, weight in zip(self._flat_weights_names, self._flat_weights, strict=True):
            if weight is None:
                continue
            expected: tuple[int, ...] = (rows,)
            if name.startswith("weight_hr"):
                expected = (columns, self.hidden_size)
            elif name.startswith("weight_hh"):
                expected = (rows, columns)
            elif name.startswith("weight_ih"):
                directions = 2 if self.bidirectional else 1
                first = name.startswith("weight_ih_l0")
                expected = (rows, self.input_size if first else directions * columns)
            if weight.shape != expected:
                raise RuntimeError(f"{name} must have shape {expected}, got {tuple(weight.shape)}")

    @overload
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        zoneout: float | tuple[float, ...] = 0.0,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
    ) -> None: ...

    @overload
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)
