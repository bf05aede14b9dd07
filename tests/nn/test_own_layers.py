"""Layers of the cells that torch does not have: numbers, sequences, modules, errors."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from oracles import assert_exact
from own_layers import FURTHER, OWN, assert_runs_agree, composed, exact_run, make, states
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch_twins import assert_equal_runs, flat, output_grads, run

import fastrnn
import fastrnn.nn
from fastrnn import reference

per_kind = pytest.mark.parametrize("kind", OWN)
TWO_STATES = tuple(kind for kind in OWN if reference.CELLS[kind].num_states == 2)
STACK: dict[str, Any] = {"num_layers": 2, "bidirectional": True}


# -- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (7, 3, 5, 7), (4, 7, 129, 1), (3, 2, 7, 129)])
@pytest.mark.parametrize("options", [{}, STACK, {"bias": False}], ids=str)
@per_kind
def test_float64(kind: str, options: dict[str, Any], sizes: tuple[int, int, int, int]) -> None:
    seq_len, batch_size, input_size, hidden_size = sizes
    layer = make(kind, input_size, hidden_size, dtype=torch.float64, **options)
    x = torch.randn(seq_len, batch_size, input_size, dtype=torch.float64)
    rows = 4 if options is STACK else 1
    for hx in (None, states(kind, rows, batch_size, hidden_size)):
        assert_runs_agree(layer, x, hx, output_grads(layer, x, hx))


@pytest.mark.parametrize("sizes", [(9, 5, 7, 33), (20, 32, 48, 64), (5, 7, 7, 129)])
@per_kind
def test_float32(kind: str, sizes: tuple[int, int, int, int]) -> None:
    _, batch_size, input_size, hidden_size = sizes
    layer = make(kind, input_size, hidden_size, **STACK)
    x, hx = torch.randn(*sizes[:3]), states(kind, 4, batch_size, hidden_size, dtype=torch.float32)
    assert_runs_agree(layer, x, hx, output_grads(layer, x, hx))


@per_kind
def test_float32_long_sequence(kind: str) -> None:
    layer, x = make(kind, 3, 16), torch.randn(1000, 2, 3)
    hx = states(kind, 1, 2, 16, dtype=torch.float32)
    assert_runs_agree(layer, x, hx, output_grads(layer, x, hx))


@per_kind
def test_any_strides(kind: str) -> None:
    layer = make(kind, 5, 7, dtype=torch.float64)
    x = torch.randn(6, 4, 10, dtype=torch.float64)[:, :, ::2]
    hx: Any = [s.expand(1, 4, 7) for s in flat(states(kind, 1, 1, 7))]
    hx = tuple(hx) if kind in TWO_STATES else hx[0]
    grads = output_grads(layer, x, hx)
    grads[0] = torch.randn(1, 1, 7, dtype=torch.float64).expand(6, 4, 7)
    assert_runs_agree(layer, x, hx, grads)
    expanded = torch.randn(1, 4, 5, dtype=torch.float64).expand(6, 4, 5)
    assert_runs_agree(layer, expanded, hx, grads)


@per_kind
def test_batch_first_and_no_batch(kind: str) -> None:
    layer = make(kind, 5, 7, dtype=torch.float64, **STACK)
    first = copy.deepcopy(layer)
    first.batch_first = True
    x, hx = torch.randn(6, 3, 5, dtype=torch.float64), states(kind, 4, 3, 7)
    y, *finals = flat(layer(x, hx))
    y_first, *finals_first = flat(first(x.transpose(0, 1), hx))
    assert torch.equal(y_first.transpose(0, 1), y)
    one = [state[:, 1] for state in flat(hx)]
    y_one, *finals_one = flat(layer(x[:, 1], tuple(one) if kind in TWO_STATES else one[0]))
    assert_exact(y_one, y[:, 1])
    for mine, both, alone in zip(finals_first, finals, finals_one, strict=True):
        assert torch.equal(mine, both)
        assert_exact(alone, both[:, 1])


# -- sequences of different lengths, resets, dropout ----------------------------------------------


@per_kind
def test_lengths_and_packed_sequences(kind: str) -> None:
    """Each sequence as if alone; the two ways to say lengths agree, with gradients."""
    layer = make(kind, 5, 7, dtype=torch.float64, **STACK)
    lengths = [3, 6, 1, 4]
    x, hx = torch.randn(6, 4, 5, dtype=torch.float64), states(kind, 4, 4, 7)
    x.requires_grad_()
    assert layer.refusal(x, hx, lengths=lengths) is None
    y, *finals = flat(layer(x, hx, lengths=lengths))
    packed = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
    assert layer.refusal(packed, hx) is None
    packed_y, packed_states = layer(packed, hx)
    for mine, other in zip(
        [y, *finals], [pad_packed_sequence(packed_y)[0], *flat(packed_states)], strict=True
    ):
        assert torch.equal(mine, other)
    grad = torch.randn_like(y)
    leaves = [x, *layer.parameters()]
    by_lengths = torch.autograd.grad([y, *finals], leaves, [grad, *finals])
    outputs = [pad_packed_sequence(packed_y)[0], *flat(packed_states)]
    by_packing = torch.autograd.grad(outputs, leaves, [grad, *finals])
    alone: list[Any] = [torch.zeros_like(leaf) for leaf in leaves]
    for row, length in enumerate(lengths):
        given = [state[:, row : row + 1] for state in flat(hx)]
        part = x[:length, row : row + 1]
        one_y, *one = flat(layer(part, tuple(given) if kind in TWO_STATES else given[0]))
        assert_exact(y[:length, row : row + 1], one_y)
        assert not y[length:, row].any()
        for whole, final in zip(finals, one, strict=True):
            assert_exact(whole[:, row : row + 1], final)
        one_grads = [grad[:length, row : row + 1], *(f[:, row : row + 1] for f in finals)]
        found = torch.autograd.grad([one_y, *one], leaves, one_grads)
        alone = [total + part for total, part in zip(alone, found, strict=True)]
    for first, second, expected in zip(by_lengths, by_packing, alone, strict=True):
        assert_exact(first, expected)
        assert_exact(second, expected)


@per_kind
def test_resets_cut_the_sequence(kind: str) -> None:
    layer = make(kind, 5, 7, dtype=torch.float64)
    x, hx = torch.randn(6, 2, 5, dtype=torch.float64), states(kind, 1, 2, 7)
    resets = torch.zeros(6, 2, dtype=torch.bool)
    resets[4] = True
    assert layer.refusal(x, hx, resets=resets) is None
    leaves = list(layer.parameters())
    outputs = flat(layer(x, hx, resets=resets))
    first, rest = flat(layer(x[:4], hx)), flat(layer(x[4:]))
    parts = [torch.cat((first[0], rest[0])), *rest[1:]]
    for mine, expected in zip(outputs, parts, strict=True):
        assert_exact(mine, expected)
    grads = [torch.randn_like(output) for output in outputs]
    for mine, expected in zip(
        torch.autograd.grad(outputs, leaves, grads),
        torch.autograd.grad(parts, leaves, grads),
        strict=True,
    ):
        assert_exact(mine, expected)


@pytest.mark.parametrize("dropout", [0.4, 1.0])
@per_kind
def test_dropout_between_layers(kind: str, dropout: float) -> None:
    layer = make(kind, 5, 7, num_layers=3, dropout=dropout, dtype=torch.float64)
    x, hx = torch.randn(4, 3, 5, dtype=torch.float64), states(kind, 3, 3, 7)
    grads = output_grads(layer, x, hx)
    assert_equal_runs(run(layer, x, hx, grads), run(composed(layer), x, hx, grads))
    layer.eval()
    for name, value in exact_run(layer, x, hx).items():
        assert_exact(run(layer, x, hx)[name], value, name=name)


# -- modules --------------------------------------------------------------------------------------


@per_kind
def test_parameters_are_named_and_drawn_as_torchs(kind: str) -> None:
    layer = make(kind, 3, 16, **STACK)
    kinds = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    kinds += FURTHER.get(kind, [])
    names = [f"{k}_l{n}{d}" for n in (0, 1) for d in ("", "_reverse") for k in kinds]
    assert list(layer.state_dict()) == names
    assert [name for name, _ in layer.named_parameters()] == names
    assert layer._flat_weights_names == names
    assert [len(weights) for weights in layer.all_weights] == [len(kinds)] * 4
    drawn = [p for name, p in layer.named_parameters() if "_norm_" not in name]
    values = torch.cat([p.detach().flatten() for p in drawn])
    assert values.abs().max() <= 0.25
    assert values.abs().max() > 0.249
    assert values.std() == pytest.approx(0.25 / 3**0.5, rel=0.1)
    torch.manual_seed(0)
    expected = [torch.empty_like(p).uniform_(-0.25, 0.25) for p in layer.parameters()]
    for value, (name, _) in zip(expected, layer.named_parameters(), strict=True):
        if "_norm_" in name:
            value.fill_(1 if name.startswith("weight") else 0)
    assert all(torch.equal(a, b) for a, b in zip(layer.parameters(), expected, strict=True))
    torch.manual_seed(0)
    layer.reset_parameters()
    assert all(torch.equal(a, b) for a, b in zip(layer.parameters(), expected, strict=True))


@per_kind
def test_copies_compute_the_same(kind: str) -> None:
    layer, x = make(kind, 5, 7, **STACK), torch.randn(4, 3, 5)
    expected = flat(layer(x))
    loaded = make(kind, 5, 7, seed=1, **STACK)
    loaded.load_state_dict(layer.state_dict())
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    for other in (
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(buffer, weights_only=False),
        loaded,
    ):
        assert repr(other) == repr(layer)
        assert all(torch.equal(a, b) for a, b in zip(flat(other(x)), expected, strict=True))
    assert layer.to(torch.float64)(x.double())[0].dtype == torch.float64
    assert make(kind, 3, 5, device="meta")(torch.randn(2, 3, 3, device="meta"))[0].is_meta


def test_representation() -> None:
    assert repr(make("ugrnn", 3, 5, num_layers=2)) == "UGRNN(3, 5, num_layers=2)"
    assert repr(make("rnn_sigmoid", 3, 5)) == "RNN(3, 5, nonlinearity=sigmoid)"
    assert repr(make("gru_reset_before", 3, 5, bias=False)) == (
        "GRU(3, 5, bias=False, reset_after=False)"
    )
    assert repr(make("gru_reset_before", 3, 5, cell=True)) == "GRUCell(3, 5, reset_after=False)"
    assert fastrnn.nn.GRU(3, 5).reset_after
    assert not make("gru_reset_before", 3, 5).reset_after


@per_kind
def test_changed_weights_are_read(kind: str) -> None:
    layer, x = make(kind, 5, 7, dtype=torch.float64), torch.randn(4, 3, 5, dtype=torch.float64)
    before = layer(x)[0]
    parametrizations.weight_norm(layer, "weight_hh_l0")
    assert_exact(layer(x)[0], before)
    with torch.no_grad():
        layer.parametrizations.weight_hh_l0.original1.mul_(2)
    given = {name: p.detach() * 2 for name, p in layer.named_parameters()}
    changed = torch.func.functional_call(layer, given, (x,))[0]
    assert not torch.allclose(changed, before)
    for parameter in layer.parameters():
        parameter.data.mul_(2)
    assert_exact(layer(x)[0], changed)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@per_kind
def test_torchscript_refuses(kind: str) -> None:
    for cell in (False, True):
        module = make(kind, 3, 5, cell=cell)
        with pytest.raises(RuntimeError, match=r"TorchScript has no \w+\(3, 5.*\)"):
            torch.jit.script(module)
    layer, x = make(kind, 3, 5), torch.randn(4, 2, 3)
    traced: Any = torch.jit.trace(layer, x)
    torch.testing.assert_close(traced(x)[0], layer(x)[0])


@per_kind
def test_restore_leaves_what_torch_does_not_have(kind: str) -> None:
    model = nn.ModuleList([make(kind, 3, 5), make(kind, 3, 5, cell=True), fastrnn.nn.GRU(3, 5)])
    report = fastrnn.restore(model)
    assert report.replaced == {"2": "fastrnn.nn.GRU -> torch.nn.GRU"}
    assert list(report.left) == ["0", "1"]
    assert report.left["0"] == f"fastrnn.nn.{model[0]!r}, for torch has no such cell"
    x = torch.randn(4, 2, 3)
    layer: Any = model[0]
    assert layer.refusal(x) is None
    assert not fastrnn.convert(nn.ModuleList([layer]))


# -- errors ---------------------------------------------------------------------------------------


def error_of(call: Any) -> tuple[type[Exception], str]:
    with pytest.raises(Exception) as caught:
        call()
    return caught.type, str(caught.value)


def bad_calls(two_states: bool) -> list[Any]:
    """Calls of a layer (3, 5) that must fail."""

    def hx(*shape: int, **options: Any) -> Any:
        state = torch.zeros(*shape, **options)
        return (state, state) if two_states else state

    x = torch.zeros(4, 2, 3)
    return [
        lambda layer: layer(torch.zeros(3)),
        lambda layer: layer(torch.zeros(1, 4, 2, 3)),
        lambda layer: layer(torch.zeros(4, 2, 4)),
        lambda layer: layer(torch.zeros(0, 2, 3)),
        lambda layer: layer(x.double()),
        lambda layer: layer(x, hx(1, 3, 5)),
        lambda layer: layer(x, hx(1, 2, 6)),
        lambda layer: layer(x, hx(2, 2, 5)),
        lambda layer: layer(x, hx(2, 5)),
        lambda layer: layer(x[:, 0], hx(1, 2, 5)),
    ]


@per_kind
def test_errors_are_torchs(kind: str) -> None:
    """Those of torch's layer with as many states, but for its name."""
    name, extra = OWN[kind]
    two_states = kind in TWO_STATES
    theirs: nn.Module = (nn.LSTM if two_states else nn.RNN if name == "RNN" else nn.GRU)(3, 5)
    ours = make(kind, 3, 5)
    for call in bad_calls(two_states):
        wanted, text = error_of(lambda call=call: call(theirs))
        got, message = error_of(lambda call=call: call(ours))
        assert got is wanted
        assert message == text.replace(type(theirs).__name__ + ":", name + ":")
    packed = pack_padded_sequence(torch.zeros(4, 2, 3), torch.tensor([4, 2]))
    state = torch.zeros(1, 3, 5)
    with pytest.raises(RuntimeError, match=r"Expected hidden.* size \(1, 2, 5\), got \[1, 3, 5\]"):
        ours(packed, (state, state) if two_states else state)
    cls: Any = getattr(fastrnn.nn, name)
    for arguments, options in (
        ((3, 5), {"dropout": 2}),
        ((3, 5), {"bias": 1}),
        ((3.0, 5), {}),
        ((3, 0), {}),
        ((3, 5, 0), {}),
        ((3, 5), {"batch_first": 1}),
    ):
        assert error_of(lambda a=arguments, o=options: cls(*a, **extra, **o)) == error_of(
            lambda a=arguments, o=options: type(theirs)(*a, **o)
        )


