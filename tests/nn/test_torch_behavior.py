"""What torch's own test suite asserts of its recurrent layers, in our words, of ours.

Most tests name the one of torch's (in test/test_nn.py or test/test_autograd.py) whose behavior
they hold the layers to.
"""

from __future__ import annotations

import copy
import io
import itertools
from typing import Any

import pytest
import torch
from oracles import as_array, assert_exact, assert_same_bits, assert_within_budget
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch_twins import CELLS, LAYERS, flat, states, twins

import fastrnn.nn

KINDS = list(LAYERS)
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


# -- test_RNN_cell_no_broadcasting, test_LSTM_cell, test_LSTM_cell_forward_*_size ----------------


@pytest.mark.parametrize("kind", CELLS)
def test_cells_never_broadcast(kind: str) -> None:
    _, cell = twins(kind, 10, 20, cell=True)
    good = torch.zeros(3, 10), torch.zeros(3, 20)
    for x, h in (
        (torch.zeros(1, 10), good[1]),
        (good[0], torch.zeros(1, 20)),
        (torch.zeros(3, 1), good[1]),
        (good[0], torch.zeros(3, 1)),
        (torch.zeros(1, 1), good[1]),
    ):
        hx = (h, h) if kind == "lstm" else h
        with pytest.raises(RuntimeError, match="inconsistent|doesn't match"):
            cell(x, hx)
    if kind == "lstm":  # each of the pair by itself
        for pair in ((torch.zeros(1, 20), good[1]), (good[1], torch.zeros(3, 21))):
            with pytest.raises(RuntimeError, match="inconsistent|doesn't match"):
                cell(good[0], pair)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_in_a_loop(kind: str, bias: bool) -> None:
    """The state handed on for some steps, then backward through all of them."""
    theirs, ours = twins(kind, 10, 20, cell=True, bias=bias, dtype=torch.float64)
    x, start = double(3, 10), states(kind, (3, 20))
    results = []
    for cell in (theirs, ours):
        hx = start
        for _ in range(6):
            hx = cell(x, hx)
        loss = torch.stack([state.sin().sum() for state in flat(hx)]).sum()
        results.append([loss.detach(), *torch.autograd.grad(loss, list(cell.parameters()))])
    torch.testing.assert_close(results[1], results[0])


# -- test_rnn_args_check, test_projections_lstm_args_check ---------------------------------------


