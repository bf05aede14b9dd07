"""Windows of long sequences against the same cut by hand."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

import fastrnn
import fastrnn.nn
from fastrnn.utils import TruncatedBPTT, detach_state


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("package", [nn, fastrnn.nn], ids=["torch", "fastrnn"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_gradients_are_those_of_windows_cut_by_hand(
    package: Any, kind: str, batch_first: bool
) -> None:
    layer = getattr(package, kind)(3, 4, num_layers=2, batch_first=batch_first, dtype=torch.float64)
    shape = (2, 10, 3) if batch_first else (10, 2, 3)
    x, target = torch.randn(shape).double(), torch.randn(*shape[:2], 4).double()
    windows = TruncatedBPTT(x, target, steps=4, batch_first=batch_first)
    outputs, places = [], []
    for window in windows:
        x_part, target_part = window.sequences
        y, state = layer(x_part, window.state)
        window.carry(state)
        (y - target_part).square().sum().backward()
        outputs.append(y.detach())
        places.append((window.start, window.stop))
    assert places == [(0, 4), (4, 8), (8, 10)]
    assert len(windows) == 3
    grads = [p.grad.clone() for p in layer.parameters()]

    layer.zero_grad()
    state, dim = None, 1 if batch_first else 0
    for start, stop in places:
        part = range(start, stop)
        y, state = layer(x.index_select(dim, torch.tensor(part)), state)
        state = state.detach() if isinstance(state, Tensor) else tuple(s.detach() for s in state)
        (y - target.index_select(dim, torch.tensor(part))).square().sum().backward()
    for ours, parameter in zip(grads, layer.parameters(), strict=True):
        torch.testing.assert_close(ours, parameter.grad, rtol=1e-12, atol=1e-12)
    whole, final = layer(x)
    torch.testing.assert_close(torch.cat(outputs, dim), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(windows.state, final, rtol=1e-12, atol=1e-12)


def test_one_window_is_plain_back_propagation() -> None:
    gru, x = fastrnn.nn.GRU(3, 4), torch.randn(5, 2, 3)
    (expected,) = torch.autograd.grad(gru(x)[0].sum(), gru.weight_hh_l0)
    for window in TruncatedBPTT(x, steps=100):
        y, state = gru(window.sequences[0], window.state)
        window.carry(state)
        y.sum().backward()
    assert torch.equal(gru.weight_hh_l0.grad, expected)


def test_lengths_and_resets() -> None:
    """Together the windows compute what one call with the same arguments does."""
    gru, x = fastrnn.nn.GRU(3, 4), torch.randn(12, 4, 3)
    lengths = torch.tensor([3, 11, 0, 8])
    resets = torch.rand(12, 4) > 0.7
    whole, final = gru(x, lengths=lengths, resets=resets)
    windows = TruncatedBPTT(x, steps=4, lengths=lengths, resets=resets)
    outputs, seen = [], []
    for window in windows:
        y, state = gru(
            window.sequences[0], window.state, lengths=window.lengths, resets=window.resets
        )
        window.carry(state)
        outputs.append(y)
        seen.append(window.lengths.tolist())
    assert seen == [[3, 4, 0, 4], [0, 4, 0, 4], [0, 3, 0, 0]]
    torch.testing.assert_close(torch.cat(outputs), whole[:11], rtol=1e-6, atol=1e-6)
    assert not whole[11].any()
    torch.testing.assert_close(windows.state, final.detach(), rtol=1e-6, atol=1e-6)


def test_no_window_after_the_longest_sequence() -> None:
    x = torch.randn(2, 12, 3)
    for longest, stops in [(0, []), (1, [1]), (5, [5]), (6, [5, 6]), (12, [5, 10, 12])]:
        windows = TruncatedBPTT(x, steps=5, batch_first=True, lengths=[longest, 0])
        found = []
        for window in windows:
            window.carry(None)
            found.append(window.stop)
        assert found == stops
        assert len(windows) == len(stops)


def test_states_go_on_from_batch_to_batch() -> None:
    lstm = fastrnn.nn.LSTM(3, 4)
    h0 = torch.zeros(1, 2, 4, requires_grad=True)
    c0 = torch.zeros(1, 2, 4, requires_grad=True)
    state: Any = (h0, c0)
    for number in range(3):
        windows = TruncatedBPTT(torch.randn(6, 2, 3), steps=3, state=state)
        for window in windows:
            y, after = lstm(window.sequences[0], window.state)
            window.carry(after)
            y.sum().backward()
        assert h0.grad is not None  # a learned initial state learns
        assert not any(s.requires_grad for s in windows.state)
        if number == 0:
            first = h0.grad.clone()
        state = windows.state
    assert torch.equal(h0.grad, first)  # and only the first window sees it


def test_unbatched_tokens_and_views() -> None:
    tokens = torch.arange(7)
    parts = []
    for window in TruncatedBPTT(tokens, tokens + 1, steps=3, resets=tokens % 2 == 0):
        assert window.sequences[0].untyped_storage().data_ptr() == tokens.data_ptr()
        assert window.resets.tolist() == [t % 2 == 0 for t in window.sequences[0].tolist()]
        parts.append([s.tolist() for s in window.sequences])
        window.carry(None)
        assert window.state is None
    assert parts == [[[0, 1, 2], [1, 2, 3]], [[3, 4, 5], [4, 5, 6]], [[6], [7]]]


def test_a_window_that_carries_nothing_is_noticed() -> None:
    windows = iter(TruncatedBPTT(torch.randn(6, 2, 3), steps=3))
    next(windows)
    with pytest.raises(RuntimeError, match="steps 0 to 3.*window.carry"):
        next(windows)


class Pair(NamedTuple):
    h: Any
    c: Any


def test_detach_state() -> None:
    h = torch.ones(2, requires_grad=True) * 2
    nested = {"encoder": Pair(h, None), "layers": [h, (h, h)], "ordered": OrderedDict(a=h)}
    found = detach_state(nested)
    assert isinstance(found["encoder"], Pair)
    assert found["encoder"].c is None
    assert isinstance(found["layers"], list)
    assert isinstance(found["layers"][1], tuple)
    for tensor in (found["encoder"].h, found["layers"][0], *found["layers"][1]):
        assert torch.equal(tensor, h)
        assert not tensor.requires_grad
    assert not found["ordered"]["a"].requires_grad
    assert nested["encoder"].h.requires_grad
    with pytest.raises(TypeError, match="got str"):
        detach_state((h, "c"))


X = torch.zeros(6, 2, 3)


@pytest.mark.parametrize(
    ("sequences", "options", "error", "text"),
    [
        ((), {}, ValueError, "at least one"),
        ((X, X[:5]), {}, ValueError, r"numbers of steps differ: \[5, 6\]"),
        ((X,), {"steps": 0}, ValueError, "at least 1, got 0"),
        ((X,), {"steps": 2.0}, TypeError, "expected int, got float"),
        ((X,), {"steps": True}, TypeError, "expected int, got bool"),
        ((pack_sequence([X[0]]),), {}, TypeError, "expected tensors, got PackedSequence"),
        ((X.numpy(),), {}, TypeError, "expected tensors, got ndarray"),
        ((X[:, 0, 0],), {"batch_first": True}, ValueError, "at least 2 dimensions, got 1"),
        ((X,), {"lengths": [6]}, ValueError, "one for each of the 2 sequences"),
        ((X,), {"lengths": [6, 7]}, ValueError, "0 to 6"),
        ((X,), {"lengths": [6.0, 1.0]}, TypeError, "expected integers"),
        ((X[:, 0, 0],), {"lengths": [6]}, ValueError, "no batch"),
        ((X,), {"resets": [[True]]}, ValueError, r"expected shape \(6, 2\), got \(1, 1\)"),
        ((X,), {"resets": X[..., 0]}, TypeError, "expected bool"),
    ],
)
def test_errors(sequences: Any, options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        TruncatedBPTT(*sequences, **{"steps": 3, **options})
