"""bfloat16 and float16 with sequences of different lengths, and resets."""

from __future__ import annotations

import pytest
import torch
from half_cases import HALF_ISAS, HALVES
from torch.nn.utils.rnn import pack_padded_sequence
from torch_twins import LAYERS, flat, states, twins

import fastrnn

KINDS = list(LAYERS)


@pytest.mark.parametrize("name", HALF_ISAS)
@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_each_sequence_is_computed_as_if_alone(kind: str, half: torch.dtype, name: str) -> None:
    """Same products in the same order: to the last bit, forward; sums over rows differ backward."""
    with fastrnn.use_isa(name):
        _, ours = twins(kind, 9, 21, bidirectional=True, dtype=half)
        lengths = [4, 9, 1, 6, 9]
        x = torch.randn(9, 5, 9).to(half).requires_grad_()
        hx = states(kind, (2, 5, 21), half)
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        assert ours.refusal(packed, hx) is None
        y, final = ours(packed, hx)
        padded, _ = torch.nn.utils.rnn.pad_packed_sequence(y)
        (grad,) = torch.autograd.grad(padded.float().square().sum(), x)
        for row, length in enumerate(lengths):
            one = x[:length, row : row + 1].detach().expand(-1, 5, -1).clone().requires_grad_()
            part = tuple(state[:, row : row + 1].expand(-1, 5, -1) for state in flat(hx))
            y_alone, final_alone = ours(one, part if len(part) > 1 else part[0])
            assert torch.equal(padded[:length, row], y_alone[:, 0])
            assert not padded[length:, row].any()
            for mine, alone in zip(flat(final), flat(final_alone), strict=True):
                assert torch.equal(mine[:, row], alone[:, 0])
            (alone,) = torch.autograd.grad(y_alone[:, :1].float().square().sum(), one)
            scale = float(alone.abs().max())
            eps = torch.finfo(half).eps
            torch.testing.assert_close(
                grad[:length, row], alone[:, 0], rtol=2 * eps, atol=2 * eps * scale
            )


@pytest.mark.parametrize("name", HALF_ISAS)
@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_resets_start_anew(kind: str, half: torch.dtype, name: str) -> None:
    with fastrnn.use_isa(name):
        _, ours = twins(kind, 6, 33, dtype=half)
        x, hx = torch.randn(8, 6, 6).to(half), states(kind, (1, 6, 33), half)
        resets = torch.zeros(8, 6, dtype=torch.bool)
        resets[3] = True
        resets[5, 2] = True
        y = ours(x, hx, resets=resets)[0]
        assert torch.equal(y[:3], ours(x[:3], hx)[0])
        tail = ours(x[3:])[0]
        others = [0, 1, 3, 4, 5]
        assert torch.equal(y[3:, others], tail[:, others])
        assert torch.equal(y[5:, 2], ours(x[5:])[0][:, 2])
