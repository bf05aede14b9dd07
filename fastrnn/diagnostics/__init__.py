"""Seeing gradients flow through time: where they vanish, where they explode (needs torch).

`record`
    Norms of d loss / d h_t and d loss / d c_t of every layer of a model, while it trains.
`state_jacobians`
    Norms of the products d h_T / d h_t of a layer, which say the same whatever the loss is.
`plot_norms`
    A picture of either (needs matplotlib).

All numbers come from the engine's own backward, for every cell, stack and direction.
"""

from __future__ import annotations

from fastrnn.diagnostics._jacobians import state_jacobians
from fastrnn.diagnostics._plot import plot_norms
from fastrnn.diagnostics._record import record
from fastrnn.diagnostics._results import GradientNorms, Records, StateJacobians

__all__ = [
    "GradientNorms",
    "Records",
    "StateJacobians",
    "plot_norms",
    "record",
    "state_jacobians",
]
