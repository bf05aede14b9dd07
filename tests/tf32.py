"""What TF32 means: the operands of recurrent products rounded, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from emulated import Values
from torch import Tensor

from fastrnn import _composed, _steps


def nearest_tf32(values: Tensor) -> Tensor:
    """Rounded to 11 significant bits, halves away from zero."""
    mantissa, exponent = torch.frexp(values)
    whole = torch.floor(mantissa.abs() * 2048 + 0.5) * mantissa.sign()
    return torch.ldexp(whole, exponent - 11)


class _RoundedProduct(torch.autograd.Function):
    """``h W^T`` and ``g W`` with both operands rounded; the gradient of W is not recurrent."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(h, weight)
        return nearest_tf32(h) @ nearest_tf32(weight).t()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        h, weight = ctx.saved_tensors
        return nearest_tf32(grad) @ nearest_tf32(weight), grad.t() @ h


def _rounded_linear(h: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    product: Tensor = _RoundedProduct.apply(h, weight)
    return product if bias is None else product + bias


def run_rounded(cell: str, given: Values, dtype: Any) -> Values:
    """As `emulated.run`, by torch's operations; one direction."""
    leaves = {n: v.detach().to(dtype).requires_grad_() for n, v in given.items()}
    extra = leaves.get("peephole")
    gates = [
        _steps.input_gates(cell, x, leaves["weight_ih"], leaves["bias_ih"], extra)
        for x in leaves["input"]
    ]
    state = tuple(leaves[name] for name in ("h0", "c0") if name in leaves)
    params = [leaves["weight_ih"], leaves["weight_hh"], leaves["bias_ih"], leaves["bias_hh"], extra]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_steps, "linear", _rounded_linear)
        y, final = _composed.walk(cell, gates, state, params, False)
    outputs = [torch.stack(y), *final]
    values = {f"output {i}": output.detach() for i, output in enumerate(outputs)}
    generator = torch.Generator().manual_seed(7)
    loss = sum(
        (o * torch.rand(o.shape, generator=generator, dtype=torch.float32).to(dtype)).sum()
        for o in outputs
    )
    assert isinstance(loss, Tensor)
    loss.backward()
    return values | {f"grad {name}": leaf.grad for name, leaf in leaves.items()}
