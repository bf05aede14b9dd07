"""Plans for GPUs that are not there: every shape gets one that fits, and says why."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from emulated import PERSISTENT  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import fastrnn  # noqa: E402
from fastrnn import _cuda  # noqa: E402
from fastrnn._explain import _GPUS, gpu_caps  # noqa: E402
from fastrnn._native import core  # noqa: E402
from fastrnn._plan import CELL_INFO, CELL_NUMBERS  # noqa: E402

HIDDEN = [64, 128, 160, 192, 256, 384, 512, 640, 768, 1024, 1536, 2048]
BATCH = [1, 8, 12, 16, 20, 32, 64, 128, 256]


def make(
    caps: Any, cell: str, batch: int, hidden: int, directions: int = 1, backward: bool = False,
    number: int = 4, only: str = "", tf32: bool = False, seq_len: int = 1024,
) -> Any:  # fmt: skip
    return core.cuda.make_plan(
        caps,
        CELL_NUMBERS[cell],
        number,
        backward,
        (seq_len, batch, hidden, directions),
        tf32,
        _cuda.Only.read(only),
    )


def assert_fits(plan: Any, caps: Any, batch: int, hidden: int, directions: int) -> None:
    assert plan.why.startswith(plan.mode)
    assert plan.microseconds > 0
    if plan.mode == "stepwise":
        assert plan.scratch_bytes(directions) == 0
        return
    assert plan.slices * plan.units >= hidden
    assert plan.groups * plan.group_rows >= batch
    assert (plan.groups - 1) * plan.group_rows < batch
    assert plan.units * plan.group_rows <= plan.threads
    assert plan.threads % 32 == 0
    most = (384, 512) if plan.product == "float32" else (256, 384)
    assert plan.threads <= most[plan.weights != "registers"]
    assert 0 < plan.shared_bytes <= caps.shared_per_block
    assert plan.streamed_bytes == 0 or (plan.mode, plan.weights) == ("grid", "shared memory")
    blocks = plan.slices * plan.groups * directions
    assert plan.scratch_bytes(directions) >= plan.streamed_bytes * blocks
    if plan.mode == "block":
        assert plan.slices == 1
    elif plan.mode == "cluster":
        assert plan.slices in {2, 4, 8, 16}
        assert plan.slices <= caps.max_cluster
    else:  # all blocks at once, one a multiprocessor
        assert caps.cooperative
        assert plan.slices * plan.groups * directions <= caps.multiprocessors
        assert plan.scratch_bytes(directions) > 0
        assert plan.exchange in {"counter", "tagged words"}
        assert f"exchange by {plan.exchange} (" in plan.why
        if plan.exchange == "tagged words":  # each block has something to publish
            assert (plan.slices - 1) * plan.units < hidden
    if plan.mode != "grid":
        assert plan.exchange == ""
        assert "exchange" not in plan.why.partition("(")[0]


@pytest.mark.parametrize("gpu", _GPUS)
@pytest.mark.parametrize("cell", [info["name"] for info in CELL_INFO])
def test_the_benchmark_grid(cell: str, gpu: str) -> None:
    caps = gpu_caps(gpu)
    modes = set()
    for hidden, batch, directions, backward in itertools.product(
        HIDDEN, BATCH, (1, 2), (False, True)
    ):
        rounded = make(caps, cell, batch, hidden, directions, backward, tf32=True)
        assert_fits(rounded, caps, batch, hidden, directions)
        plan = make(caps, cell, batch, hidden, directions, backward)
        assert_fits(plan, caps, batch, hidden, directions)
        modes.add(plan.mode)
        assert make(caps, cell, batch, hidden, directions, backward, number=8).mode == "stepwise"
    if cell not in PERSISTENT:
        assert modes == {"stepwise"}
        return
    assert {"block", "grid", "stepwise"} <= modes
    assert ("cluster" in modes) == (caps.max_cluster > 1)


@pytest.mark.parametrize("number", [1, 2], ids=["float16", "bfloat16"])
def test_halves(number: int) -> None:
    """They take half the room: of shared memory, of the ring, and so larger layers fit."""
    caps = gpu_caps("h100")
    modes = set()
    for hidden, batch, backward in itertools.product(HIDDEN, BATCH, (False, True)):
        plan = make(caps, "gru", batch, hidden, 1, backward, number=number)
        assert_fits(plan, caps, batch, hidden, 1)
        modes.add(plan.mode)
    assert {"block", "cluster", "grid", "stepwise"} <= modes
    only = "mode=grid,slices=32,group_rows=4,weights=shared,product="
    half = make(caps, "gru", 4, 512, number=number, only=only + "half")
    full = make(caps, "gru", 4, 512, only=only + "3xtf32")
    assert (half.mode, half.units, half.groups) == (full.mode, full.units, full.groups)
    assert full.scratch_bytes(2) * 0.4 < half.scratch_bytes(2) < full.scratch_bytes(2) * 0.6
    assert half.shared_bytes < full.shared_bytes
    only = "mode=block,group_rows=1,weights=shared,product="
    assert make(caps, "rnn_tanh", 1, 300, only=only + "3xtf32").mode == "stepwise"
    assert make(caps, "rnn_tanh", 1, 300, number=number, only=only + "half").mode == "block"
    for other in ("ffma", "tf32"):  # there are no such kernels
        plan = make(caps, "rnn_tanh", 1, 30, number=number, only=only + other, tf32=True)
        assert plan.mode == "stepwise"
    assert make(caps, "gru", 1, 140, only="product=half").mode == "stepwise"


@settings(deadline=None, max_examples=200)
@given(
    cell=st.sampled_from([info["name"] for info in CELL_INFO]),
    batch=st.integers(1, 600),
    hidden=st.integers(1, 3000),
    directions=st.integers(1, 2),
    backward=st.booleans(),
    tf32=st.booleans(),
    multiprocessors=st.integers(1, 200),
    shared=st.integers(16 << 10, 228 << 10),
    cluster=st.sampled_from([1, 2, 8, 16]),
    cooperative=st.booleans(),
)
def test_any_gpu(
    cell: str, batch: int, hidden: int, directions: int, backward: bool, tf32: bool,
    multiprocessors: int, shared: int, cluster: int, cooperative: bool,
) -> None:  # fmt: skip
    caps = gpu_caps("h100")
    caps.multiprocessors, caps.shared_per_block = multiprocessors, shared
    caps.max_cluster, caps.cooperative = cluster, cooperative
    plan = make(caps, cell, batch, hidden, directions, backward, tf32=tf32)
    assert_fits(plan, caps, batch, hidden, directions)


def test_tensor_cores_where_they_are_faster() -> None:
    """Few rows by ordinary multiply-adds; TF32 only where it is allowed, and never slower."""
    caps, old = gpu_caps("h100"), gpu_caps("h100")
    old.major = 7
    seen = set()
    for hidden, batch, backward in itertools.product(HIDDEN, BATCH, (False, True)):
        exact = make(caps, "lstm", batch, hidden, backward=backward)
        rounded = make(caps, "lstm", batch, hidden, backward=backward, tf32=True)
        assert exact.product in {"float32", "3xTF32"}
        assert rounded.product in {"float32", "TF32"}
        assert rounded.microseconds <= exact.microseconds
        assert make(old, "lstm", batch, hidden, tf32=True).product == "float32"
        seen |= {exact.product, rounded.product}
        if rounded.mode != "stepwise":
            assert rounded.product in rounded.why
    assert seen == {"float32", "TF32", "3xTF32"}
    assert make(caps, "lstm", 1, 128).product == "float32"
    assert make(caps, "lstm", 64, 256).product == "3xTF32"
    # Infinities, which relu's states may become, would come out as NaN.
    assert make(caps, "rnn_tanh", 64, 256).product == "3xTF32"
    assert make(caps, "rnn_relu", 64, 256).product == "float32"
    assert make(caps, "rnn_relu", 64, 256, only="product=3xtf32").product == "3xTF32"


@pytest.mark.parametrize("backward", [False, True])
def test_longer_sequences_share_out_the_start(backward: bool) -> None:
    """A launch that first brings the weights onto the chip is not worth a single step."""
    caps = gpu_caps("h100")
    for hidden, batch in itertools.product(HIDDEN, BATCH):
        steps = [
            make(caps, "lstm", batch, hidden, backward=backward, seq_len=seq_len).microseconds
            for seq_len in (1, 2, 16, 1024)
        ]
        assert steps == sorted(steps, reverse=True)
    one, two = (make(caps, "lstm", 64, 256, seq_len=seq_len) for seq_len in (1, 2))
    assert (one.mode, two.mode) == ("stepwise", "cluster")


def test_more_memory_never_makes_a_plan_slower() -> None:
    small, large = gpu_caps("h100"), gpu_caps("h100")
    small.shared_per_block = 100 << 10
    for hidden, batch in itertools.product(HIDDEN, BATCH):
        with_little = make(small, "gru", batch, hidden)
        assert make(large, "gru", batch, hidden).microseconds <= with_little.microseconds


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(("cell", "hidden"), [("lstm", 1536), ("lstm", 1792), ("gru", 2048)])
def test_a_little_too_big_for_the_chip(cell: str, hidden: int, backward: bool) -> None:
    """What fits stays, the rest is read in every step: less time than if all were."""
    gates = {"lstm": 4, "gru": 3}[cell]
    plan = make(gpu_caps("h100"), cell, 1, hidden, backward=backward)
    assert plan.mode == "grid"
    assert 0 < plan.streamed_bytes * plan.slices < 36e6
    assert "read in every step" in plan.why
    kept = gates * hidden**2 * 4 - plan.streamed_bytes * plan.slices
    assert 0.5 < kept / (plan.shared_bytes * plan.slices) <= 1
    assert (
        plan.microseconds
        < make(gpu_caps("h100"), cell, 1, hidden, only="mode=stepwise").microseconds / 2
    )
    less = make(gpu_caps("h100"), cell, 1, hidden, backward=backward, only="mode=grid,shared=100")
    assert less.streamed_bytes * less.slices > plan.streamed_bytes * plan.slices
    assert less.microseconds > plan.microseconds
    assert make(gpu_caps("h100"), cell, 1, 1024, backward=backward).streamed_bytes == 0


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before"])
def test_the_cheaper_way_of_sums(cell: str) -> None:
    """Backward's, where blocks exchange: what one gets is less by the number of gates."""
    caps = gpu_caps("h100")
    chosen = set()
    for hidden, batch, number in itertools.product(HIDDEN, BATCH, (4, 1)):
        plan, *ways = (
            make(caps, cell, batch, hidden, backward=True, number=number, only=only)
            for only in ("", "sums=gather", "sums=scatter")
        )
        assert plan.microseconds == min(way.microseconds for way in ways)
        if plan.mode != "stepwise":
            assert ("sums scattered" in plan.why) == (plan.sums == "scatter")
        chosen.add((plan.mode, plan.sums))
        for way, only in zip(ways, ("gather", "scatter"), strict=True):
            assert way.sums == (only if way.mode in ("cluster", "grid") else "gather")
            assert_fits(way, caps, batch, hidden, 1)
        assert make(caps, cell, batch, hidden, only="mode=grid,sums=scatter").sums == "gather"
    assert chosen >= {*itertools.product(("cluster", "grid"), ("gather", "scatter"))}


