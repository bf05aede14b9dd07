"""Text read natively against str.split: words, counts, order, sentences, errors."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import os
import signal
import threading
import time
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastrnn._native import core
from fastrnn.word2vec._corpus import EncodedCorpus, count_words, encode_corpus, read_corpus
from fastrnn.word2vec.sentences import LineSentence, PathLineSentences, Text8Corpus

SPACES = [chr(c) for c in range(0x110000) if chr(c).isspace()]


def write(folder: Path, content: bytes, name: str = "text.txt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def expected(content: bytes) -> list[list[str]]:
    lines = content.decode("utf-8").split("\n")
    return [words for line in lines if (words := line.split())]


def decoded(corpus: EncodedCorpus) -> list[list[str]]:
    assert corpus.vocabulary is not None
    words = [corpus.vocabulary.words[i] for i in corpus.ids.tolist()]
    offsets = corpus.offsets.tolist()
    return [words[a:b] for a, b in zip(offsets, offsets[1:], strict=False)]


def check(source: Any, lines: list[list[str]], threads: int) -> None:
    """Every way of reading gives these sentences, and the vocabulary in its order."""
    counts = Counter(word for line in lines for word in line)
    vocabulary, corpus = read_corpus(source(), min_count=1, threads=threads)
    assert decoded(corpus) == lines
    assert dict(zip(vocabulary.words, vocabulary.counts.tolist(), strict=True)) == counts
    assert vocabulary.words == [word for word, _ in counts.most_common()]
    assert vocabulary.corpus_total_words == counts.total()
    assert vocabulary.corpus_count == len(lines)
    raw = count_words(source(), threads=threads)
    assert raw.as_dict() == counts
    assert raw.words == list(counts)  # by first appearance
    again = encode_corpus(source(), vocabulary, threads=threads)
    assert decoded(again) == lines
    assert again.total_words == counts.total()


# Words of all lengths around the 8 and 16 bytes that the reader looks at together, of all widths of
# UTF-8, with zeros and other control characters, near every kind of white space.
_characters = st.one_of(
    st.sampled_from("aab\x00\x01\x1b\x7fé\u0085x\u00a0ß中文\ufeff\U0001f600"),
    st.sampled_from([*SPACES, " ", "\n", "\r"]),
    st.characters(codec="utf-8"),
)
_texts = st.one_of(
    st.text(_characters, max_size=80),
    st.lists(
        st.one_of(
            st.integers(1, 20).map(lambda n: "abcdefghijklmnopqrst"[:n]),
            st.integers(1, 9).map(lambda n: "яé中\U0001f600"[n % 4] * n),
            st.sampled_from(SPACES),
            st.just("\n"),
        ),
        max_size=40,
    ).map(" ".join),
)


@settings(max_examples=300, deadline=None)
@given(text=_texts, threads=st.integers(1, 3))
@example(text="", threads=1)
@example(text="\n\n \r\n", threads=2)
@example(text="a\0 a a\0\0 \0 a", threads=1)
@example(text="no end", threads=1)
def test_any_text_is_split_as_by_str_split(
    tmp_path_factory: pytest.TempPathFactory, text: str, threads: int
) -> None:
    content = text.encode("utf-8")
    lines = expected(content)
    reader = core.word2vec.TextReader(threads=threads)
    assert reader.feed(content) is None
    assert reader.end_file() is None
    ids = np.arange(len(reader.counts()), dtype=np.int32)
    words = reader.words(ids.astype(np.int64))
    coded, offsets = reader.encode(ids, 10_000)
    spelled = [words[i] for i in coded.tolist()]
    bounds = offsets.tolist()
    assert [spelled[a:b] for a, b in zip(bounds, bounds[1:], strict=False)] == lines
    if lines:
        path = write(tmp_path_factory.mktemp("text"), content)
        check(lambda: path, lines, threads)


@settings(max_examples=150, deadline=None)
@given(text=_texts, cuts=st.lists(st.integers(0, 200), max_size=8))
def test_pieces_may_be_cut_anywhere(text: str, cuts: list[int]) -> None:
    content = text.encode("utf-8")
    reader = core.word2vec.TextReader(threads=2)
    places = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    for a, b in zip(places, places[1:], strict=False):
        assert reader.feed(content[a:b]) is None
    assert reader.end_file() is None
    lines = expected(content)
    words = list(dict.fromkeys(word for line in lines for word in line))
    assert reader.words(np.arange(len(words))) == words
    assert reader.sentences(10_000) == len(lines)
    assert reader.line_ends == content.count(b"\n")


def test_every_space_of_str_split_separates(tmp_path: Path) -> None:
    text = "".join(f"word{i}{space}" for i, space in enumerate(SPACES))
    path = write(tmp_path, text.encode("utf-8"))
    lines = [line.split() for line in text.split("\n")]
    check(lambda: path, [line for line in lines if line], 1)


def large_text(seed: int, size: int) -> bytes:
    """Several of the reader's blocks of 256 KiB, with words that lie across their borders."""
    rng = np.random.default_rng(seed)
    numbers = rng.zipf(1.3, size) % 5000
    forms = ["w{}", "слово{}", "中{}文", "a-rather-long-word-number-{}", "\U0001f600{}"]
    words = [forms[n % 5].format(n) for n in numbers.tolist()]
    ends = rng.choice(
        [" ", "\n", "  ", "\r\n", "\u2003", "\t"], size, p=[0.8, 0.1, 0.03, 0.03, 0.02, 0.02]
    )
    return "".join(w + e for w, e in zip(words, ends.tolist(), strict=True)).encode("utf-8")


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_many_blocks(tmp_path: Path, threads: int) -> None:
    content = large_text(0, 120_000)
    assert len(content) > 4 * 2**18
    path = write(tmp_path, content)
    check(lambda: path, expected(content), threads)


