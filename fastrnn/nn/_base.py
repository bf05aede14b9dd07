"""What all layers share: choosing who computes a call."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.modules.rnn import RNNBase
from torch.nn.utils.rnn import PackedSequence

from fastrnn._dispatch import composed_needed, transforms_active
from fastrnn.nn._by_engine import ByEngine
from fastrnn.nn._by_operations import ByOperations
from fastrnn.nn._by_operators import ByOperators
from fastrnn.nn._checks import no_script

__all__ = ["RecurrentLayer"]

_is_compiling = torch.compiler.is_compiling


class RecurrentLayer(ByEngine, ByOperators, ByOperations):
    """Base of the layers."""

    def forward(
        self,
        input: Any,  # noqa: A002 - torch's name
        hx: Any = None,
        *,
        lengths: Any = None,
        resets: Any = None,
    ) -> Any:
        if lengths is not None or resets is not None or isinstance(input, PackedSequence):
            return self._forward_rows(input, hx, lengths, resets)
        compiling = _is_compiling()
        if not compiling:
            result = self._forward_engine(input, hx)
            if result is not None:
                return result
        return self._forward_otherwise(input, hx, compiling)

    def _forward_rows(self, input: Any, hx: Any, lengths: Any, resets: Any) -> Any:  # noqa: A002
        compiling = _is_compiling()
        packed = isinstance(input, PackedSequence)
        known = not packed or hx is not None or input.sorted_indices is not None  # the batch size
        if known and self._operators_take(input.data if packed else input, hx, compiling):
            if packed and lengths is None:
                return self._forward_packed_operators(input, hx, resets)
            if not packed:
                return self._forward_operators(input, hx, lengths, resets)
        if compiling and packed and resets is None:
            if not self._in_torch:
                return self._forward_composed(input, hx)
            return self.torch_twin.forward(self, input, hx)
        rows = self._rows(input, lengths, resets)
        if isinstance(rows, str):  # a malformed PackedSequence
            if not self._in_torch:
                raise ValueError(f"input: {rows}")
            return self.torch_twin.forward(self, input, hx)
        if not _is_compiling():
            result = self._forward_engine(input, hx, rows)
            if result is not None:
                return result
        data = input.data if isinstance(input, PackedSequence) else input
        given = hx if isinstance(hx, tuple) else (hx,)
        composed = composed_needed(data, *given, *self.parameters(recurse=False))
        in_torch = self._in_torch and not composed
        if isinstance(input, PackedSequence) and resets is None and in_torch:
            return self.torch_twin.forward(self, input, hx)
        return self._forward_composed(input, hx, rows)

    def _forward_otherwise(self, input: Any, hx: Any, compiling: bool) -> Any:  # noqa: A002
        """What the engine does not take: by the operators, torch's operations or torch's layer."""
        if self._operators_take(input, hx, compiling):
            return self._forward_operators(input, hx)
        if compiling:
            composed = transforms_active() or self._compile_composed()
        else:
            given = hx if isinstance(hx, tuple) else (hx,)
            composed = composed_needed(input, *given, *self.parameters(recurse=False))
        if composed or not self._in_torch:
            return self._forward_composed(input, hx)
        return self.torch_twin.forward(self, input, hx)

    def _compile_composed(self) -> bool:
        """Whether to compile a loop of steps: torch's LSTM operator has no compiled backward."""
        return self.mode == "LSTM" and torch.is_grad_enabled() and not torch.compiler.is_exporting()

    def __prepare_scriptable__(self) -> RNNBase:
        """What ``torch.jit.script`` compiles in our place: torch's layer, with our parameters."""
        if not self._in_torch:
            raise RuntimeError(no_script(self))
        twin = object.__new__(self.torch_twin)  # torch's also under fastrnn.patch_torch
        twin.__dict__ = self.__dict__.copy()
        return twin

    def flatten_parameters(self) -> None:
        """Lay the weights out for cuDNN, as torch's layers do; nothing where it lacks the cell."""
        if self._in_torch:
            super().flatten_parameters()