def test_tagged_words_where_little_is_exchanged() -> None:
    """They save time, for twice the bytes: the ring's, and those that all blocks read."""
    caps = gpu_caps("h100")
    assert make(caps, "lstm", 1, 1024).exchange == "tagged words"
    exchanges = set()
    for hidden, batch, backward in itertools.product(HIDDEN, BATCH, (False, True)):
        plan = make(caps, "lstm", batch, hidden, backward=backward, only="mode=grid")
        if plan.mode != "grid":
            continue
        exchanges.add(plan.exchange)
        best = {
            word: make(
                caps, "lstm", batch, hidden, backward=backward, only=f"mode=grid,exchange={word}"
            )
            for word in ("counter", "tagged")
        }
        assert plan.microseconds == min(other.microseconds for other in best.values())
        assert best["counter"].exchange == "counter"
        assert best["tagged"].exchange == "tagged words"
    assert exchanges == {"counter", "tagged words"}
    only = "mode=grid,slices=32,group_rows=4,weights=shared,exchange="
    counter = make(caps, "gru", 16, 512, only=only + "counter")
    tagged = make(caps, "gru", 16, 512, only=only + "tagged")
    assert counter.slices == tagged.slices == 32
    ring = 2 * 16 * 512 * 4
    assert ring <= counter.scratch_bytes(1) < 1.1 * ring
    assert 2 * ring <= tagged.scratch_bytes(1) < 2.1 * ring
    assert make(caps, "gru", 4, 64, only="mode=cluster,exchange=tagged").mode == "stepwise"
    assert make(caps, "gru", 4, 64, only="exchange=tagged").mode == "grid"


