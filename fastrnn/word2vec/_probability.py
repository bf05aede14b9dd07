"""What hierarchical softmax says of the next word: exact, whole or the likeliest few.

A word's probability is the product of the turns on its path: at a node of vector s, given the
hidden vector h, turn 0 has probability sigmoid(h.s) and turn 1 has sigmoid(-h.s).
All of it is computed in float64.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fastrnn.word2vec._tree import Tree


class TreeNodes:
    """The tree seen from its nodes: who is below whom.

    ``children[row, turn]`` is a node's row (> 0) or, for a leaf, ``-1 - word``.
    """

    def __init__(self, tree: Tree) -> None:
        """Read the nodes off the words' paths."""
        self.children: NDArray[np.int64] = tree.children().astype(np.int64)
        self.root = 1 if tree.num_words > 1 else -1  # the only word is its own root
        depths = np.zeros(tree.num_words, np.int64)
        rows = tree.path_rows
        depths[rows] = np.arange(len(rows)) - np.repeat(tree.path_offsets[:-1], tree.lengths)
        # The nodes of each depth together, the root first.
        order = 1 + np.argsort(depths[1:], kind="stable")
        self.levels = np.split(order, np.flatnonzero(np.diff(depths[order])) + 1)


def log_sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(1 / (1 + exp(-x))), without overflow."""
    value: NDArray[np.float64] = np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))
    return value


def log_probabilities(
    nodes: TreeNodes, node_vectors: NDArray[np.float32], hidden: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log-probability of every word: ``[V]``, or ``[B, V]`` for ``hidden [B, vector_size]``."""
    batch = hidden.reshape(-1, hidden.shape[-1])
    words = len(node_vectors)
    result = np.zeros((len(batch), words))
    reached = np.zeros((len(batch), words))  # of each node
    for rows in nodes.levels:
        products = batch @ node_vectors[rows, : hidden.shape[-1]].astype(np.float64).T
        for turn, sign in ((0, 1.0), (1, -1.0)):
            below = nodes.children[rows, turn]
            values = reached[:, rows] + log_sigmoid(sign * products)
            leaf = below < 0
            result[:, -1 - below[leaf]] = values[:, leaf]
            reached[:, below[~leaf]] = values[:, ~leaf]
    return result.reshape(*hidden.shape[:-1], words)


def likeliest_words(
    nodes: TreeNodes, node_vectors: NDArray[np.float32], hidden: NDArray[np.float64]
) -> Iterator[tuple[int, float]]:
    """(word, log-probability) from the likeliest word on, looking at few of the nodes.

    Best first: no word is likelier than any node above it, so a leaf that leads the queue is
    the likeliest of all words left.  Equally likely words come in the order of their numbers.
    """
    # An entry: (-log-probability, nodes before leaves, number).  Before a leaf is given out, every
    # node as likely as it has been opened, so equal words meet in the queue.
    queue = [(0.0, False, nodes.root) if nodes.root > 0 else (0.0, True, 0)]
    while queue:
        cost, is_leaf, number = heapq.heappop(queue)
        if is_leaf:
            yield number, -cost
            continue
        product = float(node_vectors[number, : len(hidden)].astype(np.float64) @ hidden)
        tail = math.log1p(math.exp(-abs(product)))
        for turn, value in ((0, product), (1, -product)):
            below = int(nodes.children[number, turn])
            total = cost + tail - min(value, 0.0)
            heapq.heappush(queue, (total, below < 0, -1 - below if below < 0 else below))


def num_predictions(lengths: NDArray[np.int64], window: int, sg: bool) -> int:
    """How many predictions full windows make in sentences of these lengths.

    Skip-gram: (context, center) pairs; CBOW: centers that have any context.
    """
    if not sg:
        return int(lengths[lengths > 1].sum())
    # Each distance up to the window gives length - distance pairs, in both directions.
    reach = np.minimum(window, np.maximum(lengths - 1, 0)).astype(np.int64)
    return int((2 * reach * lengths - reach * (reach + 1)).sum())
