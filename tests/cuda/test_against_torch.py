"""Calls are left to torch's own layer where a model of both expects it to be faster."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import fastrnn  # noqa: E402
from fastrnn import _cuda  # noqa: E402
from fastrnn._cuda.against_torch import left_to_torch  # noqa: E402
from fastrnn._explain import gpu_caps  # noqa: E402
from fastrnn._native import core  # noqa: E402
from fastrnn._plan import CELL_INFO, CELL_NUMBERS, stack_plan  # noqa: E402
from fastrnn.backends import use_cuda  # noqa: E402

FLOAT16, FLOAT32, FLOAT64 = 1, 4, 8
STANDARD, SMALL = "cuDNN, a launch a step", "cuDNN, persistent for small sizes"
STATIC = "cuDNN, persistent"
H100 = _cuda.device_engine._replace(caps=lambda device: gpu_caps("h100"))


@pytest.fixture(autouse=True)
def switched_on() -> Iterator[None]:
    with use_cuda(True):
        yield


def model(
    cell: str, batch: int, hidden: int, number: int = FLOAT32, backward: bool = False, *,
    gpu: str = "h100", layers: int = 1, directions: int = 1, packed: bool = False,
    step: bool = False, tf32: bool = True, inputs: int = 0,
    seq_len: int = 1024,
) -> Any:  # fmt: skip
    sizes = (seq_len, batch, inputs or hidden, hidden, directions, layers)
    return core.cuda.torch_model(
        gpu_caps(gpu), CELL_NUMBERS[cell], number, sizes, backward, packed, step, tf32
    )


@pytest.mark.parametrize(
    ("wanted", "cell", "hidden", "options"),
    [
        (SMALL, "lstm", 192, {}),
        (STANDARD, "lstm", 193, {}),
        (SMALL, "lstm", 128, {"backward": True}),
        (STANDARD, "gru", 129, {"backward": True}),
        (SMALL, "rnn_relu", 384, {}),
        (STANDARD, "rnn_tanh", 257, {"backward": True}),
        (STANDARD, "lstm", 64, {"packed": True}),
        (STANDARD, "lstm", 64, {"number": FLOAT64}),
        (STATIC, "lstm", 768, {"number": FLOAT16}),
        (STANDARD, "gru", 768, {"number": FLOAT16}),
        (STANDARD, "lstm", 768, {"number": FLOAT16, "layers": 2}),
        (STANDARD, "lstm", 768, {"number": FLOAT16, "directions": 2}),
        (STANDARD, "lstm", 768, {"number": FLOAT16, "inputs": 100}),
        (STANDARD, "lstm", 1152, {"number": FLOAT16}),
        ("a kernel a product", "lstm", 64, {"step": True}),
    ],
)
def test_what_torch_runs(wanted: str, cell: str, hidden: int, options: dict[str, Any]) -> None:
    assert model(cell, 16, hidden, **options)[1] == wanted


def test_torch_has_no_other_cells() -> None:
    cells = {info["name"] for info in CELL_INFO}
    known = {cell for cell in cells if model(cell, 4, 64) is not None}
    assert known == {"lstm", "gru", "rnn_tanh", "rnn_relu"}


# Microseconds a layer and step, by torch's developers, on GPUs before the H100.
PUBLISHED = [
    ("lstm", 6, 40, SMALL, 0.66, 1.6),
    ("lstm", 5, 64, SMALL, 0.60, 1.04),
    ("lstm", 6, 72, SMALL, 0.88, 1.65),
    ("lstm", 16, 128, SMALL, 2.65, 4.1),
    ("lstm", 1, 152, SMALL, 5.5, 9.5),
    ("lstm", 12, 192, SMALL, 14.1, 13.9),
    ("lstm", 44, 160, SMALL, 33.4, 16.8),
    ("lstm", 62, 168, SMALL, 76.2, 18.7),
]


@pytest.mark.parametrize(("cell", "batch", "hidden", "by", "forward", "backward"), PUBLISHED)
def test_near_what_was_published_but_in_torchs_favor(
    cell: str, batch: int, hidden: int, by: str, forward: float, backward: float
) -> None:
    found = model(cell, batch, hidden, gpu="a100")
    assert found[1] == by
    assert forward / 2.5 < found[0] < forward * 1.2
    assert (
        backward / 2.5 < model(cell, batch, hidden, gpu="a100", backward=True)[0] < backward * 1.2
    )


def test_the_model_knows_precision_and_size() -> None:
    assert model("lstm", 256, 1024)[0] < model("lstm", 256, 1024, tf32=False)[0]
    assert model("lstm", 256, 1024, FLOAT16)[0] < model("lstm", 256, 1024)[0]
    assert model("lstm", 256, 1024, tf32=False)[0] <= model("lstm", 256, 1024, FLOAT64)[0]
    assert model("lstm", 1, 2048)[0] > model("lstm", 1, 1024)[0]
    for backward in (False, True):
        times = [model("gru", batch, 512, backward=backward)[0] for batch in (1, 16, 256, 4096)]
        assert times == sorted(times)
        assert times[-1] > 5 * times[0]


def reason(
    cell: str, batch: int, hidden: int, dtype: Any = torch.float32, training: bool = False
) -> str | None:
    plan = stack_plan(
        core.isa_id(), CELL_NUMBERS[cell], dtype, (9, batch, 8), 8, hidden, 1, 1, False
    )
    assert not isinstance(plan, str)
    x = torch.empty((9, batch, 8), dtype=dtype, requires_grad=training)
    return left_to_torch(plan, x, (None,), (), engine=H100)


def test_large_products_are_left_to_torch() -> None:
    for cell in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
        for dtype in (torch.float32, torch.float64):
            for training in (False, True):
                assert (
                    reason(cell, 2, 256 if dtype == torch.float32 else 64, dtype, training) is None
                )
                text = reason(cell, 1024, 1024, dtype, training)
                assert text is not None
                assert "us a step (cuDNN, a launch a step)" in text
                assert "by the engine" in text
    assert reason("peephole_lstm", 1024, 1024) is None
    assert reason("gru_reset_before", 1024, 1024, torch.float64) is None


def test_training_counts_both_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    made = _cuda.plan_of

    def plan_of(*given: Any) -> Any:
        asked.append(given[3])
        return made(*given)

    monkeypatch.setattr(_cuda.plans, "plan_of", plan_of)
    reason("lstm", 3, 77)
    assert asked == [False]
    reason("lstm", 3, 77, training=True)
    assert asked == [False, False, True]


def test_torchs_switch_for_tf32_counts() -> None:
    before = torch.backends.cudnn.allow_tf32
    try:
        torch.backends.cudnn.allow_tf32 = True
        with_it = reason("lstm", 1024, 1024)
        torch.backends.cudnn.allow_tf32 = False
        assert reason("lstm", 1024, 1024) != with_it
    finally:
        torch.backends.cudnn.allow_tf32 = before


def test_what_is_asked_for_is_not_left_to_torch() -> None:
    assert reason("lstm", 1024, 1024) is not None
    with use_cuda(True, always=True) as on:
        assert on
        assert reason("lstm", 1024, 1024) is None
    assert reason("lstm", 1024, 1024) is not None
    before = _cuda.plan_only(_cuda.Only.read("mode=stepwise"))
    try:
        assert reason("lstm", 1024, 1024) is None
    finally:
        _cuda.plan_only(before)
    assert repr(use_cuda(True, always=True)) == "use_cuda(True, always=True)"
    use_cuda(True)


def test_layers_ask_only_where_torchs_own_layer_would_compute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a device that is not the CPU: here one without memory."""
    for module in ("_by_engine", "_cell_base"):
        where = f"fastrnn.nn.{module}"
        monkeypatch.setattr(f"{where}.engine_refuses", lambda *_: None)
        monkeypatch.setattr(f"{where}.left_to_torch", functools.partial(left_to_torch, engine=H100))
    x = torch.empty(3, 1024, 4, device="meta")

    def refused(layer: Any, *args: Any, **options: Any) -> bool:
        return "expected to be faster" in (layer.to("meta").refusal(*args, **options) or "")

    assert refused(fastrnn.nn.LSTM(4, 1024), x)
    assert refused(fastrnn.nn.LSTMCell(4, 1024), x[0])
    assert not refused(fastrnn.nn.LSTM(4, 64), x)
    assert not refused(fastrnn.nn.PeepholeLSTM(4, 1024), x)
    assert not refused(fastrnn.nn.LSTM(4, 1024, weight_drop=0.5), x)
    assert fastrnn.nn.LSTM(4, 1024, zoneout=0.1).to("meta").refusal(x) is None
    resets = torch.zeros(3, 1024, dtype=torch.bool)
    assert not refused(fastrnn.nn.LSTM(4, 1024), x, resets=resets)
    assert not refused(fastrnn.nn.LSTM(4, 1024), x, lengths=[3] * 1024)


def test_explain_gives_both_times() -> None:
    x = torch.randn(2, 1024, 8)
    text = fastrnn.explain(fastrnn.nn.LSTM(8, 1024), x, gpu="h100")
    assert "left to torch: torch's layer is expected to be faster" in text
    assert "use_cuda(always=True)" in text
    own = fastrnn.explain(fastrnn.nn.PeepholeLSTM(8, 1024), x, gpu="h100")
    assert "torch" not in own
    reset = torch.zeros(2, 1024, dtype=torch.bool)
    loop = fastrnn.explain(fastrnn.nn.LSTM(8, 1024), x, resets=reset, gpu="h100")
    assert "torch" not in loop
