"""The layers with many threads, processes and callers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from oracles import assert_same_bits
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch_twins import LAYERS, output_grads, run, states, twins

import fastrnn.nn

KINDS = list(LAYERS)
# Work is split by rows, directions or units, or not at all: some of each.
SHAPES = [
    (40, 1, 64, 256, False),
    (20, 64, 32, 96, False),
    (25, 8, 40, 130, True),
    (200, 3, 5, 33, False),
    (4, 130, 17, 64, True),
]


@pytest.fixture(autouse=True)
def keep_thread_count() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_thread_count_changes_no_bit(
    kind: str, shape: tuple[int, int, int, int, bool], dtype: torch.dtype
) -> None:
    seq_len, batch_size, input_size, hidden_size, bidirectional = shape
    _, ours = twins(kind, input_size, hidden_size, bidirectional=bidirectional, dtype=dtype)
    x = torch.randn(seq_len, batch_size, input_size, dtype=dtype)
    hx = states(kind, (2 if bidirectional else 1, batch_size, hidden_size), dtype)
    grads = output_grads(ours, x, hx)
    results = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        results.append(run(ours, x, hx, grads))
        with torch.no_grad():
            results.append(run(ours, x, hx))
    for other in results[1:]:
        for name, value in other.items():
            assert_same_bits(value, results[0][name], name=name)


class Features(Dataset[Tensor]):
    """Runs a layer, forward and backward, in the worker."""

    def __init__(self, layer: torch.nn.Module, inputs: Tensor) -> None:
        self.layer, self.inputs = layer, inputs

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> Tensor:
        y = self.layer(self.inputs[index])[0]
        (grad,) = torch.autograd.grad(y.square().sum(), self.layer.weight_hh_l0)
        return torch.cat([y.detach().flatten(), grad.flatten()])


@pytest.mark.parametrize("kind", KINDS)
def test_data_loader_workers(kind: str) -> None:
    """Forked after the parent has used its threads."""
    _, ours = twins(kind, 32, 96)
    inputs = torch.randn(4, 20, 48, 32)
    expected = torch.stack([Features(ours, inputs)[index] for index in range(4)])
    loader = DataLoader(
        Features(ours, inputs), batch_size=2, num_workers=2, multiprocessing_context="fork"
    )
    assert_same_bits(torch.cat(list(loader)), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_callers_in_several_python_threads(kind: str) -> None:
    layers = [twins(kind, 24, 40 + 8 * seed, seed=seed)[1] for seed in range(4)]
    inputs = [torch.randn(30, 6, 24) for _ in layers]
    grads = [output_grads(layer, x) for layer, x in zip(layers, inputs, strict=True)]

    def work(index: int) -> dict[str, Tensor]:
        return run(layers[index], inputs[index], None, grads[index])

    expected = [work(index) for index in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for result, alone in zip(pool.map(work, range(4)), expected, strict=True):
                for name, value in alone.items():
                    assert_same_bits(result[name], value, name=name)


def test_callers_sharing_one_layer() -> None:
    _, ours = twins("lstm", 24, 64, num_layers=2)
    inputs = torch.randn(16, 10, 4, 24)
    with torch.no_grad():
        expected = [ours(x)[0] for x in inputs]

    def work(x: Tensor) -> Tensor:
        with torch.no_grad():
            result: Tensor = ours(x)[0]
            return result

    with ThreadPoolExecutor(8) as pool:
        for got, alone in zip(pool.map(work, inputs), expected, strict=True):
            assert_same_bits(got, alone)


class Sum(torch.nn.Module):
    """Several layers whose backward passes may run at once."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([fastrnn.nn.GRU(8, 32) for _ in range(4)])

    def forward(self, x: Tensor) -> Any:
        return sum(layer(x)[0].sum() for layer in self.layers)


def test_backward_from_several_threads() -> None:
    torch.manual_seed(0)
    model = Sum()
    inputs = torch.randn(6, 12, 5, 8)

    def work(x: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(model(x), list(model.parameters())))

    expected = [work(x) for x in inputs]
    with ThreadPoolExecutor(3) as pool:
        for got, alone in zip(pool.map(work, inputs), expected, strict=True):
            for mine, other in zip(got, alone, strict=True):
                assert_same_bits(mine, other)
