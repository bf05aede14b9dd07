"""``fastrnn.patch_torch``: whoever builds a recurrent layer of torch's gets ours.

torch's classes stay where they are, whatever names they were imported under, and stay themselves.
The first patch gives each a ``__new__`` that, for as long as a patch is in force, makes an object
of a class below instead, which derives from ours and from torch's.
"""

from __future__ import annotations

import inspect
import threading
from typing import Any, final

import torch
from torch.nn import Module

from fastrnn import nn

__all__ = ["BUILT", "TorchPatch", "patch_torch"]


def _of_both(ours: type[Module], theirs: type[Module]) -> type[Module]:
    """A class that computes as ours does and whose objects are instances of torch's, too."""

    def initialize(self: Module, *args: Any, **kwargs: Any) -> None:
        theirs.__init__(self, *args, **kwargs)  # by way of ours it would get the mode twice

    initialize.__name__ = "__init__"
    initialize.__qualname__ = f"{theirs.__name__}.__init__"
    attributes = {
        "__doc__": f"What ``torch.nn.{theirs.__name__}(...)`` gives under `fastrnn.patch_torch`.",
        "__init__": initialize,
        "__module__": __name__,
        "__signature__": inspect.signature(theirs),
    }
    return type(theirs.__name__, (ours, theirs), attributes)


# By these names their pickles find them.
RNN = _of_both(nn.RNN, torch.nn.RNN)
LSTM = _of_both(nn.LSTM, torch.nn.LSTM)
GRU = _of_both(nn.GRU, torch.nn.GRU)
RNNCell = _of_both(nn.RNNCell, torch.nn.RNNCell)
LSTMCell = _of_both(nn.LSTMCell, torch.nn.LSTMCell)
GRUCell = _of_both(nn.GRUCell, torch.nn.GRUCell)

# torch's class -> what is built in its place.
BUILT: dict[type[Module], type[Module]] = {
    torch.nn.RNN: RNN,
    torch.nn.LSTM: LSTM,
    torch.nn.GRU: GRU,
    torch.nn.RNNCell: RNNCell,
    torch.nn.LSTMCell: LSTMCell,
    torch.nn.GRUCell: GRUCell,
}

_lock = threading.Lock()
_patches = 0  # that are in force


def _add_new(theirs: type[Module], built: type[Module]) -> None:
    """Add the ``__new__`` that looks for a patch; without one it does what object's does.

    It stays for good: once it is deleted, Python lets object's take no arguments any more.
    """

    def create(cls: type[Module], *args: Any, **kwargs: Any) -> Module:  # noqa: ARG001
        return object.__new__(built if _patches and cls is theirs else cls)

    # Some look for "device" and "dtype" among the arguments before they give them.
    create.__signature__ = inspect.signature(theirs.__init__)  # type: ignore[attr-defined]
    theirs.__new__ = staticmethod(create)  # type: ignore[assignment]


@final
class TorchPatch:
    """A patch in force, as `patch_torch` gives it: ends by `undo` or at the end of a ``with``."""

    def __init__(self) -> None:
        global _patches
        self._active = True
        with _lock:
            for theirs, built in BUILT.items():
                if "__new__" not in vars(theirs):
                    _add_new(theirs, built)
            _patches += 1

    def undo(self) -> None:
        """End this patch; once is enough, and what was built under it stays as it is."""
        global _patches
        with _lock:
            _patches -= self._active
            self._active = False

    @property
    def classes(self) -> list[type[Module]]:
        """What is built: for ``torch.serialization.add_safe_globals``, beside torch's own."""
        return list(BUILT.values())

    def __enter__(self) -> TorchPatch:
        return self

    def __exit__(self, *exception: object) -> None:
        self.undo()

    def __repr__(self) -> str:
        return f"<fastrnn.patch_torch(): {'in force' if self._active else 'undone'}>"


def patch_torch() -> TorchPatch:
    """From now on ``torch.nn.RNN``, ``LSTM``, ``GRU`` and their cells build fastrnn's layers.

    For code that cannot be changed and builds its own layers; a model that exists is converted
    by `fastrnn.convert`.  Under any name the class was imported by, before the patch or after it,
    ``torch.nn.LSTM(...)`` gives an object that computes as `fastrnn.nn.LSTM` and is an instance of
    it as well as of ``torch.nn.LSTM``.  It remains so after the patch.  Loading a pickled model
    and copying one build its layers anew, and so make them ours, too.

    Not reached: layers that exist, and subclasses of torch's layers, which have computations of
    their own.  ``torch.compile`` refuses to look into instances of ``torch.nn.LSTM`` and runs
    them outside its graphs; `fastrnn.convert` makes of what was built the plain classes of
    `fastrnn.nn`, which it does take in.  `fastrnn.restore` makes of it torch's own layers; do so
    before a quantization, which looks for exactly those, and before pickling for a place without
    fastrnn.

    In force for all threads, from the call until `undo` or the end of the ``with`` block; patches
    may overlap, in any order and from any thread, and with the last that ends torch's classes
    build themselves again.

    Returns:
        A `TorchPatch`, with ``undo()``; also a context manager.  Its ``classes`` are to be allowed
        where pickled models are loaded with ``weights_only=True``.

    >>> import torch, fastrnn
    >>> with fastrnn.patch_torch():
    ...     layer = torch.nn.LSTM(3, 5)
    >>> isinstance(layer, fastrnn.nn.LSTM), isinstance(layer, torch.nn.LSTM)
    (True, True)
    >>> isinstance(torch.nn.LSTM(3, 5), fastrnn.nn.LSTM)
    False
    """
    return TorchPatch()
