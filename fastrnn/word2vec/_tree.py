"""Huffman trees over words, as hierarchical softmax walks them."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from fastrnn import _core

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MAX_TURNS = 64
COMPAT = (None, "word2vec.c", "gensim")
_TURNS_BITS = 7  # of a packed path; the rest is where it begins


class Tree:
    """A binary tree whose leaves are the V words, seen as one path from the root per word.

    Inner nodes are named by their rows in the matrix of node vectors: the node created n-th has
    row V - 1 - n, so that rows count from the root (row 1) down and row 0 stays free. At a node a
    word goes turn 0 or 1; hierarchical softmax gives turn 0 the probability sigmoid(h·s) of the
    node's vector s and turn 1 the rest.

    Args:
        path_offsets: ``[V + 1]``: word w has ``path_rows[path_offsets[w] : path_offsets[w + 1]]``.
        path_rows: rows of the nodes, root first.
        codes: ``[V]``: bit k is the turn at the k-th node.
    """

    def __init__(
        self,
        path_offsets: NDArray[np.int64],
        path_rows: NDArray[np.int32],
        codes: NDArray[np.uint64],
    ) -> None:
        self.codes = codes
        self._offsets: NDArray[np.int64] | None = path_offsets
        self._rows = path_rows
        self._packed: NDArray[np.uint64] | None = None

    def shared(self) -> Tree:
        """The same tree in half the memory: two words below one node share the path to it."""
        if self._packed is not None or self.num_words == 1:
            return self
        offsets, lengths, words = self.path_offsets, self.lengths, np.arange(self.num_words)
        last = self._rows[offsets[1:] - 1]
        first_below = np.empty(self.num_words, np.int64)
        first_below[last[::-1]] = words[::-1]
        first = first_below[last]  # word with the same path
        own = np.flatnonzero(first == words)
        starts = np.empty(self.num_words, np.int64)
        starts[own] = np.cumsum(lengths[own]) - lengths[own]
        total = int(lengths[own].sum())
        places = np.repeat(offsets[own] - starts[own], lengths[own]) + np.arange(total)
        tree = Tree(offsets, self._rows[places], self.codes)
        tree._packed = (starts[first] << _TURNS_BITS | lengths).astype(np.uint64)
        tree._offsets = None
        return tree

    @property
    def native(self) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
        """What the trainer takes: where each word's path begins, with its length, and rows."""
        if self._packed is None:
            starts = self.path_offsets[:-1].astype(np.uint64)
            return starts << np.uint64(_TURNS_BITS) | self.lengths.astype(np.uint64), self._rows
        return self._packed, self._rows

    @property
    def nbytes(self) -> int:
        """What the tree takes."""
        first = self._offsets if self._packed is None else self._packed
        assert first is not None
        return first.nbytes + self._rows.nbytes + self.codes.nbytes

    @property
    def num_words(self) -> int:
        return len(self.codes)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Turns of each word, [V]."""
        lengths: NDArray[np.int64]
        if self._packed is None:
            lengths = np.diff(self.path_offsets)
        else:
            lengths = (self._packed & np.uint64((1 << _TURNS_BITS) - 1)).astype(np.int64)
        return lengths

    @property
    def path_offsets(self) -> NDArray[np.int64]:
        """Where each word's path begins in ``path_rows``, and the end, [V + 1]."""
        if self._offsets is not None:
            return self._offsets
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths)])

    @property
    def path_rows(self) -> NDArray[np.int32]:
        """The rows on all words' paths, one path behind the other."""
        if self._packed is None:
            return self._rows
        lengths, starts = self.lengths, (self._packed >> np.uint64(_TURNS_BITS)).astype(np.int64)
        before = np.cumsum(lengths) - lengths
        return self._rows[np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))]

    def path(self, word: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Rows of the nodes from the root to a word, and the turns (0 or 1) taken there."""
        if not 0 <= word < self.num_words:
            raise IndexError(f"word must be from 0 to {self.num_words - 1}, not {word}")
        if self._packed is None:
            rows = self._rows[self.path_offsets[word] : self.path_offsets[word + 1]]
        else:
            start, turns = divmod(int(self._packed[word]), 1 << _TURNS_BITS)
            rows = self._rows[start : start + turns]
        code = int(self.codes[word])
        return rows, np.array([code >> k & 1 for k in range(len(rows))], dtype=np.uint8)

    def turns(self) -> NDArray[np.uint8]:
        """The turns of all paths, beside ``path_rows``."""
        lengths = self.lengths
        places = np.arange(int(lengths.sum())) - np.repeat(self.path_offsets[:-1], lengths)
        codes = np.repeat(self.codes, lengths)
        turns: NDArray[np.uint8] = (codes >> places.astype(np.uint64) & np.uint64(1)).astype("u1")
        return turns

    def children(self) -> NDArray[np.int32]:
        """What turns 0 and 1 at each row lead to, [V, 2]: a row, or -1 - word at a leaf.

        Row 0, which is no node, has zeros.
        """
        slots, targets = self._turnings()
        children = np.zeros((self.num_words, 2), dtype=np.int32)
        children.reshape(-1)[slots] = targets
        return children

    def check(self) -> Tree:
        """Return the tree; raise ``ValueError`` unless it is one (as after reading a file)."""
        offsets, path_rows, num_words = self.path_offsets, self.path_rows, self.num_words
        if (
            num_words < 1
            or offsets.shape != (num_words + 1,)
            or offsets[0] != 0
            or offsets[-1] != len(path_rows)
        ):
            raise ValueError("the tree's arrays do not belong together")
        if np.any(self.lengths < (num_words > 1)) or np.any(self.lengths > MAX_TURNS):
            raise ValueError(f"the tree's paths must have 1 to {MAX_TURNS} turns")
        if num_words == 1:
            if len(path_rows):
                raise ValueError("the tree of a single word must be empty")
            return self
        if np.any(path_rows < 1) or np.any(path_rows >= num_words):
            raise ValueError(f"the tree's rows must be from 1 to {num_words - 1}")
        # Each turn at each node leads to one place, and to each place but the root one turn.
        slots, targets = self._turnings()
        children = self.children().reshape(-1)
        places = np.concatenate([np.arange(2, num_words), -1 - np.arange(num_words)])
        if (
            np.any(path_rows[offsets[:-1]] != 1)
            or np.any(children[slots] != targets)
            or not np.array_equal(np.sort(children[2:]), np.sort(places))
        ):
            raise ValueError("the tree's paths contradict each other")
        return self

    def _turnings(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        rows = self.path_rows
        targets = np.empty_like(rows)
        targets[:-1] = rows[1:]
        filled = self.lengths > 0
        ends = self.path_offsets[1:][filled] - 1
        targets[ends] = -1 - np.arange(self.num_words, dtype=np.int32)[filled]
        return rows.astype(np.int64) * 2 + self.turns(), targets


def huffman_tree(counts: ArrayLike, *, compat: str | None = None) -> Tree:
    """Huffman's tree for words that occur ``counts`` times.

    By default, and for sorted counts with ``compat="word2vec.c"``, it is the tree word2vec.c
    builds: an inner node goes before a word of the same count, and of two merged the second gets
    turn 1. Equal counts keep their order, so the tree depends on the counts only.

    ``compat="word2vec.c"`` leaves word 0 (``</s>``) in front whatever its count, which may cost a
    fraction of a bit. ``compat="gensim"`` merges as gensim does, by a heap of counts in which ties
    fall as the heap happens to lie: the same weighted length, other codes.

    Where a path would have more than 64 turns, or the counts' total would pass 2**63 - 1, counts
    are halved (rounding up, 1 at least) until it fits.

    Raises:
        TypeError: counts are not integers.
        ValueError: counts are empty, negative or not one-dimensional, or compat is unknown.
    """
    if compat not in COMPAT:
        raise ValueError(f'compat must be None, "word2vec.c" or "gensim", not {compat!r}')
    checked = check_counts(counts)
    if compat == "gensim":
        return _heap_tree(checked).shared()
    return Tree(*_core.word2vec.huffman_tree(checked, compat == "word2vec.c")).shared()


def check_counts(counts: ArrayLike) -> NDArray[np.int64]:
    """The counts as an array that the native code takes."""
    array = np.asarray(counts)
    if array.ndim != 1:
        raise ValueError(f"counts must have one dimension, not {array.ndim}")
    if len(array) == 0:
        raise ValueError("counts is empty")
    if array.dtype.kind not in "iu":
        raise TypeError(f"counts must be integers, not {array.dtype}")
    if np.any(array < 0):
        raise ValueError("counts must not be negative")
    if np.any(array > np.iinfo(np.int64).max):
        raise ValueError("counts must be below 2**63")
    return np.ascontiguousarray(array, dtype=np.int64)


class _Item:
    """An entry of gensim's heap: compared by count only."""

    __slots__ = ("count", "index")

    def __init__(self, count: int, index: int) -> None:
        self.count = count
        self.index = index

    def __lt__(self, other: _Item) -> bool:
        return self.count < other.count


def _heap_tree(counts: NDArray[np.int64]) -> Tree:
    num_words = len(counts)
    if num_words == 1:
        return Tree(np.zeros(2, np.int64), np.empty(0, np.int32), np.zeros(1, np.uint64))
    tree = None
    while tree is None:
        tree = _from_parents(*_heap_merge(counts.tolist()))
        counts = np.maximum(1, counts // 2 + counts % 2)
    return tree


def _heap_merge(counts: list[int]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Of every item (words, then nodes as created) its parent, as an item, and turn."""
    num_words = len(counts)
    parents = np.zeros(2 * num_words - 1, dtype=np.int64)
    turns = np.zeros(2 * num_words - 1, dtype=np.uint64)
    heap = [_Item(count, i) for i, count in enumerate(counts)]
    heapq.heapify(heap)
    for created in range(num_words, 2 * num_words - 1):
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        parents[first.index] = parents[second.index] = created
        turns[second.index] = 1
        heapq.heappush(heap, _Item(first.count + second.count, created))
    return parents, turns


def _from_parents(parents: NDArray[np.int64], turns: NDArray[np.uint64]) -> Tree | None:
    """The tree, or None if it is too deep."""
    root = len(parents) - 1
    num_words = len(parents) // 2 + 1
    items = np.arange(num_words)
    lengths = np.zeros(num_words, dtype=np.int64)
    steps: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []  # upward: words, their nodes
    codes = np.zeros(num_words, dtype=np.uint64)
    words = np.arange(num_words)
    while len(words):
        if len(steps) == MAX_TURNS:
            return None
        codes[words] = codes[words] << np.uint64(1) | turns[items]
        items = parents[items]
        lengths[words] += 1
        steps.append((words, items))
        words, items = words[items != root], items[items != root]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    rows = np.empty(offsets[-1], dtype=np.int32)
    for height, (words, items) in enumerate(steps, start=1):
        rows[offsets[words + 1] - height] = root + 1 - items
    return Tree(offsets, rows, codes)
