"""Models that people have: the same outputs and gradients before and after ``fastrnn.convert``."""

from __future__ import annotations

import copy
import importlib.util
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles import assert_exact, assert_within_budget
from torch import Tensor, nn

import fastrnn
from fastrnn.nn._base import RecurrentLayer

_spec = importlib.util.spec_from_file_location("zoo", Path(__file__).with_name("zoo.py"))
assert _spec is not None
assert _spec.loader is not None
zoo = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(zoo)

# Third-party code warns of what is its own affair.
pytestmark = pytest.mark.filterwarnings("default")


def flat(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    if not isinstance(result, tuple | list):
        return []
    return [tensor for part in result for tensor in flat(part)]


def to(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.detach().to(dtype) if tensor.is_floating_point() else tensor


def run(built: Any, model: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Outputs, and the gradients of all inputs and parameters under random output gradients."""
    inputs = [to(tensor, dtype) for tensor in built.inputs]
    leaves = [tensor.requires_grad_() for tensor in inputs if tensor.is_floating_point()]
    outputs = [tensor for tensor in flat(built.call(model, *inputs)) if tensor.requires_grad]
    torch.manual_seed(1)
    grads = [torch.randn(output.shape).to(dtype) for output in outputs]
    parameters = dict(model.named_parameters())
    found = torch.autograd.grad(outputs, [*leaves, *parameters.values()], grads, allow_unused=True)
    names = [f"input {k}" for k in range(len(leaves))] + list(parameters)
    result = {f"output {k}": output.detach() for k, output in enumerate(outputs)}
    result |= {f"grad of {n}": g for n, g in zip(names, found, strict=True) if g is not None}
    return result


def build(name: str, training: bool) -> Any:
    torch.manual_seed(0)
    built = zoo.MODELS[name]()
    assert all(m.p == 0 for m in built.model.modules() if isinstance(m, nn.Dropout))
    built.model.train(training)
    return built


def refusals(model: nn.Module, found: list[str | None]) -> None:
    """Note for every call of a layer of ours why the engine does not take it, or None."""

    def note(layer: nn.Module, args: Any, kwargs: Any) -> None:
        found.append(layer.refusal(*args, **kwargs))  # type: ignore[operator]

    for layer in model.modules():
        if isinstance(layer, RecurrentLayer):
            layer.register_forward_pre_hook(note, with_kwargs=True)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", list(zoo.MODELS))
def test_float64_before_and_after(name: str, training: bool) -> None:
    """Equal to 1e-10 of the largest value of each tensor, and exactly so again after restore."""
    built = build(name, training)
    wide = copy.deepcopy(built.model).double()
    recurrent = [m for m in wide.modules() if isinstance(m, nn.RNN | nn.LSTM | nn.GRU)]
    buffers = copy.deepcopy(dict(wide.named_buffers()))
    before = run(built, wide, torch.float64)
    report = fastrnn.convert(wide)
    assert len(report.replaced) == len(recurrent) > 0, str(report)
    assert not report.left
    for buffer, value in zip(wide.buffers(), buffers.values(), strict=True):
        buffer.copy_(value)  # batch norm's statistics, as they were
    found: list[str | None] = []
    hooked = copy.deepcopy(wide)
    refusals(hooked, found)
    run(built, hooked, torch.float64)
    assert len(found) >= len(recurrent)
    assert set(found) == {None}  # the engine takes every call, packed ones included
    after = run(built, wide, torch.float64)
    assert after.keys() == before.keys()
    for key, exact in before.items():
        assert_exact(after[key], exact, name=key, rtol=1e-10)
    assert fastrnn.restore(wide)
    for buffer, value in zip(wide.buffers(), buffers.values(), strict=True):
        buffer.copy_(value)
    for key, value in run(built, wide, torch.float64).items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", list(zoo.MODELS))
def test_float32_error_budget(name: str, training: bool) -> None:
    """Against float64, the converted model's error is at most twice the original's.

    Of all outputs together and all gradients together, each in units of its tensor's largest
    value: a bias of two numbers alone says nothing about who rounds better in a deep model.
    """
    built = build(name, training)
    exact = run(built, copy.deepcopy(built.model).double(), torch.float64)
    theirs = run(built, copy.deepcopy(built.model), torch.float32)
    model = copy.deepcopy(built.model)
    fastrnn.convert(model)
    ours = run(built, model, torch.float32)
    for kind in ("output", "grad"):
        keys = [key for key in exact if key.startswith(kind) and exact[key].any()]
        scales = {key: exact[key].abs().max() for key in keys}
        assert_within_budget(
            *(
                torch.cat([(r[key] / scales[key].to(r[key].dtype)).flatten() for key in keys])
                for r in (ours, theirs, exact)
            ),
            name=kind,
        )


def test_time_for_interest(capsys: pytest.CaptureFixture[str]) -> None:
    """Print torch's time over ours, forward and backward; timings are asserted nowhere."""
    lines = []
    for name in zoo.MODELS:
        built = build(name, True)
        pair = [copy.deepcopy(built.model), copy.deepcopy(built.model)]
        assert fastrnn.convert(pair[1])
        times: list[list[float]] = [[], []]
        for _ in range(6):
            for model, seconds in zip(pair, times, strict=True):
                start = time.perf_counter()
                run(built, model, torch.float32)
                seconds.append(time.perf_counter() - start)
        lines.append(f"{name}: {min(times[0]) / min(times[1]):.2f}")
    with capsys.disabled():
        print("\ntorch's time over ours, whole models:", *lines, sep="\n  ")
