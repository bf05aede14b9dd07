"""Lightning trains a model with our layers; ``nox -s ecosystem`` brings the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import fastrnn

lightning = pytest.importorskip("lightning", reason="an optional package: nox -s ecosystem")

pytestmark = [
    # What Lightning recommends and what it still calls, none of it about layers.
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
]


class Forecaster(lightning.LightningModule):  # type: ignore[misc]
    def __init__(self, name: str, where: Any = nn) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["where"])
        self.encoder = getattr(where, name)(3, 16, num_layers=2, batch_first=True, dropout=0.1)
        self.head = nn.Linear(16, 1)
        self.losses: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.encoder(x)[0][:, -1])
        return result

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        loss = (self(batch[0]) - batch[1]).square().mean()
        self.losses.append(float(loss.detach()))
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        self.log("validation", (self(batch[0]) - batch[1]).square().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def fit(model: Forecaster, folder: Path, **options: Any) -> Any:
    torch.manual_seed(1)
    x = torch.randn(64, 10, 3)
    data = TensorDataset(x, x.sum((1, 2))[:, None].tanh())
    trainer = lightning.Trainer(
        max_epochs=4,
        accelerator="cpu",
        devices=1,
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=True,
        gradient_clip_val=0.5,
        **options,
    )
    trainer.fit(model, DataLoader(data, batch_size=16), DataLoader(data, batch_size=32))
    return trainer


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_trains_as_with_torchs_layers(name: str, tmp_path: Path) -> None:
    histories = []
    for where in (nn, fastrnn.nn):
        torch.manual_seed(0)
        model = Forecaster(name, where)
        trainer = fit(model, tmp_path / where.__name__)
        assert len(model.losses) == 16
        histories.append(model.losses)
    assert histories[1] == pytest.approx(histories[0], rel=1e-3)
    assert sum(histories[1][-4:]) < sum(histories[1][:4])
    assert model.encoder.refusal(torch.randn(2, 10, 3)) is None
    path = trainer.checkpoint_callback.best_model_path
    loaded = Forecaster.load_from_checkpoint(path, where=fastrnn.nn)
    x = torch.randn(2, 10, 3)
    torch.testing.assert_close(loaded.eval()(x), model.eval()(x))
    torch.testing.assert_close(Forecaster.load_from_checkpoint(path).eval()(x), model(x))


def test_built_under_the_patch_and_converted_between_fits(tmp_path: Path) -> None:
    with fastrnn.patch_torch():
        model = Forecaster("LSTM")
    fit(model, tmp_path / "patched")
    assert isinstance(model.encoder, fastrnn.nn.LSTM)
    fastrnn.restore(model)
    fit(model, tmp_path / "restored")
    assert type(model.encoder) is nn.LSTM
    fastrnn.convert(model)
    fit(model, tmp_path / "converted", accumulate_grad_batches=2)
    assert type(model.encoder) is fastrnn.nn.LSTM
    assert sum(model.losses[-4:]) < sum(model.losses[:4])


def test_mixed_precision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Forecaster("GRU", fastrnn.nn)
    fit(model, tmp_path, precision="bf16-mixed")
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert sum(model.losses[-4:]) < sum(model.losses[:4])
