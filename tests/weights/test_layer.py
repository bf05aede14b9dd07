"""The common layout: what it accepts, merging and splitting biases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from foreign_layers import assert_same_layer, draw, random_layer, run_ops
from oracles import assert_exact, assert_same_bits

from fastrnn import convert_weights, reference
from fastrnn.convert_weights import Direction, Layer


@pytest.mark.parametrize("cell", list(reference.CELLS))
@pytest.mark.parametrize("directions", [1, 2])
def test_sizes_and_arguments(cell: str, directions: int) -> None:
    layer = random_layer(cell, 3, 5, directions)
    assert (layer.input_size, layer.hidden_size, layer.num_directions) == (3, 5, directions)
    assert layer.num_gates == reference.CELLS[cell].num_gates
    assert layer.bias
    assert layer.dtype == np.float64
    y, *_ = run_ops(layer, draw(7, 2, 3))
    assert y.shape == (7, 2, directions * 5)


@pytest.mark.parametrize("cell", list(reference.CELLS))
@pytest.mark.parametrize("directions", [1, 2])
def test_merged_biases_are_the_same_function(cell: str, directions: int) -> None:
    layer, x = random_layer(cell, 3, 5, directions), draw(7, 2, 3)
    merged = layer.merge_biases()
    n = slice(10, 15)
    apart = {"gru": n, "layer_norm_gru": n, "multiplicative_lstm": slice(5)}.get(cell)
    for direction in merged.directions:
        if apart is not None:
            assert direction.bias_hh is not None
            assert direction.bias_hh[apart].all()
            assert not np.delete(direction.bias_hh, apart).any()
        else:
            assert direction.bias_hh is None
    for ours, exact in zip(run_ops(merged, x), run_ops(layer, x), strict=True):
        assert_exact(ours, exact)
    assert_same_layer(merged.merge_biases(), merged)
    if apart is None:
        assert_same_layer(merged.split_biases().merge_biases(), merged)


def test_splitting_and_merging_keeps_signs_of_zeros() -> None:
    bias = np.array([-0.0, 0.0, 1.0])
    layer = Layer("rnn_tanh", (Direction(np.ones((3, 2)), np.ones((3, 3)), bias),))
    (direction,) = layer.split_biases().merge_biases().directions
    assert_same_bits(direction.bias_ih, bias)


def test_one_bias_alone() -> None:
    weights = random_layer("gru").directions[0]
    x = draw(7, 2, 3)
    for kept in ("bias_ih", "bias_hh"):
        arrays = {"weight_ih": weights.weight_ih, "weight_hh": weights.weight_hh}
        layer = Layer("gru", (Direction(**arrays, **{kept: getattr(weights, kept)}),))
        assert layer.bias
        expected = run_ops(layer.split_biases(), x)
        for got in (layer, layer.merge_biases()):
            for ours, exact in zip(run_ops(got, x), expected, strict=True):
                assert_exact(ours, exact)
    none = Layer("gru", (Direction(weights.weight_ih, weights.weight_hh),))
    assert not none.bias
    assert_same_layer(none.merge_biases(), none)


def test_two_directions_from_two_layers() -> None:
    forward, backward = random_layer("lstm", seed=1), random_layer("lstm", seed=2)
    both = Layer.bidirectional(forward, backward)
    x = draw(7, 2, 3)
    y = run_ops(both, x)[0]
    assert_exact(y[..., :5], run_ops(forward, x)[0])
    reverse = Layer("lstm", backward.directions, reverse=True)
    assert_exact(y[..., 5:], run_ops(reverse, x)[0])
    with pytest.raises(ValueError, match="backward: expected a layer of lstm, got gru"):
        Layer.bidirectional(forward, random_layer("gru"))
    with pytest.raises(ValueError, match="expected layers of one direction"):
        Layer.bidirectional(both, both)


W_IH, W_HH, BIAS = np.ones((20, 3)), np.ones((20, 5)), np.ones(20)


@pytest.mark.parametrize(
    ("cell", "arrays", "message"),
    [
        ("lstmp", (W_IH, W_HH), "cell: expected one of rnn_tanh, .*got 'lstmp'"),
        ("gru", (W_IH, W_HH), r"weight_hh: expected shape \(15, 5\) for gru \(3 gates\)"),
        ("lstm", (W_IH[:19], W_HH), r"weight_ih: expected shape \(20, 3\)"),
        ("lstm", (W_IH[0], W_HH), "weight_ih: expected 2 axes, none of them empty"),
        ("lstm", (W_IH[:, :0], W_HH), "weight_ih: expected 2 axes, none of them empty"),
        ("lstm", (W_IH.tolist(), W_HH), "weight_ih: expected a NumPy array, got list"),
        ("lstm", (W_IH, W_HH.astype(int)), "weight_hh: expected a floating-point array"),
        ("lstm", (W_IH, W_HH.astype("f4")), "weight_hh: expected dtype float64 as the other"),
        ("lstm", (W_IH, W_HH, BIAS[1:]), r"bias_ih: expected shape \(20,\)"),
        ("lstm", (W_IH, W_HH, BIAS, BIAS[None]), r"bias_hh: expected shape \(20,\)"),
        ("lstm", (W_IH, W_HH, BIAS, BIAS, np.ones((3, 5))), "peephole: expected None for lstm"),
        ("peephole_lstm", (W_IH, W_HH), r"peephole: expected an array \(3, 5\), got None"),
        ("peephole_lstm", (W_IH, W_HH, BIAS, BIAS, np.ones((3, 4))), "peephole: expected shape"),
        ("peephole_lstm_full", (W_IH, W_HH), r"peephole: expected an array \(15, 5\), got None"),
        (
            "peephole_lstm_full",
            (W_IH, W_HH, BIAS, BIAS, np.ones((3, 5))),
            r"peephole: expected shape \(15, 5\)",
        ),
        ("layer_norm_lstm", (W_IH, W_HH), r"norm: expected an array \(10, 5\), got None"),
        (
            "layer_norm_lstm",
            (W_IH, W_HH, None, None, None, np.ones((6, 5))),
            "norm: expected shape",
        ),
        ("lstm", (W_IH, W_HH, None, None, None, np.ones((10, 5))), "norm: expected None for lstm"),
    ],
)
def test_what_does_not_make_a_layer(cell: str, arrays: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Layer(cell, (Direction(*arrays),))


def test_directions_that_do_not_belong_together() -> None:
    one = Direction(W_IH, W_HH, BIAS)
    with pytest.raises(ValueError, match="bias_ih: expected for both directions or none"):
        Layer("lstm", (one, Direction(W_IH, W_HH)))
    with pytest.raises(
        ValueError, match=r"weight_ih of the second direction: expected float64 \(2"
    ):
        Layer("lstm", (one, Direction(W_IH[:, 1:], W_HH, BIAS)))
    with pytest.raises(ValueError, match="bias_ih of the second direction: expected shape"):
        Layer("lstm", (one, Direction(W_IH, W_HH, BIAS[1:])))
    with pytest.raises(ValueError, match="directions: expected 1 or 2, got 3"):
        Layer("lstm", (one, one, one))
    with pytest.raises(ValueError, match="directions: expected 1 or 2, got 0"):
        Layer("lstm", ())
    with pytest.raises(ValueError, match="reverse: only a layer of one direction"):
        Layer("lstm", (one, one), reverse=True)


@pytest.mark.parametrize("cell", ["peephole_lstm_full", "layer_norm_lstm", "layer_norm_gru"])
def test_frameworks_that_lack_a_cell_refuse_it(cell: str) -> None:
    layer = random_layer(cell)
    writers: list[Any] = [convert_weights.to_keras, convert_weights.to_onnx]
    writers += [convert_weights.to_tensorflow, convert_weights.to_cudnn]
    writers.append(lambda layer: convert_weights.to_onednn([layer]))
    if cell == "peephole_lstm_full":
        writers.append(convert_weights.to_haste)
    for write in writers:
        with pytest.raises(ValueError, match=f"expected .*got '?{cell}"):
            write(layer)
    with pytest.raises(ValueError, match=f"got {cell}"):
        convert_weights.to_onnx_model([layer])
    with pytest.raises(ValueError, match=f"torch has no layer of {cell}"):
        convert_weights.to_module([layer], library="torch")
