"""Choosing an instruction set: in the program and by the environment."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
from layer_cases import Case, run_ops
from oracles import assert_same_bits
from subprocesses import error_message, python_output

import fastrnn
from fastrnn import ops
from fastrnn._native import core

KNOWN = ["avx512", "avx2", "neon", "generic"]
PRINT_ISA = "import fastrnn; print(fastrnn.current_isa())"
RUN_GRU = """
import numpy as np
from fastrnn import ops
ops.gru(np.ones((1, 1, 1)), np.ones((3, 1)), np.ones((3, 1)))
"""


def test_lists() -> None:
    available, built = fastrnn.available_isas(), core.built_isas()
    assert available[-1] == built[-1] == "generic"
    assert set(available) <= set(built) <= set(KNOWN)
    assert available == [name for name in built if name in available]
    assert fastrnn.build_info()["isas"] == built
    assert list(OrderedDict.fromkeys(built)) == built


def test_with_block() -> None:
    before = fastrnn.current_isa()
    for name in fastrnn.available_isas():
        with fastrnn.use_isa(name) as chosen:
            assert chosen == name == fastrnn.current_isa()
            assert core.isa_name(core.isa_id()) == name
        assert fastrnn.current_isa() == before


def test_nested_blocks_and_exceptions() -> None:
    before = fastrnn.current_isa()
    with fastrnn.use_isa("generic"):
        for name in fastrnn.available_isas():
            with pytest.raises(ZeroDivisionError), fastrnn.use_isa(name):
                raise ZeroDivisionError
            assert fastrnn.current_isa() == "generic"
    assert fastrnn.current_isa() == before


def test_plain_call() -> None:
    before = fastrnn.current_isa()
    try:
        fastrnn.use_isa("generic")
        assert fastrnn.current_isa() == "generic"
    finally:
        fastrnn.use_isa(before)
    assert fastrnn.current_isa() == before


def test_unknown_name() -> None:
    before = fastrnn.current_isa()
    with pytest.raises(ValueError, match="sse9") as caught:
        fastrnn.use_isa("sse9")
    for name in fastrnn.available_isas():
        assert name in str(caught.value)
    assert fastrnn.current_isa() == before


def test_name_of_another_type() -> None:
    with pytest.raises(TypeError, match=r"name: expected .* got int"):
        fastrnn.use_isa(3)  # type: ignore[arg-type]


def test_known_but_not_available_here() -> None:
    """NEON on x86, AVX on ARM: an error, never another instruction set in its place."""
    missing = [name for name in KNOWN if name not in fastrnn.available_isas()]
    assert missing  # no machine has both families
    for name in missing:
        with pytest.raises(ValueError, match=name) as caught:
            fastrnn.use_isa(name)
        assert "generic" in str(caught.value)


def test_the_choice_reaches_the_kernels() -> None:
    """On x86 the generic kernels have no fused multiply-add, so that they round differently."""
    arguments = Case("lstm", 20, 8, 64, 64).arguments(np.float32)
    results = {}
    for name in fastrnn.available_isas():
        with fastrnn.use_isa(name):
            *_, reserve = ops.lstm_forward(**arguments)
            assert f"isa={name!r}" in repr(reserve)
            results[name] = run_ops("lstm", arguments)["y"]
    if "avx2" in results:
        assert (results["avx2"] != results["generic"]).any()


@pytest.mark.parametrize("name", fastrnn.available_isas())
def test_environment_chooses(name: str) -> None:
    assert python_output(PRINT_ISA, FASTRNN_ISA=name) == name


def test_empty_environment_value_means_the_best() -> None:
    assert python_output(PRINT_ISA, FASTRNN_ISA="") == fastrnn.available_isas()[0]


@pytest.mark.parametrize("name", ["nonsense", "AVX 2", "neon,generic"])
@pytest.mark.parametrize("code", [PRINT_ISA, RUN_GRU], ids=["current_isa", "gru"])
def test_environment_with_nonsense(code: str, name: str) -> None:
    message = error_message(code, FASTRNN_ISA=name)
    assert "Error" in message
    assert "FASTRNN_ISA" in message
    assert name in message
    for available in fastrnn.available_isas():
        assert available in message


def test_environment_with_an_instruction_set_of_another_machine() -> None:
    missing = next(name for name in KNOWN if name not in fastrnn.available_isas())
    message = error_message(PRINT_ISA, FASTRNN_ISA=missing)
    assert missing in message
    assert "generic" in message


def test_same_bits_in_another_process() -> None:
    code = """
import hashlib
import numpy as np
from layer_cases import Case, run_ops
values = run_ops("gru", Case("gru", 5, 6, 7, 8).arguments(np.float32))
print(hashlib.sha256(values["y"].tobytes()).hexdigest())
"""
    name = fastrnn.available_isas()[0]
    assert python_output(code, FASTRNN_ISA=name) == python_output(code, FASTRNN_ISA=name)


def test_choice_is_seen_by_later_calls_only(isa: str) -> None:
    arguments = Case("lstm", 3, 4, 5, 6).arguments()
    first = run_ops("lstm", arguments)["y"]
    with fastrnn.use_isa("generic"):
        run_ops("lstm", arguments)
    assert_same_bits(run_ops("lstm", arguments)["y"], first)
