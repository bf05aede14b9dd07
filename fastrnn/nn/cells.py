"""Single steps: the cells behind the layers, in place of ``torch.nn``'s."""

from __future__ import annotations

from typing import Any

import torch

from fastrnn._plan import CELL_NUMBERS
from fastrnn.nn._cell_base import RecurrentCell
from fastrnn.nn._checks import check_bool

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]


class RNNCell(RecurrentCell):
    r"""One step of a simple recurrent cell, in place of ``torch.nn.RNNCell``.

    ``h' = f(W_ih @ x + b_ih + W_hh @ h + b_hh)``, f = tanh or relu (``nonlinearity``), or
    sigmoid, which torch does not have.

    Shapes: input [B, I] or [I]; hx [B, H] or [H], zeros if not given; returns h' like hx.
    Dtypes, parameters and errors as in ``torch.nn.RNNCell``: ValueError for a wrong rank,
    RuntimeError for sizes that don't fit.  Source: Elman 1990.

    >>> import torch, fastrnn
    >>> fastrnn.nn.RNNCell(3, 5)(torch.randn(2, 3)).shape
    torch.Size([2, 5])
    """

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]  # noqa: RUF012
    torch_twin = torch.nn.RNNCell

    nonlinearity: str

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=1, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity

    def _cell(self) -> int | None:
        return _RNN_CELLS.get(self.nonlinearity)

    @property
    def _in_torch(self) -> bool:
        return self.nonlinearity != "sigmoid"


class LSTMCell(RecurrentCell):
    r"""One step of an LSTM cell, in place of ``torch.nn.LSTMCell``.

    Equations as in `fastrnn.nn.LSTM`, gates in the order i, f, g, o.

    Shapes: input [B, I] or [I]; hx a pair ``(h, c)`` of [B, H] or [H], zeros if not given;
    returns ``(h', c')`` alike.  Dtypes, parameters and errors as in ``torch.nn.LSTMCell``:
    ValueError for a wrong rank, RuntimeError for sizes that don't fit.  Source: Hochreiter &
    Schmidhuber 1997, Gers et al. 2000.

    >>> import torch, fastrnn
    >>> h, c = fastrnn.nn.LSTMCell(3, 5)(torch.randn(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    torch_twin = torch.nn.LSTMCell
    _num_states = 2
    _number = CELL_NUMBERS["lstm"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=4, device=device, dtype=dtype)


class GRUCell(RecurrentCell):
    r"""One step of a GRU cell, in place of ``torch.nn.GRUCell``.

    Equations as in `fastrnn.nn.GRU`, gates in the order r, z, n; the reset gate acts after the
    matmul, or before it with ``reset_after=False``, which torch does not have.

    Shapes: input [B, I] or [I]; hx [B, H] or [H], zeros if not given; returns h' like hx.
    Dtypes, parameters and errors as in ``torch.nn.GRUCell``: ValueError for a wrong rank,
    RuntimeError for sizes that don't fit.  Source: Cho et al. 2014, version 3.

    >>> import torch, fastrnn
    >>> fastrnn.nn.GRUCell(3, 5)(torch.randn(2, 3)).shape
    torch.Size([2, 5])
    """

    torch_twin = torch.nn.GRUCell
    reset_after: bool = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        reset_after: bool = True,
    ) -> None:
        check_bool("reset_after", reset_after)
        super().__init__(input_size, hidden_size, bias, num_chunks=3, device=device, dtype=dtype)
        self.reset_after = reset_after

    def _cell(self) -> int:
        return _GRU if self.reset_after else _GRU_RESET_BEFORE

    @property
    def _in_torch(self) -> bool:
        return self.reset_after

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")


_RNN_CELLS = {kind: CELL_NUMBERS[f"rnn_{kind}"] for kind in ("tanh", "relu", "sigmoid")}
_GRU, _GRU_RESET_BEFORE = CELL_NUMBERS["gru"], CELL_NUMBERS["gru_reset_before"]
