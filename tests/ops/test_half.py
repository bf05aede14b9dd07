"""float16 arrays, and bfloat16 ones of ml_dtypes, through the NumPy functions."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from layer_cases import CELLS, Case, run_ops, run_reference

from fastrnn import ops
from fastrnn._native import core


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("cell", CELLS)
def test_error_is_that_of_rounded_float32(cell: str, half: Any, directions: int, isa: str) -> None:
    case = Case(cell, 6, 5, 7, 18, directions)
    narrow = {name: value.astype(half) for name, value in case.arguments().items()}
    gradients = {name: value.astype(half) for name, value in case.output_gradients().items()}
    exact = run_reference(
        cell,
        {name: value.astype(np.float64) for name, value in narrow.items()},
        {name: value.astype(np.float64) for name, value in gradients.items()},
    )
    single = run_ops(
        cell,
        {name: value.astype(np.float32) for name, value in narrow.items()},
        {name: value.astype(np.float32) for name, value in gradients.items()},
    )
    ours = run_ops(cell, narrow, gradients)
    eps = float(ml_dtypes.finfo(half).eps)
    for name, truth in exact.items():
        assert ours[name].dtype == half, name
        mine = ours[name].astype(np.float64) - truth
        rounded = single[name].astype(half).astype(np.float64) - truth
        scale = np.abs(truth).max() * eps
        # bfloat16 products round gate gradients, too; relu's slope jumps where the least rounding
        # decides.
        native = half is not np.float16 and core.bf16_products() and "grad" in name
        factor = 3.0 if native and cell == "rnn_relu" else 2.0 if native else 1.5
        assert _rms(mine) <= factor * _rms(rounded) + 0.1 * scale, name
        assert np.abs(mine).max() <= factor * np.abs(rounded).max() + 0.5 * scale, name


def test_types_do_not_mix() -> None:
    arguments = Case("gru", 3, 2, 4, 5).arguments(np.float16)
    arguments["weight_hh"] = arguments["weight_hh"].astype(ml_dtypes.bfloat16)
    with pytest.raises(
        TypeError, match="weight_hh: expected dtype float16, as x has, got bfloat16"
    ):
        ops.gru(**arguments)


def test_other_small_floats_are_refused() -> None:
    arguments = Case("gru", 3, 2, 4, 5).arguments()
    arguments["x"] = arguments["x"].astype(ml_dtypes.float8_e4m3fn)
    with pytest.raises(TypeError, match="x: expected dtype float16, bfloat16, float32 or float64"):
        ops.gru(**arguments)


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
