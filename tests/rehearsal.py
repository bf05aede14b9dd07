"""A pytest plugin: a GPU's tests without one, to see that they would run (``nox -s rehearse``).

Tensors "on the GPU" are ordinary ones whose memory is remembered, and they go to the emulated
engine.  An operation that mixes both devices is an error, as it would be.  Not for graphs and
streams, nor for what asks CUDA itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
TRANSFERS = {"cuda", "cpu", "to"}
# Of autograd, whose own results nobody has seen; what copies, and what moves modules; torch's
# layer, which takes a packed sequence's batch sizes on the CPU.
MAY_MIX = {"copy_", "backward", "grad", "__set__", "_has_compatible_shallow_copy_type", "lstm"}


def tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors(part)
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))


def place(device: Any) -> torch.device:
    return GPU if torch.device(device).type == "cuda" else CPU


class Devices(TorchFunctionMode):
    """Which memory is whose, by the storages that Python has seen being made."""

    def __init__(self) -> None:
        super().__init__()
        self.storages: dict[int, tuple[torch.device, Any]] = {}  # kept alive: no address twice

    def of(self, tensor: Tensor) -> torch.device | None:
        with torch._C.DisableTorchFunction():
            found = self.storages.get(tensor.untyped_storage().data_ptr())
            return found[0] if found and tensor.numel() else None

    def put(self, tensor: Tensor, device: torch.device) -> Tensor:
        with torch._C.DisableTorchFunction():
            storage = tensor.untyped_storage()
            self.storages[storage.data_ptr()] = (device, storage)
        return tensor

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", str(func))
        if name == "__get__":
            return self._attribute(func, *args)
        if name in TRANSFERS:
            return self._transfer(name, func, list(args), kwargs)
        wanted = kwargs.get("device")
        if wanted is not None:
            wanted, kwargs["device"] = place(wanted), CPU
        places = {self.of(t) for t in tensors((args, kwargs)) if t.dim()} - {None}
        if len(places) > 1 and name not in MAY_MIX:
            raise RuntimeError(f"{name}: expected all tensors to be on the same device")
        result = func(*args, **kwargs)
        for tensor in tensors(result):
            if wanted is not None or self.of(tensor) is None:
                self.put(tensor, wanted or (GPU if GPU in places else CPU))
        return result

    def _attribute(self, getter: Any, tensor: Tensor, *others: Any) -> Any:
        device = self.of(tensor) or CPU
        owner = getter.__self__
        if owner is Tensor.is_cuda:
            return device == GPU
        if owner is Tensor.is_cpu:
            return device == CPU
        return device if owner is Tensor.device else getter(tensor, *others)

    def _transfer(self, name: str, func: Any, args: list[Any], kwargs: dict[str, Any]) -> Tensor:
        source, before = args[0], self.of(args[0]) or CPU
        after = {"cuda": GPU, "cpu": CPU}.get(name, before)
        if name == "to":
            first = args[1] if len(args) > 1 else None
            if isinstance(first, Tensor):
                after = self.of(first) or CPU
            elif isinstance(first, (str, torch.device)):
                after, args[1] = place(first), CPU
            elif kwargs.get("device") is not None:
                after, kwargs["device"] = place(kwargs["device"]), CPU
            result: Tensor = func(*args, **kwargs)
        else:
            result = source
        return self.put(result.clone() if before != after else result, after)


class _Functions:
    """The emulated engine's, and of a GPU's what they lack."""

    def __init__(self, functions: Any) -> None:
        self._functions = functions

    def __getattr__(self, name: str) -> Any:
        return (lambda _: False) if name == "failures" else getattr(self._functions, name)


class _BuiltWithCuda:
    def __init__(self, core: Any) -> None:
        self._core = core

    def __getattr__(self, name: str) -> Any:
        if name == "build_info":
            return lambda: {**self._core.build_info(), "cuda": True}
        return getattr(self._core, name)


torch.cuda.is_available = lambda: True  # before tests are collected


@pytest.fixture(autouse=True)
def a_gpu(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    from fastrnn import _cuda, _dispatch
    from fastrnn._cuda import refusals

    devices = Devices()

    def moved(device: torch.device) -> Any:
        def move(module: torch.nn.Module) -> torch.nn.Module:
            for parameter in module.parameters():
                devices.put(parameter, device)
            return module

        return move

    engine = _cuda.emulated_engine
    engine = engine._replace(functions=_Functions(engine.functions))
    monkeypatch.setattr(refusals, "device_engine", engine)
    for name in ("run_stack", "run_step"):
        run = functools.partial(getattr(_cuda, name), engine=engine)
        monkeypatch.setattr(_dispatch._cuda, name, run)
    monkeypatch.setattr(torch.nn.Module, "cuda", moved(GPU))
    monkeypatch.setattr(torch.nn.Module, "cpu", moved(CPU))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.backends.cudnn, "is_acceptable", lambda _: False)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    tests = request.module
    monkeypatch.setattr(tests, "core", _BuiltWithCuda(tests.core))
    with devices:
        yield