def test_what_is_measured_are_the_model_s_constants() -> None:
    """By name: `bench/gpu_floor.cu` prints them for `Costs`."""
    root = Path(__file__).parents[2]
    model = (root / "csrc/cuda/plan_costs.cpp").read_text()
    members = re.findall(r"(\w+) = ", model.partition("struct Costs {")[2].partition("};")[0])
    measured = (root / "bench/gpu_floor.cu").read_text().partition("void print_costs(")[2]
    names = re.findall(r'(?:cycles|rate)\("(\w+)"|\\"(\w+)\\": %', measured.partition("\n}\n")[0])
    found = {name for pair in names for name in pair if name}
    assert {"counter_exchange", "tagged_exchange", "cluster_exchange", "tensor"} <= found
    assert found <= set(members)


def test_what_is_asked_for_is_kept_to() -> None:
    caps = gpu_caps("h100")
    assert make(caps, "lstm", 8, 64, only="mode=stepwise").mode == "stepwise"
    plan = make(caps, "lstm", 8, 256, only="mode=cluster,slices=16,group_rows=4,weights=shared")
    assert (plan.mode, plan.slices, plan.group_rows) == ("cluster", 16, 4)
    assert plan.weights == "shared memory"
    plan = make(caps, "lstm", 1, 64, only="product=3xtf32,weights=registers")
    assert (plan.product, plan.weights) == ("3xTF32", "registers")
    assert make(caps, "lstm", 1, 64, only="product=tf32").mode == "stepwise"
    assert make(caps, "lstm", 1, 64, only="product=tf32", tf32=True).product == "TF32"
    impossible = make(caps, "lstm", 8, 1024, only="mode=block")
    assert impossible.mode == "stepwise"
    assert "fit no persistent kernel" in impossible.why
    with pytest.raises(ValueError, match="is none of stepwise, block, cluster, grid"):
        _cuda.Only.read("mode=fast")
    with pytest.raises(ValueError, match="is none of mode, slices"):
        _cuda.Only.read("speed=1")


