"""Wrong arguments: the exception or warning that torch gives, text included."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import fastrnn.nn


def outcome(action: Callable[[], Any]) -> tuple[str, str]:
    """Class and text of what ``action`` raised or warned; fails if it did neither."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever torch raises
            # torch's class or ours stands in front of nothing but the name.
            return type(error).__name__, str(error)
    assert caught, "neither an error nor a warning"
    return caught[0].category.__name__, str(caught[0].message)


CONSTRUCTIONS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    (name, arguments, keywords)
    for name in ("RNN", "LSTM", "GRU")
    for arguments, keywords in [
        ((3, 5), {"dropout": 1.5}),
        ((3, 5), {"dropout": -0.1}),
        ((3, 5), {"dropout": True}),
        ((3, 5), {"dropout": "a"}),
        ((3, 5), {"dropout": 0.5}),
        ((3, 5), {"dropout": 0.5, "num_layers": 1}),
        ((3, 5), {"bias": 0}),
        ((3, 5), {"bias": "True"}),
        ((3, 5), {"batch_first": 1}),
        ((3.0, 5), {}),
        ((3, 5.0), {}),
        ((0, 5), {}),
        ((-1, 5), {}),
        ((3, 0), {}),
        ((np.int64(3), 5), {}),
        ((3, 5, 0), {}),
        ((3, 5, 2.0), {}),
        ((3, 5), {"foo": 1}),
        ((3,), {}),
        ((), {}),
    ]
] + [
    ("RNN", (3, 5), {"proj_size": 0}),
    ("GRU", (3, 5), {"proj_size": 2}),
    ("LSTM", (3, 5), {"proj_size": -1}),
    ("LSTM", (3, 5), {"proj_size": 5}),
    ("RNN", (3, 5), {"nonlinearity": "sig"}),
    ("RNN", (3, 5, 1, "softplus"), {}),
    ("RNN", (3, 5, 1, True), {}),
    ("RNNCell", (3,), {}),
    ("LSTMCell", (3, 5), {"foo": 1}),
    ("GRUCell", (3.5, 5), {}),
]


