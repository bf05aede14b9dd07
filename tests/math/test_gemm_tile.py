"""Packing and the register tile at sizes that leave remainders everywhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from oracles import assert_exact, assert_within_budget

from fastrnn._native import core

SIZES = [1, 3, 7, 15, 16, 17, 33, 129]


@pytest.mark.parametrize("rows", SIZES)
def test_float64(isa: str, rows: int) -> None:
    rng = np.random.default_rng(rows)
    for columns, depth in itertools.product(SIZES, repeat=2):
        a, b = rng.normal(size=(rows, depth)), rng.normal(size=(columns, depth))
        product = core.testing.gemm_tile(a, b, core.isa_id())
        assert_exact(product, a @ b.T, name=f"{rows} x {columns} x {depth}", rtol=1e-13)


@pytest.mark.parametrize("rows", SIZES)
def test_float32(isa: str, rows: int) -> None:
    rng = np.random.default_rng(rows)
    for columns, depth in itertools.product(SIZES, repeat=2):
        a = rng.normal(size=(rows, depth)).astype(np.float32)
        b = rng.normal(size=(columns, depth)).astype(np.float32)
        product = core.testing.gemm_tile(a, b, core.isa_id())
        exact = a.astype(np.float64) @ b.astype(np.float64).T
        # Theirs: the plain sum, term after term, with nothing fused or reordered.
        theirs = np.zeros((rows, columns), np.float32)
        for k in range(depth):
            theirs += a[:, k, None] * b[None, :, k]
        assert_within_budget(product, theirs, exact, name=f"{rows} x {columns} x {depth}")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_stays_in_its_row_and_column(isa: str, dtype: type) -> None:
    rng = np.random.default_rng(0)
    for rows, columns in itertools.product([1, 7, 17], repeat=2):
        a = rng.normal(size=(rows, 5)).astype(dtype)
        b = rng.normal(size=(columns, 5)).astype(dtype)
        a[rows // 2, 1] = np.nan
        b[columns // 2, 3] = np.inf
        product = core.testing.gemm_tile(a, b, core.isa_id())
        expected = np.zeros((rows, columns), bool)
        expected[rows // 2] = True
        np.testing.assert_array_equal(np.isnan(product), expected)
        finite = np.isfinite(product)
        assert not finite[:, columns // 2].any()
        assert finite.sum() == (rows - 1) * (columns - 1)
