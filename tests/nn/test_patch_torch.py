"""``fastrnn.patch_torch``: code that builds torch's layers gets ours, and only while it lasts."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from subprocesses import python_output
from torch import Tensor, nn
from torch.nn import LSTM as ImportedBefore
from torch.nn.modules.rnn import GRUCell as CellImportedBefore
from torch_twins import CELLS, LAYERS, assert_equal_runs, output_grads, run, states

import fastrnn

NAMES = ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"]
ALL = [(kind, cell) for cell in (False, True) for kind in LAYERS]


class DefinedBefore(nn.LSTM):
    """A subclass with a computation of its own."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return super().forward(*args, **kwargs)[0]


class ThirdParty(nn.Module):
    """As somebody else would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ImportedBefore(3, 4, bidirectional=True, batch_first=True)
        self.cell = CellImportedBefore(8, 8)
        self.head = torch.nn.Linear(8, 2)
        for module in self.modules():
            if isinstance(module, (nn.LSTM, nn.GRUCell)):
                for name, parameter in module.named_parameters():
                    if name.startswith("bias"):
                        nn.init.constant_(parameter, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.cell(self.encoder(x)[0][:, -1]))
        return result


def is_ours(layer: nn.Module) -> bool:
    return type(layer) is not getattr(nn, type(layer).__name__) and isinstance(
        layer, getattr(fastrnn.nn, type(layer).__name__)
    )


def nothing_patched() -> bool:
    return not any(is_ours(getattr(nn, name)(2, 2)) for name in NAMES)


@pytest.fixture(autouse=True)
def _left_as_found() -> Any:
    assert nothing_patched()
    yield
    assert nothing_patched()


@pytest.mark.parametrize(("kind", "cell"), ALL)
def test_same_numbers_at_full_speed(kind: str, cell: bool) -> None:
    name, extra = (CELLS if cell else LAYERS)[kind]
    options = {**extra, "dtype": torch.float64}
    torch.manual_seed(0)
    theirs = getattr(nn, name)(3, 5, **options)
    with fastrnn.patch_torch():
        torch.manual_seed(0)
        built = getattr(nn, name)(3, 5, **options)
    assert is_ours(built)
    assert isinstance(built, getattr(nn, name))
    assert isinstance(built, getattr(fastrnn.nn, name))
    assert repr(built) == repr(theirs)
    assert list(built.state_dict()) == list(theirs.state_dict())
    x = torch.randn(*((2, 3) if cell else (7, 2, 3)), dtype=torch.float64)
    hx = states(kind, (2, 5) if cell else (1, 2, 5))
    assert built.refusal(x, hx) is None
    grads = output_grads(theirs, x, hx)
    assert_equal_runs(run(built, x, hx, grads), run(theirs, x, hx, grads))


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_every_argument(name: str) -> None:
    arguments: tuple[Any, ...] = (3, 5, 2, "relu") if name == "RNN" else (3, 5, 2)
    options = {"bias": False, "batch_first": True, "dropout": 0.5, "bidirectional": True}
    if name == "LSTM":
        options["proj_size"] = 2
    theirs = getattr(nn, name)(*arguments, **options)
    with fastrnn.patch_torch():
        built = getattr(nn, name)(*arguments, **options)
        assert repr(built) == repr(theirs)
        built.load_state_dict(theirs.state_dict())
        with pytest.raises(ValueError, match="hidden_size must be greater than zero"):
            getattr(nn, name)(3, 0)
        with pytest.raises(TypeError, match="unexpected keyword argument 'foo'"):
            getattr(nn, name)(3, 5, foo=1)
        assert all(p.is_meta for p in getattr(nn, name)(3, 5, device="meta").parameters())
    assert vars(built)["_flat_weights_names"] == vars(theirs)["_flat_weights_names"]


def test_any_name_of_the_class() -> None:
    with fastrnn.patch_torch():
        from torch import nn as imported_now
        from torch.nn.modules.rnn import LSTM as imported_deeply

        for cls in (torch.nn.LSTM, imported_now.LSTM, imported_deeply, ImportedBefore):
            assert cls is ImportedBefore
            assert is_ours(cls(3, 5))
        assert is_ours(CellImportedBefore(3, 5))
        assert is_ours(torch.nn.utils.skip_init(nn.GRUCell, 3, 5))


def test_third_party_model() -> None:
    torch.manual_seed(0)
    theirs = ThirdParty()
    with fastrnn.patch_torch():
        torch.manual_seed(0)
        ours = ThirdParty()
    assert is_ours(ours.encoder)
    assert is_ours(ours.cell)
    assert (ours.encoder.bias_ih_l0 == 0.5).all()  # isinstance in their code saw it
    x = torch.randn(2, 7, 3)
    torch.testing.assert_close(ours(x), theirs(x))
    assert ours.load_state_dict(theirs.state_dict())


def test_as_a_call() -> None:
    patch = fastrnn.patch_torch()
    assert repr(patch) == "<fastrnn.patch_torch(): in force>"
    layer = nn.GRU(3, 5)
    patch.undo()
    assert repr(patch) == "<fastrnn.patch_torch(): undone>"
    patch.undo()  # changes nothing
    assert is_ours(layer)
    assert not is_ours(nn.GRU(3, 5))
    assert not is_ours(copy.deepcopy(nn.GRU(3, 5)))


def test_an_error_ends_it() -> None:
    with pytest.raises(KeyError), fastrnn.patch_torch():
        raise KeyError


def test_nested_and_overlapping() -> None:
    with fastrnn.patch_torch():
        with fastrnn.patch_torch():
            assert is_ours(nn.RNN(3, 5))
        assert is_ours(nn.RNN(3, 5))
    assert not is_ours(nn.RNN(3, 5))
    first, second = fastrnn.patch_torch(), fastrnn.patch_torch()
    first.undo()
    first.undo()
    assert is_ours(nn.RNN(3, 5))
    second.undo()


def test_from_many_threads() -> None:
    gate = threading.Barrier(8)

    def work(_: int) -> bool:
        gate.wait()
        answers = []
        for _ in range(50):
            with fastrnn.patch_torch():
                answers.append(is_ours(nn.LSTM(2, 2)))
        return all(answers)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_subclasses_are_left_to_themselves() -> None:
    class DefinedWithin(nn.GRU):
        pass

    with fastrnn.patch_torch():
        before = DefinedBefore(3, 5)

        class Later(nn.GRU):
            pass

        for layer in (before, DefinedWithin(3, 5), Later(3, 5)):
            assert not isinstance(layer, (fastrnn.nn.GRU, fastrnn.nn.LSTM))
            assert type(layer).__name__ in ("DefinedBefore", "DefinedWithin", "Later")
        assert before(torch.randn(4, 2, 3)).shape == (4, 2, 5)


def test_fastrnn_s_own_classes_are_what_they_were() -> None:
    with fastrnn.patch_torch():
        layer = fastrnn.nn.LSTM(3, 5)
    assert type(layer) is fastrnn.nn.LSTM
    assert not isinstance(layer, nn.LSTM)


@pytest.mark.parametrize("name", NAMES)
def test_signatures_can_still_be_read(name: str) -> None:
    cls = getattr(nn, name)
    before = inspect.signature(cls)
    with fastrnn.patch_torch():
        assert inspect.signature(cls) == before
        assert inspect.signature(type(cls(2, 2))) == before


def test_models_built_under_it_are_saved_and_copied() -> None:
    with fastrnn.patch_torch():
        model = ThirdParty()
    x = torch.randn(2, 7, 3)
    expected = model(x)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for other in (
        torch.load(file, weights_only=False),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ):
        assert type(other.encoder) is type(model.encoder)
        torch.testing.assert_close(other(x), expected, rtol=0, atol=0)


def test_pickled_models_of_torch_are_ours_when_loaded() -> None:
    model = nn.Sequential(nn.LSTM(3, 5, num_layers=2))
    x = torch.randn(7, 2, 3)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    with fastrnn.patch_torch():
        loaded = torch.load(file, weights_only=False)
        copied = copy.deepcopy(model)
        assert pickle.dumps(model)  # by its name the class is still found, and is itself
    for other in (loaded, copied):
        assert is_ours(other[0])
        assert other[0].refusal(x) is None
        torch.testing.assert_close(other(x)[0], model(x)[0])
        other(x)[0].sum().backward()
    assert not is_ours(model[0])


def test_pickled_models_of_allowed_classes() -> None:
    model = nn.Sequential(nn.LSTM(3, 5), nn.GRUCell(5, 5))
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    with fastrnn.patch_torch() as patch:
        allowed = [*patch.classes, nn.LSTM, nn.GRUCell, nn.Sequential, set]
        with torch.serialization.safe_globals(allowed):
            loaded = torch.load(file, weights_only=True)
    assert all(map(is_ours, loaded))
    x = torch.randn(7, 2, 3)
    torch.testing.assert_close(loaded[0](x)[0], model[0](x)[0])


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
def test_scripting_under_it() -> None:
    with fastrnn.patch_torch():
        scripted = torch.jit.script(nn.Sequential(nn.GRUCell(3, 5)))
    assert scripted(torch.randn(2, 3)).shape == (2, 5)


def test_restore_and_convert() -> None:
    with fastrnn.patch_torch():
        model = ThirdParty()
    x = torch.randn(2, 7, 3)
    expected = model(x)
    assert len(fastrnn.restore(model).replaced) == 2
    assert type(model.encoder) is nn.LSTM
    torch.testing.assert_close(model(x), expected)
    with fastrnn.patch_torch():
        model = ThirdParty()
    assert len(fastrnn.convert(model).replaced) == 2  # for torch.compile, which refuses torch's
    assert type(model.cell) is fastrnn.nn.GRUCell
    assert not fastrnn.convert(model)


def test_compile() -> None:
    """Not taken into graphs, as torch's are not; after conversion they are."""
    with fastrnn.patch_torch():
        model = nn.Sequential(nn.GRU(3, 5))
    x = torch.randn(7, 2, 3)
    expected = model(x)[0]
    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(model, backend="eager")(x)[0], expected)
    fastrnn.convert(model)
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x)[0], expected)


def test_in_a_fresh_process() -> None:
    """Patched before torch.nn is used at all, and never undone."""
    code = """
import fastrnn
fastrnn.patch_torch()
from torch.nn import LSTM, GRUCell
import torch
print(type(LSTM(2, 3)).__mro__[1].__module__, LSTM(2, 3)(torch.ones(4, 1, 2))[0].shape)
print(isinstance(GRUCell(2, 3), fastrnn.nn.GRUCell))
"""
    assert python_output(code).splitlines() == [
        "fastrnn.nn.lstm torch.Size([4, 1, 3])",
        "True",
    ]
