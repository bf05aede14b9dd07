"""Replace torch's recurrent layers inside a model by their fastrnn twins, and back.

>>> import torch, fastrnn
>>> model = torch.nn.ModuleDict({"encoder": torch.nn.LSTM(3, 5), "head": torch.nn.Linear(5, 2)})
>>> print(fastrnn.convert(model))
converted 1 module:
  encoder: torch.nn.LSTM -> fastrnn.nn.LSTM
>>> type(model["encoder"])
<class 'fastrnn.nn.lstm.LSTM'>
>>> print(fastrnn.restore(model))
restored 1 module:
  encoder: fastrnn.nn.LSTM -> torch.nn.LSTM
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch.nn import Module
from torch.nn.utils import parametrize

from fastrnn import nn
from fastrnn._patch import BUILT

__all__ = ["ConversionReport", "convert", "restore"]

_TWINS: dict[type[Module], type[Module]] = {
    cls.torch_twin: cls for cls in (nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell)
}
_ORIGINALS = {ours: theirs for theirs, ours in _TWINS.items()}
# What `fastrnn.patch_torch` had built is of both kinds.
_TWINS |= {built: _TWINS[theirs] for theirs, built in BUILT.items()}
_ORIGINALS |= {built: theirs for theirs, built in BUILT.items()}
_NAMES = frozenset(cls.__name__ for cls in _TWINS)


@dataclass(frozen=True)
class ConversionReport:
    """What `convert` or `restore` did.

    Attributes:
        module: the model that was given: it was changed in place.
        replaced: for each name in the model, "class before -> class after"; a module that
            appears under several names is listed under the first.
        left: recurrent modules that stayed as they are, and why.

    ``print(report)`` shows all of it; in a condition it is true if anything was replaced.
    """

    module: Module
    replaced: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    verb: str = "converted"

    def __bool__(self) -> bool:
        return bool(self.replaced)

    def __str__(self) -> str:
        count = len(self.replaced)
        lines = [f"{self.verb} {count or 'no'} module{'' if count == 1 else 's'}"]
        lines += [
            f"  {name or '(the model itself)'}: {what}" for name, what in self.replaced.items()
        ]
        if count:
            lines[0] += ":"
        if self.left:
            lines.append(
                f"left {len(self.left)} as {'it is' if len(self.left) == 1 else 'they are'}:"
            )
            lines += [f"  {name or '(the model itself)'}: {why}" for name, why in self.left.items()]
        return "\n".join(lines)


def convert(module: Module) -> ConversionReport:
    """Make every ``torch.nn`` RNN, LSTM, GRU and cell inside ``module`` a `fastrnn.nn` one.

    In place, ``module`` itself included: the objects stay the same and only their class changes,
    so Parameters (and with them an optimizer's references), hooks, names, the training flag,
    parametrizations, attributes of your own and other references to a layer all survive.

    Left alone, and reported: subclasses of torch's classes and quantized ones (they have their
    own ``forward``), scripted ones, and instances whose ``forward`` has been overridden.

    Args:
        module: any model, or a single recurrent layer.

    Returns:
        A `ConversionReport`: print it to see what was replaced and what was not.

    Raises:
        TypeError: ``module`` is not a ``torch.nn.Module``.
    """
    return _exchange(module, _TWINS, "converted", "torch.nn", "fastrnn.nn")


def restore(module: Module) -> ConversionReport:
    """The inverse of `convert`: make every `fastrnn.nn` layer the ``torch.nn`` one it stands for.

    Works on any model with layers of `fastrnn.nn`, not only on one that `convert` made.  Those that
    torch has no twin of, such as ``GRU(reset_after=False)``, are left alone, and reported.

    Raises:
        TypeError: ``module`` is not a ``torch.nn.Module``.
    """
    return _exchange(module, _ORIGINALS, "restored", "fastrnn.nn", "torch.nn")


def _exchange(
    module: Module, classes: dict[type[Module], type[Module]], verb: str, old: str, new: str
) -> ConversionReport:
    if not isinstance(module, Module):
        raise TypeError(f"module: expected a torch.nn.Module, got {type(module).__name__}")
    report = ConversionReport(module, verb=verb)
    for name, child in module.named_modules():  # each object once
        parametrized = parametrize.is_parametrized(child)
        cls = parametrize.type_before_parametrizations(child)
        target = classes.get(cls)
        if verb == "restored" and not getattr(child, "_in_torch", True):
            report.left[name] = f"{old}.{child!r}, for torch has no such cell"
        elif target is None:
            why = _why_left(child, classes)
            if why is not None:
                report.left[name] = why
        elif "forward" in vars(child):
            report.left[name] = f"{old}.{cls.__name__} whose forward has been overridden"
        else:
            child.__class__ = _parametrized(type(child), target) if parametrized else target
            report.replaced[name] = f"{old}.{cls.__name__} -> {new}.{target.__name__}"
    return report


def _parametrized(cls: type[Module], target: type[Module]) -> type[Module]:
    """``cls``, which torch made to hold a parametrized module's properties, over another base."""
    attributes = {k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__")}
    return type(cls.__name__, (target,), attributes)


def _why_left(module: Module, classes: dict[type[Module], type[Module]]) -> str | None:
    """Why a module that looks recurrent is not exchanged; None for all other modules."""
    cls = type(module)
    name = f"{cls.__module__}.{cls.__qualname__}"
    if isinstance(module, torch.jit.ScriptModule):
        original = getattr(module, "original_name", "")
        return f"a scripted {original}" if original in _NAMES else None
    if isinstance(module, tuple(classes)):
        base = next(c.__name__ for c in cls.__mro__ if c in classes)
        return f"{name} is a subclass of {base}"
    if cls.__name__ in _NAMES and cls.__module__.startswith("torch.ao."):
        return f"{name} is a quantized layer"
    return None
