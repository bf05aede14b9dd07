"""torch's own database of module tests, with our classes in place of torch's.

``torch.testing._internal.common_modules`` holds, for each module, the arguments that torch's test
suite constructs and calls it with, reference functions, and calls that must fail.  It is not a
stable interface: the tests are for the release that constraints.txt names.
"""

from __future__ import annotations

import copy
import io
import warnings
from functools import cache
from typing import Any

import pytest
import torch
from oracles import assert_same_bits
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.utils.rnn import PackedSequence

import fastrnn.nn

NAMES = ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"]
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
DTYPES = [torch.float32, torch.float64]


@cache
def database() -> dict[str, Any]:
    """Entries by class name; imported late, for it changes settings of torch."""
    allowed = torch.backends.__allow_nonbracketed_mutation_flag
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal import common_modules
    torch.backends.__allow_nonbracketed_mutation_flag = allowed
    entries = {info.module_cls.__name__: info for info in common_modules.module_db}
    return {name: entries[name] for name in NAMES}


def samples(name: str, dtype: torch.dtype, requires_grad: bool = False, **kwargs: Any) -> list[Any]:
    torch.manual_seed(0)
    info = database()[name]
    found = list(
        info.module_inputs_func(
            info, device="cpu", dtype=dtype, requires_grad=requires_grad, training=True, **kwargs
        )
    )
    if name in ("RNN", "GRU") and not kwargs:
        packed = samples(name, dtype, requires_grad, with_packed_sequence=True)
        found += [s for s in packed if isinstance(s.forward_input.args[0], PackedSequence)]
    assert len(found) >= 2
    return found


def build(cls: type[nn.Module], sample: Any, dtype: torch.dtype, device: str = "cpu") -> nn.Module:
    torch.manual_seed(1)
    given = sample.constructor_input
    return cls(*given.args, **given.kwargs, device=device, dtype=dtype)


def twins(name: str, sample: Any, dtype: torch.dtype) -> tuple[Any, Any]:
    return build(getattr(nn, name), sample, dtype), build(getattr(fastrnn.nn, name), sample, dtype)


def call(layer: nn.Module, sample: Any) -> Any:
    return layer(*sample.forward_input.args, **sample.forward_input.kwargs)


