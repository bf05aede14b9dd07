"""What is measured, and the speed that each regime must reach: all of it data."""

from __future__ import annotations

import random
from dataclasses import dataclass

INFERENCE, TRAINING = "inference", "training"
MODES = (INFERENCE, TRAINING)

#: Threads at which `FLOORS` hold; with any other number a row must only not be slower than torch.
FLOOR_THREADS = 2


@dataclass(frozen=True)
class Layer:
    """The layer of torch.nn, and of fastrnn.nn, that holds a cell."""

    title: str
    layer: str
    nonlinearity: str | None
    num_gates: int


#: Cells that torch has too, by their name in ``_core.cells()``.
LAYERS = {
    "lstm": Layer("LSTM", "LSTM", None, 4),
    "gru": Layer("GRU", "GRU", None, 3),
    "rnn_tanh": Layer("RNN tanh", "RNN", "tanh", 1),
    "rnn_relu": Layer("RNN relu", "RNN", "relu", 1),
}


@dataclass(frozen=True)
class Shape:
    """Sizes of one layer call; ``input_size=0`` stands for the hidden size.

    With ``shortest`` the call is of a packed sequence: lengths uniform in shortest..seq_len.
    """

    regime: str
    batch_size: int
    hidden_size: int
    seq_len: int
    input_size: int = 0
    num_layers: int = 1
    bidirectional: bool = False
    note: str = ""
    cells: tuple[str, ...] = tuple(LAYERS)
    shortest: int = 0

    @property
    def packed(self) -> bool:
        return self.shortest > 0

    @property
    def lengths(self) -> list[int]:
        """Steps of each sequence, the same in every run."""
        if not self.packed:
            return [self.seq_len] * self.batch_size
        draw = random.Random(0)
        return [draw.randint(self.shortest, self.seq_len) for _ in range(self.batch_size)]

    @property
    def rows(self) -> int:
        """Steps of all sequences together."""
        return sum(self.lengths)

    @property
    def inputs(self) -> int:
        return self.input_size or self.hidden_size

    @property
    def name(self) -> str:
        shortest = f"{self.shortest}–" if self.packed else ""
        parts = [f"B{self.batch_size}", f"T{shortest}{self.seq_len}"]
        if self.input_size:
            parts.append(f"I{self.input_size}")
        parts.append(f"H{self.hidden_size}")
        if self.num_layers > 1:
            parts.append(f"{self.num_layers}-layer")
        if self.bidirectional:
            parts.append("bidirectional")
        return " ".join(parts)

    @property
    def large(self) -> bool:
        """Whether the goals for large shapes apply."""
        return (
            not self.packed and self.batch_size >= LARGE_BATCH and self.hidden_size >= LARGE_HIDDEN
        )

    def flops(self, num_gates: int, mode: str) -> int:
        """Multiply-adds of the matrix products, two operations each; training is three times."""
        directions = 2 if self.bidirectional else 1
        total = 0
        for layer in range(self.num_layers):
            inputs = self.inputs if layer == 0 else directions * self.hidden_size
            weights = num_gates * self.hidden_size * (inputs + self.hidden_size)
            total += 2 * self.rows * directions * weights
        return total * (3 if mode == TRAINING else 1)


TINY, SMALL, MIDDLE, BIG = "B 1, H 64–128", "B 1, H 256–384", "B 1, H 512", "B 1, H 1024"
BATCH_SMALL, BATCH_MIDDLE = "B 8–32, H 64–128", "B 32–128, H 256–512"
BATCH_BIG, OTHER = "B 128, H 1024", "Other shapes"
PACKED_SMALL, PACKED_LARGE = "Packed, B 8–32, H 128", "Packed, B 8–32, H 256"

