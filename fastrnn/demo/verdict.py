"""Do the two loss curves coincide?

Training is chaotic: a rounding error grows from step to step, also between torch and itself.
With this model, torch trained twice from weights that differ by half an ulp drifts apart by
2e-5 nats within 50 steps and by up to 2e-3 within 400 (measured, LSTM, the default sizes).  The
limits are about five and ten times that: a wrong gradient is off by far more within few steps.
"""

from __future__ import annotations

from dataclasses import dataclass

EARLY_STEPS, EARLY_LIMIT = 50, 1e-4
LATE_STEPS, LATE_LIMIT = 400, 0.02


@dataclass(frozen=True)
class Verdict:
    """Largest differences of the losses, in nats, and whether they are within the limits."""

    early: float
    overall: float
    limit: float

    @property
    def coincide(self) -> bool:
        # Written so that NaN, which compares false with everything, does not pass.
        return self.early <= EARLY_LIMIT and self.overall <= self.limit


def judge(first: list[float], second: list[float]) -> Verdict:
    """Compare two loss curves of the same length."""
    differences = [abs(a - b) for a, b in zip(first, second, strict=True)]
    if not differences:
        raise ValueError("there is no step to compare")

    def largest(values: list[float]) -> float:
        return next((v for v in values if v != v), max(values))  # NaN wins

    limit = EARLY_LIMIT
    if len(differences) > EARLY_STEPS:
        limit = LATE_LIMIT * max(1.0, len(differences) / LATE_STEPS)
    return Verdict(largest(differences[:EARLY_STEPS]), largest(differences), limit)
