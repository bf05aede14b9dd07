"""word2vec's text and binary formats: bytes as the two programs write them, and back."""

from __future__ import annotations

import errno
import gc
import os
import resource
import struct
from contextlib import contextmanager, nullcontext

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from fastrnn.word2vec import KeyedVectors
from fastrnn.word2vec._formats import opening
from fastrnn.word2vec._formats.numerals import shortest
from fastrnn.word2vec._formats.rows import MAX_WORD
from fastrnn.word2vec._formats.word2vec_reader import read_word2vec

ENDINGS = ["", ".gz", ".bz2", ".xz", ".zst"]


def small() -> KeyedVectors:
    wv = KeyedVectors(2)
    rows = np.array([[0.1, -2.0], [1e-5, 3.25], [np.float32(1 / 3), 1e20]], np.float32)
    wv.add_vectors(["the", "naïve", "</s>"], rows)
    return wv


def test_text_bytes(tmp_path):
    wv = small()
    wv.save_word2vec_format(tmp_path / "x")
    assert (tmp_path / "x").read_text("utf-8") == (
        "3 2\nthe 0.1 -2.0\nnaïve 1e-05 3.25\n</s> 0.33333334 1e+20\n"
    )
    wv.save_word2vec_format(tmp_path / "x", style="word2vec.c")
    assert (tmp_path / "x").read_text("utf-8") == (
        "3 2\nthe 0.100000 -2.000000 \nnaïve 0.000010 3.250000 \n"
        "</s> 0.333333 100000002004087734272.000000 \n"
    )


def test_binary_bytes(tmp_path):
    wv = small()
    rows = [row.astype("<f4").tobytes() for row in wv.vectors]
    words = [word.encode() + b" " for word in wv.index_to_key]
    for style, end in (("gensim", b""), ("word2vec.c", b"\n")):
        wv.save_word2vec_format(tmp_path / "x", binary=True, style=style)
        expected = b"3 2\n" + b"".join(w + r + end for w, r in zip(words, rows))
        assert (tmp_path / "x").read_bytes() == expected


def test_options_of_the_writer(tmp_path):
    wv = small()
    wv.expandos["count"] = np.array([2, 9, 2])
    wv.save_word2vec_format(
        tmp_path / "x", fvocab=tmp_path / "v", total_vec=7, prefix="*", sort_attr="count"
    )
    assert (tmp_path / "v").read_text("utf-8") == "*naïve 9\n*the 2\n*</s> 2\n"
    text = (tmp_path / "x").read_text("utf-8")
    assert text.startswith("7 2\n*naïve 1e-05 3.25\n*the ")
    wv.save_word2vec_format(tmp_path / "x", append=True, write_header=False)
    assert (tmp_path / "x").read_text("utf-8").startswith(text + "naïve 1e-05")
    with pytest.raises(ValueError, match="style must be"):
        wv.save_word2vec_format(tmp_path / "x", style="c")
    with pytest.raises(ValueError, match="Cannot store vocabulary with 'rank'"):
        wv.save_word2vec_format(tmp_path / "x", fvocab=tmp_path / "v", sort_attr="rank")


@pytest.mark.parametrize("word", ["New York", "a\nb"])
def test_words_that_the_formats_cannot_hold(tmp_path, word):
    wv = KeyedVectors(1)
    wv.add_vectors([word], [[1.0]])
    with pytest.raises(ValueError, match="contains a space or line feed"):
        wv.save_word2vec_format(tmp_path / "x")
    assert not list(tmp_path.iterdir())
    wv.save(tmp_path / "own")
    assert KeyedVectors.load(tmp_path / "own").index_to_key == [word]


words = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=8)
floats = st.floats(width=32, allow_nan=False)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    rows=st.dictionaries(words, st.lists(floats, min_size=3, max_size=3), max_size=6),
    binary=st.booleans(),
    style=st.sampled_from(["gensim", "word2vec.c"]),
    ending=st.sampled_from(ENDINGS),
)
def test_round_trip(tmp_path, rows, binary, style, ending):
    wv = KeyedVectors(3)
    wv.add_vectors(list(rows), np.array(list(rows.values()), np.float32).reshape(-1, 3))
    path = tmp_path / f"x{ending}"
    wv.save_word2vec_format(path, binary=binary, style=style)
    back = KeyedVectors.load_word2vec_format(path, binary=binary)
    assert back.index_to_key == wv.index_to_key
    if binary or style == "gensim":
        assert back.vectors.tobytes() == wv.vectors.tobytes()
    else:
        np.testing.assert_allclose(back.vectors, wv.vectors, rtol=1e-6, atol=5.1e-7)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50))
def test_numerals_are_numpys(patterns):
    values = np.array(patterns, np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        assert shortest(values) == [str(value) for value in values]


def test_numerals_of_many_usual_numbers():
    rng = np.random.default_rng(5)
    values = (rng.standard_normal(40_000) * 10.0 ** rng.integers(-9, 6, 40_000)).astype(np.float32)
    special = np.array([0, -0.0, 1, 10, 999999.94, 1e6, 1e-4, 9.9999e-5, 0.5, 1e-12, 2**-20])
    values = np.concatenate([values, special.astype(np.float32)])
    assert shortest(values) == [str(value) for value in values]
    few = np.clip(values[:99], -6e4, 6e4)
    assert shortest(few.astype("f2")) == [str(v) for v in few.astype("f2")]
    assert shortest(few.astype("f8")) == [str(v) for v in few.astype("f8")]


def load(path, data: bytes, **options):
    path.write_bytes(data)
    return KeyedVectors.load_word2vec_format(path, **options)


def test_the_reader_takes_both_programs_files(tmp_path):
    row = struct.pack("<2f", 1.5, 0.1)
    # 0.1's first byte is a carriage return away from a line feed: data, not ends of lines.
    tricky = struct.pack("<2f", 0.0, 0.0)[:3] + b"\n" + b" \n \n"
    for end in (b"", b"\n"):
        wv = load(tmp_path / "x", b"2 2\na " + row + end + b"b " + tricky + end, binary=True)
        assert wv.index_to_key == ["a", "b"]
        assert wv.vectors.tobytes() == row + tricky
    wv = load(tmp_path / "x", b"2 2 \r\na 1.5 0.1 \r\nb 2 -inf")
    assert wv.vectors.tolist() == [[1.5, float(np.float32(0.1))], [2, -np.inf]]


def test_limit_datatype_and_counts(tmp_path):
    data = b"3 1\na 1\nb 1e300\nc 2\n"
    wv = load(tmp_path / "x", data, limit=2, datatype=np.float16)
    assert wv.index_to_key == ["a", "b"] and wv.vectors.dtype == np.float16
    assert [wv.get_vecattr(w, "count") for w in "ab"] == [2, 1]  # made up, as by gensim
    (tmp_path / "v").write_text("b 7\na 12\n")
    wv = load(tmp_path / "x", data, fvocab=tmp_path / "v")
    assert [wv.get_vecattr(w, "count") for w in "abc"] == [12, 7, 0]
    with pytest.raises(ValueError, match="datatype"):
        load(tmp_path / "x", data, datatype=np.int32)
    (tmp_path / "v").write_text("b seven\n")
    with pytest.raises(ValueError, match="no word and count"):
        load(tmp_path / "x", data, fvocab=tmp_path / "v")


def test_glove(tmp_path):
    wv = load(tmp_path / "x", b"the 1 2\n. . 3 4\n7 5 6", no_header=True)
    assert wv.index_to_key == ["the", ". .", "7"] and wv.vectors.tolist()[1] == [3, 4]
    assert len(load(tmp_path / "x", b"a 1\nb 2\nc 3\n", no_header=True, limit=2)) == 2
    with pytest.raises(NotImplementedError, match="only available for text"):
        load(tmp_path / "x", b"", no_header=True, binary=True)


@pytest.mark.parametrize("binary", [False, True])
def test_the_first_of_words_that_come_twice(tmp_path, binary, caplog):
    def row(word, value):
        return word + b" " + (struct.pack("<f", value) if binary else b"%d\n" % value)

    data = b"4 1\n" + row(b"a", 1) + row(b"a", 2) + row(b"b", 3) + row(b"a", 4)
    wv = load(tmp_path / "x", data, binary=binary)
    assert wv.index_to_key == ["a", "b"] and wv.vectors.tolist() == [[1], [3]]
    assert wv.vectors.base is not None and len(wv.vectors) == 2
    assert caplog.text.count("duplicate word 'a'") == 2


@pytest.mark.parametrize("binary", [False, True])
def test_undecodable_words(tmp_path, binary):
    data = b"1 1\nna\xc3 " + (struct.pack("<f", 2) if binary else b"2\n")
    with pytest.raises(UnicodeDecodeError, match="bad-word.*unicode_errors='ignore'"):
        load(tmp_path / "bad-word", data, binary=binary)
    assert load(tmp_path / "x", data, binary=binary, unicode_errors="ignore").index_to_key == ["na"]
    wv = load(tmp_path / "x", data, binary=binary, encoding="latin-1")
    assert wv.index_to_key == ["naÃ"]


def test_many_blocks(tmp_path):
    """Rows across the boundaries of what is read at a time, from files of known length and not."""
    rng = np.random.default_rng(0)
    wv = KeyedVectors(300)
    wv.add_vectors([f"w{i}" for i in range(5000)], rng.random((5000, 300), dtype=np.float32))
    for ending in ("", ".zst"):
        for binary in (False, True):
            path = tmp_path / f"x{ending}"
            wv.save_word2vec_format(path, binary=binary)
            back = KeyedVectors.load_word2vec_format(path, binary=binary)
            assert back.index_to_key == wv.index_to_key
            assert np.array_equal(back.vectors, wv.vectors)


def test_a_pipe_can_be_read(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)  # keeps the pipe from blocking this process
    try:
        os.write(descriptor, b"1 2\na 1 2\n")
        found = read_word2vec(path, limit=1)
    finally:
        os.close(descriptor)
    assert found.words == ["a"]


@contextmanager
def small_files_only():
    """The system refuses to let files grow beyond 20 kB, as a full disk would.

    Not for the length of a test: pytest's own report may be such a file, and then it dies.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("ending", [*ENDINGS, ".lzma", "own"])
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("append", [False, True])
def test_no_room_leaves_the_old_file(tmp_path, ending, binary, append):
    path = tmp_path / f"x{ending}"
    large = KeyedVectors(100)
    rng = np.random.default_rng(0)
    large.add_vectors([f"w{i}" for i in range(500)], rng.random((500, 100)))
    for wv in (small(), large):
        refused = pytest.raises(OSError, match="File too large") if wv is large else nullcontext()
        with small_files_only(), refused:
            if ending == "own":
                wv.save(path)
            else:
                wv.save_word2vec_format(path, binary=binary, append=append)
        gc.collect()  # nothing is left to complain when it is taken away
    assert list(tmp_path.iterdir()) == [path]
    load = KeyedVectors.load_word2vec_format
    back = KeyedVectors.load(path) if ending == "own" else load(path, binary=binary)
    assert back.index_to_key == small().index_to_key


def test_append_that_fails_leaves_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "x"
    wv = small()
    wv.save_word2vec_format(path)
    before = path.read_bytes()

    def fsync(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(opening.os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        wv.save_word2vec_format(path, append=True)
    assert path.read_bytes() == before


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    monkeypatch.setitem(__import__("sys").modules, "compression.zstd", None)
    with pytest.raises(ImportError, match="zstandard"):
        small().save_word2vec_format(tmp_path / "x.zst")
    assert not list(tmp_path.iterdir())


def test_a_word_as_long_as_allowed(tmp_path):
    word = "x" * (MAX_WORD - 1)
    for binary in (False, True):
        wv = KeyedVectors(1)
        wv.add_vectors([word], [[1.0]])
        wv.save_word2vec_format(tmp_path / "x", binary=binary)
        back = KeyedVectors.load_word2vec_format(tmp_path / "x", binary=binary)
        assert back.index_to_key == [word]