#: torch's time divided by ours, at `FLOOR_THREADS` threads: (inference, training) for each layer.
FLOORS: dict[str, dict[str, tuple[float, float]]] = {
    TINY: {"LSTM": (2.3, 2.3), "GRU": (10.0, 15.0), "RNN": (7.0, 10.0)},
    SMALL: {"LSTM": (2.0, 2.0), "GRU": (3.0, 4.0), "RNN": (3.0, 3.5)},
    MIDDLE: {"LSTM": (1.4, 1.5), "GRU": (3.0, 4.0), "RNN": (2.5, 3.5)},
    BIG: {"LSTM": (2.0, 2.0), "GRU": (1.5, 2.5), "RNN": (1.5, 2.0)},
    BATCH_SMALL: {"LSTM": (1.1, 1.15), "GRU": (1.9, 2.5), "RNN": (2.0, 2.3)},
    BATCH_MIDDLE: {"LSTM": (1.03, 1.08), "GRU": (1.35, 1.3), "RNN": (1.35, 1.3)},
    BATCH_BIG: {"LSTM": (1.08, 1.1), "GRU": (1.35, 1.25), "RNN": (1.35, 1.3)},
    OTHER: {"LSTM": (1.0, 1.0), "GRU": (1.0, 1.0), "RNN": (1.0, 1.0)},
    PACKED_SMALL: {"LSTM": (1.8, 2.5), "GRU": (1.9, 2.5), "RNN": (2.0, 2.3)},
    PACKED_LARGE: {"LSTM": (1.8, 2.5), "GRU": (1.35, 1.3), "RNN": (1.35, 1.3)},
}

#: The least that packed sequences may have of fastrnn's own speed for a padded batch of as many
#: steps, at `FLOOR_THREADS` threads.
PADDED_SPEED = 0.9

#: What ``--group`` chooses from.
GROUPS = ("padded", "packed")


#: Goals as shares of the multiply-add peak: layers of at least this batch and hidden size, and the
#: recurrent register tile alone at a hidden size.
LARGE_BATCH, LARGE_HIDDEN = 32, 256
LARGE_GOALS = {INFERENCE: 0.92, TRAINING: 0.88}
TILE_HIDDEN, TILE_GOAL = 256, 0.95


def floor(regime: str, cell: str, mode: str, threads: int) -> float:
    """The least ratio that a row must show."""
    if threads != FLOOR_THREADS:
        return 1.0
    return FLOORS[regime][LAYERS[cell].layer][MODES.index(mode)]


SHAPES = (
    *(Shape(TINY, 1, hidden, steps) for hidden in (64, 128) for steps in (50, 100)),
    Shape(SMALL, 1, 256, 50),
    Shape(SMALL, 1, 256, 150),
    Shape(SMALL, 1, 384, 50),
    Shape(MIDDLE, 1, 512, 25),
    Shape(MIDDLE, 1, 512, 50),
    Shape(BIG, 1, 1024, 20),
    *(Shape(BATCH_SMALL, batch, hidden, 50) for batch in (8, 32) for hidden in (64, 128)),
    Shape(BATCH_MIDDLE, 32, 256, 50),
    Shape(BATCH_MIDDLE, 32, 512, 20),
    Shape(BATCH_MIDDLE, 128, 256, 20),
    Shape(BATCH_MIDDLE, 128, 512, 10),
    Shape(BATCH_BIG, 128, 1024, 4),
    Shape(BATCH_BIG, 128, 1024, 10),
    Shape(OTHER, 1, 512, 1, note="one step of a stream"),
    Shape(OTHER, 1, 32, 63, input_size=24, bidirectional=True, note="tiny tagger"),
    Shape(OTHER, 32, 100, 30, bidirectional=True, note="tagging"),
    Shape(OTHER, 32, 64, 1000, input_size=7, note="time series"),
    Shape(OTHER, 50, 128, 50, num_layers=2, note="character language model"),
    Shape(OTHER, 64, 256, 50, bidirectional=True, note="translation encoder"),
    Shape(OTHER, 32, 256, 20, num_layers=2, bidirectional=True, note="deep bidirectional"),
    Shape(OTHER, 8, 512, 30, note="serving"),
    Shape(OTHER, 256, 256, 20, note="reinforcement learning"),
    Shape(OTHER, 8, 1024, 64, input_size=240, note="speech encoder"),
    Shape(OTHER, 32, 1760, 10, note="speech, wide", cells=("gru", "rnn_relu")),
    *(
        Shape(regime, batch, hidden, longest, shortest=shortest)
        for regime, hidden in ((PACKED_SMALL, 128), (PACKED_LARGE, 256))
        for batch in (8, 32)
        for shortest, longest in ((5, 60), (10, 400))
    ),
)

#: One shape of every regime, for a look in under two minutes.
QUICK = tuple(next(shape for shape in SHAPES if shape.regime == regime) for regime in FLOORS) + (
    Shape(OTHER, 32, 100, 30, bidirectional=True, note="tagging"),
)

#: Sizes that are no use but to see that the benchmark itself works.
SELF_CHECK = (
    Shape(OTHER, 2, 5, 3, input_size=4),
    Shape(OTHER, 3, 4, 2, num_layers=2, bidirectional=True),
    Shape(OTHER, 3, 4, 5, shortest=1),
)
