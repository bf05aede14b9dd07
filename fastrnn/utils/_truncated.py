"""Truncated back-propagation through time: windows, and the state between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from fastrnn._lengths import check_lengths

__all__ = ["TruncatedBPTT", "Window", "detach_state"]

_NOT_CARRIED = object()


def detach_state(state: Any) -> Any:
    """The same state without its history: a tensor, tuples, lists and dictionaries of them, None.

    >>> h = torch.ones(1, 2, 3, requires_grad=True) * 2
    >>> [s.requires_grad for s in detach_state((h, h))]
    [False, False]
    """
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, dict):
        return {key: detach_state(value) for key, value in state.items()}
    if isinstance(state, (tuple, list)):
        parts = [detach_state(part) for part in state]
        if hasattr(state, "_fields"):  # a named tuple
            return type(state)(*parts)
        return type(state)(parts)
    raise TypeError(
        f"state: expected tensors in tuples, lists or dictionaries, got {type(state).__name__}"
    )


class Window:
    """Some steps of the sequences.  Call `carry` with the state that the model ends with."""

    def __init__(
        self,
        sequences: tuple[Tensor, ...],
        state: Any,
        start: int,
        stop: int,
        lengths: Tensor | None,
        resets: Tensor | None,
    ) -> None:
        self.sequences = sequences
        """The same steps of every sequence that was given: views."""
        self.state = state
        """What the model starts from: None at first, unless given."""
        self.start, self.stop = start, stop
        self.lengths = lengths
        """Steps of each sequence in this window, int64 [B] from 0 on; None where not given."""
        self.resets = resets
        """Those steps of the resets; None where not given."""
        self._carried: Any = _NOT_CARRIED

    def carry(self, state: Any) -> None:
        """Hand the state, without its history, to the next window; None starts anew there."""
        self._carried = detach_state(state)

    def __repr__(self) -> str:
        return f"Window(steps {self.start} to {self.stop})"


class TruncatedBPTT:
    """Windows of a batch of long sequences, for truncated back-propagation through time.

    Sequences of T steps are cut in windows of ``steps`` (the last one may be shorter).  The state
    that the model has after one window is what it starts the next from, but gradients do not flow
    back into the window before: memory and time of a backward are those of ``steps`` steps, and so
    is how far back gradients see (Williams and Peng 1990, with k1 = k2 = ``steps``).

    Parameters
    ----------
    sequences
        Tensors with the same number of steps: inputs, targets, weights of the loss, ...; [T, ...],
        or [B, T, ...] with ``batch_first``.
    steps
        Of a window.
    state
        What the first window starts from, as it is: a learned initial state learns.  From one
        batch to the next that continues it, give ``windows.state``.
    batch_first
        Whether time is the second dimension.
    lengths
        Steps of each sequence, [B]; windows have their own, for the ``lengths=`` of fastrnn's
        layers, which hand on the state of a sequence that has ended as it is.  No window starts
        after the end of the longest.  (Torch's layers can't take lengths of zero, and without
        lengths go on over the padding: then leave it out of the loss.)
    resets
        Bool, shaped as the sequences' first two dimensions (or [T]): cut like them, for the
        ``resets=`` of fastrnn's layers, where a new sequence begins in the same row.

    Raises
    ------
    ValueError
        If there is nothing to cut, numbers of steps differ, or ``steps`` is less than 1.
    TypeError
        If a sequence is no tensor (a PackedSequence: pad it, and give ``lengths``).
    RuntimeError
        When the next window is asked for and nothing was carried to it.

    Examples
    --------
    >>> import torch, fastrnn
    >>> lstm = fastrnn.nn.LSTM(3, 5)
    >>> x, target = torch.randn(100, 4, 3), torch.randn(100, 4, 5)
    >>> windows = fastrnn.utils.TruncatedBPTT(x, target, steps=35)
    >>> len(windows)
    3
    >>> for window in windows:
    ...     x_part, target_part = window.sequences
    ...     y, state = lstm(x_part, window.state)
    ...     window.carry(state)
    ...     (y - target_part).square().mean().backward()
    >>> window, windows.state[0].requires_grad
    (Window(steps 70 to 100), False)
    """

    def __init__(
        self,
        *sequences: Tensor,
        steps: int,
        state: Any = None,
        batch_first: bool = False,
        lengths: Any = None,
        resets: Any = None,
    ) -> None:
        if not sequences:
            raise ValueError("sequences: expected at least one")
        time_dim = 1 if batch_first else 0
        for sequence in sequences:
            if not isinstance(sequence, Tensor):
                raise TypeError(f"sequences: expected tensors, got {type(sequence).__name__}")
            if sequence.dim() <= time_dim:
                raise ValueError(
                    f"sequences: expected at least {time_dim + 1} dimensions, got {sequence.dim()}"
                )
        counts = {sequence.shape[time_dim] for sequence in sequences}
        if len(counts) > 1:
            raise ValueError(f"sequences: numbers of steps differ: {sorted(counts)}")
        if isinstance(steps, bool) or not isinstance(steps, int):
            raise TypeError(f"steps: expected int, got {type(steps).__name__}")
        if steps < 1:
            raise ValueError(f"steps: expected at least 1, got {steps}")
        self.steps, self.batch_first = steps, batch_first
        self.state = state
        """After the last window that was carried from, without its history."""
        self._sequences, self._stop = sequences, counts.pop()
        self._time_dim = time_dim
        self._lengths: Tensor | None = None
        if lengths is not None:
            if sequences[0].dim() < 2:
                raise ValueError("lengths: the sequences have no batch")
            given = lengths.detach().cpu().numpy() if isinstance(lengths, Tensor) else lengths
            batch_size = sequences[0].shape[1 - time_dim]
            self._lengths = torch.from_numpy(check_lengths(given, batch_size, self._stop))
            self._stop = int(self._lengths.max()) if batch_size else 0
        self._resets: Tensor | None = None
        if resets is not None:
            self._resets = torch.as_tensor(resets)
            if self._resets.dtype != torch.bool:
                raise TypeError(f"resets: expected bool, got {self._resets.dtype}")
            if self._resets.shape not in (sequences[0].shape[:2], sequences[0].shape[:1]):
                raise ValueError(
                    f"resets: expected shape {tuple(sequences[0].shape[:2])}, "
                    f"got {tuple(self._resets.shape)}"
                )

    def __len__(self) -> int:
        return -(-self._stop // self.steps)

    def __iter__(self) -> Iterator[Window]:
        for start in range(0, self._stop, self.steps):
            stop = min(start + self.steps, self._stop)
            window = Window(
                tuple(self._cut(sequence, start, stop) for sequence in self._sequences),
                self.state,
                start,
                stop,
                None if self._lengths is None else (self._lengths - start).clamp(0, stop - start),
                None if self._resets is None else self._cut(self._resets, start, stop),
            )
            yield window
            if window._carried is _NOT_CARRIED:
                raise RuntimeError(
                    f"{window}: nothing was carried to the next one; "
                    "call window.carry(state) with the state that the model returned"
                )
            self.state = window._carried

    def _cut(self, sequence: Tensor, start: int, stop: int) -> Tensor:
        return sequence.narrow(self._time_dim, start, stop - start)
