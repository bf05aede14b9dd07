"""A layer as two operators of torch, for whatever looks at operators instead of running Python.

``torch.compile``, ``torch.export``, fake and meta tensors, ``make_fx`` and dispatch modes see one
``fastrnn::layer`` a layer, both directions in it, and one ``fastrnn::layer_backward``.  Kernels
are the engine's, as in eager calls, which do not come here.  All arguments a layer needs are
tensors, and sizes follow from their shapes, so nothing in a graph depends on T or B:

- ``x`` [T, B, I]; ``h0``, ``c0`` [D, B, H] or None for zeros; ``c0`` None where there is no c.
- ``weights``: for each direction weight_ih, weight_hh, then both biases or none, then the unit
  parameters of a cell that has them.
- ``lengths`` [B], int64: how many of its steps each sequence has; or ``batch_sizes`` [T], as in a
  ``PackedSequence``, then x is [rows, I], y [rows, D*H], states are in the packed order, and h0
  is given, for it tells B.  ``resets`` [T, B] or [rows], bool: the state before is zeroed.
- ``scale`` [D, B, H]: multiplies h wherever it enters a product; ``keep_h``, ``keep_c``, shaped as
  y: what zoneout keeps of the old state; ``rates``: the same as a number for each state, where
  there is no mask.  All four count for nothing without ``rates``.
- ``cell``: its name; ``save``: whether backward will follow (the autograd kernel sees to that).
- results ``y`` [T, B, D*H], ``h_n``, ``c_n`` [D, B, H] (``c_n`` empty where there is no c), and
  the reserve, bytes for ``layer_backward`` (empty without ``save``).
- ``layer_backward`` gives the gradients of x, h0, c0 and each weight that are ``wanted``, in this
  order, with nothing in place of the others.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula

import fastrnn._operators_autograd
import fastrnn._operators_kernels  # noqa: F401 - both register what they define

__all__ = ["layer", "layer_backward"]

layer = torch.ops.fastrnn.layer.default
layer_backward = torch.ops.fastrnn.layer_backward.default


@register_flop_formula(torch.ops.fastrnn.layer)
def _layer_flops(*shapes: Any, **_: Any) -> int:
    """Those of the matrix products."""
    (*lead, input_size), _, _, weights, _, num_directions = shapes[:6]
    rows, hidden = weights[1]
    return int(2 * math.prod(lead) * num_directions * rows * (input_size + hidden))


@register_flop_formula(torch.ops.fastrnn.layer_backward)
def _backward_flops(*shapes: Any, **_: Any) -> int:
    """The recurrent products always, the others where their results are wanted."""
    (*lead, input_size), _, _, weights, _, _, _, num_directions, wanted = shapes[3:12]
    rows, hidden = weights[1]
    columns = num_directions * (hidden + (input_size if wanted[0] else 0))
    for start in range(3, len(wanted), len(weights) // num_directions):
        columns += input_size if wanted[start] else 0
        columns += hidden if wanted[start + 1] else 0
    return int(2 * math.prod(lead) * rows * columns)
