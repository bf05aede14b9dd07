"""Packed sequences through the layers: torch's numbers, on the engine."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from half_cases import HALF_ISAS, HALVES
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_same_bits, assert_within_budget
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence
from torch_twins import LAYERS, assert_equal_runs, states, twins
from varlen import LENGTHS, SEQ_LEN, output_grads, pack, run_rows

import fastrnn

NO_EMPTY = {name: lengths for name, lengths in LENGTHS.items() if 0 not in lengths}
per_kind = pytest.mark.parametrize("kind", LAYERS)
per_smooth_kind = pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind != "rnn_relu"])


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("lengths", NO_EMPTY.values(), ids=NO_EMPTY)
@pytest.mark.parametrize(
    ("bidirectional", "num_layers", "given_state"),  # every pair of choices
    [(False, 1, False), (True, 1, True), (False, 3, True), (True, 3, False)],
)
@per_kind
def test_numbers_are_torchs(
    kind: str, lengths: list[int], bidirectional: bool, num_layers: int, given_state: bool
) -> None:
    options: dict[str, Any] = {"num_layers": num_layers, "bidirectional": bidirectional}
    if num_layers > 1:
        options["dropout"] = 0.4  # draws torch's mask, over the rows
    theirs, ours = twins(kind, 5, 7, dtype=torch.float64, **options)
    x = pack(double(SEQ_LEN, len(lengths), 5), lengths)
    rows = num_layers * (2 if bidirectional else 1)
    hx = states(kind, (rows, len(lengths), 7)) if given_state else None
    assert ours.refusal(x, hx) is None
    grads = output_grads(theirs, x, hx)
    assert_equal_runs(run_rows(ours, x, hx, grads), run_rows(theirs, x, hx, grads))
    with torch.no_grad():  # the path that saves nothing
        assert_equal_runs(run_rows(ours, x, hx), run_rows(theirs, x, hx))


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(list(LAYERS)),
    lengths=st.lists(st.integers(1, 15), min_size=1, max_size=20),
    input_size=st.integers(1, 9),
    hidden_size=st.sampled_from([1, 7, 16, 33, 129]),
    bidirectional=st.booleans(),
    is_sorted=st.booleans(),
)
def test_any_lengths(
    kind: str,
    lengths: list[int],
    input_size: int,
    hidden_size: int,
    bidirectional: bool,
    is_sorted: bool,
) -> None:
    theirs, ours = twins(
        kind, input_size, hidden_size, bidirectional=bidirectional, dtype=torch.float64
    )
    lengths = sorted(lengths, reverse=True) if is_sorted else lengths
    x = pack_sequence([double(length, input_size) for length in lengths], enforce_sorted=is_sorted)
    hx = states(kind, (2 if bidirectional else 1, len(lengths), hidden_size))
    assert ours.refusal(x, hx) is None
    grads = output_grads(theirs, x, hx)
    assert_equal_runs(run_rows(ours, x, hx, grads), run_rows(theirs, x, hx, grads))


@pytest.mark.parametrize(("batch_size", "hidden_size"), [(8, 128), (33, 40), (3, 129)])
@per_kind
def test_errors_in_float32(kind: str, batch_size: int, hidden_size: int) -> None:
    theirs, ours = twins(kind, 24, hidden_size, bidirectional=True)
    exact_layer = copy.deepcopy(theirs).double()
    lengths = torch.randint(5, 21, (batch_size,)).tolist()
    x = pack(torch.randn(20, batch_size, 24), lengths)
    grads = output_grads(theirs, x)
    exact = run_rows(
        exact_layer, PackedSequence(x.data.double(), *x[1:]), None, [g.double() for g in grads]
    )
    mine, torchs = run_rows(ours, x, None, grads), run_rows(theirs, x, None, grads)
    for name, value in exact.items():
        assert_within_budget(mine[name], torchs[name], value, name=name)


@pytest.mark.parametrize(
    ("batch_size", "hidden_size", "bidirectional"),
    [(6, 200, False), (40, 96, True), (19, 65, True)],
)
@per_kind
def test_thread_count_changes_no_bit(
    kind: str, batch_size: int, hidden_size: int, bidirectional: bool
) -> None:
    _, ours = twins(kind, 20, hidden_size, bidirectional=bidirectional)
    x = pack(torch.randn(50, batch_size, 20), torch.randint(1, 51, (batch_size,)).tolist())
    hx = states(kind, (2 if bidirectional else 1, batch_size, hidden_size), torch.float32)
    grads = output_grads(ours, x, hx)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 4):
            torch.set_num_threads(threads)
            results.append(run_rows(ours, x, hx, grads))
            with torch.no_grad():
                results.append(run_rows(ours, x, hx))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        for name, value in other.items():
            assert_same_bits(value, results[0][name], name=name)


@per_kind
def test_layouts_of_data_and_gradients(kind: str) -> None:
    theirs, ours = twins(kind, 4, 7, dtype=torch.float64)
    x = pack(double(6, 3, 4), [2, 6, 5])
    expanded = PackedSequence(double(1, 4).expand(13, 4), *x[1:])
    sliced = PackedSequence(double(26, 12)[::2, 4:8], *x[1:])
    turned = PackedSequence(double(4, 13).t(), *x[1:])
    for packed in (expanded, sliced, turned):
        grads = output_grads(theirs, packed)
        grads[0] = double(1, 7).expand(13, 7)
        assert_equal_runs(
            run_rows(ours, packed, None, grads), run_rows(theirs, packed, None, grads)
        )


@per_smooth_kind
def test_gradients_by_differences(kind: str) -> None:
    _, ours = twins(kind, 2, 3, bidirectional=True, dtype=torch.float64)
    x = pack(double(4, 3, 2), [2, 4, 1])
    hx = states(kind, (2, 3, 3))
    initial = [hx] if isinstance(hx, Tensor) else list(hx)
    names = [name for name, _ in ours.named_parameters()]

    def function(data: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        given = others[0] if len(initial) == 1 else tuple(others[:2])
        weights = dict(zip(names, others[len(initial) :], strict=True))
        packed = PackedSequence(data, *x[1:])
        y, final = torch.func.functional_call(ours, weights, (packed, given))
        return (y.data, *([final] if isinstance(final, Tensor) else final))

    leaves = [x.data, *initial, *(p.detach() for p in ours.parameters())]
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves, atol=1e-4, fast_mode=True)


BROKEN = {
    "sizes that rise": lambda p: p._replace(batch_sizes=torch.tensor([1, 2, 3])),
    "sizes past the data": lambda p: p._replace(batch_sizes=torch.tensor([3, 3, 3])),
    "sizes of 0": lambda p: p._replace(batch_sizes=torch.tensor([3, 3, 0])),
    "negative sizes": lambda p: p._replace(batch_sizes=torch.tensor([3, 4, -1])),
    "huge sizes": lambda p: p._replace(batch_sizes=torch.tensor([2**62, 2**62])),
    "sizes of int32": lambda p: p._replace(batch_sizes=p.batch_sizes.int()),
    "no sizes": lambda p: p._replace(batch_sizes=torch.tensor([], dtype=torch.int64)),
    "indices out of range": lambda p: p._replace(sorted_indices=torch.tensor([0, 1, 7])),
    "negative indices": lambda p: p._replace(sorted_indices=torch.tensor([0, 1, -1])),
    "repeated indices": lambda p: p._replace(sorted_indices=torch.tensor([0, 0, 1])),
    "indices, one missing": lambda p: p._replace(unsorted_indices=torch.tensor([0, 1])),
    "data of one dimension": lambda p: p._replace(data=p.data[:, 0]),
    "other features": lambda p: p._replace(data=p.data[:, :2]),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@per_kind
def test_malformed_ones_never_reach_the_engine(kind: str, broken: Any) -> None:
    """torch says what is wrong, or computes something; both never read past the data."""
    _, ours = twins(kind, 3, 5)
    x = broken(pack(torch.randn(4, 3, 3), [2, 2, 2]))
    assert ours.refusal(x, states(kind, (1, 3, 5), torch.float32)) is not None


@per_kind
@pytest.mark.parametrize("shape", [(1, 2, 5), (2, 3, 5), (1, 3, 4), (3, 5)])
def test_states_that_do_not_fit(kind: str, shape: tuple[int, ...]) -> None:
    theirs, ours = twins(kind, 3, 5)
    x = pack(torch.randn(4, 3, 3), [4, 1, 2])
    hx = states(kind, shape, torch.float32)
    outcomes = []
    for layer in (theirs, ours):
        with pytest.raises((RuntimeError, IndexError)) as caught:
            layer(x, hx)
        outcomes.append((caught.type, str(caught.value)))
    assert outcomes[0] == outcomes[1]


def test_tensors_changed_in_place_between_calls() -> None:
    theirs, ours = twins("gru", 3, 5, dtype=torch.float64)
    x = pack(double(4, 3, 3), [2, 4, 1])
    again = PackedSequence(x.data, *(tensor.clone() for tensor in x[1:]))
    ours(again)
    other = pack(double(4, 3, 3), [1, 2, 4])  # as many rows
    for tensor, values in zip(again, other, strict=True):
        tensor.copy_(values)
    assert_equal_runs(run_rows(ours, again), run_rows(theirs, other))
    again.batch_sizes[0] = 2
    assert ours.refusal(again) is not None


@pytest.mark.parametrize("dtype", HALVES)
@per_kind
def test_halves(kind: str, dtype: torch.dtype) -> None:
    """Without bfloat16 products: the layer in float32 on the widened numbers, rounded once."""
    _, ours = twins(kind, 5, 9, bidirectional=True)
    ours = ours.to(dtype)
    wide = copy.deepcopy(ours).float()
    x = pack(torch.randn(6, 4, 5, dtype=dtype), [3, 6, 1, 4])
    assert ours.refusal(x) is None
    with fastrnn.use_isa(HALF_ISAS[-1]):
        grads = output_grads(ours, x)
        mine = run_rows(ours, x, None, grads)
        exact = run_rows(
            wide, PackedSequence(x.data.float(), *x[1:]), None, [g.float() for g in grads]
        )
    for name, value in exact.items():
        assert_same_bits(mine[name].float(), value.to(dtype).float(), name=name)
