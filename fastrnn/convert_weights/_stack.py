"""Which layers can stand on each other."""

from __future__ import annotations

from collections.abc import Sequence

from fastrnn.convert_weights._layer import Layer

__all__ = ["check_stack"]


def check_stack(layers: Sequence[Layer]) -> list[Layer]:
    """The layers as a list; ValueError where they do not make one stack.

    All must be of one cell, hidden size, dtype and number of directions, with biases in all or
    none, and each must take what the one before puts out.
    """
    stack = list(layers)
    if not stack or not all(isinstance(layer, Layer) for layer in stack):
        kinds = ", ".join(type(layer).__name__ for layer in stack) or "nothing"
        raise ValueError(f"layers: expected one Layer or more, got {kinds}")
    first = stack[0]
    for k, layer in enumerate(stack[1:], start=1):
        for name in ("cell", "hidden_size", "num_directions", "bias", "dtype", "reverse"):
            want, got = getattr(first, name), getattr(layer, name)
            if want != got:
                raise ValueError(f"layers[{k}]: expected {name} {want} as of the first, got {got}")
        width = first.num_directions * first.hidden_size
        if layer.input_size != width:
            raise ValueError(
                f"layers[{k}]: expected input_size {width}, which the layer before puts out, "
                f"got {layer.input_size}"
            )
    return stack