@per_kind
def test_what_torch_would_not_notice(kind: str) -> None:
    """Mixed dtypes and wrong weights, which operations would promote or broadcast."""
    layer, x = make(kind, 3, 5), torch.zeros(1, 2, 3)
    with pytest.raises(RuntimeError, match="must have the same dtype"):
        layer(x, states(kind, 1, 2, 5))
    with pytest.raises(RuntimeError, match="must have the same dtype"):
        make(kind, 3, 5, cell=True)(x[0], states(kind, 2, 5))
    for name in [name for name, _ in layer.named_parameters()]:
        broken = make(kind, 3, 5)
        shape = (1, *getattr(broken, name).shape[1:])
        setattr(broken, name, nn.Parameter(torch.zeros(shape)))
        with pytest.raises(RuntimeError, match="must have shape"):
            broken(x)
    if kind in TWO_STATES:
        with pytest.raises(RuntimeError, match="expects two hidden states"):
            layer(x, torch.zeros(1, 2, 5))
        with pytest.raises(RuntimeError, match="expects two hidden states"):
            layer(x, (torch.zeros(1, 2, 5),))


def test_wrong_options() -> None:
    with pytest.raises(TypeError, match="reset_after should be of type bool, got: int"):
        fastrnn.nn.GRU(3, 5, reset_after=1)
    with pytest.raises(TypeError, match="reset_after should be of type bool, got: NoneType"):
        fastrnn.nn.GRUCell(3, 5, reset_after=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Unknown peephole 'none'"):
        fastrnn.nn.PeepholeLSTM(3, 5, peephole="none")
    with pytest.raises(ValueError, match="Unknown peephole 'none'"):
        fastrnn.nn.PeepholeLSTMCell(3, 5, peephole="none")
    with pytest.raises(TypeError, match="unexpected keyword argument 'proj_size'"):
        fastrnn.nn.CoupledLSTM(3, 5, proj_size=2)  # type: ignore[call-arg]
    with fastrnn.patch_torch(), pytest.raises(TypeError, match="reset_after"):
        nn.GRU(3, 5, reset_after=False)
