"""Truncated, damaged and hostile vector files: refused by name and place, at no great cost."""

from __future__ import annotations

import gzip
import logging
import struct
import tempfile
import tracemalloc
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from fuzz.reader_targets import TARGETS, seeds
from hypothesis import given, settings

from fastrnn.word2vec import KeyedVectors

ONE = struct.pack("<2f", 1, 2)

# Name: (bytes, options, part of the message).
DAMAGED: dict[str, tuple[bytes, dict[str, bool], str]] = {
    "empty": (b"", {}, "first line"),
    "no header": (b"the 0.1 0.2\n", {}, "first line"),
    "letters": (b"two 2\na 1 2\n", {}, "first line"),
    "negative count": (b"-1 2\na 1 2\n", {}, "first line"),
    "negative size": (b"1 -2\na 1 2\n", {}, "first line"),
    "three numbers": (b"1 2 3\na 1 2\n", {}, "first line"),
    "endless first line": (b"1" * 100_000, {}, "first line"),
    "size zero": (b"1 0\na\n", {}, "vectors of 0 numbers"),
    "size absurd": (b"1 99999999999\na 1\n", {}, "vectors of 99999999999 numbers"),
    "count absurd": (b"999999999999999999 2\na 1 2\n", {}, "take at least"),
    "count absurd, binary": (b"99999999999 2\na " + ONE, {"binary": True}, "take at least"),
    "one too few": (b"4 2\na 1 2\nb 1.5 2.5\nc 1.5 2.5\n", {}, "only 3 of 4"),
    "cut in a number": (b"2 2\na 1.0 2.0\nb 1.5", {}, "vector 1 has 1 numbers"),
    "too many numbers": (b"2 2\na 1 2 3\nb 1 2 3\n", {}, "vector 0 has 3 numbers"),
    "two spaces": (b"1 2\na 1  2\n", {}, "vector 0 has 3 numbers"),
    "a tab": (b"1 2\na 1\t2 3\n", {}, "vector 0: could not convert"),
    "no number": (b"1 2\na 1 x\n", {}, "vector 0: could not convert"),
    "binary as text": (b"1 2\na " + ONE * 9, {}, "vector 0"),
    "blank line": (b"2 2\na 1 2\n\nb 1 2\n", {}, "vector 1 has 0 numbers"),
    "endless line": (b"1 2\n" + b"x" * 200_000, {}, "a line of more than"),
    "endless word": (b"1 2\n" + b"x" * 200_000, {"binary": True}, "no space within"),
    "cut, binary": (b"2 2\nab " + ONE + b"cde " + ONE[:5], {"binary": True}, "only 1 of 2"),
    "no space, binary": (b"1 2\n" + b"x" * 20, {"binary": True}, "only 0 of 1"),
    "glove, empty": (b"", {"no_header": True}, "empty"),
    "glove, no numbers": (b"word\n", {"no_header": True}, "0 numbers"),
    "glove, one missing": (b"a 1 2\nb 1\n", {"no_header": True}, "vector 1"),
}


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files(tmp_path, name, ending):
    data, options, message = DAMAGED[name]
    if ending:
        data = gzip.compress(data)
        message = message.replace("take at least", "only 1 of")  # found out at the end
    path = tmp_path / f"damaged-file{ending}"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, EOFError), match=f"damaged-file.*{message}"):
            KeyedVectors.load_word2vec_format(path, **options)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_damaged_compression(tmp_path, ending):
    wv = KeyedVectors(20)
    rng = np.random.default_rng(0)
    wv.add_vectors([f"w{i}" for i in range(500)], rng.random((500, 20)))
    path = tmp_path / f"packed{ending}"
    wv.save_word2vec_format(path)
    whole = path.read_bytes()
    for data in (
        b"",
        b"plain text",
        whole[: len(whole) // 2],
        whole[:50] + bytes(50) + whole[100:],
    ):
        path.write_bytes(data)
        with pytest.raises((OSError, EOFError, ValueError), match=f"packed{ending}"):
            KeyedVectors.load_word2vec_format(path)


def test_a_bomb_is_not_unpacked_further_than_its_header_says(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"1 2\na 1 2\n" + bytes(50 << 20)))
    tracemalloc.start()
    try:
        assert len(KeyedVectors.load_word2vec_format(path)) == 1
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_directory_and_a_missing_file(tmp_path):
    with pytest.raises(IsADirectoryError):
        KeyedVectors.load_word2vec_format(tmp_path)
    with pytest.raises(FileNotFoundError):
        KeyedVectors.load_word2vec_format(tmp_path / "none")


def test_pickles_are_not_opened(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(ValueError, match="Python pickle"):
        KeyedVectors.load(path)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return seeds(tmp_path_factory.mktemp("seeds"))


@pytest.mark.parametrize("name", TARGETS)
def test_every_truncation(tmp_path, name, sound):
    for data in sound[name]:
        for size in range(0, len(data) + 1, max(1, len(data) // 150)):
            TARGETS[name](tmp_path / "input", data[:size])


@pytest.mark.parametrize("name", TARGETS)
def test_random_changes(name, sound):
    """What the fuzzer does, in small: bytes changed, put in, taken out, repeated."""
    logging.getLogger("fastrnn").setLevel(logging.ERROR)
    change = st.tuples(st.integers(0, 1 << 12), st.integers(0, 3), st.binary(max_size=9))

    @settings(max_examples=80, deadline=None)
    @given(st.sampled_from(sound[name]), st.lists(change, max_size=4))
    def run(data: bytes, changes: list[tuple[int, int, bytes]]) -> None:
        for where, kind, new in changes:
            at = where % (len(data) + 1)
            before, after = data[:at], data[at:]
            if kind == 0:
                data = before + new + after[len(new) :]
            elif kind == 1:
                data = before + new + after
            elif kind == 2:
                data = before + after[len(new) :]
            else:
                data = before + after[:16] + after
        with tempfile.TemporaryDirectory() as folder:
            TARGETS[name](Path(folder) / "input", data)

    try:
        run()
    finally:
        logging.getLogger("fastrnn").setLevel(logging.NOTSET)


@pytest.mark.parametrize("name", TARGETS)
def test_random_bytes(name):
    @settings(max_examples=60, deadline=None)
    @given(st.binary(max_size=200) | st.from_regex(rb"[0-9]{1,3} [0-9]\n.{0,60}"))
    def run(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            TARGETS[name](Path(folder) / "input", data)

    run()
