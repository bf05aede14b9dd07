"""Gradients of the states of every step against a loop of steps under torch's autograd."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest
import torch
from oracles import assert_exact, assert_within_budget
from step_loops import LAYERS, stack_gradients
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

import fastrnn
import fastrnn.nn
from fastrnn import diagnostics
from fastrnn.diagnostics import GradientNorms
from fastrnn.nn._base import RecurrentLayer

EXACT = torch.float64
per_layer = pytest.mark.parametrize("name", LAYERS)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def make(name: str, input_size: int, hidden_size: int, **options: Any) -> RecurrentLayer:
    kind, more = LAYERS[name]
    layer = kind(input_size, hidden_size, **{"dtype": EXACT, **more, **options})
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-1, 1).mul_(hidden_size**-0.5)
    return layer


def states_of(layer: RecurrentLayer, batch_size: int) -> tuple[Tensor, ...]:
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    shape = (rows, batch_size, layer.hidden_size)
    return tuple(
        torch.randn(shape, dtype=layer.weight_hh_l0.dtype) for _ in range(layer._num_states)
    )


def given(states: tuple[Tensor, ...]) -> Any:
    return states[0] if len(states) == 1 else states


def backward(outputs: Any, grad_y: Tensor, grad_final: tuple[Tensor, ...]) -> None:
    y, final = outputs
    finals = (final,) if isinstance(final, Tensor) else final
    torch.autograd.backward([y, *finals], [grad_y, *grad_final])


def gradients(norms: GradientNorms) -> list[Any]:
    return [g for g in (norms.grad_hidden, norms.grad_cell_state) if g is not None]


def all_norms(norms: GradientNorms) -> list[Any]:
    return [n for n in (norms.hidden, norms.cell_state) if n is not None]


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((7, 3, 5, 6), {}),
        ((1, 1, 1, 1), {}),
        ((5, 2, 7, 129), {}),
        ((9, 4, 3, 7), {"num_layers": 3}),
        ((6, 3, 4, 9), {"num_layers": 2, "bidirectional": True}),
        ((6, 3, 4, 9), {"bidirectional": True, "bias": False}),
    ],
    ids=str,
)
@per_layer
def test_float64(name: str, shape: tuple[int, int, int, int], options: dict[str, Any]) -> None:
    seq_len, batch_size, input_size, hidden_size = shape
    layer = make(name, input_size, hidden_size, **options)
    x = torch.randn(seq_len, batch_size, input_size, dtype=EXACT)
    initial, grad_final = states_of(layer, batch_size), states_of(layer, batch_size)
    with diagnostics.record(layer, whole=True) as records:
        outputs = layer(x, given(initial))
        grad_y = torch.randn_like(outputs[0])
        backward(outputs, grad_y, grad_final)
    expected = stack_gradients(layer, x, initial, grad_y, grad_final)
    assert len(records) == layer.num_layers
    for index, states in enumerate(expected):
        assert records[index].layer == index
        assert len(gradients(records[index])) == len(states)
        for ours, norms, exact in zip(
            gradients(records[index]), all_norms(records[index]), states, strict=True
        ):
            assert_exact(ours, exact, name=f"layer {index}")
            assert_exact(norms, exact.norm(dim=-1), name=f"norms of layer {index}")


@pytest.mark.parametrize("name", ["RNN", "RNN relu", "LSTM", "GRU"])
def test_float32(name: str) -> None:
    layer = make(name, 20, 65, bidirectional=True, dtype=torch.float32)
    x = torch.randn(20, 9, 20)
    initial, grad_final = states_of(layer, 9), states_of(layer, 9)
    with diagnostics.record(layer, whole=True) as records:
        outputs = layer(x, given(initial))
        grad_y = torch.randn_like(outputs[0])
        backward(outputs, grad_y, grad_final)
    exact = stack_gradients(layer, x, initial, grad_y, grad_final)
    theirs = stack_gradients(layer, x, initial, grad_y, grad_final, torch.float32)
    for index, norms in enumerate(records):
        for state, ours in enumerate(gradients(norms)):
            assert_within_budget(
                ours, theirs[index][state], exact[index][state], name=f"layer {index}, {state}"
            )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_halves(name: str, dtype: torch.dtype) -> None:
    """In float32, as the engine computes them."""
    layer = make(name, 9, 20, dtype=dtype)
    x, initial, grad_final = (
        torch.randn(12, 5, 9, dtype=dtype),
        *(states_of(layer, 5) for _ in range(2)),
    )
    with diagnostics.record(layer, whole=True) as records:
        outputs = layer(x, given(initial))
        grad_y = torch.randn_like(outputs[0])
        backward(outputs, grad_y, grad_final)
    exact = stack_gradients(layer, x, initial, grad_y, grad_final)[0]
    theirs = stack_gradients(layer, x, initial, grad_y, grad_final, dtype)[0]
    for ours, half, right in zip(gradients(records[0]), theirs, exact, strict=True):
        assert ours.dtype == np.float32
        assert_within_budget(ours, half.float(), right)


@pytest.mark.parametrize("form", ["time first", "batch first", "packed"])
@per_layer
def test_lengths(name: str, form: str) -> None:
    """Each sequence as if it were alone; NaN, and gradients of zero, past its end."""
    lengths = [4, 7, 2, 7] if form == "packed" else [4, 7, 0, 2]
    batch_first = form == "batch first"
    layer = make(name, 3, 5, num_layers=2, bidirectional=True, batch_first=batch_first)
    x, initial = torch.randn(7, 4, 3, dtype=EXACT), states_of(layer, 4)
    grad_y, grad_final = torch.randn(7, 4, 10, dtype=EXACT), states_of(layer, 4)
    with diagnostics.record(layer, whole=True) as records:
        if form == "packed":
            packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
            y, final = layer(packed, given(initial))
            grads = pack_padded_sequence(grad_y, lengths, enforce_sorted=False).data
            backward((y.data, final), grads, grad_final)
        else:
            flip = (lambda t: t.transpose(0, 1)) if batch_first else (lambda t: t)
            outputs = layer(flip(x), given(initial), lengths=lengths)
            backward(outputs, flip(grad_y), grad_final)
    for b, length in enumerate(lengths):
        one = slice(b, b + 1)
        expected = None
        if length:
            expected = stack_gradients(
                layer,
                x[:length, one],
                tuple(s[:, one] for s in initial),
                grad_y[:length, one],
                tuple(s[:, one] for s in grad_final),
            )
        for index, norms in enumerate(records):
            for state, (ours, values) in enumerate(
                zip(gradients(norms), all_norms(norms), strict=True)
            ):
                assert np.isnan(values[:, length:, b]).all()
                assert not ours[:, length:, b].any()
                if expected is not None:
                    exact = expected[index][state][:, :, 0]
                    assert_exact(ours[:, :length, b], exact)
                    assert_exact(values[:, :length, b], exact.norm(dim=-1))


def test_resets_stop_gradients() -> None:
    lstm = fastrnn.nn.LSTM(3, 4, dtype=EXACT)
    x, resets = torch.randn(8, 2, 3, dtype=EXACT), torch.zeros(8, 2, dtype=torch.bool)
    resets[5, 0] = True
    with diagnostics.record(lstm) as records:
        y, _ = lstm(x, resets=resets)
        y[-1].sum().backward()
    hidden, cell_state = records[0].hidden[0], records[0].cell_state[0]
    assert not hidden[:5, 0].any()
    assert not cell_state[:5, 0].any()
    assert hidden[5:, 0].all()
    assert hidden[:, 1].all()


def test_single_sequence_without_a_batch() -> None:
    gru = fastrnn.nn.GRU(3, 4, dtype=EXACT)
    x = torch.randn(6, 3, dtype=EXACT)
    with diagnostics.record(gru) as records:
        gru(x)[0].sum().backward()
        gru(x.unsqueeze(1))[0].sum().backward()
    assert records[0].hidden.shape == (1, 6, 1)
    np.testing.assert_array_equal(records[0].hidden, records[1].hidden)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = fastrnn.nn.GRU(3, 4, num_layers=2, dropout=0.5)
        self.decoder = fastrnn.nn.LSTM(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x)[0])[0]


def test_models_calls_and_layers() -> None:
    model = Model()
    with diagnostics.record(model) as records:
        losses = [model(torch.randn(6, 2, 3)).sum() for _ in range(2)]
        with torch.no_grad():
            model(torch.randn(6, 2, 3))
        with pytest.raises(RuntimeError, match="Expected 3"):
            model(torch.randn(6, 2, 5))
        losses.append(model(torch.randn(9, 1, 3)).sum())
    assert len(records) == 0
    with pytest.raises(IndexError, match="has had its backward"):
        records[0]
    for loss in reversed(losses):  # after the with, too
        loss.backward()
    places = [(norms.name, norms.call, norms.layer) for norms in records]
    encoder = [("encoder", call, layer) for call in (0, 1, 4) for layer in (0, 1)]
    assert places == encoder + [("decoder", call, 0) for call in (0, 1, 3)]
    assert [norms.hidden.shape for norms in records["decoder"]] == [(1, 6, 2)] * 2 + [(1, 9, 1)]
    assert records["encoder"][0].cell_state is None
    assert records[-1].cell_state is not None
    assert records[-1].grad_hidden is None
    assert records.names == ["encoder", "decoder"]
    with pytest.raises(KeyError, match="no layer 'other'"):
        records["other"]
    assert "GradientNorms('decoder', call 3, layer 0, D 1, T 9, B 1)" in repr(records)
    model(torch.randn(6, 2, 3)).sum().backward()  # a call outside
    assert len(records) == 9


def test_a_second_backward_replaces_the_first() -> None:
    rnn = fastrnn.nn.RNN(2, 3)
    with diagnostics.record(rnn) as records:
        y = rnn(torch.randn(4, 1, 2))[0]
        y[-1].sum().backward(retain_graph=True)
        first = records[0].hidden
        y[0].sum().backward()
    assert len(records) == 1
    assert first[0, 1, 0] > 0
    assert records[0].hidden[0, 1, 0] == 0


def test_training_is_not_disturbed() -> None:
    """The same outputs and gradients, bit by bit, and no trace afterwards."""
    layer = make("LSTM", 4, 8, num_layers=2)
    again = copy.deepcopy(layer)
    x = torch.randn(5, 3, 4, dtype=EXACT)
    with diagnostics.record(again):
        outputs = [m(x)[0] for m in (layer, again)]
        for output in outputs:
            output.sum().backward()
    assert torch.equal(*outputs)
    for ours, watched in zip(layer.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours.grad, watched.grad)
    assert not again._forward_hooks
    assert not again._forward_pre_hooks


def test_autocast() -> None:
    lstm = fastrnn.nn.LSTM(3, 4)
    with diagnostics.record(lstm, whole=True) as records:
        with torch.autocast("cpu", torch.bfloat16):
            y, _ = lstm(torch.randn(5, 2, 3))
        y.float().sum().backward()
    assert records[0].grad_hidden.dtype == np.float32
    np.testing.assert_array_equal(records[0].grad_hidden[0, -1], 1)


def test_computed_weights_and_shared_layers() -> None:
    shared = nn.utils.parametrizations.weight_norm(fastrnn.nn.GRU(4, 4), "weight_hh_l0")
    model = nn.ModuleDict({"a": shared, "b": shared})
    with diagnostics.record(model) as records:
        shared(torch.randn(5, 2, 4))[0].sum().backward()
    assert [norms.name for norms in records] == ["a"]


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoint(use_reentrant: bool) -> None:
    gru = fastrnn.nn.GRU(3, 4)
    x = torch.randn(6, 2, 3, requires_grad=True)
    with diagnostics.record(gru) as records:
        gru(x)[0].sum().backward()
        checkpoint(gru, x, use_reentrant=use_reentrant)[0].sum().backward()
    assert len(records) == 2
    np.testing.assert_array_equal(records[0].hidden, records[1].hidden)


def test_vanishing_gradients_are_seen_below_the_square_root_of_the_smallest_float() -> None:
    rnn = fastrnn.nn.RNN(1, 4)
    with torch.no_grad():
        rnn.weight_hh_l0.copy_(0.1 * torch.eye(4))
    with diagnostics.record(rnn) as records:
        rnn(torch.zeros(31, 1, 1))[0][-1].sum().backward()
    hidden = records[0].hidden[0, :, 0]
    assert 0 < hidden[0] < 1e-29
    assert (np.diff(np.log(hidden)) > 2).all()


# -- what cannot be recorded ----------------------------------------------------------------------


def test_a_model_without_our_layers() -> None:
    with pytest.raises(ValueError, match=r"no fastrnn layer in LSTM; fastrnn\.convert"):
        diagnostics.record(nn.LSTM(2, 3)).__enter__()


def test_one_recording_at_a_time() -> None:
    gru = fastrnn.nn.GRU(2, 3)
    with diagnostics.record(gru), pytest.raises(RuntimeError, match="recording already"):
        diagnostics.record(gru).__enter__()
    with pytest.raises(ZeroDivisionError), diagnostics.record(gru):
        raise ZeroDivisionError
    with diagnostics.record(gru) as records:
        gru(torch.randn(3, 1, 2))[0].sum().backward()
    assert len(records) == 1


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_what_the_engine_does_not_compute() -> None:
    lstm = fastrnn.nn.LSTM(2, 4, proj_size=3)
    with diagnostics.record(lstm) as records:
        with pytest.raises(RuntimeError, match="this call of 'LSTM': proj_size > 0"):
            lstm(torch.randn(3, 1, 2))
        with torch.no_grad():
            lstm(torch.randn(3, 1, 2))
    assert len(records) == 0


def test_second_derivatives() -> None:
    gru = fastrnn.nn.GRU(2, 3)
    with diagnostics.record(gru):
        y = gru(torch.randn(3, 1, 2))[0]
    with pytest.raises(RuntimeError, match="without create_graph=True"):
        torch.autograd.grad(y.sum(), list(gru.parameters()), create_graph=True)


def test_threads_record_their_own_calls() -> None:
    layers = nn.ModuleList(fastrnn.nn.GRU(2, 3) for _ in range(4))

    def work(number: int) -> None:
        for _ in range(20):
            layers[number](torch.randn(3 + number, 1, 2))[0].sum().backward()

    with diagnostics.record(layers) as records:
        workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert len(records) == 80
    assert all(norms.hidden.shape[1] == 3 + int(norms.name) for norms in records)
