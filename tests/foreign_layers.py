"""Layers with random weights for tests of converters, and one way to run them in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from layer_cases import Case
from oracles import assert_same_bits

from fastrnn import convert_weights, ops

Array = npt.NDArray[Any]
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "peephole", "norm")


def random_layer(
    cell: str,
    input_size: int = 3,
    hidden_size: int = 5,
    num_directions: int = 1,
    dtype: npt.DTypeLike = np.float64,
    **options: Any,
) -> convert_weights.Layer:
    case = Case(cell, 1, 1, input_size, hidden_size, num_directions, initial=False, **options)
    arguments = case.arguments(dtype)
    arguments.pop("x")
    if cell == "peephole_lstm_full":  # [W, V] of h and of c, of which g sees nothing
        arguments["weight_hh"], seen = np.split(arguments["weight_hh"], 2, axis=-1)
        rows = np.split(seen, 4, axis=-2)
        arguments["peephole"] = np.concatenate([rows[0], rows[1], rows[3]], axis=-2)
    lead = arguments if num_directions == 2 else {k: a[None] for k, a in arguments.items()}
    return convert_weights.Layer(
        cell,
        tuple(
            convert_weights.Direction(**{name: array[d] for name, array in lead.items()})
            for d in range(num_directions)
        ),
    )


def run_ops(layer: convert_weights.Layer, x: Array, **initial: Array) -> tuple[Array, ...]:
    """y, h_n and c_n of ``fastrnn.ops``, states without an axis for the direction."""
    flip = slice(None, None, -1) if layer.reverse else slice(None)
    y, *finals = getattr(ops, layer.cell)(x[flip], **layer.arguments(), **initial)
    return (y[flip], *finals)


def draw(*shape: int, seed: int = 0, dtype: npt.DTypeLike = np.float64) -> Array:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32).astype(dtype)


def sigmoid(v: Array) -> Array:
    return 1 / (1 + np.exp(-v))


def assert_same_layer(ours: convert_weights.Layer, theirs: convert_weights.Layer) -> None:
    assert ours.cell == theirs.cell
    assert ours.reverse == theirs.reverse
    assert ours.num_directions == theirs.num_directions
    for one, other in zip(ours.directions, theirs.directions, strict=True):
        for name in NAMES:
            a, b = getattr(one, name), getattr(other, name)
            assert (a is None) == (b is None), name
            if a is not None:
                assert_same_bits(a, b, name=name)


def assert_same_arrays(ours: Any, theirs: Any) -> None:
    """Lists or dictionaries of arrays, equal bit by bit, and none of them shared."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        ours, theirs = list(ours.values()), list(theirs.values())
    for one, other in zip(ours, theirs, strict=True):
        assert_same_bits(one, other)
        assert not np.shares_memory(one, other)
        assert one.flags.c_contiguous