def tensors(value: Any) -> list[Tensor]:
    """The tensors with numbers in a nest of tuples: of a packed sequence its data."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, PackedSequence):
        return [value.data]
    return [] if value is None else [tensor for part in value for tensor in tensors(part)]


def mapped(function: Any, value: Any) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, PackedSequence):
        return value._replace(data=function(value.data))
    return value if value is None else tuple(mapped(function, part) for part in value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_forward(name: str, dtype: torch.dtype, training: bool) -> None:
    for sample in samples(name, dtype):
        theirs, ours = (layer.train(training) for layer in twins(name, sample, dtype))
        got, expected = tensors(call(ours, sample)), tensors(call(theirs, sample))
        torch.testing.assert_close(got, expected)
        again = tensors(call(ours, sample))
        for mine, once_more, torchs in zip(got, again, expected, strict=True):
            assert_same_bits(once_more, mine)
            assert mine.is_contiguous() == torchs.is_contiguous()
        if not isinstance(sample.forward_input.args[0], PackedSequence):
            reference = sample.reference_fn(ours, *sample.forward_input.args)
            torch.testing.assert_close(got, tensors(reference))


@pytest.mark.parametrize("name", NAMES)
def test_meta_device(name: str) -> None:
    for sample in samples(name, torch.float32):
        if isinstance(sample.forward_input.args[0], PackedSequence):
            continue  # its batch sizes stay on the CPU, and torch has no such kernel either
        layer = build(getattr(fastrnn.nn, name), sample, torch.float32, device="meta")
        on_meta = mapped(lambda tensor: tensor.to("meta"), sample.forward_input.args)
        got = tensors(layer(*on_meta))
        expected = tensors(call(twins(name, sample, torch.float32)[0], sample))
        assert [t.shape for t in got] == [t.shape for t in expected]
        assert all(tensor.is_meta for tensor in got)


@pytest.mark.parametrize("name", NAMES)
def test_factory_arguments(name: str) -> None:
    cls = getattr(fastrnn.nn, name)
    for sample in samples(name, torch.float32)[:4]:
        for device, dtype in (("cpu", torch.float64), ("meta", torch.float16)):
            for parameter in build(cls, sample, dtype, device).parameters():
                assert (parameter.device.type, parameter.dtype) == (device, dtype)
        given = sample.constructor_input
        with torch.device("meta"):
            assert all(p.is_meta for p in cls(*given.args, **given.kwargs).parameters())
        torch.set_default_dtype(torch.float64)
        try:
            created = cls(*given.args, **given.kwargs)
        finally:
            torch.set_default_dtype(torch.float32)
        assert {parameter.dtype for parameter in created.parameters()} == {torch.float64}


@pytest.mark.parametrize("name", NAMES)
def test_repr(name: str) -> None:
    for sample in samples(name, torch.float32):
        theirs, ours = twins(name, sample, torch.float32)
        assert repr(ours) == repr(theirs)
        assert str(ours) == str(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_pickle(name: str) -> None:
    for sample in samples(name, torch.float32):
        _, ours = twins(name, sample, torch.float32)
        expected = tensors(call(ours, sample))
        file = io.BytesIO()
        torch.save(ours, file)
        file.seek(0)
        for copied in (torch.load(file, weights_only=False), copy.deepcopy(ours)):
            assert type(copied) is type(ours)
            torch.testing.assert_close(tensors(call(copied, sample)), expected, rtol=0, atol=0)


@torch.no_grad()  # a graph would hold on to the parameters
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("set_grad", [False, True])
def test_moves(name: str, swap: bool, set_grad: bool) -> None:
    """Between dtypes and devices, by exchange of the tensors' contents or of their data."""
    swapped_before = torch.__future__.get_swap_module_params_on_conversion()
    try:
        for sample in samples(name, torch.float32)[:6]:
            torch.__future__.set_swap_module_params_on_conversion(swap)
            _, ours = twins(name, sample, torch.float32)
            before = list(ours.parameters())
            if set_grad:
                for parameter in before:
                    parameter.grad = torch.randn_like(parameter)
            expected = tensors(call(ours, sample))
            ours.double()
            after = list(ours.parameters())
            assert all(a is b for a, b in zip(after, before, strict=True))
            assert all(p.dtype == torch.float64 for p in after)
            assert all(p.grad.dtype == torch.float64 for p in after if set_grad)
            wide = mapped(lambda tensor: tensor.double(), sample.forward_input.args)
            for got, value in zip(tensors(ours(*wide)), expected, strict=True):
                torch.testing.assert_close(got.float(), value)
            ours.float()
            torch.testing.assert_close(tensors(call(ours, sample)), expected)
            state = {key: value.clone() for key, value in ours.state_dict().items()}
            ours.to("meta")
            assert all(parameter.is_meta for parameter in ours.parameters())
            ours.to_empty(device="cpu")
            # Nothing can be swapped in while loading, torch's layers and ours hold weak references.
            torch.__future__.set_swap_module_params_on_conversion(False)
            ours.load_state_dict(state)
            torch.testing.assert_close(tensors(call(ours, sample)), expected)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(swapped_before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.preserve_format], ids=str)
def test_memory_format(name: str, memory_format: torch.memory_format) -> None:
    for sample in samples(name, torch.float32)[:4]:
        _, ours = twins(name, sample, torch.float32)
        expected = tensors(call(ours, sample))
        ours.to(memory_format=memory_format)
        for got, value in zip(tensors(call(ours, sample)), expected, strict=True):
            assert_same_bits(got, value)
            assert got.stride() == value.stride()


