"""Bad input: an error that names the argument, what was expected and what came."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import Any

import numpy as np
import pytest
from layer_cases import CELLS, Case

from fastrnn import ops, reference

T, B, I, H = 5, 3, 4, 6
CASE = Case("lstm", T, B, I, H)
TWO = Case("lstm", T, B, I, H, 2)


def zeros(*shape: int, dtype: Any = np.float64) -> Any:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("function", [ops.lstm, ops.lstm_forward])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", zeros(T, I), "x: expected 3 axes, [seq_len, batch_size, input_size], got shape (5,"),
        ("x", zeros(0, B, I), "x: expected a sequence length of at least 1, got shape (0, 3, 4)"),
        ("x", zeros(T, B, 0), "x: expected an input size of at least 1, got shape (5, 3, 0)"),
        (
            "weight_ih",
            zeros(4 * H, I + 1),
            "weight_ih: expected shape (24, 4), [4*hidden_size, input_size], got (24, 5)",
        ),
        (
            "weight_ih",
            zeros(4 * H),
            "weight_ih: expected [4*hidden_size, input_size] for one direction or "
            "[2, 4*hidden_size, input_size] for two, got shape (24,)",
        ),
        (
            "weight_ih",
            zeros(3, 4 * H, I),
            "weight_ih: expected [4*hidden_size, input_size] for one direction or "
            "[2, 4*hidden_size, input_size] for two, got shape (3, 24, 4)",
        ),
        (
            "weight_ih",
            zeros(2, 4 * H, I),
            "weight_hh: expected shape (2, 24, 6), [2, 4*hidden_size, hidden_size], got (24, 6)",
        ),
        (
            "weight_hh",
            zeros(4 * H, H + 1),
            "weight_hh: expected shape (28, 7), [4*hidden_size, hidden_size], got (24, 7)",
        ),
        (
            "weight_hh",
            zeros(1, 4 * H, H),
            "weight_hh: expected [4*hidden_size, hidden_size] for one direction or "
            "[2, 4*hidden_size, hidden_size] for two, got shape (1, 24, 6)",
        ),
        (
            "weight_hh",
            zeros(0, 0),
            "weight_hh: expected a hidden size of at least 1, got shape (0, 0)",
        ),
        ("bias_ih", zeros(H), "bias_ih: expected shape (24,), [4*hidden_size], got (6,)"),
        ("bias_hh", zeros(1, 4 * H), "bias_hh: expected shape (24,), [4*hidden_size], got (1, 24)"),
        ("h0", zeros(H), "h0: expected shape (3, 6), [batch_size, hidden_size], got (6,)"),
        ("h0", zeros(1, B, H), "h0: expected shape (3, 6), [batch_size, hidden_size], got (1, 3,"),
        ("c0", zeros(B + 1, H), "c0: expected shape (3, 6), [batch_size, hidden_size], got (4, 6)"),
    ],
)
def test_wrong_shape(function: Any, name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        function(**{**CASE.arguments(), name: value})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weight_hh", zeros(4 * H, H), "weight_hh: expected shape (2, 24, 6), [2, 4*hidden_size"),
        ("bias_hh", zeros(4 * H), "bias_hh: expected shape (2, 24), [2, 4*hidden_size], got (24,)"),
        ("c0", zeros(B, H), "c0: expected shape (2, 3, 6), [2, batch_size, hidden_size], got (3,"),
    ],
)
def test_wrong_shape_with_two_directions(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        ops.lstm_forward(**{**TWO.arguments(), name: value})


def test_wrong_peepholes() -> None:
    arguments = Case("peephole_lstm", T, B, I, H).arguments()
    message = "peephole: expected shape (3, 6), [3, hidden_size], got (4, 6)"
    with pytest.raises(ValueError, match=re.escape(message)):
        ops.peephole_lstm(**{**arguments, "peephole": zeros(4, H)})
    with pytest.raises(TypeError, match=r"peephole: expected a NumPy array .*, got NoneType"):
        ops.peephole_lstm(**{**arguments, "peephole": None})


@pytest.mark.parametrize("name", ["x", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "h0", "c0"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda a: a.tolist(),
            "expected a NumPy array of float16, bfloat16, float32 or float64, got list",
        ),
        (
            lambda a: 1.5,
            "expected a NumPy array of float16, bfloat16, float32 or float64, got float",
        ),
        (lambda a: np.ma.masked_array(a), "expected a NumPy array .*, got MaskedArray"),
        (
            lambda a: a.astype(np.int64),
            "expected dtype float16, bfloat16, float32 or float64, got int64",
        ),
        (
            lambda a: a.astype(np.complex64),
            "expected dtype float16, bfloat16, float32 or float64, got complex64",
        ),
        (
            lambda a: a.astype(object),
            "expected dtype float16, bfloat16, float32 or float64, got object",
        ),
        (
            lambda a: a.astype(bool),
            "expected dtype float16, bfloat16, float32 or float64, got bool",
        ),
    ],
    ids=["list", "float", "masked", "int64", "complex64", "object", "bool"],
)
def test_wrong_type(name: str, make: Any, message: str) -> None:
    arguments = CASE.arguments()
    with pytest.raises(TypeError, match=f"^{name}: {message}$"):
        ops.lstm_forward(**{**arguments, name: make(arguments[name])})


@pytest.mark.parametrize("name", ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "h0", "c0"])
def test_mixed_dtypes(name: str) -> None:
    arguments = CASE.arguments()
    with pytest.raises(TypeError, match=f"^{name}: expected dtype float64, as x has, got float32$"):
        ops.lstm_forward(**{**arguments, name: arguments[name].astype(np.float32)})


@pytest.mark.parametrize("name", ["x", "weight_ih", "weight_hh"])
def test_none_where_an_array_is_needed(name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name}: expected a NumPy array .*, got NoneType$"):
        ops.lstm_forward(**{**CASE.arguments(), name: None})


def test_torch_tensors_are_sent_elsewhere() -> None:
    # A stand-in, so that the test needs no torch.
    tensor = type("Tensor", (), {"__module__": "torch"})()
    with pytest.raises(
        TypeError, match="x: .*, got Tensor; fastrnn.functional takes torch tensors"
    ):
        ops.lstm_forward(**{**CASE.arguments(), "x": tensor})


def test_python_names_the_function_and_the_missing_argument() -> None:
    with pytest.raises(TypeError, match="weight_hh"):
        ops.gru_forward(zeros(T, B, I), zeros(3 * H, I))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="c0"):
        ops.gru_forward(**CASE.arguments())


def test_more_elements_than_addresses() -> None:
    """Views made by broadcasting can be larger than any memory."""
    x = np.broadcast_to(np.zeros(I), (2**37, 2**20, I))
    arguments = {**CASE.arguments(), "x": x, "h0": None, "c0": None}
    for function in (ops.lstm, ops.lstm_forward):
        with pytest.raises(ValueError, match="x: seq_len 137438953472 x batch_size 1048576"):
            function(**arguments)


@pytest.fixture
def reserve() -> Any:
    return ops.lstm_forward(**CASE.arguments())[-1]


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("grad_y", zeros(T, B, 2 * H), ValueError, "grad_y: expected shape (5, 3, 6), as y has,"),
        ("grad_y", zeros(B, T, H), ValueError, "grad_y: expected shape (5, 3, 6), as y has, got"),
        ("grad_y", zeros(T, B, H, dtype=np.float32), TypeError, "grad_y: expected dtype float64"),
        ("grad_y", zeros(T, B, H, dtype=int), TypeError, "grad_y: expected dtype float16, bf"),
        (
            "grad_y",
            1.0,
            TypeError,
            "grad_y: expected a NumPy array of float16, bfloat16, float32 or float64, got fl",
        ),
        ("grad_h_n", zeros(1, B, H), ValueError, "grad_h_n: expected shape (3, 6), as h_n has, g"),
        ("grad_c_n", zeros(H), ValueError, "grad_c_n: expected shape (3, 6), as c_n has, got (6,)"),
        (
            "grad_c_n",
            [0.0],
            TypeError,
            "grad_c_n: expected a NumPy array of float16, bfloat16, float32 or float64",
        ),
    ],
)
def test_wrong_output_gradients(
    reserve: Any, name: str, value: Any, error: type[Exception], message: str
) -> None:
    arguments = {"grad_y": zeros(T, B, H), "reserve": reserve, name: value}
    with pytest.raises(error, match=re.escape(message)):
        ops.lstm_backward(**arguments)


def test_wrong_reserve(reserve: Any) -> None:
    y = zeros(T, B, H)
    with pytest.raises(TypeError, match="reserve: expected what gru_forward returned, got ndarray"):
        ops.gru_backward(y, y)  # type: ignore[arg-type]
    message = "reserve: expected what gru_forward returned, got that of lstm_forward"
    with pytest.raises(ValueError, match=message):
        ops.gru_backward(y, reserve)


def test_a_reserve_can_be_neither_copied_nor_pickled(reserve: Any) -> None:
    for function in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            function(reserve)


def test_a_reserve_says_what_it_is(reserve: Any) -> None:
    text = repr(reserve)
    for part in ("lstm_forward", "float64", "seq_len=5", "batch_size=3", "hidden_size=6", "isa="):
        assert part in text
    assert reserve.nbytes > 0


@pytest.mark.parametrize("cell", CELLS)
def test_signatures(cell: str) -> None:
    """What each unit has comes after the weights; a cell without a cell state has no c0."""
    parameters = list(inspect.signature(getattr(ops, f"{cell}_forward")).parameters)
    kind = reference.CELLS[cell]
    expected = ["x", "weight_ih", "weight_hh"]
    expected += [kind.unit_params] if kind.num_unit_params else []
    expected += ["bias_ih", "bias_hh", "h0"] + (["c0"] if kind.num_states == 2 else [])
    expected += ["lengths", "resets"]  # by keyword only
    assert parameters == expected
    assert list(inspect.signature(getattr(ops, cell)).parameters) == expected
    backward = list(inspect.signature(getattr(ops, f"{cell}_backward")).parameters)
    assert backward == ["grad_y", "reserve", "grad_h_n", "grad_c_n"][: 2 + kind.num_states]
    assert pickle.loads(pickle.dumps(getattr(ops, cell))) is getattr(ops, cell)
