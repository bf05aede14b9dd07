"""``lengths=``: padded batches whose sequences end at different steps."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from half_cases import HALF_ISAS, HALVES
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_exact, assert_same_bits
from torch import Tensor
from torch.nn.utils.rnn import pad_packed_sequence
from torch_twins import LAYERS, assert_equal_runs, flat, states, twins
from varlen import LENGTHS, SEQ_LEN, Loop, output_grads, pack, run_rows

import fastrnn
import fastrnn.functional

per_kind = pytest.mark.parametrize("kind", LAYERS)
per_smooth_kind = pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind != "rnn_relu"])


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def beyond(lengths: Any, seq_len: int) -> Tensor:
    """[T, B]: which steps are padding."""
    return torch.arange(seq_len)[:, None] >= torch.as_tensor(lengths)[None, :]


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize(
    ("bidirectional", "num_layers", "given_state"),  # every pair of choices
    [(False, 1, False), (True, 1, True), (False, 2, True), (True, 2, False)],
)
@per_kind
def test_each_sequence_by_itself(
    kind: str, lengths: list[int], bidirectional: bool, num_layers: int, given_state: bool
) -> None:
    options: dict[str, Any] = {"num_layers": num_layers, "bidirectional": bidirectional}
    theirs, ours = twins(kind, 5, 7, dtype=torch.float64, **options)
    x = double(SEQ_LEN, len(lengths), 5)
    rows = num_layers * (2 if bidirectional else 1)
    hx = states(kind, (rows, len(lengths), 7)) if given_state else None
    assert ours.refusal(x, hx, lengths=lengths) is None
    grads = output_grads(ours, x, hx, lengths=lengths)
    exact = run_rows(Loop(theirs), x, hx, grads, lengths=lengths)
    poisoned = x.masked_fill(beyond(lengths, SEQ_LEN)[..., None], math.nan)
    grads[0] = grads[0].masked_fill(beyond(lengths, SEQ_LEN)[..., None], math.nan)
    got = run_rows(ours, poisoned, hx, grads, lengths=lengths)
    assert_equal_runs(got, exact)
    assert (got["grad of x"][beyond(lengths, SEQ_LEN)] == 0).all()
    assert (got["output 0"][beyond(lengths, SEQ_LEN)] == 0).all()
    with torch.no_grad():
        assert_equal_runs(
            run_rows(ours, poisoned, hx, lengths=lengths),
            run_rows(Loop(theirs), x, hx, lengths=lengths),
        )


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from(list(LAYERS)),
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=20).filter(any),
    extra=st.integers(0, 5),
    hidden_size=st.sampled_from([1, 7, 33, 129]),
    bidirectional=st.booleans(),
    batch_first=st.booleans(),
)
def test_composed_path_agrees(
    kind: str,
    lengths: list[int],
    extra: int,
    hidden_size: int,
    bidirectional: bool,
    batch_first: bool,
) -> None:
    _, ours = twins(
        kind,
        4,
        hidden_size,
        bidirectional=bidirectional,
        batch_first=batch_first,
        num_layers=2,
        dtype=torch.float64,
    )
    seq_len = max(lengths) + extra
    x = double(*((len(lengths), seq_len) if batch_first else (seq_len, len(lengths))), 4)
    hx = states(kind, (4 if bidirectional else 2, len(lengths), hidden_size))
    assert ours.refusal(x, hx, lengths=lengths) is None
    grads = output_grads(ours, x, hx, lengths=lengths)
    composed = Composed(ours)
    assert_equal_runs(
        run_rows(ours, x, hx, grads, lengths=lengths),
        run_rows(composed, x, hx, grads, lengths=lengths),
    )


class Composed(torch.nn.Module):
    """A layer's calls by torch's operations."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def named_parameters(self, *args: Any, **kwargs: Any) -> Any:
        return self.layer.named_parameters(*args, **kwargs)

    def forward(self, x: Tensor, hx: Any = None, **keywords: Any) -> Any:
        rows = self.layer._rows(x, keywords.get("lengths"), keywords.get("resets"))
        return self.layer._forward_composed(x, hx, rows)


@pytest.mark.parametrize("batch_first", [False, True])
@per_kind
def test_the_same_as_packing(kind: str, batch_first: bool) -> None:
    """With dropout, too: the same mask."""
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "dropout": 0.5}
    theirs, ours = twins(kind, 5, 7, dtype=torch.float64, batch_first=batch_first, **options)
    lengths = [2, 6, 1, 6, 3]
    x, hx = double(6, 5, 5), states(kind, (4, 5, 7))
    torch.manual_seed(3)
    y, final = ours(x.transpose(0, 1) if batch_first else x, hx, lengths=lengths)
    torch.manual_seed(3)
    expected, expected_final = theirs(pack(x, lengths), hx)
    expected = pad_packed_sequence(expected, batch_first=batch_first)[0]
    assert_exact(y, expected.detach().numpy())
    for mine, torchs in zip(flat(final), flat(expected_final), strict=True):
        assert_exact(mine, torchs.detach().numpy())


