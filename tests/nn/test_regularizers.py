"""Zoneout, dropout on h and weight drop: against the same layers in torch's operations."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from oracles import assert_exact, assert_within_budget
from own_layers import OWN
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.utils.rnn import pack_padded_sequence
from torch_twins import flat

import fastrnn.nn
from fastrnn import _composed, reference
from fastrnn._autograd import apply_layer
from fastrnn._dispatch import run_stack
from fastrnn._layouts import BATCH_FIRST, PACKED, TIME_FIRST
from fastrnn._native import core
from fastrnn._plan import CELL_INFO, CELL_NUMBERS, Uneven, layer_plan
from fastrnn._regularizers import Rates, Regularizers
from fastrnn._rows import rows_of_padded

LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn_tanh": ("RNN", {}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
    **OWN,
}
RATES: list[dict[str, Any]] = [
    {"zoneout": 0.3},
    {"recurrent_dropout": 0.4},
    {"weight_drop": 0.5},
    {"zoneout": 0.2, "recurrent_dropout": 0.3, "weight_drop": 0.1},
]
per_kind = pytest.mark.parametrize("kind", LAYERS)
per_rates = pytest.mark.parametrize("rates", RATES, ids=str)


def make(kind: str, *sizes: int, **options: Any) -> Any:
    name, extra = LAYERS[kind]
    torch.manual_seed(0)
    return getattr(fastrnn.nn, name)(*sizes, **extra, **options)


def states(kind: str, *shape: int, dtype: torch.dtype = torch.float64) -> Any:
    values = [torch.randn(*shape, dtype=dtype) for _ in range(reference.CELLS[kind].num_states)]
    return values[0] if len(values) == 1 else tuple(values)


def results(layer: Any, x: Tensor, hx: Any, composed: bool = False) -> list[Tensor]:
    """Outputs and gradients of everything, from one seed."""
    leaves = [x.clone().requires_grad_(), *(s.clone().requires_grad_() for s in flat(hx))]
    given = leaves[1] if len(leaves) == 2 else tuple(leaves[1:])
    torch.manual_seed(7)
    outputs = flat((layer._forward_composed if composed else layer)(leaves[0], given))
    weights = list(layer.parameters())
    torch.manual_seed(8)
    grads = [torch.randn_like(output) for output in outputs]
    return [*outputs, *torch.autograd.grad(outputs, [*leaves, *weights], grads)]


@pytest.mark.parametrize("training", [True, False])
@per_rates
@per_kind
def test_float64(kind: str, rates: dict[str, Any], training: bool) -> None:
    layer = make(kind, 5, 7, num_layers=2, bidirectional=True, dtype=torch.float64, **rates)
    layer.train(training)
    x, hx = torch.randn(6, 4, 5, dtype=torch.float64), states(kind, 4, 4, 7)
    assert layer.refusal(x, hx) is None
    expected = results(layer, x, hx, composed=True)
    for ours, exact in zip(results(layer, x, hx), expected, strict=True):
        assert_exact(ours, exact, rtol=1e-9 if "norm" in kind else 1e-11)


@per_kind
def test_float32(kind: str) -> None:
    """No less exact than torch's operations, with as many units as need all tiles."""
    layer = make(kind, 17, 65, zoneout=0.2, recurrent_dropout=0.3)
    x, hx = torch.randn(20, 9, 17), states(kind, 1, 9, 65, dtype=torch.float32)
    ours, theirs = results(layer, x, hx), results(layer, x, hx, composed=True)
    wide = copy.deepcopy(layer).double()
    # The same masks: drawn by the float32 layer, used in float64.
    torch.manual_seed(7)
    noise = layer._rates.draw((1, 9, 65), (20, 9, 65), x, True)
    doubled = Regularizers(
        noise.hidden_scale.double(), tuple(m.double() for m in noise.masks), noise.rates
    )
    wide._rates = fixed(doubled)
    wide_hx = hx.double() if isinstance(hx, Tensor) else tuple(s.double() for s in hx)
    torch.manual_seed(8)
    exact = results(wide, x.double(), wide_hx, composed=True)
    factor = 6.0 if "norm" in kind else 3.0
    # The gradients that flow in are drawn in either type, so compare outputs alone.
    for index in range(1 + layer._num_states):
        assert_within_budget(ours[index], theirs[index], exact[index], factor=factor)


