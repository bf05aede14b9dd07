"""``resets=``: states zeroed before marked steps, in the middle of a sequence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_exact, assert_same_bits
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence
from torch_twins import LAYERS, assert_equal_runs, flat, states, twins
from varlen import Loop, output_grads, pack, run_rows

import fastrnn.functional

per_kind = pytest.mark.parametrize("kind", LAYERS)
per_smooth_kind = pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind != "rnn_relu"])


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(list(LAYERS)),
    sizes=st.tuples(*[st.integers(1, 9)] * 3, st.sampled_from([1, 7, 20])),
    num_layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    chance=st.sampled_from([0.1, 0.5, 1.0]),
    uneven=st.booleans(),
    given_state=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_pieces_between_resets(
    kind: str,
    sizes: tuple[int, int, int, int],
    num_layers: int,
    bidirectional: bool,
    chance: float,
    uneven: bool,
    given_state: bool,
    seed: int,
) -> None:
    seq_len, batch_size, input_size, hidden_size = sizes
    options: dict[str, Any] = {"num_layers": num_layers, "bidirectional": bidirectional}
    theirs, ours = twins(kind, input_size, hidden_size, seed=seed, dtype=torch.float64, **options)
    x = double(seq_len, batch_size, input_size)
    hx = None
    if given_state:
        rows = num_layers * (2 if bidirectional else 1)
        hx = states(kind, (rows, batch_size, hidden_size))
    keywords: dict[str, Any] = {"resets": torch.rand(seq_len, batch_size) < chance}
    if uneven:
        keywords["lengths"] = torch.randint(0, seq_len + 1, (batch_size,)).tolist()
        keywords["lengths"][0] = seq_len
    assert ours.refusal(x, hx, **keywords) is None
    grads = output_grads(ours, x, hx, **keywords)
    exact = run_rows(LoopOrZeros(theirs), x, hx, grads, **keywords)
    assert_equal_runs(run_rows(ours, x, hx, grads, **keywords), exact)
    with torch.no_grad():
        alone = run_rows(ours, x, hx, **keywords)
    for name, value in alone.items():
        assert_exact(value, exact[name].numpy(), name=name)


class LoopOrZeros(Loop):
    """Connected to every input, for resets may cut some off."""

    def forward(self, x: Tensor, hx: Any = None, **keywords: Any) -> Any:
        y, final = super().forward(x, hx, **keywords)
        leaves = [*([] if hx is None else flat(hx)), *self.layer.parameters()]
        return y + sum(leaf.sum() * 0 for leaf in leaves), final


@per_kind
def test_layouts(kind: str) -> None:
    """batch_first, unbatched, packed, a plain list, NumPy, any strides: the same resets."""
    _, ours = twins(kind, 3, 5, bidirectional=True, dtype=torch.float64)
    _, first = twins(kind, 3, 5, bidirectional=True, dtype=torch.float64, batch_first=True)
    x, resets = double(6, 4, 3), torch.rand(6, 4) < 0.4
    y, final = ours(x, resets=resets)
    for given_resets in (resets.tolist(), resets.numpy(), resets.t().contiguous().t()):
        for mine, expected in zip(
            flat(ours(x, resets=given_resets)), flat((y, final)), strict=True
        ):
            assert_same_bits(mine, expected)
    turned = first(x.transpose(0, 1), resets=resets.t())
    assert_same_bits(turned[0].transpose(0, 1), y)
    alone = ours(x[:, 1], resets=resets[:, 1])
    assert_exact(alone[0], y[:, 1].detach().numpy())
    lengths = [2, 6, 1, 4]
    padded, _ = ours(x, lengths=lengths, resets=resets)
    packed = pack(x, lengths)
    packed_resets = pack(resets[..., None], lengths)
    for flags in (packed_resets._replace(data=packed_resets.data[:, 0]), packed_resets.data[:, 0]):
        result, _ = ours(packed, resets=flags)
        assert isinstance(result, PackedSequence)
        assert_same_bits(result.data, pack(padded.detach(), lengths).data)


@per_kind
def test_nothing_passes_a_reset(kind: str) -> None:
    """Neither NaN nor gradients, nor the initial state at the first step."""
    _, ours = twins(kind, 3, 5, num_layers=2, dtype=torch.float64)
    resets = torch.zeros(6, 2, dtype=torch.bool)
    resets[3, 0] = resets[0, 1] = True
    x, hx = double(6, 2, 3), states(kind, (2, 2, 5))
    for state in flat(hx):
        state[:, 1] = math.nan
    x[2, 0] = math.nan
    y, final = ours(x, hx, resets=resets)
    assert y[3:].isfinite().all()
    assert y[:, 1].isfinite().all()
    assert all(state.isfinite().all() for state in flat(final))
    x, hx = double(6, 2, 3).requires_grad_(), states(kind, (2, 2, 5))
    leaves = [state.requires_grad_() for state in flat(hx)]
    grads = torch.autograd.grad(ours(x, hx, resets=resets)[0][3:].sum(), [x, *leaves])
    assert (grads[0][:3, 0] == 0).all()
    assert (grads[0][:3, 1] != 0).all()
    for grad in grads[1:]:
        assert (grad == 0).all()


@per_kind
def test_caller_may_change_resets(kind: str) -> None:
    _, ours = twins(kind, 3, 5, dtype=torch.float64)
    x, resets = double(6, 2, 3).requires_grad_(), torch.rand(6, 2) < 0.3
    (expected,) = torch.autograd.grad(ours(x, resets=resets)[0].sum(), x)
    y = ours(x, resets=resets)[0]
    resets.fill_(True)
    (got,) = torch.autograd.grad(y.sum(), x)
    assert_same_bits(got, expected)


@pytest.mark.parametrize(("sizes", "both"), [((40, 6, 20, 200), False), ((30, 40, 20, 96), True)])
@per_kind
def test_thread_count_changes_no_bit(
    kind: str, sizes: tuple[int, int, int, int], both: bool
) -> None:
    seq_len, batch_size, input_size, hidden_size = sizes
    _, ours = twins(kind, input_size, hidden_size, bidirectional=both)
    x, resets = torch.randn(seq_len, batch_size, input_size), torch.rand(seq_len, batch_size) < 0.1
    lengths = torch.randint(0, seq_len + 1, (batch_size,))
    before = torch.get_num_threads()
    for keywords in ({"resets": resets}, {"resets": resets, "lengths": lengths}):
        grads = output_grads(ours, x, **keywords)
        try:
            results = []
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                results.append(run_rows(ours, x, None, grads, **keywords))
        finally:
            torch.set_num_threads(before)
        for other in results[1:]:
            for name, value in other.items():
                assert_same_bits(value, results[0][name], name=name)


@per_smooth_kind
def test_gradients_by_differences(kind: str) -> None:
    _, ours = twins(kind, 2, 3, bidirectional=True, dtype=torch.float64)
    x = double(5, 2, 2).requires_grad_()
    initial = [state.requires_grad_() for state in flat(states(kind, (2, 2, 3)))]
    resets = torch.rand(5, 2) < 0.4

    def function(given: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        hx = state[0] if len(state) == 1 else state
        return tuple(flat(ours(given, hx, resets=resets)))

    assert torch.autograd.gradcheck(function, (x, *initial))
    assert torch.autograd.gradgradcheck(function, (x, *initial), atol=1e-4, fast_mode=True)


@per_kind
def test_under_vmap(kind: str) -> None:
    _, ours = twins(kind, 3, 5, dtype=torch.float64)
    x, resets = double(4, 6, 2, 3), torch.rand(6, 2) < 0.4
    got = torch.func.vmap(lambda one: ours(one, resets=resets)[0])(x)
    assert_exact(got, torch.stack([ours(one, resets=resets)[0] for one in x]).detach().numpy())


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "transposed": (np.zeros((3, 6), bool), ValueError, r"expected shape \(6, 3\).*got \(3, 6\)"),
    "one axis": (np.zeros(6, bool), ValueError, r"expected shape \(6, 3\)"),
    "floats": (torch.zeros(6, 3), TypeError, "expected bool, got float32"),
    "integers": (torch.zeros(6, 3, dtype=torch.int64), TypeError, "expected bool, got int64"),
    "nothing": ([], TypeError, "expected bool"),
}


@pytest.mark.parametrize(("resets", "error", "text"), WRONG.values(), ids=WRONG)
def test_wrong_resets(resets: Any, error: type[Exception], text: str) -> None:
    x = torch.randn(6, 3, 3)
    with pytest.raises(error, match=f"^resets: .*{text}"):
        fastrnn.nn.GRU(3, 5)(x, resets=resets)
    with pytest.raises(error, match=f"^resets: .*{text}"):
        fastrnn.functional.rnn_tanh(x, torch.randn(5, 3), torch.randn(5, 5), resets=resets)


@per_kind
def test_packed_of_another_size(kind: str) -> None:
    _, ours = twins(kind, 3, 5)
    with pytest.raises(ValueError, match=r"resets: expected shape \(7,\)"):
        ours(pack(torch.randn(4, 2, 3), [4, 3]), resets=torch.zeros(8, dtype=torch.bool))
