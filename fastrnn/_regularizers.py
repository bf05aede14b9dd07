"""Zoneout and variational dropout inside the recurrence: what a call draws, and how it is told.

With h and c the states before a step and h~, c~ what the cell's equations make of them:

- variational dropout of rate p (``recurrent_dropout``): wherever h enters a matrix product it is
  multiplied by a mask, 0 with probability p, 1/(1-p) otherwise, drawn once a sequence (Gal &
  Ghahramani 2016).  What of h goes past the products, as z*h in a GRU, is not masked.
- zoneout of rate z: each unit of the new state is the old one with probability z, drawn at each
  step, ``h' = m*h + (1-m)*h~`` and ``c' = n*c + (1-n)*c~`` (Krueger et al. 2017); as there, h~ is
  made from c~, not from c'.  Outside of training m and n are their expectation, z.

A projected h is what the projection makes: h~ = W_hr (o tanh(c~)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastrnn._layouts import PACKED
from fastrnn._plan import LayerPlan

__all__ = ["Rates", "Regularizers", "StepRegularizers", "check_rates", "of_directions"]


class Regularizers(NamedTuple):
    """Of one call of one layer."""

    hidden_scale: Tensor | None  # [D, B, H]: multiplies h wherever it enters a product
    masks: tuple[Tensor | None, ...]  # a state, as y: the part of the old one that is kept
    rates: tuple[float, ...]  # the same, where there is no mask

    def addresses(
        self, plan: LayerPlan
    ) -> tuple[int, tuple[tuple[int, ...], ...], tuple[float, ...]]:
        """What ``core.forward`` and ``core.backward`` take."""
        masks: list[tuple[int, ...]] = []
        for mask in self.masks:
            if mask is None:
                masks.append((0, 0, 0))
            elif plan.y_layout == PACKED:
                masks.append((mask.data_ptr(), mask.stride(0)))
            else:
                strides = mask.stride()
                masks.append((mask.data_ptr(), strides[plan.y_time_dim], strides[plan.y_batch_dim]))
        scale = 0 if self.hidden_scale is None else self.hidden_scale.data_ptr()
        return scale, tuple(masks), self.rates


class Rates(NamedTuple):
    """What a layer was asked for."""

    zoneout: tuple[float, ...]  # a state
    recurrent_dropout: float

    @property
    def any_zoneout(self) -> bool:
        return any(self.zoneout)

    def draw(
        self,
        state_shape: Sequence[int],
        y_shape: Sequence[int],
        like: Tensor,
        training: bool,
        y_strides: Sequence[int] | None = None,
        cell_width: int = 0,
    ) -> Regularizers | None:
        """From torch's generator of the device: dropout first, then zoneout of h, of c.

        Masks are float32, or float64 for an input of float64.  ``cell_width``: features of c in all
        directions, where h is projected and ``y`` has fewer.
        """
        dropout = self.recurrent_dropout if training else 0.0
        if not dropout and not self.any_zoneout:
            return None
        dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
        scale = None
        if dropout:
            scale = like.new_empty(tuple(state_shape), dtype=dtype).bernoulli_(1 - dropout)
            # All units dropped at rate 1: nothing to scale up.
            scale = scale.div(1 - dropout) if dropout < 1 else scale
        masks: list[Tensor | None] = [None] * len(self.zoneout)
        if training:
            for index, rate in enumerate(self.zoneout):
                if rate:
                    shape, strides = tuple(y_shape), y_strides
                    if index == 1 and cell_width not in (0, shape[-1]):
                        shape, strides = (*shape[:-1], cell_width), None
                    masks[index] = _empty(shape, strides, like, dtype).bernoulli_(rate)
        rates = tuple([0.0] * len(masks)) if training else self.zoneout
        return Regularizers(scale, tuple(masks), rates)


def _empty(
    shape: Sequence[int], strides: Sequence[int] | None, like: Tensor, dtype: torch.dtype
) -> Tensor:
    if strides is None:
        return like.new_empty(tuple(shape), dtype=dtype)
    return like.new_empty_strided(tuple(shape), tuple(strides), dtype=dtype)


def check_rates(
    zoneout: object, recurrent_dropout: object, weight_drop: object, num_states: int
) -> Rates | None:
    """Those of a layer, None where the recurrence is plain; ValueError for what is no rate."""
    given = zoneout if isinstance(zoneout, (tuple, list)) else (zoneout,) * num_states
    if len(given) != num_states:
        raise ValueError(
            f"zoneout should be a number or one for each of {num_states} states, got {zoneout}"
        )
    rates = [_checked("zoneout", rate) for rate in given]
    dropout = _checked("recurrent_dropout", recurrent_dropout)
    _checked("weight_drop", weight_drop)
    return Rates(tuple(rates), dropout) if dropout or any(rates) else None


def _checked(name: str, rate: object) -> float:
    if isinstance(rate, (int, float, np.floating)) and rate is not True and 0 <= rate <= 1:
        return float(rate)
    raise ValueError(f"{name} should be a number in range [0, 1], got {rate!r}")


class StepRegularizers(NamedTuple):
    """For a loop of steps: those of one direction."""

    hidden_scale: Tensor | None  # [B, H]
    masks: tuple[Sequence[Tensor] | None, ...]  # a state: one a step, of its rows
    rates: tuple[float, ...]

    def scale_of(self, rows: int, dtype: torch.dtype) -> Tensor | None:
        return None if self.hidden_scale is None else self.hidden_scale[:rows].to(dtype)

    def zoned(
        self, time: int, before: Sequence[Tensor], after: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        result = []
        for old, new, masks, rate in zip(before, after, self.masks, self.rates, strict=True):
            kept = rate if masks is None else masks[time].to(new.dtype)
            result.append(new if masks is None and not rate else kept * old + (1 - kept) * new)
        return tuple(result)


def of_directions(
    regularizers: Regularizers | None, num_directions: int, batch_sizes: list[int] | None = None
) -> list[StepRegularizers | None] | None:
    """For the loops of every direction.

    Masks are [T, B, D*H], or with ``batch_sizes`` [rows, D*H]; sequences are counted from the
    longest to the shortest.
    """
    if regularizers is None:
        return None
    parts: list[list[Sequence[Tensor] | None]] = [[] for _ in range(num_directions)]
    for mask in regularizers.masks:
        steps: Sequence[Tensor] | None = None
        if mask is not None:
            steps = mask.unbind(0) if batch_sizes is None else mask.split(batch_sizes)
        for direction, part in enumerate(parts):
            if steps is None:
                part.append(None)
            else:
                part.append([step.chunk(num_directions, -1)[direction] for step in steps])
    scale = regularizers.hidden_scale
    return [
        StepRegularizers(
            None if scale is None else scale[direction], tuple(parts[direction]), regularizers.rates
        )
        for direction in range(num_directions)
    ]