FORMS: dict[str, Callable[[list[int]], Any]] = {
    "tuple": tuple,
    "int32": lambda v: torch.tensor(v, dtype=torch.int32),
    "uint8": lambda v: torch.tensor(v, dtype=torch.uint8),
    "every other": lambda v: torch.tensor(v).repeat_interleave(2)[::2],
    "NumPy": np.array,
    "NumPy int16": lambda v: np.array(v, np.int16),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_forms_of_lengths(form: Callable[[list[int]], Any]) -> None:
    _, ours = twins("gru", 3, 5)
    x, lengths = torch.randn(6, 4, 3), [3, 0, 6, 2]
    assert ours.refusal(x, lengths=form(lengths)) is None
    for mine, expected in zip(
        flat(ours(x, lengths=form(lengths))), flat(ours(x, lengths=lengths)), strict=True
    ):
        assert_same_bits(mine, expected)


@pytest.mark.parametrize("lengths", [torch.tensor([3, 0, 6, 2]), np.array([3, 0, 6, 2])])
def test_lengths_changed_in_place_between_calls(lengths: Any) -> None:
    theirs, ours = twins("gru", 3, 5, dtype=torch.float64)
    x = double(6, 4, 3).requires_grad_()
    y, _ = ours(x, lengths=lengths)
    (expected,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    lengths[0] = 5
    assert_same_bits(torch.autograd.grad(y.sum(), x)[0], expected)
    got = run_rows(ours, x.detach(), lengths=lengths)
    assert_equal_runs(got, run_rows(Loop(theirs), x.detach(), lengths=[5, 0, 6, 2]))


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "too few": ([1, 2], ValueError, "one for each of the 3 sequences, got shape .2,."),
    "too many": ([1, 2, 3, 4], ValueError, "one for each of the 3"),
    "a matrix": ([[1, 2, 3]], ValueError, "one for each of the 3"),
    "a number": (2, ValueError, "one for each of the 3"),
    "too long": ([1, 7, 2], ValueError, "expected 0 to 6, the steps of the input, got 7"),
    "negative": ([1, -1, 2], ValueError, "expected 0 to 6, the steps of the input, got -1"),
    "huge": ([1, 2**62, 2], ValueError, "expected 0 to 6"),
    "floats": (torch.tensor([1.0, 2.0, 3.0]), TypeError, "expected integers, got float32"),
    "bools": ([True, False, True], TypeError, "expected integers, got bool"),
    "text": (["a", "b", "c"], TypeError, "expected integers"),
}


@pytest.mark.parametrize(("lengths", "error", "text"), WRONG.values(), ids=WRONG)
def test_wrong_lengths(lengths: Any, error: type[Exception], text: str) -> None:
    for layer in (fastrnn.nn.LSTM(3, 5), fastrnn.nn.GRU(3, 5, batch_first=True)):
        x = torch.randn(3, 6, 3) if layer.batch_first else torch.randn(6, 3, 3)
        with pytest.raises(error, match=f"^lengths: .*{text}"):
            layer(x, lengths=lengths)
    with pytest.raises(error, match=f"^lengths: .*{text}"):
        weights = torch.randn(5, 3), torch.randn(5, 5)
        fastrnn.functional.rnn_tanh(torch.randn(6, 3, 3), *weights, lengths=lengths)


@per_kind
def test_inputs_that_take_no_lengths(kind: str) -> None:
    _, ours = twins(kind, 3, 5)
    with pytest.raises(ValueError, match="no batch"):
        ours(torch.randn(6, 3), lengths=[6])
    with pytest.raises(ValueError, match="a PackedSequence has lengths of its own"):
        ours(pack(torch.randn(6, 2, 3), [6, 2]), lengths=[6, 2])
    with pytest.raises(ValueError, match="Expected input to be 2D or 3D"):
        ours(torch.randn(6), lengths=[6])
    with pytest.raises(RuntimeError, match=r"input.size\(-1\) must be equal to input_size"):
        ours(torch.randn(6, 2, 4), lengths=[6, 2])
    with pytest.raises(RuntimeError, match="Expected hidden"):
        ours(torch.randn(6, 2, 3), states(kind, (1, 3, 5), torch.float32), lengths=[6, 2])


@per_kind
def test_all_empty(kind: str) -> None:
    _, ours = twins(kind, 3, 5, bidirectional=True)
    x, hx = torch.full((4, 2, 3), math.nan), states(kind, (2, 2, 5), torch.float32)
    y, final = ours(x, hx, lengths=[0, 0])
    assert y.shape == (4, 2, 10)
    assert (y == 0).all()
    for state, initial in zip(flat(final), flat(hx), strict=True):
        assert torch.equal(state, initial)
    y.sum().backward()
    assert (ours.weight_ih_l0.grad == 0).all()
    y, final = ours(torch.randn(4, 0, 3), lengths=[])
    assert y.shape == (4, 0, 10)


@pytest.mark.parametrize("dtype", HALVES)
@per_kind
def test_halves(kind: str, dtype: torch.dtype) -> None:
    _, ours = twins(kind, 5, 9, bidirectional=True, batch_first=True)
    ours = ours.to(dtype)
    wide = copy.deepcopy(ours).float()
    lengths = [3, 6, 0, 4]
    x = torch.randn(4, 7, 5, dtype=dtype)
    assert ours.refusal(x, lengths=lengths) is None
    with fastrnn.use_isa(HALF_ISAS[-1]):
        grads = output_grads(ours, x, lengths=lengths)
        mine = run_rows(ours, x, None, grads, lengths=lengths)
        exact = run_rows(wide, x.float(), None, [g.float() for g in grads], lengths=lengths)
    for name, value in exact.items():
        assert_same_bits(mine[name].float(), value.to(dtype).float(), name=name)


@pytest.mark.parametrize("both", [False, True])
def test_projections(both: bool) -> None:
    """Refused by the engine; torch's own packed path has the numbers."""
    theirs, ours = twins("lstm", 3, 5, proj_size=2, bidirectional=both, dtype=torch.float64)
    lengths, x = [2, 6, 4], double(6, 3, 3)
    assert ours.refusal(x, lengths=lengths) is not None
    y, (h_n, c_n) = ours(x, lengths=lengths)
    packed, expected = theirs(pack(x, lengths))
    assert_exact(y, pad_packed_sequence(packed)[0].detach().numpy())
    assert_exact(h_n, expected[0].detach().numpy())
    assert_exact(c_n, expected[1].detach().numpy())


@per_kind
def test_under_transforms(kind: str) -> None:
    _, ours = twins(kind, 3, 5, bidirectional=True, dtype=torch.float64)
    x, lengths = double(4, 6, 3, 3), torch.tensor([2, 0, 6])
    got = torch.func.vmap(lambda one: ours(one, lengths=lengths)[0])(x)
    assert_exact(got, torch.stack([ours(one, lengths=lengths)[0] for one in x]).detach().numpy())

    def loss(one: Tensor) -> Tensor:
        result: Tensor = ours(one, lengths=lengths)[0].sin().sum()
        return result

    leaf = x[0].clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(leaf), leaf)
    assert_exact(torch.func.grad(loss)(x[0]), expected.numpy())