@pytest.mark.parametrize("kind", [*KINDS, "lstm projected"])
@pytest.mark.parametrize("wrong", ["input size", "batch of hx", "hidden size", "layers of hx"])
def test_sizes_that_do_not_fit(kind: str, wrong: str) -> None:
    projected = kind == "lstm projected"
    kind = kind.split()[0]
    options: dict[str, Any] = {"proj_size": 2} if projected else {}
    theirs, ours = twins(kind, 3, 5, num_layers=2, **options)
    h_size = 2 if projected else 5
    sizes = {"input size": 3, "batch of hx": 4, "hidden size": h_size, "layers of hx": 2}
    sizes[wrong] += 1
    h = torch.zeros(sizes["layers of hx"], sizes["batch of hx"], sizes["hidden size"])
    c = torch.zeros(*h.shape[:2], 5)
    x = torch.zeros(7, 4, sizes["input size"])
    messages = []
    for layer in (theirs, ours):
        with pytest.raises(RuntimeError) as caught:
            layer(x, (h, c) if kind == "lstm" else h)
        messages.append(str(caught.value))
    assert messages[1] == messages[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moved", ["input", "state", "weights"])
def test_tensors_on_different_devices(kind: str, moved: str) -> None:
    """test_rnn_check_device, with the device that every machine has."""
    theirs, ours = twins(kind, 3, 5)
    x, hx = torch.zeros(7, 4, 3), states(kind, (1, 4, 5), torch.float32)
    if moved == "input":
        x = x.to("meta")
    elif moved == "state":
        hx = tuple(h.to("meta") for h in hx) if kind == "lstm" else hx.to("meta")
    outcomes = []
    for layer in (theirs, ours):
        if moved == "weights":
            layer.to("meta")
        try:
            outcomes.append([tensor.device for tensor in flat(layer(x, hx))])
        except (RuntimeError, NotImplementedError) as error:
            outcomes.append([type(error)])
    assert outcomes[1] == outcomes[0]


# -- test_rnn_initial_hidden_state, test_projections_lstm_initial_hidden_state -------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_no_state_means_zeros(kind: str, bidirectional: bool) -> None:
    for extra in ({}, {"proj_size": 3}) if kind == "lstm" else ({},):
        _, ours = twins(kind, 30, 20, num_layers=2, bidirectional=bidirectional, **extra)
        x, rows = torch.randn(10, 32, 30), 4 if bidirectional else 2
        h, c = torch.zeros(rows, 32, extra.get("proj_size", 20)), torch.zeros(rows, 32, 20)
        given, left_out = flat(ours(x, (h, c) if kind == "lstm" else h)), flat(ours(x))
        for a, b in zip(given, left_out, strict=True):
            assert_same_bits(a, b)


@pytest.mark.parametrize("name", ["RNN", "GRU"])
def test_only_the_lstm_projects(name: str) -> None:
    """test_projections_errors_on_gru_and_rnn"""
    with pytest.raises(ValueError, match="proj_size argument is only supported for LSTM"):
        getattr(fastrnn.nn, name)(3, 5, num_layers=2, proj_size=2)


@pytest.mark.parametrize("kind", KINDS)
def test_no_steps_is_an_error(kind: str) -> None:
    """test_error_RNN_seq_len_zero"""
    for bidirectional in (False, True):
        _, ours = twins(kind, 3, 5, bidirectional=bidirectional)
        with pytest.raises(RuntimeError, match="Expected sequence length to be larger than 0"):
            ours(torch.ones(0, 4, 3))


# -- test_RNN_cpu_vs_cudnn_*: every option at once -----------------------------------------------

LENGTHS = [7, 5, 5, 2, 1, 1]


def spread(tensor: Tensor) -> Tensor:
    """The same numbers, not contiguous."""
    return torch.stack((tensor, tensor), -1)[..., 0]


def run_once(
    layer: nn.Module, x: Tensor, hx: list[Tensor], lengths: Any, grads: list[Tensor]
) -> list[Tensor]:
    """Outputs, and gradients of input, states and parameters."""
    x = x.detach().requires_grad_()
    hx = [state.detach().requires_grad_() for state in hx]
    given: Any = x
    if lengths is not None:
        given = pack_padded_sequence(x, lengths, batch_first=layer.batch_first)
    torch.manual_seed(2)
    y, state = layer(given, tuple(hx) if len(hx) == 2 else hx[0])
    if isinstance(y, PackedSequence):
        y, _ = pad_packed_sequence(y, batch_first=layer.batch_first)
    outputs = [y, *flat(state)]
    found = torch.autograd.grad(outputs, [x, *hx, *layer.parameters()], grads)
    return [tensor.detach() for tensor in (*outputs, *found)]


@pytest.mark.parametrize("kind", [*KINDS, "lstm projected"])
@pytest.mark.parametrize("dropout", [0.0, 1.0])
@pytest.mark.parametrize("packed", [False, True])
def test_every_option_at_once(kind: str, dropout: float, packed: bool) -> None:
    extra: dict[str, Any] = {"proj_size": 3} if kind == "lstm projected" else {}
    kind = kind.split()[0]
    for bias, both, first, contiguous in itertools.product((False, True), repeat=4):
        theirs, ours = twins(
            *(kind, 10, 6, 2),
            bias=bias,
            bidirectional=both,
            batch_first=first,
            dropout=dropout,
            dtype=torch.float64,
            **extra,
        )
        lengths = None if not packed else LENGTHS if contiguous else torch.tensor(LENGTHS)
        rows, h_size = (4 if both else 2), extra.get("proj_size", 6)
        x = double(6, 7, 10) if first else double(7, 6, 10)
        hx = [double(rows, 6, h_size)]
        if kind == "lstm":
            hx.append(double(rows, 6, 6))
        grads = [double(*x.shape[:2], h_size * (2 if both else 1)), *map(torch.randn_like, hx)]
        if not contiguous:
            x, hx, grads = spread(x), [spread(h) for h in hx], [spread(g) for g in grads]
        got, expected = (run_once(layer, x, hx, lengths, grads) for layer in (ours, theirs))
        for index, (mine, torchs) in enumerate(zip(got, expected, strict=True)):
            assert_exact(mine, as_array(torchs), name=str(index))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_packed_rows_are_as_if_alone(kind: str, enforce_sorted: bool) -> None:
    """test_variable_sequence"""
    lengths = LENGTHS if enforce_sorted else [2, 7, 1, 5, 5, 1]
    _, ours = twins(kind, 4, 5, num_layers=2, bidirectional=True, dtype=torch.float64)
    x = double(7, 6, 4).requires_grad_()
    hx = states(kind, (4, 6, 5))
    packed = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=enforce_sorted)
    y, state = ours(packed, hx)
    padded, told = pad_packed_sequence(y)
    assert told.tolist() == lengths
    loss = padded.sin().sum() + torch.stack([h.cos().sum() for h in flat(state)]).sum()
    got = torch.autograd.grad(loss, [x, *ours.parameters()])
    total = torch.zeros((), dtype=torch.float64)
    for row, length in enumerate(lengths):
        one = tuple(h[:, row : row + 1] for h in flat(hx))
        alone, alone_state = ours(x[:length, row : row + 1], one if kind == "lstm" else one[0])
        torch.testing.assert_close(padded[:length, row : row + 1], alone)
        assert not padded[length:, row].any()
        for mine, torchs in zip(flat(state), flat(alone_state), strict=True):
            torch.testing.assert_close(mine[:, row : row + 1], torchs)
        total = total + alone.sin().sum()
        total = total + torch.stack([h.cos().sum() for h in flat(alone_state)]).sum()
    torch.testing.assert_close(got, torch.autograd.grad(total, [x, *ours.parameters()]))


