"""Single steps of the cells that torch does not have."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from oracles import assert_exact, assert_within_budget
from own_layers import FURTHER, OWN, composed, make, states
from torch import nn
from torch_twins import flat, output_grads, run

per_kind = pytest.mark.parametrize("kind", OWN)


def step_and_layer(kind: str, *sizes: int, **options: Any) -> tuple[Any, Any]:
    """A single step and a layer of equal weights."""
    cell, layer = make(kind, *sizes, cell=True, **options), make(kind, *sizes, **options)
    layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    return cell, layer


@pytest.mark.parametrize("sizes", [(4, 5, 7), (1, 1, 1), (7, 129, 7), (0, 5, 7), (2, 7, 129)])
@pytest.mark.parametrize("bias", [True, False])
@per_kind
def test_a_step_is_a_layer_of_one(kind: str, sizes: tuple[int, int, int], bias: bool) -> None:
    """The layers are held to the oracle, so the steps are to the layers."""
    batch_size, input_size, hidden_size = sizes
    cell, layer = step_and_layer(kind, input_size, hidden_size, bias=bias, dtype=torch.float64)
    for shape in ((batch_size,), ()):
        x = torch.randn(*shape, input_size, dtype=torch.float64)
        for hx in (None, states(kind, *shape, hidden_size)):
            assert (cell.refusal(x, hx) is None) == (x.numel() > 0)
            grads = output_grads(cell, x, hx)
            ours = run(cell, x, hx, grads)
            given = None if hx is None else [state.unsqueeze(0) for state in flat(hx)]
            state: Any = given if given is None or len(given) == 2 else given[0]
            if isinstance(state, list):
                state = tuple(state)
            of_layer = [torch.zeros(1, *grads[0].shape, dtype=x.dtype)]
            of_layer += [grad.unsqueeze(0) for grad in grads]
            expected = run(layer, x.unsqueeze(0), state, of_layer)
            finals = [name for name in expected if name.startswith("output")][1:]
            for index, name in enumerate(finals):
                assert_exact(ours[f"output {index}"], expected[name][0], name=name)
            for name, value in ours.items():
                if name.startswith("grad of"):
                    wanted = expected[name if name in expected else f"{name}_l0"]
                    assert_exact(value, wanted.reshape(value.shape), name=name)


@pytest.mark.parametrize("sizes", [(1, 64, 64), (32, 20, 129), (7, 300, 33)])
@per_kind
def test_float32_error_budget(kind: str, sizes: tuple[int, int, int]) -> None:
    batch_size, input_size, hidden_size = sizes
    cell = make(kind, input_size, hidden_size, cell=True)
    x = torch.randn(batch_size, input_size)
    hx = states(kind, batch_size, hidden_size, dtype=torch.float32)
    grads = output_grads(cell, x, hx)
    wide_hx = tuple(state.double() for state in flat(hx))
    exact = run(
        composed(copy.deepcopy(cell).double()),
        x.double(),
        wide_hx if len(wide_hx) == 2 else wide_hx[0],
        [grad.double() for grad in grads],
    )
    ours, theirs = run(cell, x, hx, grads), run(composed(cell), x, hx, grads)
    for name, value in exact.items():
        assert_within_budget(ours[name], theirs[name], value, name=name)


@per_kind
def test_strided_arguments(kind: str) -> None:
    cell = make(kind, 3, 5, cell=True, dtype=torch.float64)
    x = torch.randn(3, 4, dtype=torch.float64).t()
    expanded = [state.expand(4, 5) for state in flat(states(kind, 1, 5))]
    hx: Any = tuple(expanded) if len(expanded) == 2 else expanded[0]
    assert cell.refusal(x, hx) is None
    grads = [torch.ones((), dtype=torch.float64).expand(4, 5)] * len(expanded)
    ours, theirs = run(cell, x, hx, grads), run(composed(cell), x, hx, grads)
    for name, value in theirs.items():
        assert_exact(ours[name], value.numpy(), name=name)


@per_kind
def test_copies_and_names(kind: str) -> None:
    cell, x = make(kind, 3, 5, cell=True), torch.randn(2, 3)
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    names += FURTHER.get(kind, [])
    assert list(cell.state_dict()) == names
    for name, parameter in cell.named_parameters():
        norm = "_norm_" in name  # ones and zeros
        assert norm or parameter.detach().abs().max() <= 5**-0.5
    for other in (copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        assert repr(other) == repr(cell)
        for mine, value in zip(flat(other(x)), flat(cell(x)), strict=True):
            assert torch.equal(mine, value)
    without = make(kind, 3, 5, cell=True, bias=False)
    assert without.bias_ih is None
    assert without.bias_hh is None
    assert make(kind, 3, 5, cell=True, device="meta")(torch.randn(2, 3, device="meta")) is not None


def outcome(module: Any, *arguments: Any) -> tuple[type[Exception], str]:
    with pytest.raises(Exception) as caught:
        module(*arguments)
    return caught.type, str(caught.value)


@per_kind
def test_errors_are_torchs(kind: str) -> None:
    """Those of torch's step with as many states, but for its name."""
    ours, count = make(kind, 3, 5, cell=True), len(flat(states(kind, 1)))
    theirs = (nn.LSTMCell if count == 2 else nn.GRUCell)(3, 5)

    def hx(*shape: int) -> Any:
        return (torch.zeros(shape),) * 2 if count == 2 else torch.zeros(shape)

    x = torch.zeros(2, 3)
    for arguments in (
        (torch.zeros(2, 2, 3),),
        (torch.zeros(2, 4),),
        (torch.zeros(4),),
        (x, hx(2, 2, 5)),
        (x, hx(3, 5)),
        (x, hx(2, 6)),
        (x, hx(5)),
        (x[0], hx(1, 5)),
    ):
        wanted, text = outcome(theirs, *arguments)
        name = OWN[kind][0] + "Cell:"
        assert outcome(ours, *arguments) == (
            wanted,
            text.replace(type(theirs).__name__ + ":", name),
        )
