"""Interleaved timing: in every repetition all contenders run, in an order drawn anew."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

#: Calls are grouped into samples of at least this long, so that the clock and what the other
#: contender left in the caches weigh little.
SAMPLE_SECONDS = 0.003
MIN_SAMPLES, MAX_SAMPLES = 7, 101


def run_calls(call: Callable[[], Any], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start


def calls_per_sample(call: Callable[[], Any]) -> int:
    """How many calls make a sample; also the warm-up."""
    calls = 1
    call()
    while True:
        seconds = run_calls(call, calls)
        if seconds >= SAMPLE_SECONDS:
            return calls
        calls = max(calls + 1, min(10 * calls, round(1.2 * calls * SAMPLE_SECONDS / seconds)))


def measure(
    calls: Mapping[str, Callable[[], Any]], seconds: float, order: random.Random
) -> dict[str, dict[str, Any]]:
    """Time every contender for about ``seconds`` altogether; seconds per call come back."""
    repeats = {name: calls_per_sample(call) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    end = time.perf_counter() + seconds
    for sample in range(MAX_SAMPLES):
        if sample >= MIN_SAMPLES and time.perf_counter() >= end:
            break
        order.shuffle(names)
        for name in names:
            samples[name].append(run_calls(calls[name], repeats[name]) / repeats[name])
    return {name: summary(values, repeats[name]) for name, values in samples.items()}


def summary(samples: list[float], calls: int) -> dict[str, Any]:
    """Median, quartiles and the raw samples, in seconds."""
    q1, median, q3 = statistics.quantiles(samples, n=4, method="inclusive")
    return {
        "median": median,
        "q1": q1,
        "q3": q3,
        "calls_per_sample": calls,
        "samples": [float(f"{value:.5g}") for value in samples],
    }