def fixed(drawn: Regularizers) -> Any:
    """Rates that draw what is given."""

    class Fixed(Rates):
        def draw(self, *_: Any, **__: Any) -> Regularizers:
            return drawn

    return Fixed(drawn.rates, 0.0)


@pytest.mark.parametrize("layout", [TIME_FIRST, BATCH_FIRST, PACKED])
@per_kind
def test_lengths_and_resets(kind: str, layout: int) -> None:
    """One layer with given masks, from and to every layout."""
    info, number = CELL_INFO[CELL_NUMBERS[kind]], CELL_NUMBERS[kind]
    torch.manual_seed(1)
    seq_len, batch_size, hidden = 7, 5, 9
    rows = rows_of_padded([3, 7, 0, 5, 7], torch.rand(seq_len, batch_size) < 0.2, (7, 5), False)
    assert rows is not None
    shape = {
        TIME_FIRST: (seq_len, batch_size),
        BATCH_FIRST: (batch_size, seq_len),
        PACKED: (rows.total,),
    }[layout]
    x = torch.randn(*shape, 4, dtype=torch.float64, requires_grad=True)
    uneven = Uneven(rows.steps, rows.padded_steps, rows.batch_size, rows.total)
    sizes = (hidden, 2, False, uneven, True)
    plan = layer_plan(core.isa_id(), number, torch.float64, x.shape, layout, layout, *sizes)
    weights = [torch.randn(*s, dtype=torch.float64) / 2 for s in plan.weight_shapes]
    weights = [w.requires_grad_() for w in weights]
    initial = [
        torch.randn(plan.state_shape, dtype=torch.float64).requires_grad_()
        for _ in range(info["num_states"])
    ]
    masks = [
        torch.empty_strided(plan.y_shape, plan.y_strides, dtype=torch.float64).bernoulli_(0.4)
        for _ in initial
    ]
    scale = torch.rand(2, batch_size, hidden, dtype=torch.float64)
    noise = Regularizers(scale, tuple(masks), (0.0,) * len(masks))
    h0, c0 = (*initial, None)[:2]
    ours = apply_layer(plan, rows, noise, x, h0, c0, *weights)
    exact = _composed.planned_layer(
        kind, layout, layout, x, initial, weights, plan.params_per_direction, rows, noise
    )
    leaves = [x, *initial, *weights]
    grads = [torch.randn_like(output) for output in ours]
    found = torch.autograd.grad(ours, leaves, grads)
    expected = torch.autograd.grad(exact, leaves, grads)
    rtol = 1e-9 if "norm" in kind else 1e-11
    for a, b in zip((*ours, *found), (*exact, *expected), strict=True):
        assert_exact(a, b, rtol=rtol)


@pytest.mark.parametrize("hidden_size", [1, 7, 129])
@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm", "gru", "gru_reset_before", "layer_norm_gru"])
def test_gradcheck(kind: str, hidden_size: int) -> None:
    layer = make(kind, 3, hidden_size, zoneout=0.3, recurrent_dropout=0.3, dtype=torch.float64)
    x = torch.randn(3, 2, 3, dtype=torch.float64, requires_grad=True)
    hx = [s.requires_grad_() for s in flat(states(kind, 1, 2, hidden_size))]

    def call(*values: Tensor) -> tuple[Tensor, ...]:
        torch.manual_seed(3)
        return tuple(flat(layer(values[0], values[1] if len(hx) == 1 else values[1:])))

    assert gradcheck(call, (x, *hx), fast_mode=hidden_size > 7)


def test_second_derivatives() -> None:
    layer = make("lstm", 2, 3, zoneout=(0.3, 0.2), recurrent_dropout=0.3, dtype=torch.float64)
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)

    def call(values: Tensor) -> Tensor:
        torch.manual_seed(3)
        return layer(values)[0]  # type: ignore[no-any-return]

    assert gradgradcheck(call, (x,))


