"""State dicts and modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from foreign_layers import assert_same_arrays, assert_same_layer, draw, random_layer, run_ops
from oracles import assert_exact, assert_same_bits
from torch import nn
from torch.nn.utils import prune

import fastrnn
import fastrnn.nn
from fastrnn.convert_weights import (
    Layer,
    from_keras,
    from_module,
    from_state_dict,
    load_module,
    to_keras,
    to_module,
    to_state_dict,
)

CELLS = list(fastrnn.reference.CELLS)
MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn_tanh": ("RNN", {}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
}


def module(kind: str, *sizes: int, library: Any = nn, **options: Any) -> Any:
    name, extra = MODULES[kind]
    return getattr(library, name)(*sizes, **extra, **options)


@pytest.mark.parametrize("kind", list(MODULES))
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_round_trip(
    kind: str, layers: int, bidirectional: bool, bias: bool, dtype: torch.dtype
) -> None:
    options: dict[str, Any] = {"num_layers": layers, "bidirectional": bidirectional}
    theirs = module(kind, 3, 5, bias=bias, dtype=dtype, **options)
    stack = from_module(theirs)
    assert [layer.cell for layer in stack] == [kind] * layers
    state = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    assert_same_arrays(to_state_dict(stack), state)
    for library in ("fastrnn", "torch"):
        made = to_module(stack, library=library)
        assert type(made).__module__.startswith(library)
        assert repr(made) == repr(theirs)
        assert {n: t.dtype for n, t in made.state_dict().items()} == dict.fromkeys(state, dtype)
        assert_same_arrays(to_state_dict(from_module(made)), state)
    for prefix in ("", "encoder.rnn."):
        named = {prefix + name: tensor for name, tensor in theirs.state_dict().items()}
        named["other.weight_ih_l0"] = torch.ones(2, 2)
        for one, other in zip(from_state_dict(kind, named, prefix), stack, strict=True):
            assert_same_layer(one, other)
        assert list(to_state_dict(stack, prefix)) == [prefix + name for name in state]


@pytest.mark.parametrize("kind", list(MODULES))
def test_what_is_loaded_is_what_runs(kind: str) -> None:
    layers = [random_layer(kind, 3, 5, 2), random_layer(kind, 10, 5, 2, seed=1)]
    x = draw(7, 2, 3, seed=8)
    made = to_module(layers, batch_first=True, dropout=0.25)
    assert made.batch_first
    assert made.dropout == 0.25
    y = made.eval()(torch.from_numpy(x).transpose(0, 1))[0]
    expected = run_ops(layers[1], run_ops(layers[0], x)[0])[0]
    assert_exact(y.transpose(0, 1), expected)


@pytest.mark.parametrize("kind", list(MODULES))
@pytest.mark.parametrize("library", [nn, fastrnn.nn])
def test_cells(kind: str, library: Any) -> None:
    name, extra = MODULES[kind]
    for bias in (True, False):
        cell = getattr(library, name + "Cell")(3, 5, bias=bias, **extra)
        (layer,) = from_module(cell)
        assert layer.cell == kind
        assert layer.bias == bias
        assert_same_bits(layer.directions[0].weight_hh, cell.weight_hh)


def test_one_bias_is_loaded_as_two() -> None:
    kernel, recurrent, bias = draw(3, 20, seed=1), draw(5, 20, seed=2), draw(20, seed=3)
    bias[0] = -0.0
    made = to_module([from_keras("lstm", [kernel, recurrent, bias])])
    assert not made.bias_hh_l0.any()
    assert_same_arrays(to_keras(from_module(made)[0]), [kernel, recurrent, bias])


def test_loading_keeps_the_modules_own_dtype_and_parameters() -> None:
    ours = fastrnn.nn.GRU(3, 5)
    before = list(ours.parameters())
    layer = random_layer("gru")
    load_module(ours, [layer])
    assert [id(p) for p in ours.parameters()] == [id(p) for p in before]
    assert ours.weight_ih_l0.dtype == torch.float32
    assert_same_bits(ours.weight_ih_l0, layer.directions[0].weight_ih.astype("f4"))
    bare = Layer("gru", tuple(type(d)(d.weight_ih, d.weight_hh) for d in layer.directions))
    load_module(ours, [bare])
    assert not ours.bias_ih_l0.any()


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weights_are_read_as_the_module_uses_them() -> None:
    lstm = nn.LSTM(3, 5)
    nn.utils.parametrizations.weight_norm(lstm, "weight_hh_l0")
    prune.l1_unstructured(lstm, "weight_ih_l0", amount=0.5)
    (layer,) = from_module(lstm)
    assert_same_bits(layer.directions[0].weight_hh, lstm.weight_hh_l0)
    assert (layer.directions[0].weight_ih == 0).sum() >= 30
    assert_same_bits(layer.directions[0].weight_ih, lstm.weight_ih_l0)


def test_what_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="module: expected an RNN, LSTM, GRU .* got Linear"):
        from_module(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"weight_hr_l0: no layer here has a projection"):
        from_module(nn.LSTM(3, 5, proj_size=2))
    with pytest.raises(ValueError, match="BFloat16"):
        from_module(nn.GRU(3, 5, dtype=torch.bfloat16))
    state = nn.LSTM(3, 5, 2, bidirectional=True).state_dict()
    with pytest.raises(ValueError, match="cell: expected one of .* got 'transformer'"):
        from_state_dict("transformer", state)
    with pytest.raises(ValueError, match=r"peephole: expected an array \(3, 5\), got None"):
        from_state_dict("peephole_lstm", state)
    with pytest.raises(ValueError, match=r"names like rnn\.weight_ih_l0, found none"):
        from_state_dict("lstm", state, "rnn.")
    with pytest.raises(ValueError, match=r"weight_hh: expected shape \(15, 5\) for gru"):
        from_state_dict("gru", state)
    del state["weight_hh_l1_reverse"]
    with pytest.raises(ValueError, match="expected weight_hh_l1_reverse, which is missing"):
        from_state_dict("lstm", state)


def test_what_cannot_be_loaded() -> None:
    layer = random_layer("gru")
    mismatches: list[tuple[nn.Module, str]] = [
        (nn.Linear(3, 5), "expected an RNN, LSTM or GRU, got Linear"),
        (nn.LSTM(3, 5), "expected cell gru of the weights, got lstm"),
        (nn.GRU(4, 5), "expected input_size 3 of the weights, got 4"),
        (nn.GRU(3, 6), "expected hidden_size 5 of the weights, got 6"),
        (nn.GRU(3, 5, 2), "expected num_layers 1 of the weights, got 2"),
        (nn.GRU(3, 5, bidirectional=True), "expected bidirectional False of the weights, got Tr"),
        (nn.GRU(3, 5, bias=False), "expected a GRU with bias"),
    ]
    for target, message in mismatches:
        before = [p.detach().clone() for p in target.parameters()]
        with pytest.raises(ValueError, match=f"module: {message}"):
            load_module(target, [layer])
        for now, then in zip(target.parameters(), before, strict=True):
            assert torch.equal(now, then)
    with pytest.raises(ValueError, match=r"expected proj_size 0 of the weights, got 2"):
        load_module(nn.LSTM(3, 5, proj_size=2), [random_layer("lstm")])
    with pytest.raises(ValueError, match=r"torch has no layer of gru_reset_before"):
        to_module([random_layer("gru_reset_before")], library="torch")
    with pytest.raises(ValueError, match="no module walks backward alone"):
        to_module([Layer("gru", layer.directions, reverse=True)])
    with pytest.raises(ValueError, match="library: expected fastrnn or torch, got 'keras'"):
        to_module([layer], library="keras")


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in MODULES])
def test_cells_that_torch_does_not_have(cell: str) -> None:
    layers = [random_layer(cell, 3, 5, 2), random_layer(cell, 10, 5, 2)]
    x = draw(7, 2, 3, seed=8)
    ours = to_module(layers)
    y, *_ = run_ops(layers[1], run_ops(layers[0], x)[0])
    assert_exact(ours(torch.from_numpy(x))[0], y)
    for mine, given in zip(from_module(ours), layers, strict=True):
        assert_same_layer(mine, given)
    state = to_state_dict(layers)
    assert list(state) == list(ours.state_dict())
    tensors = {name: torch.from_numpy(array) for name, array in layers[0].arguments().items()}
    y = getattr(fastrnn.functional, cell)(torch.from_numpy(x), **tensors)[0]
    assert_exact(y, run_ops(layers[0], x)[0])


def test_single_steps_are_read() -> None:
    for cls, cell, options in (
        ("GRUCell", "gru_reset_before", {"reset_after": False}),
        ("RNNCell", "rnn_sigmoid", {"nonlinearity": "sigmoid"}),
        ("PeepholeLSTMCell", "peephole_lstm", {}),
        ("UGRNNCell", "ugrnn", {}),
        ("PeepholeLSTMCell", "peephole_lstm_full", {"peephole": "full"}),
        ("LayerNormLSTMCell", "layer_norm_lstm", {}),
        ("LayerNormGRUCell", "layer_norm_gru", {}),
    ):
        step = getattr(fastrnn.nn, cls)(3, 5, dtype=torch.float64, **options)
        (layer,) = from_module(step)
        assert layer.cell == cell
        x = draw(1, 2, 3)
        got = step(torch.from_numpy(x[0]))
        assert_exact(got[0] if isinstance(got, tuple) else got, run_ops(layer, x)[1])


@pytest.mark.parametrize("cell", ["layer_norm_lstm", "layer_norm_gru"])
@pytest.mark.parametrize("bias", [True, False])
def test_names_of_normalized_layers(cell: str, bias: bool) -> None:
    layers = [random_layer(cell, 3, 5, 2, bias=bias), random_layer(cell, 10, 5, 2, bias=bias)]
    state = to_state_dict(layers, "rnn.")
    for one, other in zip(from_state_dict(cell, state, "rnn."), layers, strict=True):
        assert_same_layer(one, other)
    missing = {name: value for name, value in state.items() if "norm_hh_l1" not in name}
    with pytest.raises(ValueError, match=r"state: expected rnn.weight_norm_hh_l1, which is missi"):
        from_state_dict(cell, missing, "rnn.")
    with pytest.raises(ValueError, match=r"weight_norm_ih_l0: expected shape \(\d+,\), got \(7,\)"):
        from_state_dict(cell, {**state, "rnn.weight_norm_ih_l0": np.ones(7)}, "rnn.")
    plain = cell.removeprefix("layer_norm_")
    with pytest.raises(ValueError, match="expected no rnn.weight_norm_ih_l0, got it for"):
        from_state_dict(plain, state, "rnn.")


def test_both_kinds_of_peepholes_are_told_apart() -> None:
    diagonal, full = random_layer("peephole_lstm"), random_layer("peephole_lstm_full")
    for layer, other in ((diagonal, "peephole_lstm_full"), (full, "peephole_lstm")):
        made = to_module([layer])
        assert made.peephole == ("full" if layer is full else "diagonal")
        with pytest.raises(ValueError, match=f"expected cell {other} of the weights"):
            load_module(made, [diagonal if layer is full else full])
        with pytest.raises(ValueError, match="peephole: expected shape"):
            from_state_dict(other, to_state_dict([layer]))
