"""New words for a trained tree, without touching what it says of the old ones.

The new words get a Huffman tree of their own.  Of the old words, the one whose count is nearest
to the new words' total gives up its leaf to a new node, below which it hangs beside that tree.
The new nodes' vectors are zero, so each of their turns is even: right after growth that one
word's probability is halved, the new words share the other half, and every other old word's
probability is what it was.  (gensim builds a new tree over the old rows instead, so that every
node's vector suddenly stands for another node.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fastrnn.word2vec._tree import MAX_TURNS, Tree, huffman_tree

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Graft:
    """A grown tree, and where its nodes' vectors come from."""

    tree: Tree
    old_rows: NDArray[np.int64]  # [old V + new]: the row in the old storage; -1 for a new node
    split_word: int  # whose leaf made room

    def regrow(self, node_vectors: NDArray[np.float32], grown: NDArray[np.float32]) -> None:
        """Copy the old nodes' vectors to their rows in ``grown``, which is zero."""
        kept = self.old_rows >= 0
        grown[kept] = node_vectors[self.old_rows[kept]]


def graft(tree: Tree, counts: NDArray[np.int64], new_counts: NDArray[np.int64]) -> Graft:
    """Hang the new words into the tree.

    ``counts [V]`` are the old words' counts as they are by now.  The new words' numbers follow
    the old ones'.  Raises ValueError if no leaf can be split without a path of more than 64 turns.
    """
    old, new = len(counts), len(new_counts)
    below = huffman_tree(new_counts)
    old_lengths = tree.lengths
    new_lengths = below.lengths
    room = old_lengths + 1 + int(new_lengths.max()) <= MAX_TURNS
    if not room.any():
        raise ValueError(
            f"the tree of {old} words has no room for {new} more: a path would have more than "
            f"{MAX_TURNS} turns. Train a new model on all the text; init_from() keeps the vectors."
        )
    distance = np.abs(counts.astype(np.float64) - float(new_counts.sum()))
    split = int(np.argmin(np.where(room, distance, np.inf)))

    # Paths in provisional numbers: an old node's row, then `old` for the new node at the split
    # leaf, then old + r for row r of the new words' tree, whose row 0 is unused.
    tree_rows = tree.path_rows
    begin, end = tree.path_offsets[split : split + 2]
    stem = np.append(tree_rows[begin:end], old).astype(np.int64)
    depth = len(stem) - 1
    stem_code = int(tree.codes[split])  # turn 0 at the new node: the old word
    paths: list[NDArray[np.int64]] = [
        tree_rows[:begin].astype(np.int64),
        stem,
        tree_rows[end:].astype(np.int64),
    ]
    lengths = np.concatenate([old_lengths, depth + 1 + new_lengths])
    lengths[split] += 1
    codes = [tree.codes]
    grafted = np.zeros(new, np.uint64)
    for word in range(new):
        paths += [stem, old + below.path(word)[0].astype(np.int64)]
        code = stem_code | 1 << depth | int(below.codes[word]) << (depth + 1)
        grafted[word] = code
    codes.append(grafted)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    numbers = np.concatenate(paths)

    rows = _hot_first(numbers, offsets, np.concatenate([counts, new_counts]), old + new)
    old_rows = np.full(old + new, -1, np.int64)
    inner = np.unique(tree_rows)
    old_rows[rows[inner]] = inner
    grown = Tree(
        path_offsets=offsets,
        path_rows=rows[numbers].astype(np.int32),
        codes=np.concatenate(codes),
    ).shared()
    return Graft(grown, old_rows, split)


def _hot_first(
    numbers: NDArray[np.int64],
    offsets: NDArray[np.int64],
    counts: NDArray[np.int64],
    words: int,
) -> NDArray[np.int64]:
    """The row of each provisional number: 1 for the root, then by falling count below the node.

    Nodes of equal count keep their order, a node above another first.
    """
    lengths = np.diff(offsets)
    # Exact in integers, unlike bincount's weights.
    below = np.zeros(words, np.int64)
    np.add.at(below, numbers, np.repeat(counts, lengths))
    depth = np.zeros(words, np.int64)
    depth[numbers] = np.arange(len(numbers)) - np.repeat(offsets[:-1], lengths)
    inner = np.unique(numbers)
    order = inner[np.lexsort((inner, depth[inner], -below[inner]))]
    rows = np.zeros(words, np.int64)
    rows[order] = np.arange(1, len(order) + 1)
    return rows
