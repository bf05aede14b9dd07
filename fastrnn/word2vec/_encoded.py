"""The encoded corpus itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec._formats.container import read_arrays, write_arrays
from fastrnn.word2vec._vocabulary import Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray

KIND = "encoded corpus"
_CHECK_CHUNK = 1 << 22


@dataclass(frozen=True, eq=False)
class EncodedCorpus:
    """A corpus in which every word is its id; sentence ``s`` is ``ids[offsets[s]:offsets[s+1]]``.

    Words outside the vocabulary are left out, sentences without words are kept. Anything that
    takes sentences takes it in their place. Without ``vocabulary`` an id stands for the word that
    its digits spell.

    Args:
        ids: int32 [N].
        offsets: int64 [S + 1], rising from 0 to N; int32 is enough, and half as large.
        vocabulary: the words behind the ids, if known.
        total_words: words of the text, also those left out (default N).
        total_sentences: sentences of the text as gensim counts them (default S).

    Raises:
        TypeError: for other dtypes.
        ValueError: for offsets that do not rise from 0 to N, or ids out of range.

    Example:
        >>> corpus = EncodedCorpus(np.array([0, 1, 2], np.int32), np.array([0, 2, 3]))
        >>> corpus.num_words, corpus.num_sentences
        (3, 2)
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.signedinteger[Any]]
    vocabulary: Vocabulary | None = None
    total_words: int = -1
    total_sentences: int = -1

    def __post_init__(self) -> None:
        for name, *dtypes in (("ids", np.int32), ("offsets", np.int64, np.int32)):
            array = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.dtype not in dtypes or array.ndim != 1:
                kind = getattr(array, "dtype", type(array).__name__)
                raise TypeError(f"{name} must be a 1-D {np.dtype(dtypes[0])} array, not {kind}")
        offsets, num_words = self.offsets, len(self.ids)
        if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != num_words:
            raise ValueError(f"offsets must begin with 0 and end with len(ids) = {num_words}")
        if bool((offsets[1:] < offsets[:-1]).any()):
            raise ValueError("offsets must not fall")
        limit = 2**31 if self.vocabulary is None else len(self.vocabulary)
        for start in range(0, num_words, _CHECK_CHUNK):
            chunk = self.ids[start : start + _CHECK_CHUNK]
            if int(chunk.min()) < 0 or int(chunk.max()) >= limit:
                raise ValueError(f"ids must be at least 0 and below {limit}")
        if self.total_words < 0:
            object.__setattr__(self, "total_words", num_words)
        if self.total_sentences < 0:
            object.__setattr__(self, "total_sentences", self.num_sentences)

    @property
    def num_words(self) -> int:
        return len(self.ids)

    @property
    def num_sentences(self) -> int:
        return len(self.offsets) - 1

    def save(self, path: str | os.PathLike[str], *, header: dict[str, Any] | None = None) -> None:
        """Writes one file that :meth:`load` maps; an old one is replaced when all is written.

        Args:
            path: the file.
            header: more to be said in the file, as for ``json.dumps``.
        """
        described: dict[str, Any] = {
            "total_words": self.total_words,
            "total_sentences": self.total_sentences,
            "vocabulary": None,
            "made_of": header,
        }
        arrays: dict[str, NDArray[Any]] = {"ids": self.ids, "offsets": self.offsets}
        words: list[str] = []
        if self.vocabulary is not None:
            words = self.vocabulary.words
            arrays["counts"] = self.vocabulary.counts
            described["vocabulary"] = {
                "digest": self.vocabulary.digest,
                **{name: getattr(self.vocabulary, name) for name in _NUMBERS},
                "compat": self.vocabulary.compat,
            }
        write_arrays(path, described, arrays, {"words": words}, kind=KIND)

    @classmethod
    def load(cls, path: str | os.PathLike[str], mmap: bool = True) -> EncodedCorpus:
        """Reads what :meth:`save` wrote; with ``mmap`` the arrays are read-only maps of the file.

        Raises:
            ValueError: for a file that is none, is truncated or contradicts itself.
        """
        return load_with_header(path, mmap)[0]


_NUMBERS = ("corpus_total_words", "corpus_count", "unique_words", "min_count")


def load_with_header(
    path: str | os.PathLike[str], mmap: bool = True
) -> tuple[EncodedCorpus, dict[str, Any] | None]:
    """The corpus, and what ``save`` was told to say of it."""
    header, arrays, strings = read_arrays(path, mmap, kind=KIND)
    try:
        vocabulary = _vocabulary(header["vocabulary"], arrays, strings)
        corpus = EncodedCorpus(
            arrays["ids"],
            arrays["offsets"],
            vocabulary,
            _number(header["total_words"]),
            _number(header["total_sentences"]),
        )
        made_of = header["made_of"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} is no sound corpus file ({error}); delete it to have it made anew"
        ) from error
    return corpus, made_of if isinstance(made_of, dict) else None


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"a number is expected, not {value!r:.40}")
    return value


def _vocabulary(
    described: Any, arrays: dict[str, NDArray[Any]], strings: dict[str, list[str]]
) -> Vocabulary | None:
    if described is None:
        return None
    words, counts = strings["words"], arrays["counts"]
    if counts.dtype != np.int64 or counts.shape != (len(words),):
        raise ValueError("there must be one int64 count a word")
    numbers = {name: _number(described[name]) for name in _NUMBERS}
    compat = described["compat"]
    vocabulary = Vocabulary(words, np.array(counts), **numbers, compat=compat)
    if vocabulary.digest != described["digest"]:
        raise ValueError("the words are not those the file was made with")
    return vocabulary