# -- weights: test_cudnn_weight_format, test_cudnn_weight_tying, test_RNN_cudnn_weight_norm ------


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_parts_of_one_block(kind: str) -> None:
    theirs, ours = twins(kind, 15, 20, num_layers=2)
    x, hx = torch.randn(7, 5, 15), states(kind, (2, 5, 20), torch.float32)
    block = torch.cat([parameter.detach().flatten() for parameter in ours.parameters()])
    at = 0
    for parameter in ours.parameters():
        parameter.data = block[at : at + parameter.numel()].view_as(parameter)
        at += parameter.numel()
    before = flat(ours(x, hx))
    torch.testing.assert_close(before, flat(theirs(x, hx)))
    ours.flatten_parameters()
    for a, b in zip(flat(ours(x, hx)), before, strict=True):
        assert_same_bits(a, b)
    with torch.no_grad():
        block.mul_(2)
        for parameter in theirs.parameters():
            parameter.mul_(2)
    torch.testing.assert_close(flat(ours(x, hx)), flat(theirs(x, hx)))


@pytest.mark.parametrize("kind", KINDS)
def test_tied_weights_through_training_and_saving(kind: str) -> None:
    histories, layers = [], twins(kind, 15, 20, bidirectional=True, dtype=torch.float64)
    x = double(7, 5, 15)
    for layer in layers:
        layer.bias_ih_l0_reverse = layer.bias_ih_l0
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        history = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = layer(x)[0].square().mean()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        histories.append(history)
    assert histories[1] == pytest.approx(histories[0], rel=1e-10)
    theirs, ours = layers
    assert len(list(ours.parameters())) == len(list(theirs.parameters())) == 7
    assert len(ours.state_dict()) == len(theirs.state_dict()) == 8
    _, other = twins(kind, 15, 20, bidirectional=True, dtype=torch.float64, seed=1)
    other.load_state_dict(ours.state_dict())
    for a, b in zip(flat(other(x)), flat(ours(x)), strict=True):
        assert_same_bits(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_weight_norm_changes_nothing(kind: str) -> None:
    for name in ("weight_hh_l0", "weight_ih_l0"):
        _, ours = twins(kind, 5, 7, dtype=torch.float64)
        x = double(6, 3, 5)
        before = ours(x)[0]
        parametrizations.weight_norm(ours, name)
        torch.testing.assert_close(ours(x)[0], before)
        ours(x)[0].sum().backward()
        grads = [p.grad for p in ours.parametrizations[name].parameters()]
        assert len(grads) == 2
        assert all(grad is not None and grad.any() for grad in grads)
        parametrize.remove_parametrizations(ours, name)
        torch.testing.assert_close(ours(x)[0], before)


# -- dropout: test_RNN_dropout, test_RNN_dropout_state, test_RNN_change_dropout -------------------


@pytest.mark.parametrize("p", [0.0, 0.276, 0.731, 1.0])
@pytest.mark.parametrize("training", [True, False])
def test_dropout_drops_and_scales(p: float, training: bool) -> None:
    """All weights one: the output counts the units that were kept between the layers."""
    layer = fastrnn.nn.RNN(10, 1000, 2, bias=False, dropout=p, nonlinearity="relu").train(training)
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            weight.fill_(1 if "_ih_" in name else 0)
    x = torch.ones(1, 1, 10)
    y, h_n = layer(x, torch.zeros(2, 1, 1000))
    value = y[0, 0, 0].item()
    assert (y == value).all()  # one mask for the whole product
    assert (h_n[0] == 10).all()  # what a layer hands on is dropped, not its state
    if not training or p in (0.0, 1.0):
        assert value == (0 if training and p == 1.0 else 10_000)
        return
    kept = value * (1 - p) / 10
    assert kept == pytest.approx(round(kept), abs=1e-2)
    assert abs(kept - 1000 * (1 - p)) < 6 * (1000 * p * (1 - p)) ** 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_and_copies(kind: str) -> None:
    _, ours = twins(kind, 10, 30, num_layers=2, dropout=0.5)
    x = torch.randn(4, 3, 10)
    file = io.BytesIO()
    torch.save(ours, file)
    file.seek(0)
    for other in (copy.deepcopy(ours), torch.load(file, weights_only=False)):
        first, second = ours(x)[0], ours(x)[0]
        assert not torch.equal(first, second)
        torch.manual_seed(3)
        first = ours(x)[0]
        torch.manual_seed(3)
        assert_same_bits(other(x)[0], first)
        assert_same_bits(ours.eval()(x)[0], other.eval()(x)[0])
        ours.train()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_dropout_may_change_either_way(kind: str, training: bool) -> None:
    _, ours = twins(kind, 10, 30, num_layers=2)
    ours.train(training)
    x, hx = torch.randn(4, 3, 10), states(kind, (2, 3, 30), torch.float32)
    outputs = []
    for p in (0.0, 0.5, 0.0, 1.0, 0.0):
        ours.dropout = p
        outputs.append(ours(x, hx)[0])
    assert_same_bits(outputs[2], outputs[0])
    assert_same_bits(outputs[4], outputs[0])
    assert torch.equal(outputs[1], outputs[0]) != training
    assert torch.equal(outputs[3], outputs[0]) != training


# -- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_the_input_alone(kind: str) -> None:
    """test_rnn_backward_to_input_but_not_parameters"""
    _, ours = twins(kind, 2, 3)
    for parameter in ours.parameters():
        parameter.requires_grad_(False)
    x = torch.randn(4, 1, 2, requires_grad=True)
    ours(x)[0].sum().backward()
    assert x.grad is not None
    assert x.grad.any()
    assert all(parameter.grad is None for parameter in ours.parameters())


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_s_state_may_end_unused(kind: str) -> None:
    """test_lstmcell_backward_only_one_output_grad: any output, on its own, of float32 too."""
    _, ours = twins(kind, 2, 3, cell=True)
    for index in range(2 if kind == "lstm" else 1):
        x = torch.randn(1, 2, requires_grad=True)
        flat(ours(x))[index].sum().backward()
        assert x.grad is not None
        assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_in_float32(kind: str) -> None:
    """test_LSTM_differentiable_backward_using_oneDNN, against the same in float64."""
    theirs, ours = twins(kind, 6, 9, num_layers=2, bidirectional=True)
    x = torch.randn(5, 3, 6)

    def penalty(layer: nn.Module, dtype: torch.dtype) -> list[Tensor]:
        layer = copy.deepcopy(layer).to(dtype)
        given = x.to(dtype).requires_grad_()
        (slope,) = torch.autograd.grad(layer(given)[0].sin().sum(), given, create_graph=True)
        return list(torch.autograd.grad(slope.square().sum(), [given, layer.weight_hh_l0]))

    exact = penalty(theirs, torch.float64)
    for mine, torchs, value in zip(
        penalty(ours, torch.float32), penalty(theirs, torch.float32), exact, strict=True
    ):
        assert_within_budget(mine, torchs, value)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_input_may_be_moved(kind: str) -> None:
    """From test_packed_sequence.py: what a packed sequence may be turned into goes in as well."""
    _, ours = twins(kind, 3, 5)
    packed = pack_padded_sequence(torch.randn(7, 6, 3), torch.tensor(LENGTHS))
    expected = ours(packed)[0].data
    wide = ours.double()(packed.double())[0]
    assert wide.data.dtype == torch.float64
    torch.testing.assert_close(wide.data.float(), expected)
    again = ours.float()(packed.double().to(torch.float32))[0]
    assert_same_bits(again.data, expected)
    assert torch.equal(again.batch_sizes, packed.batch_sizes)