def scattered(tensor: Tensor) -> Tensor:
    """The same numbers with a gap after each."""
    spread = torch.stack((tensor.detach(), torch.full_like(tensor, torch.nan)), -1)[..., 0]
    assert tensor.numel() < 2 or not spread.is_contiguous()
    return spread.requires_grad_(tensor.requires_grad)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_non_contiguous_tensors(name: str, dtype: torch.dtype) -> None:
    for sample in samples(name, dtype, requires_grad=True):
        _, ours = twins(name, sample, dtype)
        plain = sample.forward_input.args
        outputs = tensors(ours(*plain))
        grads = [torch.randn_like(output) for output in outputs]
        leaves = [*tensors(plain), *ours.parameters()]
        expected = torch.autograd.grad(outputs, leaves, grads)
        spread = mapped(scattered, plain)
        for inputs in (plain, spread):
            got = tensors(ours(*inputs))
            torch.testing.assert_close(got, outputs)
            for given in (grads, [scattered(grad) for grad in grads]):
                found = torch.autograd.grad(
                    got, [*tensors(inputs), *ours.parameters()], given, retain_graph=True
                )
                torch.testing.assert_close(found, expected)


def checkable(layer: nn.Module, sample: Any) -> tuple[Any, tuple[Tensor, ...]]:
    """The call as a function of every input tensor and parameter."""
    args = sample.forward_input.args
    inputs = tensors(args)
    names = [name for name, _ in layer.named_parameters()]

    def function(*values: Tensor) -> tuple[Tensor, ...]:
        given = iter(values[: len(inputs)])
        rebuilt = mapped(lambda _: next(given), args)
        weights = dict(zip(names, values[len(inputs) :], strict=True))
        return tuple(tensors(torch.func.functional_call(layer, weights, rebuilt)))

    leaves = [*inputs, *(p.detach().requires_grad_() for p in layer.parameters())]
    return function, tuple(leaves)


@pytest.mark.parametrize("name", NAMES)
def test_grad(name: str) -> None:
    for sample in samples(name, torch.float64, requires_grad=True):
        _, ours = twins(name, sample, torch.float64)
        assert gradcheck(*checkable(ours, sample), check_undefined_grad=True, fast_mode=True)


@pytest.mark.parametrize("name", NAMES)
def test_gradgrad(name: str) -> None:
    for sample in samples(name, torch.float64, requires_grad=True)[::5]:  # each option
        _, ours = twins(name, sample, torch.float64)
        assert gradgradcheck(*checkable(ours, sample), fast_mode=True)


@pytest.mark.parametrize("name", NAMES)
def test_training_and_evaluation(name: str) -> None:
    """Who may ask for ``training`` is told by the database, and no mode but dropout differs."""
    info = database()[name]
    for sample in samples(name, torch.float32):
        _, ours = twins(name, sample, torch.float32)
        trained = tensors(call(ours.train(), sample))
        torch.testing.assert_close(tensors(call(ours.eval(), sample)), trained, rtol=0, atol=0)
        del ours.training
        if info.train_and_eval_differ:
            with pytest.raises(AttributeError, match="'training'"):
                call(ours, sample)
        else:
            torch.testing.assert_close(tensors(call(ours, sample)), trained, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_errors(name: str, dtype: torch.dtype) -> None:
    info = database()[name]
    cases = info.module_error_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=False, training=True
    )
    seen = 0
    for case in cases:
        sample = case.module_error_input
        given = sample.constructor_input
        cls = getattr(fastrnn.nn, name)
        if case.error_on.name == "CONSTRUCTION_ERROR":
            with pytest.raises(case.error_type, match=case.error_regex):
                cls(*given.args, **given.kwargs)
        else:
            layer = cls(*given.args, **{"dtype": dtype, **given.kwargs})
            with pytest.raises(case.error_type, match=case.error_regex):
                call(layer, sample)
        seen += 1
    assert seen >= 4
