"""What counts as sentences, and what is said of mistakes."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastrnn.word2vec._corpus import count_words, encode_corpus, read_corpus
from fastrnn.word2vec._inputs import Arrays, Lists, Text, read_source
from fastrnn.word2vec._vocabulary import Vocabulary
from fastrnn.word2vec.sentences import LineSentence

READERS: dict[str, Any] = {
    "read": lambda source: read_corpus(source, min_count=1, threads=1),
    "count": lambda source: count_words(source, threads=1),
    "encode": lambda source: encode_corpus(source, Vocabulary(["a"], np.array([1])), threads=1),
}


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> Any:
    return READERS[request.param]


MISTAKES: list[tuple[Any, type[Exception], str]] = [
    ("some words that are a text", ValueError, "a string given as sentences is a path"),
    ("text\nin lines", ValueError, r"\[line.split\(\) for line in text.splitlines\(\)\]"),
    ("x" * 10_000, ValueError, "no file is named 'xxx"),
    ("nul\0byte", FileNotFoundError, "no such file or folder"),
    ("nowhere.txt", FileNotFoundError, "no such file or folder: 'nowhere.txt'"),
    (Path("no where.txt"), FileNotFoundError, "no such file or folder"),
    (LineSentence("nowhere.txt"), FileNotFoundError, "nowhere.txt"),
    (b"bytes", TypeError, "must not be bytes"),
    (bytearray(b"bytes"), TypeError, "must not be bytes"),
    (["a string", "another"], TypeError, r"sentence 0 is the string 'a string'. Split each"),
    (iter(["a string"]), TypeError, "sentence 0 is the string"),
    ([["a"], "b c"], TypeError, "sentence 1 is the string 'b c'"),
    ([b"a b"], TypeError, "sentence 0 is bytes. Decode and split"),
    ([[b"a"]], TypeError, "words must be strings, not bytes"),
    ([["a", None]], TypeError, "words must be strings, not NoneType"),
    ([["a", 1.5]], TypeError, "words must be strings, not float"),
    ([[True]], TypeError, "words must be strings, not bool"),
    ([[["a"]]], TypeError, "unhashable type: 'list'"),
    ([1, 2, 3], TypeError, "sentence 0 is int 1"),
    ([["a"], None], TypeError, "sentence 1 is NoneType None"),
    (3, TypeError, "not int"),
    (None, TypeError, "not NoneType"),
    ({"a": 3}, TypeError, "build_vocab_from_freq"),
    ([[-1, 2]], ValueError, "must not be negative: -1"),
    (np.array([3, 1, -2, 4]), ValueError, "must not be negative: -2 at position 2"),
    (np.array([[3, -1]]), ValueError, "must not be negative: -1 at position 1"),
    ([np.array([1, 2]), np.array([-5])], ValueError, "ids of sentence 1 must not be negative"),
    ([np.array([1, 2]), np.array([1.5])], TypeError, "ids of sentence 1 must be of integers"),
    ([np.array([1, 2]), np.array([[1]])], ValueError, "sentence 1 has 2 dimensions"),
    (np.array([1.0, 2.0]), TypeError, "ids must be of integers, not float64"),
    (np.array([True]), TypeError, "ids must be of integers, not bool"),
    (np.zeros((2, 2, 2), int), ValueError, "not 3"),
    (np.array(3), ValueError, "not 0"),
    (np.array(["a", "b"]), TypeError, "two dimensions"),
    ((np.array([1, 2, 3]), np.array([0, 2])), ValueError, r"\(ids, offsets\)"),
    ((np.array([1, 2, 3]), np.array([1, 3])), ValueError, "must rise from 0"),
    ((np.array([1, 2, 3]), np.array([0, 3, 2, 3])), ValueError, "must rise from 0"),
    ((np.array([1, -2]), np.array([0, 2])), ValueError, "negative"),
]
ITERATOR = next(i for i, mistake in enumerate(MISTAKES) if hasattr(mistake[0], "__next__"))


@pytest.mark.parametrize(
    ("number", "error", "text"), [(i, *rest) for i, (_, *rest) in enumerate(MISTAKES)]
)
def test_mistakes_are_explained(
    reader: Any, number: int, error: type[Exception], text: str
) -> None:
    source = MISTAKES[number][0]
    if number == ITERATOR:  # which the reader before has used up
        source = iter(["a string"])
    with pytest.raises(error, match=text):
        reader(source)


@pytest.mark.parametrize(
    "source",
    [[], [[]], iter([]), iter([[], []]), io.BytesIO(b""), io.BytesIO(b" \n\n"), np.array([], int)],
    ids=str,
)
def test_empty_corpora_are_refused(source: Any) -> None:
    with pytest.raises(ValueError, match="the corpus is empty"):
        read_corpus(source, min_count=1, threads=1)


def test_empty_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ValueError, match="the corpus is empty"):
        read_corpus(tmp_path / "empty", min_count=1, threads=2)


def test_arguments_are_checked() -> None:
    good = [["a"]]
    for name, value, error in [
        ("threads", 0, ValueError),
        ("threads", 1.5, TypeError),
        ("min_count", -1, ValueError),
        ("min_count", 1.5, TypeError),
        ("max_vocab_size", 0, ValueError),
        ("max_final_vocab", 0, ValueError),
        ("compat", "word2vec", ValueError),
    ]:
        arguments: dict[str, Any] = {"min_count": 1, "threads": 1, name: value}
        with pytest.raises(error, match=name):
            read_corpus(good, **arguments)
    with pytest.raises(ValueError, match="max_sentence_length"):
        encode_corpus(good, Vocabulary(["a"], np.array([1])), threads=1, max_sentence_length=0)


def test_kinds_of_sources(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("a b")
    assert read_source(path) == read_source(str(path)) == Text(paths=(str(path),))
    assert isinstance(read_source([["a"]]), Lists)
    assert isinstance(read_source(("a",) for _ in range(3)), Lists)
    assert isinstance(read_source(np.arange(3)), Arrays)
    assert isinstance(read_source([np.arange(3)]), Arrays)


def test_iterators_lose_no_sentence() -> None:
    sentences = [["a", "b"], ("c",), [], np.array(["d", "a"]), (w for w in "ef")]
    vocabulary, corpus = read_corpus(iter(sentences), min_count=1, threads=1)
    assert vocabulary.words == ["a", "b", "c", "d", "e", "f"]
    assert corpus.ids.tolist() == [0, 1, 2, 3, 0, 4, 5]
    assert corpus.offsets.tolist() == [0, 2, 3, 3, 5, 7]
    assert vocabulary.corpus_count == 5


WALKS = np.array([[7, 3, 7, 0], [3, 3, 900, 7]], np.uint16)
WALK_SOURCES: dict[str, Any] = {
    "2-D": lambda: WALKS,
    "transposed": lambda: np.asfortranarray(WALKS),
    "sparse": lambda: WALKS.astype(np.int64),
    "list of arrays": lambda: list(WALKS),
    "mixed list": lambda: [WALKS[0], WALKS[1].astype(np.int64)],
    "iterator": lambda: iter(WALKS),
    "object array": lambda: np.array([WALKS[0], WALKS[1, :], None], object)[:2],
    "flat": lambda: (WALKS.reshape(-1), np.array([0, 4, 8])),
    "ints": lambda: WALKS.tolist(),
    "NumPy ints": lambda: [list(row) for row in WALKS],
    "strings": lambda: [[str(i) for i in row] for row in WALKS],
    "array of strings": lambda: WALKS.astype(str),
}


@pytest.mark.parametrize("name", WALK_SOURCES)
@pytest.mark.parametrize("scale", [1, 100_000_000])
def test_integers_are_words_by_their_digits(name: str, scale: int) -> None:
    source = WALK_SOURCES[name]()
    expected = ["7", "3", "0", "900"]
    if scale != 1 and name == "sparse":  # too large for a table of all of them
        source, expected = source * scale, ["700000000", "300000000", "0", "90000000000"]
    vocabulary, corpus = read_corpus(source, min_count=1, threads=1)
    assert vocabulary.words == expected
    assert vocabulary.counts.tolist() == [3, 3, 1, 1]
    assert corpus.ids.tolist() == [0, 1, 0, 2, 1, 1, 3, 0]
    assert corpus.offsets.tolist() == [0, 4, 8]
    assert corpus.ids.dtype == np.int32
    assert corpus.offsets.dtype == np.int32
    if name != "sparse":
        again = encode_corpus(WALK_SOURCES[name](), vocabulary, threads=1)
        assert again.ids.tolist() == corpus.ids.tolist()
        assert count_words(WALK_SOURCES[name](), threads=1).words == ["7", "3", "0", "900"]


@pytest.mark.parametrize("largest", [50, 10**12])
def test_many_integers(largest: int) -> None:
    """Several of the chunks that arrays are read in."""
    keys = np.random.default_rng(0).integers(0, 2000, 2_500_000) * (largest // 50)
    offsets = np.array([0, 1, 1_048_576, 1_048_576, 2_000_000, 2_500_000])
    vocabulary, corpus = read_corpus((keys, offsets), min_count=1250, threads=1)
    counts = Counter(keys.tolist())
    kept = [str(k) for k, n in counts.most_common() if n >= 1250]
    assert vocabulary.words == kept
    table = {int(k): i for i, k in enumerate(kept)}
    expected = [table[k] for k in keys.tolist() if k in table]
    assert corpus.ids.tolist() == expected
    known = np.isin(keys, np.array(list(table)))
    bounds = np.concatenate([[0], np.cumsum(known)])[offsets]
    assert set(bounds.tolist()) <= set(corpus.offsets.tolist())
    assert int(np.diff(corpus.offsets).max()) == 10_000