@per_kind
def test_limits_of_rates(kind: str) -> None:
    """No rate: the plain layer, to the bit. All kept: no state moves. No h: no recurrence."""
    x, hx = torch.randn(5, 3, 4), states(kind, 1, 3, 6, dtype=torch.float32)
    plain = make(kind, 4, 6)
    none = make(kind, 4, 6, zoneout=0.0, recurrent_dropout=0.0, weight_drop=0.0)
    for a, b in zip(flat(plain(x, hx)), flat(none(x, hx)), strict=True):
        assert torch.equal(a, b)
    y, *finals = flat(make(kind, 4, 6, zoneout=1.0)(x, hx))
    for final, state in zip(finals, flat(hx), strict=True):
        assert torch.equal(final, state)
    assert torch.equal(y, flat(hx)[0].expand_as(y))
    if kind == "peephole_lstm_full":
        return  # c still enters a product
    deaf = copy.deepcopy(plain)
    with torch.no_grad():
        deaf.weight_hh_l0.zero_()
    # The second product of a multiplicative LSTM is with m, whose bias needs no h.
    dropout = [] if kind == "multiplicative_lstm" else [{"recurrent_dropout": 1.0}]
    for rates in (*dropout, {"weight_drop": 1.0}):
        got = make(kind, 4, 6, **rates)(x, hx)
        for a, b in zip(flat(got), flat(deaf(x, hx)), strict=True):
            torch.testing.assert_close(a, b)


def test_definitions_step_by_step() -> None:
    """The LSTM once in plain words: masks of rates, in the order that they are drawn in."""
    layer = make("lstm", 3, 4, zoneout=(0.4, 0.3), recurrent_dropout=0.25, dtype=torch.float64)
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    torch.manual_seed(5)
    y, (h_n, c_n) = layer(x)
    torch.manual_seed(5)
    scale = torch.empty(1, 2, 4, dtype=torch.float64).bernoulli_(0.75) / 0.75
    keep_h = torch.empty(6, 2, 4, dtype=torch.float64).bernoulli_(0.4)
    keep_c = torch.empty(6, 2, 4, dtype=torch.float64).bernoulli_(0.3)
    h = c = torch.zeros(2, 4, dtype=torch.float64)
    for t in range(6):
        gates = x[t] @ layer.weight_ih_l0.T + layer.bias_ih_l0 + layer.bias_hh_l0
        i, f, g, o = (gates + (h * scale[0]) @ layer.weight_hh_l0.T).chunk(4, 1)
        new_c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        new_h = o.sigmoid() * new_c.tanh()
        h = torch.where(keep_h[t] == 1, h, new_h)
        c = torch.where(keep_c[t] == 1, c, new_c)
        assert_exact(y[t], h)
    assert_exact(h_n[0], h)
    assert_exact(c_n[0], c)


def test_weight_drop_is_torchs_dropout_of_weight_hh() -> None:
    layer, x = make("gru", 3, 5, weight_drop=0.5), torch.randn(4, 2, 3)
    torch.manual_seed(2)
    got = layer(x)[0]
    plain = make("gru", 3, 5)
    torch.manual_seed(2)
    with torch.no_grad():
        plain.weight_hh_l0.copy_(nn.functional.dropout(plain.weight_hh_l0, 0.5))
    assert torch.equal(got, plain(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], make("gru", 3, 5)(x)[0])


@per_rates
def test_reproducible(rates: dict[str, Any]) -> None:
    layer, x = make("lstm", 3, 5, **rates), torch.randn(8, 2, 3)
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(layer(x)[0])
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])


