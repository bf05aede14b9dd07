"""What a source of sentences is: files, a stream, lists of words, or arrays of ids."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec import sentences as _sentences

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Text:
    """Files, read natively one after the other; or one open file."""

    paths: tuple[str, ...] = ()
    stream: IO[bytes] | IO[str] | None = None
    lines: bool = True  # a line is a sentence; otherwise its end is mere white space
    longest_raw: int = 0  # sentences are cut after so many words, dropped ones included

    @property
    def rereadable(self) -> bool:
        return self.stream is None and all(Path(path).is_file() for path in self.paths)

    @property
    def fingerprint(self) -> list[list[Any]] | None:
        """Tells whether files have changed since; None where that can't be told."""
        if not self.rereadable:
            return None
        stats = [(str(Path(path).resolve()), Path(path).stat()) for path in self.paths]
        return [[path, s.st_size, s.st_mtime_ns] for path, s in stats]


@dataclass(frozen=True)
class Lists:
    """Lists of words, each a sentence; an iterator can be read once."""

    sentences: Iterable[Any] = field(repr=False)

    @property
    def rereadable(self) -> bool:
        return not isinstance(self.sentences, Iterator)

    @property
    def count(self) -> int:
        """Number of sentences, 0 where unknown."""
        try:
            return len(self.sentences)  # type: ignore[arg-type]
        except TypeError:
            return 0


@dataclass(frozen=True)
class Arrays:
    """Integers that stand for words: sentence ``s`` is ``keys[offsets[s]:offsets[s + 1]]``."""

    keys: NDArray[Any] = field(repr=False)
    offsets: NDArray[np.int64] = field(repr=False)


def read_source(source: Any) -> Text | Lists | Arrays:
    """Finds out what a source is.

    Raises:
        TypeError: for what can't be sentences, with advice.
        ValueError: for a string that is no existing path, for empty folders and for arrays that
            are no ids.
        FileNotFoundError: for a path that does not exist.
    """
    if isinstance(source, str):
        return _path(source)
    if isinstance(source, os.PathLike):
        path = os.fspath(source)
        return _path(os.fsdecode(path) if isinstance(path, bytes) else path, certain=True)
    if isinstance(source, (bytes, bytearray, memoryview)):
        raise TypeError(
            "sentences must not be bytes: give a path as str, an open file, or lists of words "
            "(text.decode().split())"
        )
    known = _known_reader(source)
    if known is not None:
        return known
    if hasattr(source, "read"):
        return Text(stream=source)
    if isinstance(source, np.ndarray):
        return _array(source)
    if isinstance(source, tuple) and _is_flat_pair(source):
        return _flat(source[0], source[1])
    if isinstance(source, Mapping):
        raise TypeError(
            "sentences must not be a mapping; build_vocab_from_freq takes counts of words"
        )
    if not isinstance(source, Iterable):
        raise TypeError(
            f"sentences must be a path, lists of words or arrays of integers, not "
            f"{type(source).__name__}"
        )
    return _iterable(source)


def _known_reader(source: Any) -> Text | None:
    """The package's own readers, unless subclassed or told to stop early."""
    if type(source) is _sentences.LineSentence and source.limit is None:
        length = source.max_sentence_length
        longest_raw = 0 if length == _sentences.MAX_WORDS_IN_BATCH else length
        if isinstance(source.source, (str, os.PathLike)):
            path = os.fsdecode(os.fspath(source.source))
            return Text(paths=_existing(path), longest_raw=longest_raw)
        source.source.seek(0)
        return Text(stream=source.source, longest_raw=longest_raw)
    if type(source) is _sentences.PathLineSentences and source.limit is None:
        length = source.max_sentence_length
        longest_raw = 0 if length == _sentences.MAX_WORDS_IN_BATCH else length
        return Text(paths=tuple(source.input_files), longest_raw=longest_raw)
    if type(source) is _sentences.Text8Corpus:
        path = os.fsdecode(os.fspath(source.fname))
        return Text(paths=_existing(path), lines=False, longest_raw=source.max_sentence_length)
    return None


def _existing(path: str) -> tuple[str, ...]:
    Path(path).stat()
    return (path,)


def _path(path: str, *, certain: bool = False) -> Text:
    try:
        Path(path).stat()
    except (OSError, ValueError) as error:
        if certain or (len(path) < 256 and not any(c.isspace() for c in path)):
            raise FileNotFoundError(
                f"no such file or folder: {path!r} (a string given as sentences is a path; text "
                "itself must be given as lists of words)"
            ) from error
        shown = path if len(path) <= 60 else path[:57] + "..."
        raise ValueError(
            f"a string given as sentences is a path, and no file is named {shown!r}. If it is "
            "text, split it: one list of words a sentence, as in "
            "[line.split() for line in text.splitlines()]"
        ) from error
    if not Path(path).is_dir():
        return Text(paths=(path,))
    paths = _sentences.folder_files(path)
    if not paths:
        raise ValueError(f"there is no file in the folder {path!r}")
    return Text(paths=tuple(paths))


