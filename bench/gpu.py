"""Times the CUDA engine beside torch's layers on cuDNN, whole layers with all their products.

``--plans`` needs no GPU: it prints which kernels each shape would run, and why.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

import fastrnn
from fastrnn.backends import cuda_info, use_cuda

CELLS = {"LSTM": 4, "GRU": 3, "RNN": 1}
HIDDEN = (64, 128, 160, 192, 256, 384, 512, 768, 1024, 1536, 2048)
BATCH = (1, 8, 12, 16, 32, 64, 128, 256)
STEPS = (32, 128, 512, 1024)


class Shape(NamedTuple):
    cell: str
    hidden: int
    batch: int
    seq_len: int


def shapes(quick: bool) -> Iterator[Shape]:
    for cell in CELLS:
        for hidden in HIDDEN[::3] if quick else HIDDEN:
            for batch in BATCH[::3] if quick else BATCH:
                for seq_len in (128,) if quick else STEPS:
                    if seq_len * batch * hidden * CELLS[cell] < 1 << 29:  # 2 GiB of gates
                        yield Shape(cell, hidden, batch, seq_len)


def median_us(work: Callable[[], Any], repeats: int = 5, least: int = 20) -> float:
    """Microseconds of one call, by CUDA's events, after a warm-up."""
    for _ in range(3):
        work()
    times: list[float] = []
    for _ in range(repeats):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(least):
            work()
        stop.record()
        stop.synchronize()
        times.append(float(start.elapsed_time(stop)) * 1e3 / least)
    return statistics.median(times)


def under_graph(work: Callable[[], Any]) -> Callable[[], Any]:
    """The same work as a graph to replay."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def kernels_of(work: Callable[[], Any]) -> list[str]:
    """Names of the kernels that take longest: they tell cuDNN's algorithm."""
    activity = torch.profiler.ProfilerActivity.CUDA
    with torch.profiler.profile(activities=[activity]) as profile:
        work()
        torch.cuda.synchronize()
    events = sorted(profile.key_averages(), key=lambda e: -float(e.self_device_time_total))
    return [str(event.key)[:60] for event in events[:2]]


def measure(shape: Shape) -> dict[str, Any]:
    """Both sides' times of forward, of forward and backward, and of forward in a graph."""
    torch.manual_seed(1)
    theirs = getattr(torch.nn, shape.cell)(shape.hidden, shape.hidden).cuda()
    ours = getattr(fastrnn.nn, shape.cell)(shape.hidden, shape.hidden).cuda()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(shape.seq_len, shape.batch, shape.hidden, device="cuda", requires_grad=True)
    grad = torch.randn_like(x)

    def forward(layer: torch.nn.Module) -> Callable[[], Any]:
        def work() -> Any:
            with torch.no_grad():
                return layer(x)[0]

        return work

    def training(layer: torch.nn.Module) -> Callable[[], Any]:
        return lambda: layer(x)[0].backward(grad)

    result: dict[str, Any] = {
        **shape._asdict(),
        "refusal": ours.refusal(x),
        "plan": fastrnn.explain(ours, x),
        "cudnn_kernels": kernels_of(forward(theirs)),
        "largest_difference": float((forward(ours)() - forward(theirs)()).abs().max()),
    }
    for name, layer in (("torch", theirs), ("fastrnn", ours)):
        result[f"{name}_forward_us"] = median_us(forward(layer))
        result[f"{name}_training_us"] = median_us(training(layer))
        result[f"{name}_graph_us"] = median_us(under_graph(forward(layer)))
    return result


def print_row(row: dict[str, Any]) -> None:
    ratios = [
        row[f"torch_{kind}_us"] / row[f"fastrnn_{kind}_us"]
        for kind in ("forward", "training", "graph")
    ]
    steps = row["fastrnn_graph_us"] / row["seq_len"]
    print(
        f"{row['cell']:5}{row['hidden']:6}{row['batch']:5}{row['seq_len']:6}"
        f"{ratios[0]:9.2f}{ratios[1]:9.2f}{ratios[2]:9.2f}{steps:10.2f}  "
        f"{(row['refusal'] or row['plan'].splitlines()[1].split(': ', 1)[1])[:60]}",
        flush=True,
    )


def print_plans(quick: bool, gpu: str) -> None:
    for shape in shapes(quick):
        layer = getattr(fastrnn.nn, shape.cell)(shape.hidden, shape.hidden, device="meta")
        layer = layer.to_empty(device="cpu")
        x = torch.empty(shape.seq_len, shape.batch, shape.hidden)
        print(f"{' '.join(map(str, shape))}\n{fastrnn.explain(layer, x, gpu=gpu)}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few shapes")
    parser.add_argument("--json", help="file for the results")
    parser.add_argument("--tf32", action="store_true", help="let torch use TF32; ours does not")
    parser.add_argument("--plans", metavar="GPU", help="only print plans, for a100, h100 or b200")
    options = parser.parse_args(arguments)
    if options.plans:
        print_plans(options.quick, options.plans)
        return 0
    if not torch.cuda.is_available():
        print("there is no GPU here; --plans h100 needs none", file=sys.stderr)
        return 1
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = options.tf32
    results = []
    print("cell  hidden batch steps  forward training  graph us/step   plan (ratios: torch / ours)")
    with use_cuda():
        for shape in shapes(options.quick):
            results.append(measure(shape))
            print_row(results[-1])
    if options.json:
        report = {
            "torch": torch.__version__,
            "cudnn": torch.backends.cudnn.version(),
            "tf32": options.tf32,
            "cuda": cuda_info(),
            "results": results,
        }
        with open(options.json, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(report, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