def test_any_number_of_threads() -> None:
    before = torch.get_num_threads()
    layer, x = make("gru", 30, 96, zoneout=0.2, recurrent_dropout=0.2), torch.randn(9, 40, 30)
    hx = states("gru", 1, 40, 96, dtype=torch.float32)
    try:
        runs = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            runs.append(results(layer, x, hx))
    finally:
        torch.set_num_threads(before)
    for other in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], other, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves(dtype: torch.dtype) -> None:
    """The masks are those of float32; results are the float32 layer's, rounded here and there."""
    layer = make("lstm", 5, 33, zoneout=0.3, recurrent_dropout=0.3)
    half = copy.deepcopy(layer).to(dtype)
    layer = copy.deepcopy(half).float()
    x, hx = torch.randn(4, 3, 5).to(dtype), states("lstm", 1, 3, 33, dtype=dtype)
    ours = results(half, x, hx)
    theirs = results(half, x, hx, composed=True)
    exact = results(layer, x.float(), tuple(s.float() for s in hx))
    for index in range(3):
        error = (ours[index].float() - exact[index]).abs().max()
        budget = (theirs[index].float() - exact[index]).abs().max()
        assert error <= 2 * budget + torch.finfo(dtype).eps


def test_packed_sequences() -> None:
    layer = make("lstm", 3, 5, bidirectional=True, zoneout=0.3, recurrent_dropout=0.2)
    packed = pack_padded_sequence(torch.randn(6, 3, 3), [6, 4, 1])
    torch.manual_seed(1)
    y, (h_n, _) = layer(packed)
    torch.manual_seed(1)
    again, (h_again, _) = layer(packed)
    assert torch.equal(y.data, again.data)
    assert torch.equal(h_n, h_again)
    layer.eval()  # expectations: the same in every layout
    padded = layer(torch.randn(6, 3, 3), lengths=[6, 4, 1])[0]
    assert not padded[4:, 1].any()


@pytest.mark.parametrize("kind", ["lstm", "gru", "layer_norm_lstm"])
@per_rates
def test_compile(kind: str, rates: dict[str, Any]) -> None:
    layer, x = make(kind, 3, 5, num_layers=2, **rates), torch.randn(4, 2, 3)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    layer.eval()
    for a, b in zip(flat(compiled(x)), flat(layer(x)), strict=True):
        torch.testing.assert_close(a, b)
    layer.train()
    torch.manual_seed(0)
    y, again = compiled(x)[0], compiled(x)[0]
    assert not torch.equal(y, again)
    y.sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


def test_modules_keep_them() -> None:
    layer = make("gru", 3, 5, zoneout=0.1, recurrent_dropout=0.2, weight_drop=0.3)
    assert repr(layer) == "GRU(3, 5, zoneout=0.1, recurrent_dropout=0.2, weight_drop=0.3)"
    assert list(layer.state_dict()) == list(nn.GRU(3, 5).state_dict())
    x = torch.randn(4, 2, 3)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.manual_seed(1)
        expected = layer(x)[0]
        torch.manual_seed(1)
        assert torch.equal(other(x)[0], expected)
    assert repr(fastrnn.nn.LSTM(3, 5)) == "LSTM(3, 5)"


@pytest.mark.parametrize("name", ["zoneout", "recurrent_dropout", "weight_drop"])
@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan"), True, "0.1"])
def test_no_rates(name: str, rate: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} should be a number in range \[0, 1\]"):
        fastrnn.nn.LSTM(3, 5, **{name: rate})


def test_zoneout_of_other_states() -> None:
    with pytest.raises(ValueError, match="one for each of 1 states"):
        fastrnn.nn.GRU(3, 5, zoneout=(0.1, 0.1))
    layer = fastrnn.nn.LSTM(3, 5, zoneout=(0.0, 1.0))
    assert not layer(torch.randn(4, 2, 3))[1][1].any()  # c stays zero


def test_run_stack_draws_for_every_layer() -> None:
    layer = make("gru", 3, 5, num_layers=3, zoneout=0.5)
    drawn: list[Any] = []
    plan, x, initial, weights, dropout, rows, draw = layer._engine_call(torch.randn(4, 2, 3), None)

    def counted(*arguments: Any) -> Any:
        drawn.append(draw(*arguments))
        return drawn[-1]

    with torch.no_grad():
        run_stack(plan, x, initial, weights, dropout, rows, counted)
    assert len(drawn) == 3
    assert not torch.equal(drawn[0].masks[0], drawn[1].masks[0])
