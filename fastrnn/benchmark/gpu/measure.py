"""One shape on both sides: answers against float64 first, then interleaved times."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import fastrnn
from fastrnn.benchmark.check import LARGEST, MEAN, relative_errors
from fastrnn.benchmark.gpu.shapes import Shape, regime_of
from fastrnn.benchmark.pair import OURS, TORCH

__all__ = ["FORWARD", "GRAPHS", "TRAINING", "measure"]

Work = Callable[[], Any]
FORWARD, TRAINING = "forward", "training"
GRAPHS = {FORWARD: "forward graph", TRAINING: "training graph"}

SAMPLES = 5
#: A sample is calls of about this many milliseconds, but at most CALLS of them.
SAMPLE_MS, CALLS = 20.0, 50


def measure(shape: Shape, device: str = "cuda") -> dict[str, Any]:
    """Errors and microseconds of a call, of both; with torch's settings as the shape wants them.

    Any device serves to try this out; CUDA graphs are measured on a GPU only.
    """
    with tf32(shape.precision == "tf32"):
        case = _Case(shape, torch.device(device))
        errors = case.errors()
        row: dict[str, Any] = {
            **asdict(shape),
            "title": shape.title,
            "regime": regime_of(shape).name,
            "refusal": case.refusal(),
            "plan": case.plan(),
            "errors": errors,
            "wrong_answers": wrong(errors, shape.dtype),
            "microseconds": {},
            "cudnn_kernels": case.kernels(),
        }
        for mode in (FORWARD, TRAINING):
            works = {who: case.work(who, mode) for who in (TORCH, OURS)}
            row["microseconds"][mode] = interleaved(works, case.device)
            if case.device.type == "cuda":
                row["microseconds"][GRAPHS[mode]] = _under_graphs(works, case.device)
    return row


class tf32(AbstractContextManager[None]):  # noqa: N801 - reads as a setting
    """torch's switches for the scope: cuDNN and products alike."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def __enter__(self) -> None:
        self._before = (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = self.on

    def __exit__(self, *exception: object) -> None:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = self._before


class _Case:
    """Both layers and their input, with the same numbers."""

    def __init__(self, shape: Shape, device: torch.device) -> None:
        torch.manual_seed(1)
        self.device, self.dtype = device, shape.dtype
        theirs = shape.layer(torch.nn).to(device, shape.dtype)
        ours = shape.layer(fastrnn.nn).to(device, shape.dtype)
        ours.load_state_dict(theirs.state_dict())
        self.layers = {TORCH: theirs, OURS: ours}
        lengths = None
        if shape.packed:  # from half the steps to all of them
            lengths = torch.randint((shape.seq_len + 1) // 2, shape.seq_len + 1, (shape.batch,))
            lengths[0] = shape.seq_len
        self.lengths = lengths
        size = (shape.seq_len, shape.batch, shape.hidden)
        self.x = torch.randn(size, device=device).to(shape.dtype).requires_grad_()
        self.grad = torch.randn_like(self._y(theirs, self.x))

    def _input(self, x: Tensor) -> Tensor | PackedSequence:
        if self.lengths is None:
            return x
        return pack_padded_sequence(x, self.lengths, enforce_sorted=False)

    def _y(self, layer: torch.nn.Module, x: Tensor) -> Tensor:
        y = layer(self._input(x))[0]
        found: Tensor = y.data if isinstance(y, PackedSequence) else y
        return found

    def _answers(self, layer: torch.nn.Module, x: Tensor, grad: Tensor) -> dict[str, Tensor]:
        y = self._y(layer, x)
        names, parameters = zip(*layer.named_parameters(), strict=True)
        found = torch.autograd.grad(y, (x, *parameters), grad)
        return dict(zip(("y", "grad_x", *names), (y.detach(), *found), strict=True))

    def errors(self) -> dict[str, dict[str, dict[str, float]]]:
        exact = self.layers[TORCH].double()
        truth = self._answers(exact, self.x.detach().double().requires_grad_(), self.grad.double())
        self.layers[TORCH] = exact.to(self.dtype)  # exactly what it was
        answers = {
            who: self._answers(layer, self.x, self.grad) for who, layer in self.layers.items()
        }
        return {
            name: {who: relative_errors(answers[who][name], value) for who in answers}
            for name, value in truth.items()
        }

    def refusal(self) -> str | None:
        found: str | None = self.layers[OURS].refusal(self._input(self.x))  # type: ignore[operator]
        return found

    def plan(self) -> str:
        return fastrnn.explain(self.layers[OURS], self._input(self.x))  # type: ignore[arg-type]

    def work(self, who: str, mode: str) -> Work:
        layer, given = self.layers[who], self._input(self.x.detach())
        if mode == FORWARD:

            def forward() -> Any:
                with torch.no_grad():
                    return layer(given)[0]

            return forward
        wanted = (self.x, *layer.parameters())

        def training() -> Any:
            return torch.autograd.grad(self._y(layer, self.x), wanted, self.grad)

        return training

    def kernels(self) -> list[str]:
        """The kernels of torch's layer that take longest: they tell cuDNN's algorithm."""
        if self.device.type != "cuda":
            return []
        work = self.work(TORCH, FORWARD)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            work()
            torch.cuda.synchronize()
        events = sorted(profile.key_averages(), key=lambda e: -float(e.self_device_time_total))
        return [str(event.key)[:80] for event in events[:2]]


def wrong(errors: dict[str, dict[str, dict[str, float]]], dtype: torch.dtype) -> list[str]:
    """Answers whose error is more than twice torch's own, plus two roundings of the dtype."""
    slack = 2 * torch.finfo(dtype).eps
    return [
        name
        for name, e in errors.items()
        if any(e[OURS][kind] > 2 * e[TORCH][kind] + slack for kind in (LARGEST, MEAN))
    ]


def interleaved(works: dict[str, Work], device: torch.device) -> dict[str, Any]:
    """Medians, and all samples, in microseconds of a call; in an order drawn anew each time."""
    calls = {}
    for name, work in works.items():
        for _ in range(3):
            work()
        once = _sample(work, 1, device)
        calls[name] = max(1, min(CALLS, round(SAMPLE_MS * 1e3 / max(once, 1e-3))))
    order, names = random.Random(0), list(works)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(SAMPLES):
        order.shuffle(names)
        for name in names:
            samples[name].append(_sample(works[name], calls[name], device))
    return {
        name: {"median": statistics.median(found), "samples": found}
        for name, found in samples.items()
    }


def _sample(work: Work, calls: int, device: torch.device) -> float:
    if device.type != "cuda":
        begin = time.perf_counter()
        for _ in range(calls):
            work()
        return (time.perf_counter() - begin) * 1e6 / calls
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(calls):
        work()
    stop.record()
    stop.synchronize()
    return float(start.elapsed_time(stop)) * 1e3 / calls


def _under_graphs(works: dict[str, Work], device: torch.device) -> dict[str, Any]:
    """The same, replayed; a side that can't be captured says why, and has no times."""
    captured = {name: _captured(work) for name, work in works.items()}
    replays = {name: found for name, found in captured.items() if not isinstance(found, str)}
    times = interleaved(replays, device) if replays else {}
    return {name: times.get(name, {"error": found}) for name, found in captured.items()}


def _captured(work: Work) -> Work | str:
    """A replay of the work, or why there is none."""
    try:
        return _capture(work)
    except RuntimeError as error:
        return str(error)


def _capture(work: Work) -> Work:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = work()

    def replay() -> Any:
        graph.replay()
        return kept  # its memory belongs to the graph

    return replay
