"""One layer forward and backward for any cell: allocates the results and calls the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastrnn._native import core
from fastrnn.ops._arrays import address, check_shape, checked, dense, number_code, placed, rows
from fastrnn.ops._problem import Problem, Weights, cell_spec, make_problem

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastrnn.ops._arrays import Array

_FINALS = ("grad_h_n", "grad_c_n")


class Reserve:
    """What a forward call keeps for its backward: opaque, to be passed on as it is.

    It holds the arrays of the forward call (``x``, the weights, the initial states and ``y``) by
    reference and without a copy where their layout allows, so change none of them in place
    before the last backward.  Backward does not change the reserve: it may run any number of
    times.  The memory goes back to a pool when the object dies.
    """

    __slots__ = ("_block", "_isa", "_problem", "_y")

    def __init__(
        self, problem: Problem, y: Array, block: npt.NDArray[np.uint8] | None, isa: int
    ) -> None:
        self._problem = problem
        self._y = y
        self._block = block
        self._isa = isa

    @property
    def nbytes(self) -> int:
        """Bytes held beyond the caller's own arrays."""
        return 0 if self._block is None else self._block.nbytes

    def __repr__(self) -> str:
        seq_len, batch_size, input_size, hidden_size, num_directions = self._problem.sizes
        return (
            f"<Reserve of {self._problem.cell.name}_forward: {self._y.dtype}, "
            f"seq_len={seq_len}, batch_size={batch_size}, input_size={input_size}, "
            f"hidden_size={hidden_size}, num_directions={num_directions}, "
            f"isa={core.isa_name(self._isa)!r}, {self.nbytes} bytes>"
        )

    def __reduce__(self) -> Any:
        # The layout belongs to one instruction set and to the pool's alignment.
        raise TypeError("a Reserve can be neither copied nor pickled; run forward again")


def _number(array: Array) -> int:
    code = number_code(array.dtype)
    assert code is not None  # checked() has let it pass
    return code


class Run(NamedTuple):
    y: Array
    final: tuple[Array, ...]
    reserve: Reserve


def forward(
    name: str,
    x: object,
    weight_ih: object,
    weight_hh: object,
    bias_ih: object,
    bias_hh: object,
    unit_params: object,
    initial: tuple[object, ...],
    lengths: object,
    resets: object,
    *,
    save: bool,
) -> Run:
    """Check the arguments and run; the reserve is good for backward only with ``save``."""
    cell = cell_spec(name)
    problem = make_problem(
        cell,
        x,
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        unit_params,
        initial,
        lengths,
        resets,
    )
    sizes, dtype = problem.engine_sizes, problem.x.dtype
    y: Array = np.empty(problem.y_shape, dtype)
    final = tuple(np.empty(problem.state_shape, dtype) for _ in problem.initial)
    isa = core.isa_id()
    number = _number(y)
    block = None
    if problem.empty:
        y.fill(0)
        final = tuple(map(_filled, final, problem.initial))
    elif save:
        # At least one byte: the address 0 would mean "save nothing" to the engine.
        block = core.alloc_block(max(1, core.reserve_size(cell.number, number, isa, sizes)))
    if not problem.empty:
        core.forward(
            cell.number,
            number,
            isa,
            0,
            sizes,
            placed(problem.x),
            problem.weights.addresses(sizes[4]),
            tuple(map(address, problem.initial)),
            placed(y),
            tuple(map(address, final)),
            address(block),
            *problem.engine_rows,
        )
    return Run(y, final, Reserve(problem, y, block, isa))


def _filled(array: Array, values: Array | None) -> Array:
    array[...] = 0 if values is None else values
    return array


class Gradients(NamedTuple):
    x: Array
    weights: Weights
    initial: tuple[Array | None, ...]


def backward(
    name: str, grad_y: object, reserve: object, grad_final: tuple[object, ...]
) -> Gradients:
    """Gradients of everything that forward was given; None for what it was not given."""
    if not isinstance(reserve, Reserve):
        raise TypeError(
            f"reserve: expected what {name}_forward returned, got {type(reserve).__name__}"
        )
    problem, y = reserve._problem, reserve._y
    if problem.cell.name != name:
        raise ValueError(
            f"reserve: expected what {name}_forward returned, got that of "
            f"{problem.cell.name}_forward"
        )
    sizes, dtype = problem.engine_sizes, y.dtype
    d_y = None
    if grad_y is not None:
        d_y = checked("grad_y", grad_y, dtype)
        check_shape("grad_y", d_y, problem.y_shape, "as y has")
        d_y = rows(d_y)
    d_final: list[Array | None] = []
    for final_name, value in zip(_FINALS, grad_final, strict=False):
        if value is None:
            d_final.append(None)
            continue
        grad = checked(final_name, value, dtype)
        check_shape(final_name, grad, problem.state_shape, f"as {final_name[5:]} has")
        d_final.append(dense(grad))

    # What is empty never reaches the engine: its gradients are zero, but for those that final
    # states hand on to initial ones.
    make = np.zeros if problem.empty else np.empty

    def result(array: Array | None) -> Array | None:
        return None if array is None else make(array.shape, dtype)

    grad_x = make(problem.x.shape, dtype)
    weights = problem.weights
    grads = Weights(
        make(weights.weight_ih.shape, dtype),
        make(weights.weight_hh.shape, dtype),
        result(weights.bias_ih) if problem.has_bias[0] else None,
        result(weights.bias_hh) if problem.has_bias[1] else None,
        result(weights.unit_params),
    )
    initial = tuple(map(result, problem.initial))
    if problem.empty:
        initial = tuple(
            None if i is None else _filled(i, f) for i, f in zip(initial, d_final, strict=True)
        )
    else:
        core.backward(
            problem.cell.number,
            _number(y),
            reserve._isa,
            0,
            sizes,
            placed(problem.x),
            weights.addresses(sizes[4]),
            tuple(map(address, problem.initial)),
            placed(y),
            address(reserve._block),
            placed(d_y),
            tuple(map(address, d_final)),
            placed(grad_x),
            grads.addresses(sizes[4]),
            tuple(map(address, initial)),
            *problem.engine_rows,
        )
    return Gradients(grad_x, grads, initial)
