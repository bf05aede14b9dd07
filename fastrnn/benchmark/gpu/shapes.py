"""What is measured on a GPU, and how much faster than cuDNN it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

__all__ = [
    "BATCH",
    "CELLS",
    "HIDDEN",
    "PRECISIONS",
    "REGIMES",
    "STEPS",
    "Regime",
    "Shape",
    "core_set",
    "full_grid",
    "quick_set",
    "regime_of",
]

#: Gates of each cell that torch has.
CELLS = {"LSTM": 4, "GRU": 3, "RNN": 1}
#: Two of them are of one dtype: cuDNN uses TF32 unless told not to, ours follows the same switch.
PRECISIONS = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
HIDDEN = (64, 128, 160, 192, 256, 384, 512, 768, 1024, 1536, 2048)
BATCH = (1, 8, 12, 16, 20, 32, 64, 128, 256)
STEPS = (32, 128, 512, 1024)
_MOST_GATES = 1 << 29  # numbers of the largest array, 2 GiB of float32


@dataclass(frozen=True)
class Shape:
    """A layer and its input, whose features are as many as the hidden units."""

    cell: str
    precision: str
    hidden: int
    batch: int
    seq_len: int = 128
    layers: int = 1
    bidirectional: bool = False
    packed: bool = False
    proj: int = 0

    @property
    def dtype(self) -> torch.dtype:
        return PRECISIONS[self.precision]

    @property
    def title(self) -> str:
        """``LSTM bfloat16 H256 B32 T128``, and what else is special."""
        text = f"{self.cell} {self.precision} H{self.hidden} B{self.batch} T{self.seq_len}"
        if self.layers > 1:
            text += f" {self.layers} layers"
        if self.proj:
            text += f" projected to {self.proj}"
        return text + " bidirectional" * self.bidirectional + " packed" * self.packed

    def layer(self, module: Any) -> torch.nn.Module:
        """Of ``torch.nn`` or ``fastrnn.nn``, on the CPU, in float32."""
        kind = getattr(module, self.cell)
        options: dict[str, Any] = {"proj_size": self.proj} if self.proj else {}
        made: torch.nn.Module = kind(
            self.hidden,
            self.hidden,
            num_layers=self.layers,
            bidirectional=self.bidirectional,
            **options,
        )
        return made


@dataclass(frozen=True)
class Regime:
    """Shapes with a floor and an aim in common: torch's time over ours, (forward, training)."""

    name: str
    has: Callable[[Shape], bool]
    floor: tuple[float, float]
    aim: tuple[float, float] | None


def _persists_in_cudnn(s: Shape) -> bool:
    """Where cuDNN itself keeps an LSTM's weights on the chip."""
    plain = s.layers == 1 and not s.bidirectional and not s.packed
    fits = 192 < s.hidden <= 1024 and s.hidden % 128 == 0 and s.batch % 8 == 0 and s.batch <= 128
    return s.cell == "LSTM" and s.precision == "float16" and plain and fits


def _large(s: Shape) -> bool:
    """Where cuDNN multiplies step by step, in ways that leave most of the chip idle."""
    special = s.precision in ("bfloat16", "tf32") or s.bidirectional or s.packed or s.cell == "GRU"
    return 640 <= s.hidden <= 1024 and s.batch <= 64 and special


#: The first that has a shape counts; the last has all.
REGIMES = (
    Regime("projections: never slower", lambda s: s.proj > 0, (1, 1), None),
    Regime("float16 LSTM that cuDNN keeps on the chip", _persists_in_cudnn, (1, 1), (1.3, 1.4)),
    Regime(
        "B 128 and more, H 1024 and more",
        lambda s: s.batch >= 128 and s.hidden >= 1024,
        (1, 1),
        (1.5, 1.3),
    ),
    Regime(
        "H up to 96, B up to 16", lambda s: s.hidden <= 96 and s.batch <= 16, (1.2, 1.2), (2, 2.5)
    ),
    Regime("H 128, B 8 to 64", lambda s: s.hidden == 128 and 8 <= s.batch <= 64, (2, 2), (4, 4)),
    Regime(
        "H 160 to 192, B 8 and more",
        lambda s: 160 <= s.hidden <= 192 and s.batch >= 8,
        (5, 2.5),
        (20, 6),
    ),
    Regime(
        "H 256 to 512, B up to 64",
        lambda s: 256 <= s.hidden <= 512 and s.batch <= 64,
        (3, 2.5),
        (7, 6),
    ),
    Regime(
        "H 640 to 1024, B up to 64: bfloat16, tf32, GRU, bidirectional, packed",
        _large,
        (2, 1.8),
        (4.5, 3.5),
    ),
    Regime(
        "H 1536 to 2048, B up to 32",
        lambda s: s.hidden >= 1536 and s.batch <= 32,
        (1.5, 1.3),
        (3, 2.5),
    ),
    Regime("other shapes: never slower", lambda s: True, (1, 1), None),  # noqa: ARG005
)


def regime_of(shape: Shape) -> Regime:
    return next(regime for regime in REGIMES if regime.has(shape))


def full_grid() -> Iterator[Shape]:
    """Every cell, precision and size, thousands; and a projection."""
    yield Shape("LSTM", "tf32", 512, 16, proj=128)
    for cell, gates in CELLS.items():
        for precision in PRECISIONS:
            for hidden in HIDDEN:
                for batch in BATCH:
                    for steps in STEPS:
                        if gates * steps * batch * hidden <= _MOST_GATES:
                            yield Shape(cell, precision, hidden, batch, steps)


_CORE = (
    *((64, 8), (96, 16), (128, 32), (160, 32), (192, 16), (200, 20), (256, 8), (256, 32)),
    *((384, 64), (512, 16), (512, 64), (768, 16), (1024, 8), (1024, 64), (1024, 256)),
    *((1536, 16), (2048, 32)),
)


def core_set() -> Iterator[Shape]:
    """At least one shape of every regime, for every cell and precision, and the special forms."""
    for cell in CELLS:
        for precision in PRECISIONS:
            for hidden, batch in _CORE:
                yield Shape(cell, precision, hidden, batch)
    for hidden, batch in ((128, 32), (512, 16), (1024, 32)):
        for precision in ("tf32", "bfloat16"):
            yield Shape("LSTM", precision, hidden, batch, layers=2)
            yield Shape("LSTM", precision, hidden, batch, bidirectional=True)
            yield Shape("LSTM", precision, hidden, batch, packed=True)
            yield Shape("LSTM", precision, hidden, batch, proj=hidden // 4)
    yield Shape("LSTM", "float16", 768, 16, seq_len=1024)  # where FlashRNN has published times


def quick_set() -> Iterator[Shape]:
    """A shape of every regime, fewer cells and precisions than `core_set`."""
    yield Shape("LSTM", "tf32", 512, 16, proj=128)
    for cell, precisions in (
        ("LSTM", tuple(PRECISIONS)),
        ("GRU", ("tf32", "bfloat16")),
        ("RNN", ("float32",)),
    ):
        for precision in precisions:
            for hidden, batch in (
                *((64, 8), (128, 32), (160, 32), (256, 32), (512, 16)),
                *((768, 16), (1024, 64), (2048, 32), (1024, 256)),
            ):
                yield Shape(cell, precision, hidden, batch)