@pytest.mark.parametrize(("name", "arguments", "keywords"), CONSTRUCTIONS)
def test_construction(name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    expected = outcome(lambda: getattr(nn, name)(*arguments, **keywords))
    assert outcome(lambda: getattr(fastrnn.nn, name)(*arguments, **keywords)) == expected


def test_dropout_warning_points_out_of_the_base_class() -> None:
    with pytest.warns(UserWarning, match="non-zero dropout expects num_layers greater than 1"):
        fastrnn.nn.LSTM(3, 5, dropout=0.5)


def test_bidirectional_may_be_any_truth_value() -> None:
    """torch constructs such a layer, too, but can't call it."""
    for name in ("RNN", "LSTM", "GRU"):
        ours = getattr(fastrnn.nn, name)(3, 5, bidirectional=1)
        assert repr(ours) == repr(getattr(nn, name)(3, 5, bidirectional=1))
        theirs = getattr(nn, name)(3, 5, bidirectional=True)
        ours.load_state_dict(theirs.state_dict())
        torch.testing.assert_close(ours(x(4, 2, 3))[0], theirs(x(4, 2, 3))[0])


def both(kind: str, state: Any, cell: Any = None) -> Any:
    """hx in the kind's form."""
    if kind != "LSTM":
        return state
    return (state, state if cell is None else cell)


def x(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.zeros(*shape, dtype=dtype)


def packed(features: int) -> Any:
    return pack_padded_sequence(x(4, 2, features), torch.tensor([4, 2]))


CALLS: dict[str, Callable[[str], tuple[Any, ...]]] = {
    "one dimension": lambda kind: (x(3),),
    "four dimensions": lambda kind: (x(4, 2, 3, 3),),
    "features": lambda kind: (x(4, 2, 4),),
    "features, unbatched": lambda kind: (x(4, 4),),
    "double input": lambda kind: (x(4, 2, 3, dtype=torch.float64),),
    "half input": lambda kind: (x(4, 2, 3, dtype=torch.float16),),
    "integer input": lambda kind: (x(4, 2, 3, dtype=torch.int64),),
    "no steps": lambda kind: (x(0, 2, 3),),
    "no steps, unbatched": lambda kind: (x(0, 3),),
    "state batch": lambda kind: (x(4, 2, 3), both(kind, x(2, 3, 5))),
    "state layers": lambda kind: (x(4, 2, 3), both(kind, x(1, 2, 5))),
    "state size": lambda kind: (x(4, 2, 3), both(kind, x(2, 2, 6))),
    "state batch of 1": lambda kind: (x(4, 2, 3), both(kind, x(2, 1, 5))),
    "state 2-D": lambda kind: (x(4, 2, 3), both(kind, x(2, 5))),
    "state 3-D, unbatched": lambda kind: (x(4, 3), both(kind, x(2, 1, 5))),
    "state size, unbatched": lambda kind: (x(4, 3), both(kind, x(2, 4))),
    "cell state size": lambda kind: (x(4, 2, 3), both(kind, x(2, 2, 5), x(2, 2, 4))),
    "cell state 2-D": lambda kind: (x(4, 2, 3), both(kind, x(2, 2, 5), x(2, 5))),
    "double state": lambda kind: (x(4, 2, 3), both(kind, x(2, 2, 5, dtype=torch.float64))),
    "packed features": lambda kind: (packed(4),),
    "packed state": lambda kind: (packed(3), both(kind, x(2, 3, 5))),
    "meta input": lambda kind: (torch.empty(4, 2, 3, device="meta"),),
    "list": lambda kind: ([[1.0]],),
    "None": lambda kind: (None,),
    "nothing": lambda kind: (),
    "state of None": lambda kind: (x(4, 2, 3), (None, None)),
    "state of a triple": lambda kind: (x(4, 2, 3), (x(2, 2, 5),) * 3),
    "state of one": lambda kind: (x(4, 2, 3), (x(2, 2, 5),)),
}
# torch accepts these: only one state is looked at, or the pair's second is the first.
ACCEPTED = {("RNN", "cell state size"), ("RNN", "cell state 2-D")}
ACCEPTED |= {("GRU", "cell state size"), ("GRU", "cell state 2-D")}


@pytest.mark.parametrize("what", CALLS)
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_call(name: str, what: str) -> None:
    arguments = CALLS[what](name)
    torch.manual_seed(0)
    theirs, ours = getattr(nn, name)(3, 5, 2), getattr(fastrnn.nn, name)(3, 5, 2)
    ours.load_state_dict(theirs.state_dict())
    if (name, what) in ACCEPTED:
        torch.testing.assert_close(ours(*arguments)[0], theirs(*arguments)[0])
        return
    kind, text = outcome(lambda: theirs(*arguments))
    got_kind, got = outcome(lambda: ours(*arguments))
    assert got_kind == kind
    # Python's own message for missing arguments names the function: RNN.forward.
    assert re.sub(r"\w+\.forward", "forward", got) == re.sub(r"\w+\.forward", "forward", text)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_batch_first_state_is_not(name: str) -> None:
    theirs = getattr(nn, name)(3, 5, batch_first=True)
    ours = getattr(fastrnn.nn, name)(3, 5, batch_first=True)
    arguments = (x(2, 4, 3), both(name, x(2, 1, 5)))
    assert outcome(lambda: ours(*arguments)) == outcome(lambda: theirs(*arguments))


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("change", ["none", "shape", "dtype"])
def test_broken_parameters(name: str, change: str) -> None:
    layers = [getattr(nn, name)(3, 5), getattr(fastrnn.nn, name)(3, 5)]
    for layer in layers:
        if change == "none":
            layer.bias_hh_l0 = None
        elif change == "shape":
            layer.weight_hh_l0 = nn.Parameter(x(7, 5))
        else:
            layer.weight_hh_l0 = nn.Parameter(x(*layer.weight_hh_l0.shape, dtype=torch.float64))
    if (name, change) == ("LSTM", "shape"):  # torch reads past the end of the tensor
        with pytest.raises(RuntimeError, match=r"weight_hh_l0 must have shape \(20, 5\), got"):
            layers[1](x(4, 2, 3))
        return
    expected = outcome(lambda: layers[0](x(4, 2, 3)))
    assert outcome(lambda: layers[1](x(4, 2, 3))) == expected


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_deleted_parameter(name: str) -> None:
    """torch goes on with the one it remembers, and so do we."""
    theirs, ours = getattr(nn, name)(3, 5), getattr(fastrnn.nn, name)(3, 5)
    ours.load_state_dict(theirs.state_dict())
    for layer in (theirs, ours):
        del layer.weight_hh_l0
    data = torch.randn(4, 2, 3)
    torch.testing.assert_close(ours(data)[0], theirs(data)[0])


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("attribute", ["num_layers", "hidden_size", "bidirectional", "input_size"])
def test_sizes_changed_after_construction(name: str, attribute: str) -> None:
    layers = [getattr(nn, name)(3, 5), getattr(fastrnn.nn, name)(3, 5)]
    changed = {"num_layers": 2, "hidden_size": 6, "bidirectional": True, "input_size": 4}
    for layer in layers:
        setattr(layer, attribute, changed[attribute])
    if (name, attribute) == ("LSTM", "hidden_size"):  # torch reads past the end of the weights
        with pytest.raises(RuntimeError, match=r"weight_ih_l0 must have shape \(24, 3\), got"):
            layers[1](x(4, 2, 3))
        return
    expected = outcome(lambda: layers[0](x(4, 2, 3)))
    assert outcome(lambda: layers[1](x(4, 2, 3))) == expected


CELL_CALLS: dict[str, Callable[[str], tuple[Any, ...]]] = {
    "three dimensions": lambda kind: (x(4, 2, 3),),
    "state of four dimensions": lambda kind: (x(2, 3), both(kind, x(1, 1, 2, 5))),
    "cell state of three": lambda kind: (x(2, 3), both(kind, x(2, 5), x(1, 2, 5))),
    "features": lambda kind: (x(2, 4),),
    "features, unbatched": lambda kind: (x(4),),
    "batch": lambda kind: (x(2, 3), both(kind, x(3, 5))),
    "batch of 1 does not broadcast": lambda kind: (x(2, 3), both(kind, x(1, 5))),
    "state size": lambda kind: (x(2, 3), both(kind, x(2, 6))),
    "cell state size": lambda kind: (x(2, 3), both(kind, x(2, 5), x(2, 6))),
    "1-D state": lambda kind: (x(2, 3), both(kind, x(5))),
    "2-D state, unbatched": lambda kind: (x(3), both(kind, x(1, 5))),
    "double input": lambda kind: (x(2, 3, dtype=torch.float64),),
    "double state": lambda kind: (x(2, 3), both(kind, x(2, 5, dtype=torch.float64))),
    "state of one": lambda kind: (x(2, 3), (x(2, 5),)),
    "None": lambda kind: (None,),
}
CELL_ACCEPTED = {
    (name, what)
    for name in ("RNNCell", "GRUCell")
    for what in ("cell state of three", "cell state size")
}


@pytest.mark.parametrize("what", CELL_CALLS)
@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cell_call(name: str, what: str) -> None:
    arguments = CELL_CALLS[what](name.removesuffix("Cell"))
    theirs, ours = getattr(nn, name)(3, 5), getattr(fastrnn.nn, name)(3, 5)
    ours.load_state_dict(theirs.state_dict())
    if (name, what) in CELL_ACCEPTED:
        torch.testing.assert_close(ours(*arguments), theirs(*arguments))
        return
    assert outcome(lambda: ours(*arguments)) == outcome(lambda: theirs(*arguments))


def test_cell_of_unknown_nonlinearity() -> None:
    theirs, ours = (
        nn.RNNCell(3, 5, nonlinearity="sig"),
        fastrnn.nn.RNNCell(3, 5, nonlinearity="sig"),
    )
    assert outcome(lambda: ours(x(2, 3))) == outcome(lambda: theirs(x(2, 3)))


TRANSFORMED = ["one dimension", "four dimensions", "features", "state batch", "state 2-D"]
UNDER_GRAD = ["three dimensions", "state of four dimensions", "features", "features, unbatched"]
UNDER_GRAD += ["batch", "state size", "1-D state", "2-D state, unbatched"]
TRANSFORMED += ["state 3-D, unbatched", "state size, unbatched"]


@pytest.mark.parametrize("what", TRANSFORMED)
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_call_under_a_transform(name: str, what: str) -> None:
    """The loop of steps has no torch operator behind it to complain: it checks itself."""
    arguments = CALLS[what](name)
    theirs, ours = getattr(nn, name)(3, 5, 2), getattr(fastrnn.nn, name)(3, 5, 2)
    expected = outcome(lambda: theirs(*arguments))

    def under_grad() -> None:
        torch.func.grad(lambda value: ours(value, *arguments[1:])[0].sum())(arguments[0])

    assert outcome(under_grad) == expected


@pytest.mark.parametrize("what", UNDER_GRAD)
@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cell_call_under_a_transform(name: str, what: str) -> None:
    arguments = CELL_CALLS[what](name.removesuffix("Cell"))
    theirs, ours = getattr(nn, name)(3, 5), getattr(fastrnn.nn, name)(3, 5)

    def under_grad() -> None:
        def total(value: torch.Tensor) -> torch.Tensor:
            result = ours(value, *arguments[1:])
            return (result if isinstance(result, torch.Tensor) else result[0]).sum()

        torch.func.grad(total)(arguments[0])

    assert outcome(under_grad) == outcome(lambda: theirs(*arguments))
