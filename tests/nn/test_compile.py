"""torch.compile: one graph, one node a layer, whatever T and B are; the numbers those of eager."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.func import functional_call, grad, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence
from torch_twins import CELLS, LAYERS, flat, output_grads, run, states, twins

import fastrnn
import fastrnn.nn
from fastrnn import functional
from fastrnn._native import core

KINDS = list(LAYERS)
SIZES = ((4, 2), (6, 3), (9, 5), (3, 7))  # T, B
OPTIONS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "all options": {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.5},
    "without bias": {"bias": False, "bidirectional": True},
}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


class Compiled:
    """A compiled callable that knows its graphs."""

    def __init__(self, call: Any, backend: str = "aot_eager", **options: Any) -> None:
        self.counter = CompileCounterWithBackend(backend)
        self.call = torch.compile(call, backend=self.counter, fullgraph=True, **options)

    def __call__(self, *args: Any) -> Any:
        return self.call(*args)

    @property
    def compilations(self) -> int:
        return int(self.counter.frame_count)

    def nodes(self) -> list[str]:
        graph = self.counter.graphs[-1].graph
        return [str(node.target) for node in graph.nodes if node.op == "call_function"]


def dynamic(tensor: Tensor, *dims: int) -> Tensor:
    for dim in dims:
        torch._dynamo.mark_dynamic(tensor, dim)
    return tensor


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_one_graph_for_all_sizes(kind: str, options: str) -> None:
    _, ours = twins(kind, 3, 5, **OPTIONS[options])
    layers, directions = ours.num_layers, 2 if ours.bidirectional else 1
    for training, backend in ((True, "eager"), (True, "aot_eager"), (False, "aot_eager")):
        torch.compiler.reset()
        ours.train(training)
        compiled = Compiled(ours, backend)
        for seq_len, batch_size in SIZES:
            shape = (batch_size, seq_len) if ours.batch_first else (seq_len, batch_size)
            x = torch.randn(*shape, 3)
            hx = states(kind, (layers * directions, batch_size, 5), torch.float32)
            marked = dynamic(x.clone(), 0, 1)
            for state in flat(hx):
                dynamic(state, 1)
            grads = output_grads(ours, x, hx)
            expected = run(ours, x, hx, grads)
            leaf = marked.requires_grad_()
            initial = [dynamic(state.detach().requires_grad_(), 1) for state in flat(hx)]
            torch.manual_seed(0)
            outputs = flat(compiled(leaf, tuple(initial) if kind == "lstm" else initial[0]))
            got = outputs + list(
                torch.autograd.grad(outputs, [leaf, *initial, *ours.parameters()], grads)
            )
            for mine, value in zip(got, expected.values(), strict=True):
                assert torch.equal(mine, value)
        assert compiled.compilations == 1
        assert compiled.nodes().count("fastrnn.layer.default") == layers


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_that_nobody_announced(kind: str) -> None:
    _, ours = twins(kind, 3, 5, bidirectional=True)
    compiled = Compiled(ours)
    for seq_len, batch_size in SIZES:
        x = torch.randn(seq_len, batch_size, 3)
        assert torch.equal(flat(compiled(x))[0], flat(ours(x))[0])
    assert compiled.compilations == 2  # once for the first sizes, once for all


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_without_a_batch_and_without_gradients(kind: str, batch_first: bool) -> None:
    _, ours = twins(kind, 3, 5, batch_first=batch_first)
    compiled = Compiled(ours)
    with torch.no_grad():
        for seq_len, _ in SIZES:
            x = torch.randn(seq_len, 3)
            for mine, value in zip(flat(compiled(dynamic(x, 0))), flat(ours(x)), strict=True):
                assert torch.equal(mine, value)
    assert compiled.compilations == 1


@pytest.mark.parametrize("kind", list(CELLS))
def test_cells(kind: str) -> None:
    _, ours = twins(kind, 3, 5, cell=True)
    compiled = Compiled(ours)
    for _, batch_size in SIZES:
        x = dynamic(torch.randn(batch_size, 3), 0)
        hx = states(kind, (batch_size, 5), torch.float32)
        for state in flat(hx):
            dynamic(state, 0)
        expected, got = flat(ours(x, hx)), flat(compiled(x, hx))
        weights = list(ours.parameters())
        grads = [torch.randn_like(output) for output in expected]
        got += list(torch.autograd.grad(got, weights, grads))
        expected += list(torch.autograd.grad(expected, weights, grads))
        for mine, value in zip(got, expected, strict=True):
            assert torch.equal(mine, value)
    assert compiled.compilations == 1
    assert compiled.nodes().count("fastrnn.layer.default") == 1
    x = torch.randn(3)
    assert torch.equal(flat(compiled(x))[0], flat(ours(x))[0])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(functional, name) for name in functional.__all__
}
INFO = {info["name"]: info for info in core.cells()}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    info, given = INFO[name], {}
    rows, units = info["num_gates"] * 5, info["num_unit_params"]
    for argument, shape in (
        ("weight_ih", (rows, 3)),
        ("weight_hh", (rows, 5 * info["num_operand_states"])),
        ("bias_ih", (rows,)),
        *([(info["unit_params"], (units, 5))] if units else []),
    ):
        given[argument] = torch.randn(2, *shape, requires_grad=True)
    compiled = Compiled(lambda x: FUNCTIONS[name](x, **given))
    for seq_len, batch_size in SIZES:
        x = torch.randn(seq_len, batch_size, 3)
        expected, got = FUNCTIONS[name](x, **given), compiled(dynamic(x.clone(), 0, 1))
        for mine, value in zip(got, expected, strict=True):
            assert torch.equal(mine, value)
        found = torch.autograd.grad(got[0].sin().sum(), list(given.values()))
        wanted = torch.autograd.grad(expected[0].sin().sum(), list(given.values()))
        for mine, value in zip(found, wanted, strict=True):
            torch.testing.assert_close(mine, value)
    assert compiled.compilations == 1


class Tagger(nn.Module):
    """Layers as they are used: between others."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        options = {"num_layers": 2, "bidirectional": True, "batch_first": True}
        self.layer = twins(kind, 6, 4, **options)[1]
        self.head = nn.Linear(8, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        y: Tensor = self.head(torch.relu(self.layer(self.embedding(tokens))[0]))
        return y


def train(model: Any, module: nn.Module, steps: int = 4) -> list[float]:
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(module.parameters(), 0.5)
    losses = []
    for step in range(steps):
        tokens = dynamic(torch.randint(20, (3 + step, 5 + step)), 0, 1)
        loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten() % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(("kind", "backend"), [("lstm", "inductor"), ("gru", "aot_eager")])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, compiling
def test_training_a_model(kind: str, backend: str) -> None:
    model = Tagger(kind)
    other = copy.deepcopy(model)
    compiled = Compiled(model, backend)
    losses = train(compiled, model)
    assert losses == pytest.approx(train(other, other), rel=1e-5)
    assert compiled.compilations == 1
    assert compiled.nodes().count("fastrnn.layer.default") == 2


def test_dropout_of_a_compiled_layer() -> None:
    layer = fastrnn.nn.GRU(3, 5, num_layers=2, dropout=1.0)
    compiled = Compiled(layer)
    x = torch.randn(4, 2, 3)
    dropped = compiled(x)[0]
    assert torch.equal(dropped, layer(x)[0])
    assert not torch.equal(compiled(x + 1)[1][0], compiled(x)[1][0])
    assert torch.equal(compiled(x + 1)[0], dropped)  # the second layer sees zeros alone
    layer.eval()
    assert torch.equal(compiled(x)[0], layer(x)[0])
    assert not torch.equal(compiled(x)[0], dropped)


LENGTHS = ([2, 5, 3], [4, 4, 1], [1, 6, 2, 3], [5, 5], [2, 2, 4, 3, 1], [1, 3, 2])


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("given_state", [False, True])
def test_packed_sequences(kind: str, given_state: bool) -> None:
    _, ours = twins(kind, 3, 5, num_layers=2, bidirectional=True)
    compiled = Compiled(ours)
    for lengths in LENGTHS:
        x = torch.randn(6, len(lengths), 3)
        packed = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
        hx = states(kind, (4, len(lengths), 5), torch.float32) if given_state else None
        (got, final), (expected, expected_final) = compiled(packed, hx), ours(packed, hx)
        torch.testing.assert_close(got, expected)
        torch.testing.assert_close(flat(final), flat(expected_final))
        for mine, value in zip(*(gradients(y.data, ours) for y in (got, expected)), strict=True):
            torch.testing.assert_close(mine, value)
    assert compiled.nodes().count("fastrnn.layer.default") == 2
    assert compiled.compilations <= 3  # each of steps, sequences and rows varies for the first time


def test_packed_sequences_that_came_sorted_are_torch_s() -> None:
    _, ours = twins("gru", 3, 5)
    packed = pack_padded_sequence(torch.randn(5, 3, 3), torch.tensor([5, 3, 2]))
    got, expected = torch.compile(ours, backend="aot_eager")(packed), ours(packed)
    torch.testing.assert_close(got[0], expected[0])
    torch.testing.assert_close(got[1], expected[1])


def gradients(y: Tensor, layer: nn.Module) -> tuple[Tensor, ...]:
    return torch.autograd.grad(y.sin().sum(), list(layer.parameters()), materialize_grads=True)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_lengths_and_resets(kind: str, batch_first: bool) -> None:
    _, ours = twins(kind, 3, 5, num_layers=2, bidirectional=True, batch_first=batch_first)
    for names in (["lengths"], ["resets"], ["lengths", "resets"]):
        torch.compiler.reset()
        compiled = Compiled(lambda x, given: ours(x, **given))
        for lengths in (*LENGTHS, [0, 0, 0]):
            shape = (len(lengths), 6) if batch_first else (6, len(lengths))
            every = {"lengths": torch.tensor(lengths), "resets": torch.rand(shape) < 0.3}
            given = {name: every[name] for name in names}
            x = torch.randn(*shape, 3)
            got, expected = flat(compiled(x, given)), flat(ours(x, **given))
            torch.testing.assert_close(got, expected)
            torch.testing.assert_close(gradients(got[0], ours), gradients(expected[0], ours))
        assert compiled.compilations <= 2
        assert compiled.nodes().count("fastrnn.layer.default") == 2


def test_lengths_and_resets_of_functions() -> None:
    given = {"weight_ih": torch.randn(15, 3), "weight_hh": torch.randn(15, 5)}
    extra = {"lengths": torch.tensor([2, 4]), "resets": torch.rand(4, 2) < 0.3}
    x = torch.randn(4, 2, 3)
    compiled = Compiled(lambda x: functional.gru(x, **given, **extra))
    torch.testing.assert_close(compiled(x), functional.gru(x, **given, **extra))
    assert "fastrnn.layer.default" in compiled.nodes()


def test_bad_lengths() -> None:
    compiled = torch.compile(fastrnn.nn.GRU(3, 5), backend="aot_eager")
    x = torch.randn(4, 2, 3)
    with pytest.raises(ValueError, match="lengths: expected 0 to 4, .* got 5"):
        compiled(x, lengths=torch.tensor([5, 1]))
    with pytest.raises(TypeError, match="lengths: expected integers"):
        compiled(x, lengths=torch.tensor([1.0, 1.0]))
    with pytest.raises(ValueError, match="lengths: expected one for each of the 2 sequences"):
        compiled(x, lengths=torch.tensor([1, 2, 3]))
    with pytest.raises((TypeError, RuntimeError), match="resets"):
        compiled(x, resets=torch.zeros(4, 2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_and_autocast(kind: str, dtype: torch.dtype) -> None:
    _, ours = twins(kind, 3, 5, num_layers=2, bidirectional=True)
    _, cell = twins(kind, 3, 5, cell=True)
    _, half = twins(kind, 3, 5, dtype=dtype)
    x = torch.randn(4, 2, 3)

    def automatic(x: Tensor) -> Any:
        with torch.autocast("cpu", dtype):
            return flat(ours(x)) + flat(cell(x[0]))

    for call, given, layer in ((automatic, x, ours), (half, x.to(dtype), half)):
        compiled = Compiled(call)
        got, expected = flat(compiled(given)), flat(call(given))
        weights = list(layer.parameters())
        got += torch.autograd.grad(got[0].float().sum(), weights)
        expected += torch.autograd.grad(expected[0].float().sum(), weights)
        for mine, value in zip(got, expected, strict=True):
            assert mine.dtype == value.dtype
            assert torch.equal(mine, value)
        assert "fastrnn.layer.default" in compiled.nodes()


def test_parametrized_weights() -> None:
    layer = parametrizations.weight_norm(fastrnn.nn.GRU(3, 5), "weight_hh_l0")
    compiled = Compiled(layer)
    x = torch.randn(4, 2, 3)
    assert torch.equal(compiled(x)[0], layer(x)[0])
    assert "fastrnn.layer.default" in compiled.nodes()


def test_transforms_inside() -> None:
    layer = fastrnn.nn.LSTM(3, 5)
    xs = torch.randn(6, 4, 2, 3)

    def loss(params: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(layer, params, (x,))[0].square().sum()

    params = dict(layer.named_parameters())
    for call in (
        lambda: vmap(lambda x: layer(x)[0])(xs),
        lambda: tuple(vmap(grad(loss), (None, 0))(params, xs).values()),
    ):
        torch.testing.assert_close(Compiled(call)(), call())


def test_a_second_derivative_is_torch_s_error() -> None:
    layer, x = fastrnn.nn.GRU(3, 5), torch.randn(4, 2, 3, requires_grad=True)
    y = Compiled(layer)(x)[0]
    (first,) = torch.autograd.grad(y.sin().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="does not currently support double backward"):
        first.sum().backward()


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        ((4, 2, 4), RuntimeError, "input.size.* must be equal to input_size. Expected 3, got 4"),
        ((4,), ValueError, "GRU: Expected input to be 2D or 3D, got 1D instead"),
        ((0, 2, 3), RuntimeError, "Expected sequence length to be larger than 0"),
    ],
)
def test_bad_input(shape: tuple[int, ...], error: type[Exception], message: str) -> None:
    compiled = torch.compile(fastrnn.nn.GRU(3, 5), backend="aot_eager")
    with pytest.raises(error, match=message):
        compiled(torch.zeros(shape))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["fake", "symbolic"])
def test_make_fx(kind: str, mode: str) -> None:
    _, ours = twins(kind, 3, 5, bidirectional=True)

    def call(x: Tensor) -> Any:
        y = ours(x)[0]
        return y, torch.autograd.grad(y.sin().sum(), list(ours.parameters()))[0]

    traced = make_fx(call, tracing_mode=mode, _allow_non_fake_inputs=True)(torch.randn(4, 2, 3))
    targets = [str(node.target) for node in traced.graph.nodes]
    assert targets.count("fastrnn.layer.default") == 1
    assert targets.count("fastrnn.layer_backward.default") == 1
    for seq_len, batch_size in SIZES if mode == "symbolic" else SIZES[:1]:
        x = torch.randn(seq_len, batch_size, 3)
        torch.testing.assert_close(traced(x), call(x))


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_without_numbers(kind: str) -> None:
    _, ours = twins(kind, 3, 5, num_layers=2, batch_first=True)
    _, cell = twins(kind, 3, 5, cell=True)
    x = torch.randn(2, 7, 3)
    expected = flat(ours(x)) + flat(cell(x[0]))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = flat(ours(mode.from_tensor(x))) + flat(cell(mode.from_tensor(x[0])))
    meta = flat(ours.to("meta")(x.to("meta"))) + flat(cell.to("meta")(x[0].to("meta")))
    for real, *others in zip(expected, fake, meta, strict=True):
        assert isinstance(others[0], FakeTensor)
        assert others[1].is_meta
        for other in others:
            assert other.shape == real.shape
            assert other.dtype == real.dtype
            assert other.requires_grad
