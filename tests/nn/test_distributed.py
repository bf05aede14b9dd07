"""DistributedDataParallel and FSDP2 over gloo: two processes give what one gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import distributed_training
import pytest
import torch
from subprocesses import child_environment

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this torch was built without gloo",
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Everything from one start of two processes; they meet at a file, no port is needed."""
    folder = tmp_path_factory.mktemp("distributed")
    arguments = [str(folder / "rendezvous"), str(folder / "result.pt")]
    processes = [
        subprocess.Popen(
            [sys.executable, distributed_training.__file__, str(rank), "2", *arguments],
            env=child_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=200)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    assert Path(arguments[1]).is_file()
    return torch.load(arguments[1], weights_only=False)


@pytest.mark.parametrize("kind", distributed_training.LAYERS)
@pytest.mark.parametrize("how", distributed_training.HOW)
def test_two_processes_train_as_one(results: Any, how: str, kind: str) -> None:
    got = results[how, kind]
    assert got["refusals"] == {None}  # on the engine, in every process and step
    alone = distributed_training.train(*distributed_training.model_and_data(kind))
    assert len(got["grads"]) == len(alone["grads"]) == 3
    for mine, exact in zip(got["grads"], alone["grads"], strict=True):
        torch.testing.assert_close(mine, exact, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(got["weights"], alone["weights"], rtol=1e-10, atol=1e-12)
    model, *_ = distributed_training.model_and_data(kind)
    for weight, before in zip(got["weights"], model.parameters(), strict=True):
        assert not torch.equal(weight, before)
