"""docs/swap.md's list of which call goes where: who computes a call is watched, not asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import functional_call, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils.rnn import pack_sequence
from torch.testing._internal.two_tensor import TwoTensor

import fastrnn.nn
from fastrnn import _composed, _operators, functional
from fastrnn._native import core

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),  # torch's own checks of sizes
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]

Make = Callable[..., nn.Module]


def cell(name: str) -> Make:
    return lambda **options: getattr(fastrnn.nn, f"{name}Cell")(3, 4, **options)


def layer(name: str) -> Make:
    return lambda **options: getattr(fastrnn.nn, name)(3, 4, num_layers=2, **options)


@pytest.fixture
def ways() -> Iterator[set[str]]:
    """Collects who was called: engine, operators, composed, torch."""
    seen: set[str] = set()

    def spy(stack: ExitStack, owner: Any, attribute: str, way: str) -> None:
        original = getattr(owner, attribute)

        def spying(*args: Any, **kwargs: Any) -> Any:
            seen.add(way)
            return original(*args, **kwargs)

        stack.enter_context(patch.object(owner, attribute, spying))

    with ExitStack() as stack:
        spy(stack, core, "forward", "engine")
        spy(stack, _operators, "layer", "operators")
        spy(stack, _composed, "layer", "composed")
        for name in ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"):
            spy(stack, getattr(nn, name), "forward", "torch")
        yield seen


def first(result: Any) -> Tensor:
    while not isinstance(result, Tensor):
        result = result[0]
    return result


def dual(module: nn.Module, x: Tensor) -> None:
    with forward_ad.dual_level():
        module(forward_ad.make_dual(x, torch.ones_like(x)))


def faked(module: nn.Module, x: Tensor) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        module(torch.empty(x.shape))


def autocast(module: nn.Module, x: Tensor) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        module(x)


def inference(module: nn.Module, x: Tensor) -> None:
    with torch.inference_mode():
        module(x)


# What is called, the options of the layer, and who computes it.
CALLS: dict[str, tuple[Callable[[nn.Module, Tensor], Any], dict[str, Any], str]] = {
    "training": (lambda m, x: first(m(x)).sum().backward(), {}, "engine"),
    "inference": (inference, {}, "engine"),
    "float64": (lambda m, x: m(x.double()), {"dtype": torch.float64}, "engine"),
    "bfloat16": (lambda m, x: m(x.bfloat16()), {"dtype": torch.bfloat16}, "engine"),
    "float16": (lambda m, x: m(x.half()), {"dtype": torch.float16}, "engine"),
    "autocast": (autocast, {}, "engine"),
    "without a batch": (lambda m, x: m(x[:, 0] if x.dim() == 3 else x[0]), {}, "engine"),
    "other weights": (
        lambda m, x: functional_call(m, {k: 2 * v for k, v in m.named_parameters()}, (x,)),
        {},
        "engine",
    ),
    "vmap": (lambda m, x: vmap(m)(torch.stack((x, x))), {}, "composed"),
    "jvp": (lambda m, x: jvp(lambda v: first(m(v)), (x,), (x,)), {}, "composed"),
    "dual tensors": (dual, {}, "composed"),
    "wrapped tensors": (lambda m, x: m(TwoTensor(x, x)), {}, "composed"),
    "meta": (lambda m, x: m(x.to("meta")), {"device": "meta"}, "operators"),
    "fake": (faked, {}, "operators"),
    "make_fx": (lambda m, x: make_fx(lambda v: first(m(v)))(x), {}, "operators"),
    "complex": (lambda m, x: m(x.cfloat()), {"dtype": torch.complex64}, "torch"),
    "jit.trace": (lambda m, x: torch.jit.trace(m, x, check_trace=False), {}, "torch"),
    "empty batch": (lambda m, x: m(x[:, :0] if x.dim() == 3 else x[:0]), {}, "torch"),
}


@pytest.mark.parametrize("make", [layer("GRU"), layer("LSTM"), cell("RNN"), cell("LSTM")])
@pytest.mark.parametrize("situation", CALLS)
def test_calls(ways: set[str], make: Make, situation: str) -> None:
    call, options, way = CALLS[situation]
    module = make(**options)
    x = torch.randn(*((2, 3) if isinstance(module, nn.RNNCellBase) else (5, 2, 3)))
    call(module, x)
    assert ways - {"engine"} == {way} - {"engine"}
    if way in ("engine", "composed", "torch"):
        assert ("engine" in ways) == (way == "engine")


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_packed_sequences(ways: set[str], name: str) -> None:
    packed = pack_sequence([torch.randn(5, 3), torch.randn(2, 3)])
    module = layer(name)()
    first(module(packed)[0].data).sum().backward()
    assert ways == {"engine"}
    ways.clear()
    y = module(packed._replace(data=TwoTensor(packed.data, packed.data)))[0]
    assert isinstance(y.data, TwoTensor)
    assert ways == {"composed"}
    ways.clear()
    vmap(lambda data: module(packed._replace(data=data))[0].data)(torch.randn(2, 7, 3))
    assert ways == {"composed"}


def test_projections(ways: set[str]) -> None:
    module = layer("LSTM")(proj_size=2)
    module(torch.randn(5, 2, 3))
    assert ways == {"torch"}
    ways.clear()
    vmap(module)(torch.randn(2, 5, 2, 3))
    assert ways == {"composed"}


@pytest.mark.parametrize("make", [layer("GRU"), cell("LSTM")])
@pytest.mark.parametrize("how", ["double", "batched"])
def test_derivatives(ways: set[str], make: Make, how: str) -> None:
    """Forward on the engine, and once more composed where backward needs it."""
    module = make(dtype=torch.float64)
    shape = (2, 3) if isinstance(module, nn.RNNCellBase) else (5, 2, 3)
    x = torch.randn(*shape, dtype=torch.float64, requires_grad=True)
    y = first(module(x))
    torch.autograd.grad(y.sum(), x, retain_graph=True)
    assert ways == {"engine"}
    if how == "double":
        torch.autograd.grad(y.sum(), x, create_graph=True)
    else:
        torch.autograd.grad(y, x, torch.randn(3, *y.shape).double(), is_grads_batched=True)
    assert ways == {"engine", "composed"}


def test_functions(ways: set[str]) -> None:
    x, w_ih, w_hh = torch.randn(5, 2, 3), torch.randn(12, 3), torch.randn(12, 4)
    functional.gru_reset_before(x, w_ih, w_hh)
    assert ways == {"engine"}
    ways.clear()
    vmap(lambda v: functional.gru_reset_before(v, w_ih, w_hh))(torch.stack((x, x)))
    functional.gru_reset_before(x.cdouble(), w_ih.cdouble(), w_hh.cdouble())
    assert ways == {"composed"}