@pytest.mark.parametrize("length", [2**18 - 2, 2**18 - 1, 2**18, 2**18 + 1, 3 * 2**18, 10**6])
@pytest.mark.parametrize("before", [b"", b"x ", b"xy\n"])
def test_words_longer_than_blocks(tmp_path: Path, length: int, before: bytes) -> None:
    content = before + b"z" * length + b" q\n" + b"y" * length
    path = write(tmp_path, content)
    check(lambda: path, expected(content), 3)


@pytest.mark.parametrize("shift", range(12))
def test_characters_across_block_borders(tmp_path: Path, shift: int) -> None:
    unit = "中\u3000é\U0001f600 "
    text = "s" * shift + unit * (2**19 // len(unit.encode("utf-8")))
    path = write(tmp_path, text.encode("utf-8"))
    check(
        lambda: path, [text.split()[i : i + 10_000] for i in range(0, len(text.split()), 10_000)], 2
    )


def test_threads_give_the_same_arrays(tmp_path: Path) -> None:
    path = write(tmp_path, large_text(1, 100_000))
    runs = [read_corpus(path, min_count=3, threads=threads) for threads in (1, 2, 3, 4)]
    for vocabulary, corpus in runs[1:]:
        assert vocabulary.words == runs[0][0].words
        np.testing.assert_array_equal(vocabulary.counts, runs[0][0].counts)
        np.testing.assert_array_equal(corpus.ids, runs[0][1].ids)
        np.testing.assert_array_equal(corpus.offsets, runs[0][1].offsets)


# -- what is no UTF-8 ----------------------------------------------------------------------

INVALID = [
    b"\xff",
    b"\x80",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xc3",
    b"\xc3(",
    b"\xe0\x80\x80",
    b"\xe0\x9f\xbf",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf0\x80\x80\x80",
    b"\xf0\x8f\xbf\xbf",
    b"\xf0\x9f\x98",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
]


@pytest.mark.parametrize("bad", INVALID)
@pytest.mark.parametrize("after", [b"", b" ", b"\n", b"x", b"xxxxxxxxxxxxxxxxxxxx y"])
@pytest.mark.parametrize("before", [b"", b"ok ", b"words of text and\nthen"])
def test_undecodable_bytes_are_found(
    tmp_path: Path, bad: bytes, before: bytes, after: bytes
) -> None:
    content = before + bad + after
    with pytest.raises(UnicodeDecodeError) as python:
        content.decode("utf-8")
    path = write(tmp_path, content)
    with pytest.raises(UnicodeDecodeError) as error:
        read_corpus(path, min_count=1, threads=2)
    assert f"at byte {python.value.start} of {path}" in str(error.value)
    assert error.value.reason.startswith(python.value.reason)
    assert "errors=" in str(error.value)
    for errors in ("ignore", "replace"):
        lines = [line.split() for line in content.decode("utf-8", errors).split("\n")]
        lines = [line for line in lines if line]
        if lines:
            _, corpus = read_corpus(path, min_count=1, threads=2, errors=errors)
            assert decoded(corpus) == lines
    with pytest.raises(ValueError, match="errors must be one of"):
        read_corpus(path, min_count=1, threads=1, errors="nonsense")


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=40), before=st.integers(0, 20))
def test_the_first_undecodable_byte_is_pythons(content: bytes, before: int) -> None:
    content = b"x" * before + content
    reader = core.word2vec.TextReader(threads=1)
    found = reader.feed(content) or reader.end_file()
    if found is None:
        content.decode("utf-8")
        return
    with pytest.raises(UnicodeDecodeError) as python:
        content.decode("utf-8")
    assert found[0] == python.value.start
    assert content[found[0] :].startswith(found[1])


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_of_several_undecodable_places_the_first_is_named(tmp_path: Path, suffix: str) -> None:
    content = bytearray(b"some words " * 200_000)
    for place in (1_200_000, 1_600_000, 2_100_000):
        content[place] = 0xFF
    data = gzip.compress(content, 1) if suffix else bytes(content)
    path = write(tmp_path, data, "text" + suffix)
    for _ in range(3):
        with pytest.raises(UnicodeDecodeError, match="at byte 1,200,000 of"):
            count_words(path, threads=4)


