"""Words as one piece of text: a string of eight letters takes 64 bytes, and training needs none."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PackedWords:
    """Words that become strings when they are first asked for.

    Args:
        text: UTF-8 of all, one behind the other.
        ends: where each ends in it.

    Example:
        >>> PackedWords(b"anowl", np.array([2, 5])).strings
        ['an', 'owl']
    """

    def __init__(self, text: bytes, ends: NDArray[np.int64]) -> None:
        self._text = text
        self._ends: NDArray[Any] = ends.astype(np.uint32) if len(text) < 2**32 else ends

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def nbytes(self) -> int:
        """What they take, without any strings."""
        return len(self._text) + self._ends.nbytes

    @property
    def are_strings(self) -> bool:
        """Whether they have been asked for."""
        return "strings" in self.__dict__

    @cached_property
    def strings(self) -> list[str]:
        """The words, not to be changed."""
        text, begin, found = self._text, 0, []
        for end in self._ends.tolist():
            found.append(text[begin:end].decode("utf-8", "surrogatepass"))
            begin = end
        return found


class WordsField:
    """A field of a frozen dataclass that takes a list or packed words, and shows a list."""

    def __get__(self, holder: object, owner: type) -> list[str]:
        if holder is None:
            raise AttributeError("there is no default for words")
        given = packed(holder)
        words: list[str] = holder.__dict__["_words"] if given is None else given.strings
        return words

    def __set__(self, holder: object, words: list[str] | PackedWords) -> None:
        holder.__dict__["_words"] = words


def packed(holder: object) -> PackedWords | None:
    """What a ``WordsField`` was given, unless it was a list."""
    given = holder.__dict__["_words"]
    return given if isinstance(given, PackedWords) else None
