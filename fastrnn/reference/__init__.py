"""Textbook versions of every cell in plain NumPy: the oracle the engine is tested against.

Written for reading, one step at a time, and independent of the compiled code: a step computes
its gates from scratch, and its backward (a vector-Jacobian product) recomputes them instead of
saving anything.  Nothing here is on the fast path.  `layer` walks a cell over a sequence in one
direction or two and `layer_backward` returns every gradient; both compute in float64 unless told
otherwise.

Notation: ``x`` the input of a step, ``h`` and ``c`` the hidden and cell state before it,
``s()`` the logistic sigmoid, ``*`` elementwise.

>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> params = Params(rng.normal(size=(20, 3)), rng.normal(size=(20, 5)))
>>> run = layer("lstm", rng.normal(size=(7, 2, 3)), [params])
>>> run.y.shape, [state.shape for state in run.final]
((7, 2, 5), [(1, 2, 5), (1, 2, 5)])
>>> layer_backward(run, grad_y=np.ones_like(run.y)).params[0].weight_hh.shape
(20, 5)
"""

from __future__ import annotations

from fastrnn.reference._cells import CELLS
from fastrnn.reference._layer import Gradients, Run, layer, layer_backward
from fastrnn.reference._math import Cell, Params, sigmoid

__all__ = ["CELLS", "Cell", "Gradients", "Params", "Run", "layer", "layer_backward", "sigmoid"]
