"""Products of the steps' Jacobians, d s_T / d s_t, by one backward for many unit vectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from fastrnn._lengths import Rows
from fastrnn._plan import LayerPlan
from fastrnn.diagnostics._record import Call, watching
from fastrnn.diagnostics._results import StateJacobians
from fastrnn.nn._base import RecurrentLayer

__all__ = ["state_jacobians"]

_STATES = {"hidden": (0,), "cell_state": (1,), "both": (0, 1)}


def state_jacobians(
    layer: RecurrentLayer,
    input: Any,  # noqa: A002 - torch's name
    hx: Any = None,
    *,
    lengths: Any = None,
    resets: Any = None,
    state: Literal["hidden", "cell_state", "both"] = "hidden",
    spectral: bool = True,
    matrices: bool = False,
    max_bytes: int = 1 << 28,
) -> list[StateJacobians]:
    """The Jacobian products d s_T / d s_t of every step t, one result a layer of the stack.

    Back-propagation through time multiplies gradients by them: as far as the loss sees the last
    state, d loss / d s_t = (d s_T / d s_t)^T d loss / d s_T.  For an RNN, h_t = f(W h_{t-1} + ...):

        d h_T / d h_t = J_T J_{T-1} ... J_{t+1},   J_k = diag(f'(a_k)) W,

    so gradients vanish where the singular values of the J_k stay below 1, and explode where they
    stay above (Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013).

    What is differentiated: a layer's own states along the layer's own recurrence.  Of an upper
    layer of a stack, the input sequence (the states of the layer below) is held fixed; the two
    directions are two recurrences, and T is the last step that a direction walks: step 0 of the
    input for the reverse one.  ``state`` chooses s: "hidden" is h with c_t held fixed (of an LSTM,
    only the ways that start in h_t), "cell_state" is d c_T / d c_t with h_t held fixed, where
    c_{t+1} = f*c_t + i*g has its short way, and "both" the whole state (h, c) of 2H units, whose
    product of Jacobians has both as its diagonal blocks.

    The layer runs in eval mode, so without dropout, on the sequences repeated for unit vectors of
    s_T, S of them; the identity as d s_T and one backward of the engine give all steps at once.
    Time is that of S times the batch.

    Parameters
    ----------
    layer
        A layer of ``fastrnn.nn``, on the CPU.
    input, hx, lengths, resets
        What the layer takes; the last step of a sequence is its own.  Gradients are stopped by
        resets: what is before one has products of zero.
    state
        Which states to differentiate.
    spectral
        Whether to compute largest singular values, the slower part: one decomposition for each
        step, sequence and direction.
    matrices
        Whether to keep the products: [D, T, B, S, S], S numbers times S more than the states.
    max_bytes
        About as much memory as the repeated sequences may take; they go in parts.

    Raises
    ------
    TypeError
        If ``layer`` is no layer of fastrnn.
    ValueError
        For an unknown ``state``, for one that the cell lacks, and for a single step that is none.
    RuntimeError
        If the engine does not compute such a call; ``layer.refusal`` says why.

    Examples
    --------
    >>> import torch, fastrnn
    >>> rnn = fastrnn.nn.RNN(3, 8)
    >>> _ = torch.nn.init.orthogonal_(rnn.weight_hh_l0, gain=0.5)
    >>> (found,) = fastrnn.diagnostics.state_jacobians(rnn, torch.randn(20, 1, 3))
    >>> found
    StateJacobians(layer 0, hidden, D 1, T 20, B 1)
    >>> bool(found.spectral[0, 0, 0] <= 0.5**19)
    True
    """
    x, initial, lengths, resets = _arguments(layer, input, hx, lengths, resets, state)
    steps, batch_size = x.shape[:2]
    directions = 2 if layer.bidirectional else 1
    units = len(_STATES[state]) * layer.hidden_size
    # A unit of a row: input, gates, states, their gradients, ...; a generous guess.
    row_bytes = steps * x.element_size() * 12 * directions * layer.hidden_size * layer.num_layers
    rows = max(1, max_bytes // row_bytes)
    together = max(1, min(batch_size, rows // units))  # sequences
    parts: list[list[StateJacobians]] = []
    for start in range(0, batch_size, together):
        part = slice(start, start + together)
        some = _Problem(
            layer,
            x[:, part],
            tuple(s[:, part] for s in initial),
            None if lengths is None else lengths[part],
            None if resets is None else resets[:, part],
            _STATES[state],
        )
        parts.append(
            [
                _norms(index, state, product, some.missing(), spectral, matrices)
                for index, product in enumerate(some.products(rows))
            ]
        )
    return [_joined(of_layer) for of_layer in zip(*parts, strict=True)]


def _arguments(
    layer: Any, given: Any, hx: Any, lengths: Any, resets: Any, state: str
) -> tuple[Tensor, tuple[Tensor, ...], Any, Tensor | None]:
    """Input [T, B, I], initial states [L*D, B, H], lengths [B] and resets [T, B], where given."""
    if not isinstance(layer, RecurrentLayer):
        raise TypeError(f"layer: expected a layer of fastrnn.nn, got {type(layer).__name__}")
    if state not in _STATES:
        raise ValueError(f"state: expected one of {', '.join(_STATES)}, got {state!r}")
    if max(_STATES[state]) >= layer._num_states:
        raise ValueError(f"state: {type(layer).__name__} has no cell state")
    if isinstance(given, PackedSequence):
        if lengths is not None or resets is not None:
            raise ValueError("input: a PackedSequence goes without lengths and resets")
        given, lengths = pad_packed_sequence(given, batch_first=layer.batch_first)
    reason = layer.refusal(given, hx, lengths=lengths, resets=resets)
    if reason is not None:
        layer(given, hx, lengths=lengths, resets=resets)  # torch's error, if it is one
        raise RuntimeError(f"state_jacobians needs the engine, which does not take this: {reason}")
    x = given.detach()
    initial = () if hx is None else (hx,) if layer._num_states == 1 else tuple(hx)
    initial = tuple(s.detach() for s in initial)
    if resets is not None:
        resets = torch.as_tensor(resets)
    if x.dim() == 2:
        x, initial = x.unsqueeze(1), tuple(s.unsqueeze(1) for s in initial)
        resets = None if resets is None else resets.unsqueeze(1)
    elif layer.batch_first:
        x = x.transpose(0, 1)
        resets = None if resets is None else resets.transpose(0, 1)
    if lengths is not None:
        lengths = torch.as_tensor(lengths)
    return x, initial, lengths, resets


class _Problem(NamedTuple):
    """Some of the sequences."""

    layer: RecurrentLayer
    x: Tensor
    initial: tuple[Tensor, ...]
    lengths: Tensor | None
    resets: Tensor | None
    states: tuple[int, ...]

    def missing(self) -> npt.NDArray[np.bool_]:
        """[T, B]: past the end."""
        steps, batch_size = self.x.shape[:2]
        lengths = np.full(batch_size, steps) if self.lengths is None else self.lengths.numpy()
        missing: npt.NDArray[np.bool_] = np.arange(steps)[:, None] >= lengths
        return missing

    def products(self, rows: int) -> list[Tensor]:
        """[D, T, B, S, S] of every layer, S unit vectors in parts of at most ``rows`` rows."""
        batch_size = self.x.shape[1]
        size = len(self.states) * self.layer.hidden_size
        if self.missing().all():  # the engine takes no calls without steps
            directions = 2 if self.layer.bidirectional else 1
            shape = (directions, *self.x.shape[:2], size, size)
            dtype = torch.float64 if self.x.dtype == torch.float64 else torch.float32
            return [torch.zeros(shape, dtype=dtype) for _ in range(self.layer.num_layers)]
        count = max(1, rows // batch_size)  # of unit vectors
        parts = [range(size)[first : first + count] for first in range(0, size, count)]
        found = [self._some_rows(units) for units in parts]
        return [torch.cat(of_layer, -2) for of_layer in zip(*found, strict=True)]

    def _some_rows(self, units: range) -> list[Tensor]:
        """[D, T, B, units, S] of every layer."""
        layer, count, hidden_size = self.layer, len(units), self.layer.hidden_size
        batch_size, directions = self.x.shape[1], 2 if layer.bidirectional else 1
        collected: dict[int, list[Tensor]] = {}

        def keep(
            _: Call, index: int, __: LayerPlan, ___: Rows | None, states: list[Tensor]
        ) -> None:
            collected[index] = states

        with _differentiating(layer), watching({"": layer}, keep):
            x = self.x.repeat_interleave(count, 1).requires_grad_()
            finals = self._call(x, count)
            found = []
            for index in range(layer.num_layers):
                grads = [torch.zeros_like(final) for final in finals]
                for number, unit in enumerate(units):
                    which, place = divmod(unit, hidden_size)
                    of_layer = grads[self.states[which]].unflatten(1, (batch_size, count))
                    of_layer[index * directions : (index + 1) * directions, :, number, place] = 1
                torch.autograd.grad(finals, x, grads, retain_graph=True)
                columns = [
                    collected[index][s].unflatten(1, (batch_size, count)) for s in self.states
                ]
                by_direction = [c.unflatten(-1, (directions, hidden_size)) for c in columns]
                found.append(torch.cat(by_direction, -1).permute(3, 0, 1, 2, 4))
        return found

    def _call(self, x: Tensor, count: int) -> list[Tensor]:
        """Final states of every sequence ``count`` times."""
        layer, again = self.layer, [s.repeat_interleave(count, 1) for s in self.initial]
        lengths, resets = self.lengths, self.resets
        if resets is not None:
            resets = resets.repeat_interleave(count, 1)
            resets = resets.transpose(0, 1) if layer.batch_first else resets
        constants = {name: p.detach() for name, p in layer.named_parameters()}
        _, finals = functional_call(
            layer,
            constants,  # nobody wants gradients of weights
            (
                x.transpose(0, 1) if layer.batch_first else x,
                None if not again else again[0] if len(again) == 1 else tuple(again),
            ),
            {
                "lengths": None if lengths is None else lengths.repeat_interleave(count),
                "resets": resets,
            },
        )
        return [finals] if layer._num_states == 1 else list(finals)


@contextmanager
def _differentiating(layer: RecurrentLayer) -> Iterator[None]:
    """In eval mode, whatever the modes outside are."""
    modes = [(module, module.training) for module in layer.modules()]
    layer.eval()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def _norms(
    index: int,
    state: str,
    product: Tensor,
    missing: npt.NDArray[np.bool_],
    spectral: bool,
    matrices: bool,
) -> StateJacobians:
    exact = product.to(torch.float64)  # in float32 the squares of what vanishes would be zero
    finite = exact.isfinite().all(-1).all(-1)
    exact = exact.where(finite[..., None, None], 0)  # for the decomposition, which fails otherwise

    def masked(norms: Tensor) -> npt.NDArray[np.float64]:
        values: npt.NDArray[np.float64] = norms.where(finite, torch.inf).numpy()
        values[:, missing] = np.nan
        return values

    return StateJacobians(
        index,
        state,
        masked(torch.linalg.matrix_norm(exact)),
        masked(torch.linalg.matrix_norm(exact, 2)) if spectral else None,
        product.numpy() if matrices else None,
    )


def _joined(parts: tuple[StateJacobians, ...]) -> StateJacobians:
    """The sequences of all parts."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    joined: list[Any] = []
    for name in ("frobenius", "spectral", "matrices"):
        arrays = [getattr(part, name) for part in parts]
        joined.append(None if arrays[0] is None else np.concatenate(arrays, 2))
    return StateJacobians(first.layer, first.state, *joined)