# -- files of all kinds ----------------------------------------------------------------------


def _zstandard(data: bytes) -> bytes:
    half = len(data) // 2  # two frames, as `cat a.zst b.zst` makes them
    compressor = importlib.import_module("zstandard").ZstdCompressor()
    return bytes(compressor.compress(data[:half]) + compressor.compress(data[half:]))


COMPRESSORS: dict[str, Any] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    ".zst": _zstandard,
}


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_compressed_files(tmp_path: Path, suffix: str) -> None:
    content = large_text(2, 30_000)
    data = COMPRESSORS[suffix](content)
    path = write(tmp_path, data, "text" + suffix)
    check(lambda: path, expected(content), 2)
    assert list(LineSentence(path)) == expected(content)
    seen: list[tuple[int, int]] = []
    count_words(path, threads=1, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(data), len(data))


@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("damage", ["truncated", "other bytes", "flipped"])
def test_damaged_compressed_files_are_named(tmp_path: Path, suffix: str, damage: str) -> None:
    data = bytearray(COMPRESSORS[suffix](large_text(3, 5000)))
    if damage == "truncated":
        del data[-len(data) // 3 :]
    elif damage == "other bytes":
        data[:] = b"this is no compressed file at all, is it\n" * 10
    else:
        data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path = write(tmp_path, bytes(data), "text" + suffix)
    with pytest.raises((OSError, UnicodeDecodeError), match=r"text\."):
        count_words(path, threads=1)


def test_folders(tmp_path: Path) -> None:
    write(tmp_path, b"third file", "c")
    write(tmp_path, gzip.compress(b"second\nfile"), "b.gz")
    write(tmp_path, b"first file\n\n", "a.txt")
    (tmp_path / "folder").mkdir()
    lines = [["first", "file"], ["second"], ["file"], ["third", "file"]]
    check(lambda: tmp_path, lines, 2)
    check(lambda: str(tmp_path), lines, 1)
    check(lambda: PathLineSentences(tmp_path), lines, 1)
    assert list(PathLineSentences(str(tmp_path))) == lines
    (tmp_path / "folder" / "empty").mkdir()
    with pytest.raises(ValueError, match="no file in the folder"):
        read_corpus(tmp_path / "folder", min_count=1, threads=1)


def test_open_files(tmp_path: Path) -> None:
    content = "été à la mer\nfin".encode()
    path = write(tmp_path, content)
    with path.open("rb") as binary, path.open(encoding="utf-8") as text:
        for source in (io.BytesIO(content), io.StringIO(content.decode()), binary, text):
            _, corpus = read_corpus(source, min_count=1, threads=2)
            assert decoded(corpus) == expected(content)
            _, corpus = read_corpus(LineSentence(source), min_count=1, threads=2)
            assert decoded(corpus) == expected(content)


def test_pipes(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    content = large_text(4, 20_000)
    for options in ({}, {"max_vocab_size": 500}):
        writer = threading.Thread(target=path.write_bytes, args=(content,))
        writer.start()
        vocabulary, corpus = read_corpus(path, min_count=1, threads=2, **options)
        writer.join()
        if not options:
            assert decoded(corpus) == expected(content)
        else:
            known = [[w for w in line if w in vocabulary] for line in expected(content)]
            assert decoded(corpus) == known


def test_gensims_readers_are_read_as_they_iterate(tmp_path: Path) -> None:
    gensim = pytest.importorskip("gensim.models.word2vec")
    content = ("a b c d e\n" * 3 + "f g\n\n" + "h " * 10_003 + "\nlast").encode()
    path = write(tmp_path, content)
    for length in (2, 3, 7, 10_000):
        for reader, theirs in (
            (LineSentence, gensim.LineSentence),
            (Text8Corpus, gensim.Text8Corpus),
        ):
            ours = reader(str(path), max_sentence_length=length)
            check(lambda ours=ours: ours, list(ours), 2)
            if reader is LineSentence:
                assert list(ours) == list(theirs(str(path), max_sentence_length=length))
            else:
                assert list(chain(*ours)) == list(chain(*theirs(str(path), length)))
    limited = LineSentence(path, limit=2)
    assert list(limited) == [["a", "b", "c", "d", "e"]] * 2
    check(lambda: limited, list(limited), 2)
    with pytest.raises(ValueError, match="max_sentence_length"):
        LineSentence(path, max_sentence_length=0)
    with pytest.raises(ValueError, match="neither a file nor a path"):
        PathLineSentences(tmp_path / "nowhere")


def test_long_sentences_are_cut_after_kept_words(tmp_path: Path) -> None:
    words = (["rare", *["often"] * 3] * 10_000)[:35_001]
    words[::4] = [f"rare{i}" for i in range(len(words[::4]))]
    path = write(tmp_path, " ".join(words).encode())
    vocabulary, corpus = read_corpus(path, min_count=2, threads=2)
    assert np.diff(corpus.offsets).tolist() == [10_000, 10_000, 6250]
    assert vocabulary.corpus_count == 4  # as gensim counts them, rare words included
    short = encode_corpus(path, vocabulary, threads=2, max_sentence_length=11)
    assert set(np.diff(short.offsets).tolist()) == {11, 26_250 % 11}


# -- word2vec.c ---------------------------------------------------------------------------


def test_word2vec_c_separates_and_counts_lines(tmp_path: Path) -> None:
    content = "b a\u3000c a\n\nb a\x0bd </s> b\tb\r\na".encode()
    path = write(tmp_path, content)
    vocabulary, corpus = read_corpus(path, min_count=1, threads=2, compat="word2vec.c")
    assert vocabulary.words == ["</s>", "b", "a", "a\u3000c", "a\x0bd"]
    assert vocabulary.counts.tolist() == [4, 4, 2, 1, 1]
    assert decoded(corpus) == [["b", "a\u3000c", "a"], ["b", "a\x0bd"], ["b", "b"], ["a"]]
    again = encode_corpus(path, vocabulary, threads=2)
    np.testing.assert_array_equal(again.ids, corpus.ids)
    np.testing.assert_array_equal(again.offsets, corpus.offsets)


# -- interruption ---------------------------------------------------------------------------


class Alarm(Exception):
    """Raised by a signal's handler, as KeyboardInterrupt is."""


def test_signals_stop_the_reading() -> None:
    def ring(signum: int, frame: object) -> None:
        raise Alarm

    reader = core.word2vec.TextReader(threads=2, keep_ids=False)
    text = b"word after word\n" * 8_000_000
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(Alarm):
            reader.feed(text)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(RuntimeError, match="finished"):
        reader.feed(b"more")
    with pytest.raises(RuntimeError, match="failed"):
        reader.counts()


def test_reports_and_their_errors_arrive() -> None:
    text = b"word after word\n" * 8_000_000

    def dawdle(signum: int, frame: object) -> None:
        time.sleep(0.25)  # until a report is due

    def stop(done: int) -> None:
        raise Alarm(done)

    before = signal.signal(signal.SIGALRM, dawdle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(Alarm) as error:
            core.word2vec.TextReader(threads=2, keep_ids=False).feed(text, stop)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert 0 < error.value.args[0] <= len(text)


def test_misuse_of_the_reader_is_refused() -> None:
    reader = core.word2vec.TextReader(threads=1)
    reader.feed(b"a b c")
    with pytest.raises(RuntimeError, match="end_file"):
        reader.counts()
    reader.end_file()
    with pytest.raises(ValueError, match="one final id"):
        reader.encode(np.zeros(2, np.int32), 10)
    with pytest.raises(ValueError, match="longest"):
        reader.encode(np.zeros(3, np.int32), 0)
    with pytest.raises(IndexError):
        reader.words(np.array([3]))
    with pytest.raises(ValueError, match="threads"):
        core.word2vec.TextReader(threads=0)
    with pytest.raises(ValueError, match="twice"):
        core.word2vec.TextReader(threads=1, vocabulary=["a", "a"])
