"""The CUDA engine's kernels run on the CPU, and what to compare them with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from layer_cases import NORMALIZED
from oracles import assert_exact, assert_within_budget

from fastrnn import _cuda, _dispatch, functional, reference
from fastrnn._cuda import shape
from fastrnn._native import core
from fastrnn._plan import CELL_NUMBERS

CELLS = [
    name
    for name in reference.CELLS
    if core.testing.emulated.refuses(CELL_NUMBERS.get(name, 0), 4) is None and name in CELL_NUMBERS
]
# Those with kernels for all steps at once.
PERSISTENT = [
    cell for cell in CELLS if cell not in NORMALIZED and not reference.CELLS[cell].operand_has_state
]
IN_REGISTERS = {"rnn_tanh", "rnn_relu", "lstm", "gru"}  # whose weights tensor cores take from there
Values = dict[str, Any]


def _poisoned(plan_call: Callable[..., Any]) -> Callable[..., Any]:
    """`Shape.plan_call` with memory that is NaN in every type, for what was never written."""

    def poisoned(*args: Any, **options: Any) -> Any:
        how, scratch = plan_call(*args, **options)
        if scratch is not None:
            scratch.fill_(0xFF)
        return how, scratch

    return poisoned


class Emulated:
    """Runs functions, with all that the engine takes on the emulated GPU.

    Not in TF32 unless asked for.  ``plans`` are those that were made for it.
    """

    def __init__(self, patch: Any) -> None:
        self._patch = patch
        self.calls = 0
        self.plans: list[Any] = []

    def __call__(
        self,
        function: Callable[..., Any],
        *args: Any,
        seed: int = 1,
        only: str = "",
        tf32: bool = False,
    ) -> Any:
        self.calls = 0
        self.plans.clear()
        core.testing.emulated.set_seed(seed)
        before = _cuda.plan_only(_cuda.Only.read(only))
        cudnn = torch.backends.cudnn
        allowed, cudnn.allow_tf32 = cudnn.allow_tf32, tf32
        made = _cuda.plan_of

        def plan_of(*given: Any) -> Any:
            self.plans.append(made(*given))
            return self.plans[-1]

        try:
            with self._patch.context() as patch:
                originals = {"run_stack": _dispatch.run_stack, "run_step": _dispatch.run_step}
                for module in list(sys.modules.values()):  # whoever imported them
                    for name in originals:
                        if vars(module).get(name) is originals[name]:
                            patch.setattr(module, name, getattr(self, f"_{name}"))
                patch.setattr(_cuda.plans, "plan_of", plan_of)
                patch.setattr(shape.Shape, "plan_call", _poisoned(shape.Shape.plan_call))
                result = function(*args)
        finally:
            _cuda.plan_only(before)
            cudnn.allow_tf32 = allowed
        assert self.calls, "the emulated engine was not asked"
        return result

    def _run_stack(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        return _cuda.run_stack(*args, **options, engine=_cuda.emulated_engine)

    def _run_step(self, *args: Any) -> Any:
        self.calls += 1
        return _cuda.run_step(*args, engine=_cuda.emulated_engine)


def arguments(
    cell: str, seq_len: int, batch: int, inputs: int, hidden: int, directions: int = 1
) -> Values:
    """Keyword arguments of the cell's function, in float64, the same numbers in float32."""
    kind = reference.CELLS[cell]
    generator = torch.Generator().manual_seed(seq_len + batch + hidden)

    def draw(*shape: int, scale: float) -> Any:
        values = torch.rand(shape, generator=generator, dtype=torch.float32) * 2 - 1
        return (values * scale).double()

    lead = (2,) if directions == 2 else ()
    rows, columns = kind.num_gates * hidden, (2 if kind.operand_has_state else 1) * hidden
    result = {
        "input": draw(seq_len, batch, inputs, scale=2),
        "weight_ih": draw(*lead, rows, inputs, scale=1.5 / inputs**0.5),
        "weight_hh": draw(*lead, rows, columns, scale=1.5 / columns**0.5),
        "bias_ih": draw(*lead, rows, scale=0.5),
        "bias_hh": draw(*lead, rows, scale=0.5),
    }
    if kind.num_unit_params:
        result[kind.unit_params] = draw(*lead, kind.num_unit_params, hidden, scale=1)
    for state in ("h0", "c0")[: kind.num_states]:
        result[state] = draw(*lead, batch, hidden, scale=1)
    return result


def run(cell: str, given: Values, dtype: Any, **options: Any) -> Values:
    """Outputs and the gradients of everything."""
    leaves = {
        name: None if value is None else value.detach().to(dtype).requires_grad_()
        for name, value in given.items()
    }
    outputs = getattr(functional, cell)(**leaves, **options)
    values = {f"output {i}": output.detach() for i, output in enumerate(outputs)}
    generator = torch.Generator().manual_seed(7)
    loss = sum(
        (o * torch.rand(o.shape, generator=generator, dtype=torch.float32).to(o)).sum()
        for o in outputs
    )
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    for name, leaf in leaves.items():
        if leaf is not None:
            assert leaf.grad is not None, name
            values[f"grad {name}"] = leaf.grad
    return values


def tolerance(cell: str) -> dict[str, float]:
    """Of `assert_exact`: normalization divides by small deviations."""
    return {"rtol": 1e-9} if cell in NORMALIZED else {}


def factor(cell: str) -> dict[str, float]:
    """Of `assert_within_budget`, for the same reason."""
    return {"factor": 4.0} if cell in NORMALIZED else {}


def compare(
    cell: str, given: Values, emulated: Emulated, seed: int = 1, only: str = "", **options: Any
) -> None:
    """With the CPU engine: float64 where the plan takes it, float32 by its budget."""
    exact = run(cell, given, torch.float64, **options)
    theirs = run(cell, given, torch.float32, **options)
    if only in ("", "mode=stepwise"):
        doubles = emulated(lambda: run(cell, given, torch.float64, **options), seed=seed)
        for name in exact:
            assert_exact(doubles[name], exact[name], name=f"{cell} {name}", **tolerance(cell))
    ours = emulated(lambda: run(cell, given, torch.float32, **options), seed=seed, only=only)
    assert ours.keys() == exact.keys()
    for name in exact:
        assert_within_budget(
            ours[name], theirs[name], exact[name], name=f"{cell} {name}", **factor(cell)
        )
