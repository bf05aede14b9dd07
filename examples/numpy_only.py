"""Train a GRU with NumPy alone, without torch: echo what was seen some steps ago.

Run: ``python examples/numpy_only.py``
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastrnn import ops

SEQ_LEN, BATCH_SIZE, HIDDEN_SIZE, DELAY = 20, 32, 32, 3


def main(steps: int = 300) -> tuple[float, float]:
    """Return the first and the last loss."""
    rng = np.random.default_rng(0)

    def uniform(*shape: int) -> npt.NDArray[np.float32]:
        limit = HIDDEN_SIZE**-0.5
        return rng.uniform(-limit, limit, shape).astype(np.float32)

    parameters = {
        "weight_ih": uniform(3 * HIDDEN_SIZE, 1),
        "weight_hh": uniform(3 * HIDDEN_SIZE, HIDDEN_SIZE),
        "bias_ih": uniform(3 * HIDDEN_SIZE),
        "bias_hh": uniform(3 * HIDDEN_SIZE),
    }
    readout = uniform(HIDDEN_SIZE)
    losses = []
    for _ in range(steps):
        x = rng.normal(size=(SEQ_LEN, BATCH_SIZE, 1)).astype(np.float32)
        y, _, reserve = ops.gru_forward(x, **parameters)

        # Mean squared error of y @ readout against the input DELAY steps earlier.
        error = (y @ readout)[DELAY:] - x[:-DELAY, :, 0]
        losses.append(float(np.mean(error**2)))
        grad_output = np.zeros((SEQ_LEN, BATCH_SIZE), np.float32)
        grad_output[DELAY:] = 2 * error / error.size

        grads = ops.gru_backward(grad_output[..., None] * readout, reserve)
        readout -= np.einsum("tn,tnh->h", grad_output, y)
        for name, value in parameters.items():
            value -= getattr(grads, name)
    print(f"loss {losses[0]:.4f} -> {np.mean(losses[-10:]):.4f}")
    return losses[0], float(np.mean(losses[-10:]))


if __name__ == "__main__":
    main()