@per_smooth_kind
def test_double_backward(kind: str) -> None:
    _, ours = twins(kind, 2, 3, bidirectional=True, dtype=torch.float64)
    x = double(4, 3, 2).requires_grad_()

    def function(given: Tensor) -> tuple[Tensor, ...]:
        return tuple(flat(ours(given, lengths=[2, 4, 0])))

    assert torch.autograd.gradcheck(function, (x,))
    assert torch.autograd.gradgradcheck(function, (x,), fast_mode=True)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", ["gru_reset_before", "peephole_lstm"])
def test_functional(cell: str, both: bool) -> None:
    """Cells that have no layer; each sequence by itself is the same."""
    gates, states_count = (3, 1) if cell == "gru_reset_before" else (4, 2)
    lead = (2,) if both else ()
    torch.manual_seed(0)
    weights = [double(*lead, gates * 7, 4), double(*lead, gates * 7, 7)]
    weights += [double(*lead, 3, 7)] if cell == "peephole_lstm" else []
    initial = [double(*lead, 4, 7).requires_grad_() for _ in range(states_count)]
    names = ("h0", "c0")[:states_count]
    x, lengths = double(6, 4, 4).requires_grad_(), [3, 0, 6, 1]
    function = getattr(fastrnn.functional, cell)
    outputs = function(x, *weights, **dict(zip(names, initial, strict=True)), lengths=lengths)
    columns: list[list[Tensor]] = [[] for _ in outputs]
    for b, length in enumerate(lengths):
        alone = {name: s[..., b : b + 1, :] for name, s in zip(names, initial, strict=True)}
        if length:
            y, *final = function(x[:length, b : b + 1], *weights, **alone)
        else:
            y, final = x.new_zeros(0, 1, 14 if both else 7), list(alone.values())
        columns[0].append(torch.cat([y, y.new_zeros(6 - length, 1, y.shape[-1])]))
        for column, state in zip(columns[1:], final, strict=True):
            column.append(state)
    expected = [torch.cat(columns[0], 1), *(torch.cat(parts, -2) for parts in columns[1:])]
    grads = [torch.randn_like(output) for output in outputs]
    for mine, theirs in zip(outputs, expected, strict=True):
        assert_exact(mine, theirs.detach().numpy())
    got = torch.autograd.grad(outputs, [x, *initial], grads)
    for mine, theirs in zip(got, torch.autograd.grad(expected, [x, *initial], grads), strict=True):
        assert_exact(mine, theirs.numpy())
