"""The simple recurrent layer."""

from __future__ import annotations

from typing import Any, overload

import torch

from fastrnn.nn._base import RecurrentLayer

__all__ = ["RNN"]


class RNN(RecurrentLayer):
    r"""Simple (Elman) recurrent layers, in place of ``torch.nn.RNN``.

    For each step, layer and direction::

        h' = f(W_ih @ x + b_ih + W_hh @ h + b_hh)       f = tanh, relu or sigmoid

    Arguments, parameters and their names, initialization, ``state_dict`` and errors are those of
    ``torch.nn.RNN``; the fourth positional argument is ``nonlinearity``.

    Args:
        input_size: number of features of the input, I.
        hidden_size: number of units, H.
        num_layers: layers, each taking the outputs of the one before.
        nonlinearity: ``"tanh"`` or ``"relu"``; or ``"sigmoid"``, which torch does not have.
        bias: whether there are ``b_ih`` and ``b_hh``.
        batch_first: input and output are [B, T, *] instead of [T, B, *]; the states are not.
        dropout: probability of zeroing an element between layers, in training.
        bidirectional: add a second direction, D = 2; outputs are concatenated.
        device, dtype: of the parameters.
        zoneout, recurrent_dropout, weight_drop: rates, from 0 to 1, of regularizers inside the
            recurrence; by keyword only, and not in torch. docs/regularizers.md defines them.

    Shapes:
        - input: [T, B, I], [B, T, I] or, without a batch, [T, I]; or a ``PackedSequence``.
        - hx: [D*num_layers, B, H] or [D*num_layers, H]; zeros if not given.
        - returns ``(output, h_n)``: output [T, B, D*H], [B, T, D*H] or [T, D*H]; h_n as hx.

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
    also under ``torch.autocast``.  Anything else (complex, other devices,
    ``torch.func`` transforms, forward-mode and double differentiation) is computed with torch's
    own operations; `refusal` tells for a given call.  ``torch.compile`` and ``torch.export`` see
    the engine as one operator a layer.

    Raises:
        ValueError: input of another rank, or of another dtype than the weights.
        TypeError, ValueError: lengths that are no integers, resets that are not bool, or either of
            a shape or value that doesn't fit the input.
        RuntimeError: feature or state sizes that don't fit, or a sequence of no steps.

    Source: Elman, "Finding structure in time", 1990; conventions of ``torch.nn.RNN``.

    >>> import torch, fastrnn
    >>> rnn = fastrnn.nn.RNN(3, 5, num_layers=2, nonlinearity="relu")
    >>> output, h_n = rnn(torch.randn(7, 4, 3))
    >>> output.shape, h_n.shape
    (torch.Size([7, 4, 5]), torch.Size([2, 4, 5]))
    >>> output, h_n = rnn(torch.randn(7, 4, 3), lengths=[3, 7, 0, 5])
    >>> bool((output[3:, 0] == 0).all())
    True
    """

    torch_twin = torch.nn.RNN

    nonlinearity: str

    @overload
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
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
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            self.nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            self.nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if self.nonlinearity not in ("tanh", "relu", "sigmoid"):
            raise ValueError(
                f"Unknown nonlinearity '{self.nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        in_torch = self.nonlinearity != "sigmoid"
        mode = f"RNN_{self.nonlinearity.upper()}"
        super().__init__(mode if in_torch else "RNN_TANH", *args, **kwargs)
        self.mode = mode

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self._in_torch else ", nonlinearity=sigmoid")
