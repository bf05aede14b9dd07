"""What is found out about gradients, as NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

__all__ = ["GradientNorms", "Records", "StateJacobians"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GradientNorms:
    """Norms of d loss / d h_t, and of d loss / d c_t, for one layer in one call of its module.

    Index t is the step of the input in both directions: the reverse one walks from the last to
    the first, so its gradients flow towards larger t.  Steps past a sequence's end are NaN.
    """

    name: str  # of the module in the model; "" for the model itself
    call: int  # which call of the module, from 0
    layer: int  # which layer of its stack, from 0
    hidden: Floats  # [D, T, B]: ||d loss / d h_t||
    cell_state: Floats | None  # [D, T, B]: ||d loss / d c_t||; None for cells without c
    grad_hidden: Array | None = None  # [D, T, B, H]: the gradients themselves, zero past the end
    grad_cell_state: Array | None = None

    def __repr__(self) -> str:
        shape = ", ".join(f"{k} {n}" for k, n in zip("DTB", self.hidden.shape))
        return f"GradientNorms({self.name!r}, call {self.call}, layer {self.layer}, {shape})"


@dataclass(frozen=True, eq=False)
class StateJacobians:
    """Norms of the Jacobian products d s_T / d s_t for one layer of a stack.

    s is h, c or both one after the other, as ``state`` says; T is the last step that a direction
    walks: for the reverse one that is step 0 of the input.  Index t is the step of the input.
    Steps past a sequence's end are NaN; a product that overflowed has infinite norms.
    """

    layer: int
    state: str  # "hidden", "cell_state" or "both"
    frobenius: Floats  # [D, T, B]
    spectral: Floats | None  # [D, T, B]: the largest singular value; None where not asked for
    matrices: Array | None = (
        None  # [D, T, B, S, S], [..., i, j] = d s_T[i] / d s_t[j], zero past the end
    )

    def __repr__(self) -> str:
        shape = ", ".join(f"{k} {n}" for k, n in zip("DTB", self.frobenius.shape))
        return f"StateJacobians(layer {self.layer}, {self.state}, {shape})"


class Records(Sequence[GradientNorms]):
    """What `record` found: by number, in the order of modules, calls and layers, or by name.

    Each backward adds to it; a second backward of the same call replaces what the first one gave.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = {name: number for number, name in enumerate(names)}
        self._found: dict[tuple[int, int, int], GradientNorms] = {}

    def _add(self, norms: GradientNorms) -> None:
        self._found[self._names[norms.name], norms.call, norms.layer] = norms

    @property
    def names(self) -> list[str]:
        """Names of the modules that are watched."""
        return list(self._names)

    @overload
    def __getitem__(self, key: int) -> GradientNorms: ...
    @overload
    def __getitem__(self, key: slice | str) -> list[GradientNorms]: ...
    def __getitem__(self, key: int | slice | str) -> GradientNorms | list[GradientNorms]:
        ordered = [self._found[place] for place in sorted(self._found)]
        if isinstance(key, str):
            if key not in self._names:
                raise KeyError(f"no layer {key!r} is recorded, only {list(self._names)}")
            return [norms for norms in ordered if norms.name == key]
        if not ordered and not isinstance(key, slice):
            raise IndexError("no call that was made inside of record() has had its backward yet")
        return ordered[key]

    def __iter__(self) -> Iterator[GradientNorms]:
        return iter(self[:])

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"Records({self[:]})"