def test_explain_tells_who_computes_and_why() -> None:
    layer = fastrnn.nn.GRU(3, 64, num_layers=2)
    x = torch.randn(5, 2, 3)
    assert "CPU engine" in fastrnn.explain(layer, x)
    lines = fastrnn.explain(layer, x, gpu="h100").splitlines()
    assert "H100" in lines[0]
    assert "not measured" in lines[0]
    assert len(lines) == 6
    assert all("blocks of" in line and "weights in" in line for line in lines[1:5])
    assert lines[5].startswith("  torch's layer: ")
    assert "features" in fastrnn.explain(layer, torch.randn(5, 2, 4))
    half = fastrnn.nn.LSTM(3, 8, dtype=torch.bfloat16)
    text = fastrnn.explain(half, torch.randn(2, 1, 3, dtype=torch.bfloat16), gpu="h100")
    assert "weights in registers, half" in text
    assert "grid" in fastrnn.explain(
        fastrnn.nn.LSTM(8, 1024), torch.randn(9, 1, 8), lengths=[4], gpu="h100"
    )
    with pytest.raises(TypeError, match="fastrnn.nn"):
        fastrnn.explain(torch.nn.Linear(2, 2), x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a100, h100, b200"):
        fastrnn.explain(layer, x, gpu="toaster")
