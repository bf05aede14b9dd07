"""The GRU layer."""

from __future__ import annotations

from typing import Any, overload

import torch

from fastrnn.nn._base import RecurrentLayer
from fastrnn.nn._checks import check_bool

__all__ = ["GRU"]


class GRU(RecurrentLayer):
    r"""Gated recurrent unit layers, in place of ``torch.nn.GRU``.

    For each step, layer and direction (gates in the weights in the order r, z, n)::

        r  = s(W_ir @ x + b_ir + W_hr @ h + b_hr)
        z  = s(W_iz @ x + b_iz + W_hz @ h + b_hz)
        n  = tanh(W_in @ x + b_in + r*(W_hn @ h + b_hn))
        h' = (1 - z)*n + z*h

    The reset gate acts after the matmul, as in torch, cuDNN and Keras (``reset_after=True``).  With
    ``reset_after=False`` it acts before it, as in Cho et al. 2014, in Keras and in ONNX
    (``linear_before_reset=0``), a cell that torch does not have::

        n  = tanh(W_in @ x + b_in + W_hn @ (r*h) + b_hn)

    Arguments, parameters and their names, initialization, ``state_dict`` and errors are those of
    ``torch.nn.GRU``.

    Args:
        input_size: number of features of the input, I.
        hidden_size: number of units, H.
        num_layers: layers, each taking the outputs of the one before.
        bias: whether there are ``b_ih`` and ``b_hh``.
        batch_first: input and output are [B, T, *] instead of [T, B, *]; the states are not.
        dropout: probability of zeroing an element between layers, in training.
        bidirectional: add a second direction, D = 2; outputs are concatenated.
        device, dtype: of the parameters.
        reset_after: whether the reset gate acts after the matmul; by keyword only.
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

    Source: Cho et al. 2014, by default in the form of its third version (reset after the matmul);
    conventions of ``torch.nn.GRU``.

    >>> import torch, fastrnn
    >>> gru = fastrnn.nn.GRU(3, 5, batch_first=True)
    >>> output, h_n = gru(torch.randn(4, 7, 3))
    >>> output.shape, h_n.shape
    (torch.Size([4, 7, 5]), torch.Size([1, 4, 5]))
    >>> output, h_n = gru(torch.randn(4, 7, 3), lengths=[3, 7, 0, 5])
    >>> bool((output[0, 3:] == 0).all())
    True
    """

    torch_twin = torch.nn.GRU

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
        device: Any = None,
        dtype: Any = None,
        *,
        reset_after: bool = True,
        zoneout: float | tuple[float, ...] = 0.0,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
    ) -> None: ...

    @overload
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        reset_after = kwargs.pop("reset_after", True)
        check_bool("reset_after", reset_after)
        super().__init__("GRU", *args, **kwargs)
        if not reset_after:
            self.mode = "GRU_RESET_BEFORE"

    @property
    def reset_after(self) -> bool:
        """Whether the reset gate acts after the matmul."""
        return self.mode == "GRU"

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")
