"""Products of Jacobians against torch.func.jacrev of a loop of torch's operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from oracles import assert_exact, assert_within_budget
from step_loops import LAYERS, options_of, single
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import fastrnn.nn
from fastrnn import diagnostics
from fastrnn.nn._base import RecurrentLayer

EXACT = torch.float64
per_layer = pytest.mark.parametrize("name", LAYERS)
STATES = {"hidden": slice(0, 1), "cell_state": slice(1, 2), "both": slice(0, 2)}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def make(name: str, *sizes: int, **options: Any) -> RecurrentLayer:
    kind, more = LAYERS[name]
    return kind(*sizes, **{"dtype": EXACT, **more, **options})


def jacobian(
    layer: RecurrentLayer,
    x: Tensor,
    initial: Any,
    state: str,
    t: int,
    index: int = 0,
    direction: int = 0,
) -> Tensor:
    """[S, S] of one sequence [T, I] by jacrev, through the composed path of the layer."""
    dtype = x.dtype
    one = single(layer, index, direction, dtype)
    ours = type(layer)(  # torch's own layers can't be under torch.func
        x.shape[1], layer.hidden_size, dtype=dtype, **options_of(layer)
    )
    ours.load_state_dict(one.state_dict())
    some, hidden_size = STATES[state], layer.hidden_size
    steps = x.flip(0) if direction else x
    if direction:
        t = len(x) - 1 - t
    before = None if initial is None else initial
    with torch.no_grad():
        _, at = ours(steps[: t + 1, None], before)
    states = [at] if isinstance(at, Tensor) else list(at)

    def final(chosen: Tensor) -> Tensor:
        given = list(states)
        given[some] = [s.view(1, 1, -1) for s in chosen.split(hidden_size)]
        if t + 1 < len(x):
            _, last = ours(steps[t + 1 :, None], given[0] if len(given) == 1 else tuple(given))
            given = [last] if isinstance(last, Tensor) else list(last)
        return torch.cat([s.flatten() for s in given[some]])

    found: Tensor = torch.func.jacrev(final)(torch.cat([s.flatten() for s in states[some]]))
    return found.detach()


def lower_outputs(layer: RecurrentLayer, x: Tensor, index: int) -> Tensor:
    """Input [T, B, .] of a layer of the stack, from zeros."""
    for below in range(index):
        directions = []
        for d in range(2 if layer.bidirectional else 1):
            y, _ = single(layer, below, d, x.dtype)(x.flip(0) if d else x)
            directions.append(y.flip(0) if d else y)
        x = torch.cat(directions, -1).detach()
    return x


def check(layer: RecurrentLayer, x: Tensor, found: Any, state: str) -> None:
    """Every matrix and norm of zero initial states; x is [T, B, I]."""
    seq_len, batch_size, _ = x.shape
    for index, result in enumerate(found):
        assert (result.layer, result.state) == (index, state)
        inputs = lower_outputs(layer, x, index)
        for d in range(2 if layer.bidirectional else 1):
            for t in range(seq_len):
                for b in range(batch_size):
                    exact = jacobian(layer, inputs[:, b], None, state, t, index, d).numpy()
                    where = f"layer {index}, direction {d}, step {t}, sequence {b}"
                    assert_exact(result.matrices[d, t, b], exact, name=where)
                    norms = np.array([result.frobenius[d, t, b], result.spectral[d, t, b]])
                    expected = [np.linalg.norm(exact), np.linalg.norm(exact, 2)]
                    assert_exact(norms, np.array(expected), name=where, rtol=1e-11)


@per_layer
def test_every_layer(name: str) -> None:
    layer = make(name, 3, 5)
    x = torch.randn(6, 2, 3, dtype=EXACT)
    for state in STATES:
        if layer._num_states == 1 and state != "hidden":
            continue
        found = diagnostics.state_jacobians(layer, x, state=state, matrices=True)
        check(layer, x, found, state)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("options", [{"num_layers": 2}, {"num_layers": 2, "bidirectional": True}])
def test_stacks_and_directions(name: str, options: dict[str, Any]) -> None:
    layer = make(name, 3, 4, **options)
    x = torch.randn(5, 2, 3, dtype=EXACT)
    check(layer, x, diagnostics.state_jacobians(layer, x, matrices=True), "hidden")


def test_parts_give_the_same() -> None:
    """Sequences, and then unit vectors, one after the other where memory is short."""
    layer = make("LSTM", 3, 7, num_layers=2)
    x = torch.randn(4, 5, 3, dtype=EXACT)
    options: dict[str, Any] = {"state": "both", "matrices": True, "lengths": [4, 2, 3, 0, 1]}
    whole = diagnostics.state_jacobians(layer, x, **options)
    row = 4 * 8 * 12 * 7 * 2
    for max_bytes in (1, row, 5 * row, 14 * row, 31 * row):
        parts = diagnostics.state_jacobians(layer, x, max_bytes=max_bytes, **options)
        for ours, expected in zip(parts, whole, strict=True):
            assert_exact(ours.matrices, expected.matrices)
            np.testing.assert_allclose(ours.spectral, expected.spectral, rtol=1e-11)
            np.testing.assert_allclose(ours.frobenius, expected.frobenius, rtol=1e-11)


def test_initial_states_and_layouts() -> None:
    layer = make("LSTM", 3, 4)
    x, states = torch.randn(5, 2, 3, dtype=EXACT), torch.randn(2, 1, 2, 4, dtype=EXACT)
    h0, c0 = states
    (found,) = diagnostics.state_jacobians(layer, x, (h0, c0), matrices=True)
    for b in range(2):
        initial = (h0[:, b : b + 1], c0[:, b : b + 1])
        exact = jacobian(layer, x[:, b], initial, "hidden", 0)
        assert_exact(found.matrices[0, 0, b], exact)
    (alone,) = diagnostics.state_jacobians(layer, x[:, 1], (h0[:, 1], c0[:, 1]), matrices=True)
    assert_exact(alone.matrices[:, :, 0], found.matrices[:, :, 1])
    first = make("LSTM", 3, 4, batch_first=True)
    first.load_state_dict(layer.state_dict())
    (flipped,) = diagnostics.state_jacobians(first, x.transpose(0, 1), (h0, c0), matrices=True)
    assert_exact(flipped.matrices, found.matrices)


@pytest.mark.parametrize("batch_first", [False, True])
def test_lengths(batch_first: bool) -> None:
    layer = make("GRU", 3, 4, bidirectional=True, batch_first=batch_first)
    x, lengths = torch.randn(6, 3, 3, dtype=EXACT), [4, 6, 1]
    given = x.transpose(0, 1) if batch_first else x
    (found,) = diagnostics.state_jacobians(layer, given, lengths=lengths, matrices=True)
    packed = pack_padded_sequence(given, lengths, batch_first, enforce_sorted=False)
    (same,) = diagnostics.state_jacobians(layer, packed, matrices=True)
    for b, length in enumerate(lengths):
        for d in range(2):
            for t in range(length):
                exact = jacobian(layer, x[:length, b], None, "hidden", t, 0, d)
                assert_exact(found.matrices[d, t, b], exact, name=f"{d} {t} {b}")
        assert np.isnan(found.spectral[:, length:, b]).all()
        assert np.isnan(found.frobenius[:, length:, b]).all()
        assert not found.matrices[:, length:, b].any()
    assert_exact(same.matrices, found.matrices)


def test_nothing_comes_through_a_reset() -> None:
    layer = make("RNN", 3, 4)
    resets = torch.zeros(6, 2, dtype=torch.bool)
    resets[3, 0] = True
    x = torch.randn(6, 2, 3, dtype=EXACT)
    (found,) = diagnostics.state_jacobians(layer, x, resets=resets)
    assert not found.spectral[0, :3, 0].any()
    assert found.spectral[0, 3:, 0].all()
    assert found.spectral[0, :, 1].all()


def test_float32() -> None:
    layer, x = make("LSTM", 5, 17, dtype=torch.float32), torch.randn(12, 3, 5)
    (found,) = diagnostics.state_jacobians(layer, x, state="both", matrices=True)
    assert found.matrices.dtype == np.float32
    for t in (0, 5, 10):
        theirs = jacobian(layer, x[:, 1], None, "both", t)
        exact = jacobian(layer.double(), x[:, 1].double(), None, "both", t)
        layer.float()
        assert_within_budget(found.matrices[0, t, 1], theirs, exact, name=f"step {t}")


def test_gradients_are_the_loss_s_times_the_product() -> None:
    layer, x = make("LSTM", 3, 5), torch.randn(9, 2, 3, dtype=EXACT)
    (found,) = diagnostics.state_jacobians(layer, x, state="both", matrices=True)
    grads = torch.randn(2, 1, 2, 5, dtype=EXACT)
    with diagnostics.record(layer, whole=True) as records:
        torch.autograd.backward(layer(x)[1], list(grads))
    given = np.concatenate(list(grads[:, 0].numpy()), -1)  # [B, 2H]
    expected = np.einsum("dtbij,bi->dtbj", found.matrices, given)
    ours = np.concatenate([records[0].grad_hidden, records[0].grad_cell_state], -1)
    assert_exact(ours, expected)


def test_the_layer_stays_as_it_is() -> None:
    """Mode, parameters and their gradients; dropout has no say, nor have the modes around."""
    layer = make("GRU", 3, 4, num_layers=2, dropout=0.5)
    x = torch.randn(5, 2, 3, dtype=EXACT)
    found = diagnostics.state_jacobians(layer, x)
    assert layer.training
    assert all(p.grad is None and p.requires_grad for p in layer.parameters())
    layer.eval()
    with torch.inference_mode():
        again = diagnostics.state_jacobians(layer, torch.empty_like(x).copy_(x))
    assert not layer.training
    for ours, expected in zip(again, found, strict=True):
        np.testing.assert_array_equal(ours.spectral, expected.spectral)


def test_overflow_is_infinite() -> None:
    layer = make("RNN relu", 1, 3, dtype=torch.float32, bias=False)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1)
        layer.weight_hh_l0.copy_(100 * torch.eye(3))
    (found,) = diagnostics.state_jacobians(layer, torch.full((40, 1, 1), 1e-30))
    for norms in (found.spectral, found.frobenius):
        assert np.isinf(norms[0, :20]).all()
        assert np.isfinite(norms[0, 25:]).all()
    assert found.matrices is None
    (cheap,) = diagnostics.state_jacobians(layer, torch.zeros(4, 1, 1), spectral=False)
    assert cheap.spectral is None


def test_vanishing_and_exploding() -> None:
    """Norms go with powers of the singular values, as the lectures have it."""
    layer = make("RNN", 2, 6, bias=False)
    for gain in (0.5, 1.0, 1.7):
        nn.init.orthogonal_(layer.weight_hh_l0, gain)
        (found,) = diagnostics.state_jacobians(layer, torch.zeros(20, 1, 2, dtype=EXACT))
        expected = gain ** np.arange(19, -1, -1.0)
        np.testing.assert_allclose(found.spectral[0, :, 0], expected, rtol=1e-9)
        np.testing.assert_allclose(found.frobenius[0, :, 0], expected * 6**0.5, rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: (nn.LSTM(3, 4), x), TypeError, r"layer: expected a layer of fastrnn\.nn"),
        (lambda x: (fastrnn.nn.GRU(3, 4), x, None, "cell_state"), ValueError, "no cell state"),
        (lambda x: (fastrnn.nn.GRU(3, 4), x, None, "both"), ValueError, "no cell state"),
        (lambda x: (fastrnn.nn.LSTM(3, 4), x, None, "c"), ValueError, "expected one of hidden"),
        (lambda x: (fastrnn.nn.GRU(2, 4), x), RuntimeError, "Expected 2, got 3"),
        (lambda x: (fastrnn.nn.GRU(3, 4), x[0, 0]), ValueError, "2D or 3D"),
        (lambda x: (fastrnn.nn.GRU(3, 4), x.to(torch.complex64)), Exception, "."),
        (lambda x: (fastrnn.nn.LSTM(3, 4, proj_size=2), x), RuntimeError, "proj_size > 0"),
        (lambda x: (fastrnn.nn.GRU(3, 4), x[:, :0]), RuntimeError, "input is empty"),
    ],
)
@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    layer, x, *more = call(torch.randn(5, 2, 3))
    hx, state = more if more else (None, "hidden")
    with pytest.raises(error, match=text):
        diagnostics.state_jacobians(layer, x, hx, state=state)


def test_packed_sequences_go_without_lengths() -> None:
    packed = pack_padded_sequence(torch.randn(5, 2, 3), [5, 4])
    with pytest.raises(ValueError, match="without lengths"):
        diagnostics.state_jacobians(fastrnn.nn.GRU(3, 4), packed, lengths=[5, 4])
