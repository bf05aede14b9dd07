"""Models of packages on the index, with random weights and small sizes."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


def name_torchvisions_operators() -> torch.library.Library:
    """Let torchvision from the index be imported beside a CPU build of torch.

    It is built for torch's CUDA build; without that its operators do not load, and importing it
    fails for want of their names alone.  No model here calls one.
    """
    names = torch.library.Library("torchvision", "FRAGMENT")
    while missing := missing_operator():
        names.define(f"{missing}(Tensor x) -> Tensor")
    return names


def hide_broken_torchaudio() -> None:
    """Let Asteroid do without torchaudio, as it can, where it fails to load beside a CPU build."""
    try:
        importlib.import_module("torchaudio")
    except OSError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio"] = sys.modules["torch_stoi"] = None  # type: ignore[assignment]
    except ModuleNotFoundError:
        pass


def missing_operator() -> str:
    """The first one that importing torchvision misses; "" where it can be imported."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("torchvision")
    except RuntimeError as error:
        missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
        if missing is None:
            raise
        return missing[1]
    return ""


OPERATORS = name_torchvisions_operators()  # names live as long as this does
hide_broken_torchaudio()


class Built(NamedTuple):
    """A model, its inputs, and how to call it; floating-point inputs get gradients."""

    model: nn.Module
    inputs: list[Tensor]
    call: Callable[..., Any]


def dual_path_separator(rnn_type: str) -> Built:
    """Asteroid's DPRNN-TasNet: bi-directional layers within and across chunks."""
    from asteroid.models import DPRNNTasNet

    options = {"bn_chan": 16, "hid_size": 24, "chunk_size": 20, "n_repeats": 2, "n_filters": 32}
    model = DPRNNTasNet(n_src=2, rnn_type=rnn_type, **options)
    return Built(model, [torch.randn(2, 1600)], lambda m, x: m(x))


def demucs_separator() -> Built:
    """Demucs with the bi-LSTM of its bottleneck, two layers, and one in each branch."""
    from demucs.demucs import Demucs

    model = Demucs(["drums", "voice"], channels=8, depth=3, lstm_layers=2, dconv_lstm=1)
    return Built(model, [torch.randn(1, 2, 4096)], lambda m, x: m(x))


def ocr_recognizer() -> Built:
    """EasyOCR's CRNN, of its second generation: VGG features, two bi-LSTMs."""
    from easyocr.model.vgg_model import Model

    model = Model(input_channel=1, output_channel=32, hidden_size=32, num_class=40)
    return Built(model, [torch.randn(2, 1, 32, 128)], lambda m, x: m(x, None))


def forecaster() -> Built:
    """GluonTS' DeepAR: the loss of its distribution over past and future, 2 layers."""
    from gluonts.torch.model.deepar.module import DeepARModel

    model = DeepARModel("D", 14, 7, hidden_size=24, dropout_rate=0.0, cardinality=[3])
    past = model._past_length
    inputs = [
        torch.randint(0, 3, (4, 1)),
        torch.randn(4, 1),
        torch.randn(4, past, 1),
        torch.rand(4, past) + 1,
        torch.ones(4, past),
        torch.randn(4, 7, 1),
        torch.rand(4, 7) + 1,
        torch.ones(4, 7),
    ]
    return Built(model, inputs, lambda m, *x: m.loss(*x))


def language_tagger() -> Built:
    """Stanza's language identifier: characters through a bi-LSTM of two layers."""
    from stanza.models.langid.model import LangIDBiLSTM

    letters = {"<PAD>": 0, **{chr(96 + k): k for k in range(1, 27)}}
    model = LangIDBiLSTM(letters, {"en": 0, "fr": 1, "de": 2}, 2, 16, 24)
    return Built(model, [torch.randint(1, 27, (4, 20))], lambda m, x: m(x))


def word_features() -> Built:
    """Stanza's character model of its tagger and parser: a packed LSTM with trained h0 and c0."""
    from stanza.models.common.char_model import CharacterModel

    sizes = {"char_emb_dim": 12, "char_hidden_dim": 24, "char_num_layers": 2, "char_rec_dropout": 0}
    model = CharacterModel({**sizes, "dropout": 0}, {"char": range(30)}, bidirectional=True)
    letters, lengths = torch.randint(1, 30, (6, 9)), [9, 7, 7, 4, 2, 1]

    def call(m: nn.Module, x: Tensor) -> Tensor:
        return m(x, None, list(range(6)), [4, 2], lengths).data

    return Built(model, [letters], call)


def part_of_speech_tagger() -> Built:
    """Stanza's sequence part of the tagger: highway bi-LSTMs over packed sentences."""
    from stanza.models.common.hlstm import HighwayLSTM
    from torch.nn.utils.rnn import pack_padded_sequence

    model = HighwayLSTM(
        10, 16, 2, batch_first=True, bidirectional=True, highway_func=torch.tanh, pad=True
    )
    lengths = [11, 8, 8, 3]

    def call(m: nn.Module, x: Tensor) -> Any:
        return m(pack_padded_sequence(x, lengths, batch_first=True), lengths)

    return Built(model, [torch.randn(4, 11, 10)], call)


MODELS: dict[str, Callable[[], Built]] = {
    "asteroid, DPRNN-TasNet, LSTM": lambda: dual_path_separator("LSTM"),
    "asteroid, DPRNN-TasNet, GRU": lambda: dual_path_separator("GRU"),
    "asteroid, DPRNN-TasNet, RNN": lambda: dual_path_separator("RNN"),
    "demucs": demucs_separator,
    "easyocr, CRNN": ocr_recognizer,
    "gluonts, DeepAR": forecaster,
    "stanza, language": language_tagger,
    "stanza, characters": word_features,
    "stanza, highway tagger": part_of_speech_tagger,
}
