"""Instruction sets, threads and memory of the compiled engine.

The engine is compiled once for each instruction set ("generic", "avx2", "avx512", "neon") and
uses the best one this processor runs.  The environment variable ``FASTRNN_ISA``, read at first
use, and `use_isa` choose another; asking for one that is not there is an error, never a silent
fallback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

__all__ = [
    "available_isas",
    "build_info",
    "clear_scratch",
    "cuda_info",
    "current_isa",
    "num_threads",
    "use_cuda",
    "use_isa",
]

# The compiled module is imported inside the functions: `import fastrnn` works without it, and
# whoever needs it is told how to build it.


def available_isas() -> list[str]:
    """Instruction sets that are built in and that this processor runs, best first.

    The last one is always ``"generic"``.

    >>> "generic" in available_isas()
    True
    """
    from fastrnn._native import core

    return core.available_isas()


def current_isa() -> str:
    """The instruction set that calls use now.

    Raises ``ValueError`` that lists the choices when ``FASTRNN_ISA`` names one that is not there.
    """
    from fastrnn._native import core

    return core.current_isa()


class use_isa:  # noqa: N801 - called like a function; a class so that `with` works too
    """Use an instruction set from now on or, with ``with``, inside a block.

    The choice is made at once and holds for the whole process, every thread included.  Backward
    always runs on the instruction set that made its forward, whatever is chosen in between.

    ``"avx512_no_bf16"`` stands for AVX-512 without its bfloat16 products, where there are some.

    Raises ``ValueError`` that lists the choices when ``name`` is unknown or not supported here;
    the selection then stays as it was.

    >>> before = current_isa()
    >>> with use_isa("generic"):
    ...     current_isa()
    'generic'
    >>> current_isa() == before
    True
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(
                f"name: expected the name of an instruction set (str), got {type(name).__name__}"
            )
        from fastrnn._native import core

        self.name = name
        self._previous = core.current_isa()
        core.set_isa(name)

    def __enter__(self) -> str:
        # Chosen again: the object may have been made earlier, or entered before.
        from fastrnn._native import core

        core.set_isa(self.name)
        return self.name

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from fastrnn._native import core

        core.set_isa(self._previous)

    def __repr__(self) -> str:
        return f"use_isa({self.name!r})"


def _describe(caps: Any) -> dict[str, Any]:
    names = [name for name in dir(caps) if not name.startswith("_")]
    return {name: getattr(caps, name) for name in names}


class use_cuda:  # noqa: N801 - as use_isa
    """Let the CUDA engine take tensors on a GPU (or not), from now on or inside a ``with`` block.

    It is off at first, unless ``FASTRNN_CUDA=1`` is in the environment: its kernels are tested on
    an emulated GPU only, and nothing about them has been measured on a real one.  Where it is off
    or refuses a call, torch computes it as before.  Needs torch.

    Where a model of what both take expects torch's own layer to be faster, the engine refuses,
    too, and `fastrnn.explain` gives both times.  With ``always=True`` it does not.  Cells that
    torch lacks never go to torch for speed.

    >>> with use_cuda(False):
    ...     pass
    """

    def __init__(self, on: bool = True, *, always: bool = False) -> None:
        from fastrnn import _cuda

        self.on = on
        self.always = always
        self._previous = _cuda.set_enabled(on, always)

    def __enter__(self) -> bool:
        from fastrnn import _cuda

        _cuda.set_enabled(self.on, self.always)
        return self.on

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from fastrnn import _cuda

        _cuda.set_enabled(*self._previous)

    def __repr__(self) -> str:
        return f"use_cuda({self.on!r}{', always=True' if self.always else ''})"


def build_info() -> dict[str, Any]:
    """What the compiled module is: version, compiler, instruction sets built, CUDA, OpenMP.

    ``cuda`` says whether the CUDA engine was built, ``cuda_architectures`` for what; whether there
    is a GPU to run it, `cuda_info` finds out.

    >>> info = build_info()
    >>> {"version", "compiler", "isas", "cuda", "openmp"} <= set(info)
    True
    """
    from fastrnn._native import core

    return core.build_info()


def cuda_info() -> dict[str, Any]:
    """The CUDA engine's state: ``built``, ``architectures``, ``devices`` and, with none, ``why``.

    ``devices`` has one dictionary a GPU: name, compute capability, multiprocessors, memory and
    registers that plans reckon with.  Never raises for want of a GPU, a driver or a build.

    >>> info = cuda_info()
    >>> sorted(info)
    ['architectures', 'built', 'devices', 'why']
    """
    from fastrnn._native import core

    build = core.build_info()
    count, why = core.cuda.devices()
    return {
        "built": build["cuda"],
        "architectures": build["cuda_architectures"],
        "devices": [_describe(core.cuda.device_caps(device)) for device in range(count)],
        "why": why,
    }


def num_threads() -> int:
    """Threads that one call may use: OpenMP's maximum, which ``torch.set_num_threads`` also sets.

    It is 1 in a forked child, where OpenMP's threads do not exist.
    """
    from fastrnn._native import core

    return core.num_threads()


def clear_scratch() -> None:
    """Give the memory that is kept between calls back to the system.

    Scratch is temporary memory (packed weights, gate chunks) that later calls reuse; the amount
    kept is bounded.  Nothing a caller holds is affected.
    """
    from fastrnn._native import core

    core.clear_scratch()
