"""Regularizers inside the recurrence as the engine reads them: along its rows, longest first."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from fastrnn._cuda.layouts import state_in, to_steps
from fastrnn._cuda.shape import Shape, at
from fastrnn._regularizers import Regularizers

__all__ = ["Noise", "noise_of"]


class Noise(NamedTuple):
    """Of one call; `fastrnn._regularizers.Regularizers` in the engine's layout."""

    hidden_scale: Tensor | None  # [D, B, H]
    masks: tuple[Tensor | None, ...]  # a state: [T, B, D * H] or packed rows
    rates: tuple[float, ...]

    @property
    def any_zoneout(self) -> bool:
        return any(self.rates) or any(mask is not None for mask in self.masks)

    def addresses(
        self, shape: Shape
    ) -> tuple[int, tuple[tuple[int, int, int], ...], tuple[float, ...]]:
        return at(self.hidden_scale), tuple(map(shape.steps_at, self.masks)), self.rates


def noise_of(shape: Shape, given: Regularizers | None) -> Noise | None:
    if given is None:
        return None
    masks = [
        None if mask is None else to_steps(shape, mask, shape.plan.y_layout) for mask in given.masks
    ]
    return Noise(state_in(shape, given.hidden_scale), tuple(masks), given.rates)