def _iterable(source: Iterable[Any]) -> Lists | Arrays:
    """Looks at the first sentence, without losing it."""
    iterator = iter(source)
    once = iterator is source
    first = next(iterator, None)
    if first is None:
        return Lists(())
    check_sentence(first, 0)
    items = chain([first], iterator) if once else source
    if isinstance(first, np.ndarray) and first.dtype.kind in "iu":
        return _many_arrays(items)
    return Lists(items)


def check_sentence(sentence: Any, number: int) -> None:
    """Raises unless a sentence can be a list of words."""
    if isinstance(sentence, str):
        shown = sentence if len(sentence) <= 40 else sentence[:37] + "..."
        raise TypeError(
            f"a sentence must be a list of words, but sentence {number} is the string {shown!r}. "
            "Split each sentence, as in [line.split() for line in lines]; for files, give the path"
        )
    if isinstance(sentence, (bytes, bytearray)):
        raise TypeError(
            f"a sentence must be a list of words, but sentence {number} is bytes. Decode and split "
            "it, as in line.decode().split()"
        )
    if not isinstance(sentence, Iterable):
        raise TypeError(
            f"a sentence must be a list of words, but sentence {number} is "
            f"{type(sentence).__name__} {sentence!r:.40}. One sentence alone goes into a list, "
            "[sentence]; ids may come as an array of integers"
        )


def _whole(keys: NDArray[Any], what: str) -> NDArray[Any]:
    if keys.dtype.kind not in "iu":
        raise TypeError(f"{what} must be of integers, not {keys.dtype}")
    if keys.size and keys.dtype.kind == "i" and int(keys.min()) < 0:
        at = int(np.argmax(keys.reshape(-1) < 0))
        raise ValueError(
            f"{what} must not be negative: {int(keys.reshape(-1)[at])} at position {at}. Give "
            "sentences of different lengths as a list of arrays, or as (ids, offsets)"
        )
    return keys


def _array(array: NDArray[Any]) -> Arrays | Lists:
    if array.dtype.kind in "USO":
        if array.ndim == 1 and array.dtype.kind == "O":
            return _as_arrays_or_lists(list(array))
        if array.ndim != 2:
            raise TypeError("an array of words must have two dimensions: sentences and words")
        return Lists(array.tolist())
    if array.ndim not in (1, 2):
        raise ValueError(
            f"an array of ids must have one dimension (a sentence) or two (a sentence a row), not "
            f"{array.ndim}"
        )
    _whole(array, "ids")
    rows, length = (1, len(array)) if array.ndim == 1 else array.shape
    offsets = np.arange(rows + 1, dtype=np.int64) * length
    return Arrays(np.ascontiguousarray(array).reshape(-1), offsets)


def _as_arrays_or_lists(sentences: list[Any]) -> Arrays | Lists:
    return _iterable(sentences)


def _is_flat_pair(source: tuple[Any, ...]) -> bool:
    """Whether a tuple is (ids, offsets); two sentences of ids go into a list."""
    return len(source) == 2 and all(
        isinstance(part, np.ndarray) and part.ndim == 1 and part.dtype.kind in "iu"
        for part in source
    )


def _flat(ids: NDArray[Any], offsets: NDArray[Any]) -> Arrays:
    _whole(ids, "ids")
    fits = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == len(ids)
    if not fits or bool((offsets[1:] < offsets[:-1]).any()):
        raise ValueError(
            "a tuple of two arrays is taken as (ids, offsets): offsets must rise from 0 to "
            f"len(ids) = {len(ids)}. Give two sentences as a list, not as a tuple"
        )
    return Arrays(np.ascontiguousarray(ids), offsets.astype(np.int64))


def _many_arrays(arrays: Iterable[Any]) -> Arrays:
    """Sentences of ids one by one, as random walks come."""
    checked: list[NDArray[Any]] = []
    for number, sentence in enumerate(arrays):
        array = np.asarray(sentence)
        if array.ndim != 1:
            raise ValueError(f"sentence {number} has {array.ndim} dimensions, not one")
        if array.size == 0:
            array = array.astype(np.int64)
        checked.append(_whole(array, f"ids of sentence {number}"))
    lengths = np.fromiter(map(len, checked), np.int64, len(checked))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return Arrays(np.concatenate(checked), offsets)
