"""How a tensor of steps can lie; plain integers, for they are compared on every call."""

from __future__ import annotations

__all__ = ["BATCH_FIRST", "PACKED", "STEP", "TIME_FIRST", "UNBATCHED"]

TIME_FIRST = 0  # [T, B, F]
BATCH_FIRST = 1  # [B, T, F]
UNBATCHED = 2  # [T, F]
STEP = 3  # one step: [B, F] or [F]
PACKED = 4  # [rows, F]: those of the first step, then those of the second, ...
