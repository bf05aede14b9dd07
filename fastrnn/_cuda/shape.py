"""A layer's call as the engine sees it: sizes, which rows a step has, where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastrnn._cuda import plans
from fastrnn._cuda.plans import Engine
from fastrnn._layouts import BATCH_FIRST
from fastrnn._lengths import Rows
from fastrnn._plan import LayerPlan

__all__ = ["Shape", "at", "at_of", "shape_of"]


@dataclass(frozen=True, slots=True)
class Shape:
    """A layer's call as the engine sees it."""

    engine: Engine
    plan: LayerPlan
    rows: Rows | None
    seq_len: int
    batch_size: int
    hidden_size: int
    num_directions: int
    row_step: int  # rows of the engine's arrays lie as those of x do
    row_sequence: int
    offsets: Any  # NumPy [T + 1]; None: every step has all rows
    device_offsets: Tensor | None
    device_resets: Tensor | None

    @property
    def num_rows(self) -> int:
        return self.seq_len * self.batch_size if self.rows is None else self.rows.total

    def rows_at(self) -> tuple[int, ...]:
        offsets = 0 if self.offsets is None else self.offsets.__array_interface__["data"][0]
        return (
            offsets,
            at(self.device_offsets),
            at(self.device_resets),
            self.row_step,
            self.row_sequence,
        )

    @property
    def widths(self) -> tuple[int, int]:
        """Features of h and of c."""
        return self.plan.proj_size or self.hidden_size, self.hidden_size

    def sizes(self) -> tuple[int, int, int, int, int]:
        sizes = self.seq_len, self.batch_size, self.hidden_size
        return (*sizes, self.num_directions, self.plan.proj_size)

    def plan_call(self, x: Tensor, backward: bool) -> tuple[Any, Tensor | None]:
        """The plan, and memory for it."""
        device = x.device.index or 0
        if x.is_cuda and self.engine.functions.failures(device):
            raise RuntimeError(
                "fastrnn: blocks of an earlier call on this GPU waited for others in vain (longer "
                "than FASTRNN_CUDA_PATIENCE, 10 seconds if not set); its results are wrong"
            )
        how = plans.plan_of(self.engine, self.plan, device, backward)
        size = how.scratch_bytes(self.num_directions)
        return how, x.new_empty((size,), dtype=torch.uint8) if size else None

    def steps_at(self, values: Tensor | None) -> tuple[int, int, int]:
        """Address and strides of [T, B, F], or of packed rows [rows, F]."""
        if values is None:
            return (0, 0, 0)
        if values.dim() == 2:
            return values.data_ptr(), 0, values.stride(0)
        return values.data_ptr(), values.stride(0), values.stride(1)


def at(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def at_of(tensor: Tensor | None, index: int) -> int:
    """Of one of the parts that a tensor has along its first dimension."""
    return 0 if tensor is None else tensor[index].data_ptr()


def shape_of(engine: Engine, plan: LayerPlan, rows: Rows | None, x: Tensor) -> Shape:
    seq_len, batch_size, _, hidden_size, num_directions = plan.sizes[:5]
    uneven = rows is not None and rows.batch_sizes is not None
    offsets = device_offsets = device_resets = None
    if rows is not None and rows.batch_sizes is not None:
        offsets = np.concatenate(([0], np.cumsum(rows.batch_sizes)))
        device_offsets = torch.from_numpy(offsets).to(x.device)
    if rows is not None and rows.resets is not None:
        device_resets = torch.from_numpy(rows.resets.view(np.uint8)).to(x.device)
    row_step, row_sequence = batch_size, 1
    if not uneven and plan.x_layout == BATCH_FIRST and x.stride(0) >= x.stride(1):
        row_step, row_sequence = 1, seq_len
    return Shape(
        engine,
        plan,
        rows,
        seq_len,
        batch_size,
        hidden_size,
        num_directions,
        row_step,
        row_sequence,
        offsets,
        device_offsets,
        device_resets,
    )
