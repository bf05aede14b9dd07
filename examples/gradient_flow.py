"""See gradients vanish and explode, and what helps: gates, open forget gates, clipping.

The task is the adding problem: of a sequence of random numbers two are marked, one in each half;
what is their sum?  Guessing 1 has an error of 1/6.

Run: ``python examples/gradient_flow.py [FOLDER]``; it writes two pictures there (needs matplotlib).
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastrnn.diagnostics import StateJacobians, plot_norms, record, state_jacobians
from fastrnn.nn import GRU, LSTM, RNN
from fastrnn.utils import init_forget_gate_, init_orthogonal_

HIDDEN, SEQ_LEN, BATCH = 32, 40, 64


def adding_problem(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs [T, B, 2], numbers and marks, and sums [B]."""
    numbers, marks = torch.rand(SEQ_LEN, BATCH, generator=generator), torch.zeros(SEQ_LEN, BATCH)
    for first in (0, SEQ_LEN // 2):
        place = torch.randint(first, first + SEQ_LEN // 2, (BATCH,), generator=generator)
        marks[place, torch.arange(BATCH)] = 1
    return torch.stack([numbers, marks], -1), (numbers * marks).sum(0)


def identity_rnn(scale: float) -> RNN:
    """An RNN that starts by adding up what it reads (Le, Jaitly and Hinton 2015)."""
    rnn = RNN(2, HIDDEN, nonlinearity="relu", bias=False)
    nn.init.normal_(rnn.get_parameter("weight_ih_l0"), 0, 0.1)
    nn.init.eye_(rnn.get_parameter("weight_hh_l0")).data.mul_(scale)
    return rnn


def jacobians() -> dict[str, StateJacobians]:
    """Products ds_T / ds_t of layers that nobody has trained."""
    x, found = adding_problem(torch.Generator().manual_seed(0))[0][:, :8], {}
    for gain in (0.5, 1.0, 2.0):
        rnn = init_orthogonal_(RNN(2, HIDDEN), gain)
        found[f"RNN, singular values {gain:g}"] = state_jacobians(rnn, x)[0]
    for bias in (0.0, 3.0):
        lstm = init_forget_gate_(LSTM(2, HIDDEN), bias)
        found[f"LSTM (c), forget bias {bias:g}"] = state_jacobians(lstm, x, state="cell_state")[0]
        gru = init_forget_gate_(GRU(2, HIDDEN), bias)
        found[f"GRU, update bias {bias:g}"] = state_jacobians(gru, x)[0]
    return found


def train(layer: Any, steps: int, lr: float = 0.003, clip: float = 1.0) -> dict[str, Any]:
    """Losses, the whole gradient's norms before clipping, and dL / dh_t in the first step."""
    generator = torch.Generator().manual_seed(0)
    model = nn.ModuleList([layer, nn.Linear(HIDDEN, 1)])
    optimizer = torch.optim.Adam(model.parameters(), lr)
    run: dict[str, Any] = {"losses": [], "norms": []}
    for _ in range(steps):
        x, target = adding_problem(generator)
        with record(layer) as records:
            y, _ = layer(x)
        loss = nn.functional.mse_loss(model[1](y[-1]).squeeze(-1), target)
        optimizer.zero_grad()
        loss.backward()
        run["norms"].append(nn.utils.clip_grad_norm_(model.parameters(), clip).item())
        optimizer.step()
        run["losses"].append(loss.item())
        run.setdefault("first", records[0])
    return run


def draw(products: dict[str, StateJacobians], runs: dict[str, Any], folder: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.hashsalt": "fastrnn", "font.size": 9, "svg.fonttype": "none"})
    flow, training = (Figure(figsize=(10, h), layout="constrained") for h in (3.8, 4.2))
    for gated, axes in enumerate(flow.subplots(1, 2, sharey=True)):
        plot_norms({k: v for k, v in products.items() if gated != ("RNN" in k)}, axes=axes)
    first, norms, losses = training.subplots(1, 3)
    plot_norms({k: v["first"] for k, v in runs.items() if "clip" not in k}, axes=first)
    colors = {line.get_label(): line.get_color() for line in first.lines}
    first.get_legend().remove()
    for name, run in runs.items():
        means = torch.tensor(run["losses"]).unfold(0, 10, 10).mean(-1)
        places, color = 10 * torch.arange(len(means)) + 5, colors.get(name, "black")
        losses.plot(places, means, color=color, lw=1.4, label=name)
        norms.plot(places, run["norms"][5::10], color=color, lw=0.8)
    norms.set(yscale="log", xlabel="training step", title="norm of the gradient, before clipping")
    losses.set(yscale="log", ylim=(2e-4, 5), xlabel="training step", title="squared error")
    training.legend(*losses.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    for name, figure in (("jacobians", flow), ("training", training)):
        figure.savefig(folder / f"gradients-{name}.svg", metadata={"Date": None})


def main(steps: int = 600) -> tuple[dict[str, StateJacobians], dict[str, Any]]:
    torch.manual_seed(0)
    found = jacobians()
    gates = {"LSTM, forget bias": LSTM, "GRU, update bias": GRU}
    runs = {
        "RNN, singular values 0.5": train(init_orthogonal_(RNN(2, HIDDEN), 0.5), steps),
        "RNN, 1.1 I": train(identity_rnn(1.1), steps, clip=float("inf")),
        "RNN, 1.1 I, clipped": train(identity_rnn(1.1), steps),
    }
    for bias, (name, kind) in product((0.0, 3.0), gates.items()):
        layer = init_forget_gate_(kind(2, HIDDEN), bias)
        runs[f"{name} {bias:g}"] = train(layer, steps, lr=0.01)
    for name, run in runs.items():
        last = sum(run["losses"][-20:]) / 20
        print(f"{name:26} loss {last:.4f}, largest gradient {max(run['norms']):.3g}")
    return found, runs


if __name__ == "__main__":
    draw(*main(), Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
