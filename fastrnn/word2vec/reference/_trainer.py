"""The training loop, one pair after another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec.reference._numbers import (
    GOLDEN,
    LOW,
    MAX_EXP,
    TABLE_STEP,
    chunk_starts,
    epoch_key,
    exact_sigmoid,
    mix,
    sigmoid_table,
    softplus,
    token_random,
    tree_path,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Array = NDArray[Any]  # float32 or float64, as the caller's matrices
    Report = Callable[[int, int, float, float], object]


class ReferenceTrainer:
    """Takes what the native ``Trainer`` takes, and trains as it does with ``strict=True``.

    Args:
        vectors, node_vectors, negative_vectors: [V, stride], updated in place; only the first
            ``vector_size`` columns are used.
        ids, offsets: the corpus; sentence s is ids[offsets[s]:offsets[s + 1]].
        keep: a token is kept where its low 32 random bits are at most keep[id].
        path_offsets, path_rows, codes: the tree, for node_vectors.
        alias_threshold, alias_index, negative: the draws, for negative_vectors.
        vectors_lockf: factor on the updates of each row of ``vectors``.
        train_outputs: False leaves node_vectors and negative_vectors as they are.
        cbow_divide: whether each context gets the gradient divided by their number.
        skip_saturated_negatives: whether a target beyond ±6 is left alone instead of taking its
            sigmoid as 0 or 1.
        max_kept: kept tokens after which a sentence goes on as a new one.
        threads, strict, deterministic: accepted and without effect.
    """

    def __init__(
        self,
        *,
        vectors: Array,
        node_vectors: Array | None = None,
        negative_vectors: Array | None = None,
        vector_size: int,
        ids: NDArray[np.int32],
        offsets: NDArray[np.int64],
        keep: NDArray[np.uint32] | None = None,
        path_offsets: NDArray[np.int64] | None = None,
        path_rows: NDArray[np.int32] | None = None,
        codes: NDArray[np.uint64] | None = None,
        alias_threshold: NDArray[np.uint32] | None = None,
        alias_index: NDArray[np.int32] | None = None,
        negative: int = 0,
        vectors_lockf: NDArray[np.float32] | None = None,
        train_outputs: bool = True,
        window: int,
        shrink_windows: bool,
        sg: bool,
        cbow_mean: bool,
        cbow_divide: bool,
        sigmoid: str,
        skip_saturated_negatives: bool,
        max_kept: int,
        seed: int,
        threads: int = 1,
        strict: bool = True,
        deterministic: bool = False,
        compute_loss: bool = False,
    ) -> None:
        del threads, strict, deterministic
        self.dtype = vectors.dtype
        self.vectors = vectors[:, :vector_size]
        self.nodes = None if node_vectors is None else node_vectors[:, :vector_size]
        self.negatives = None if negative_vectors is None else negative_vectors[:, :vector_size]
        self.ids, self.offsets, self.keep = ids, offsets, keep
        self.path_offsets, self.path_rows, self.codes = path_offsets, path_rows, codes
        self.alias_threshold, self.alias_index = alias_threshold, alias_index
        self.negative = negative
        self.lockf = np.ones(len(vectors)) if vectors_lockf is None else vectors_lockf
        self.lockf = self.lockf.astype(self.dtype)
        self.train_outputs = train_outputs
        self.window, self.shrink_windows = window, shrink_windows
        self.sg, self.cbow_mean, self.cbow_divide = sg, cbow_mean, cbow_divide
        self.table = {"exact": None, "table": sigmoid_table(self.dtype)}[sigmoid]
        self.skip_saturated_negatives = skip_saturated_negatives
        self.max_kept, self.seed, self.compute_loss = max_kept, seed, compute_loss
        self.chunk_starts = chunk_starts(offsets)
        self.position = 0
        self.key = 0
        self.loss, self.pairs, self.kept = 0.0, 0, 0

    # -- one epoch ----------------------------------------------------------------------------

    def train(
        self,
        *,
        epoch: int,
        alpha_start: float,
        alpha_end: float,
        c_schedule: bool,
        done: int,
        total: int,
        by_sentences: bool,
        first_sentence: int = 0,
        report: Report | None = None,
        interval: float = 0.5,
    ) -> dict[str, float]:
        """Train one epoch from a chunk's first sentence on.

        ``done`` and ``total`` are words (or sentences) of earlier and of all epochs; the learning
        rate falls from alpha_start to alpha_end by the share done before each chunk.

        Returns:
            words (before subsampling), kept, pairs (examples trained on), loss (nats), seconds,
            alpha (at which the next chunk would be trained).
        """
        if first_sentence not in self.chunk_starts:
            raise ValueError("first_sentence must be the first of a chunk")
        self.key = epoch_key(self.seed, epoch)
        self.loss, self.pairs, self.kept = 0.0, 0, 0
        self.position = first_sentence
        begun = reported = time.monotonic()
        words = 0

        def rate() -> float:
            before = self.position if by_sentences else int(self.offsets[self.position])
            if c_schedule:
                return alpha_start * max(1e-4, 1 - (done + before) / (total + 1))
            return max(alpha_end, alpha_start - (alpha_start - alpha_end) * (done + before) / total)

        for end in self.chunk_starts[self.chunk_starts > first_sentence].tolist():
            alpha = self.dtype.type(rate())
            for sentence in range(self.position, end):
                words += int(self.offsets[sentence + 1] - self.offsets[sentence])
                for tokens in self.pieces(sentence):
                    self.train_piece(tokens, alpha)
            self.position = end
            if report is not None and time.monotonic() - reported >= interval:
                reported = time.monotonic()
                report(words, self.kept, self.loss, rate())
        return {
            "words": words,
            "kept": self.kept,
            "pairs": self.pairs,
            "loss": self.loss,
            "seconds": time.monotonic() - begun,
            "alpha": rate(),
        }

    def pieces(self, sentence: int) -> Iterator[list[int]]:
        """Indices into ``ids`` of the kept tokens, at most ``max_kept`` at a time."""
        piece: list[int] = []
        for token in range(int(self.offsets[sentence]), int(self.offsets[sentence + 1])):
            if self.keep is not None:
                low = token_random(self.key, token) & LOW
                if low > self.keep[self.ids[token]]:
                    continue
            piece.append(token)
            if len(piece) == self.max_kept:
                yield piece
                piece = []
        yield piece

    def train_piece(self, tokens: list[int], alpha: Any) -> None:
        self.kept += len(tokens)
        words = [int(self.ids[token]) for token in tokens]
        for place, token in enumerate(tokens):
            random = token_random(self.key, token)
            reach = self.window
            if self.shrink_windows:
                reach -= (random >> 32) * self.window >> 32
            contexts = words[max(place - reach, 0) : place] + words[place + 1 : place + reach + 1]
            if not contexts:
                continue
            if self.sg:
                self.skip_gram(words[place], contexts, random, alpha)
            else:
                self.cbow(words[place], contexts, random, alpha)

    # -- one center ---------------------------------------------------------------------------

    def skip_gram(self, center: int, contexts: list[int], random: int, alpha: Any) -> None:
        """Each context's vector predicts the center."""
        for c, context in enumerate(contexts):
            error = self.predict(self.vectors[context], center, random, c * self.negative, alpha)
            self.vectors[context] += error * self.lockf[context]
            self.pairs += 1

    def cbow(self, center: int, contexts: list[int], random: int, alpha: Any) -> None:
        """The contexts' mean (or sum) predicts the center."""
        hidden = self.vectors[contexts].sum(axis=0)
        if self.cbow_mean:
            hidden /= len(contexts)
        error = self.predict(hidden, center, random, 0, alpha)
        if self.cbow_divide:
            error /= len(contexts)
        for context in contexts:  # one that occurs twice is updated twice
            self.vectors[context] += error * self.lockf[context]
        self.pairs += 1

    def predict(self, hidden: Array, center: int, random: int, draw: int, alpha: Any) -> Array:
        """Train the outputs; return alpha times minus the loss's gradient at ``hidden``."""
        error = np.zeros_like(hidden)
        if self.nodes is not None:
            error += self.walk(hidden, center, alpha)
        if self.negatives is not None and self.negative:
            self.contrast(hidden, center, random, draw, alpha, error)
        return error

    def walk(self, hidden: Array, center: int, alpha: Any) -> Array:
        """Hierarchical softmax: loss = -sum over the path of log sigmoid(±h·s), + at turn 0.

        No node is twice on a path and h stays, so all its nodes can be taken at once.
        """
        assert self.nodes is not None
        rows, turns = self.path(center)
        s = self.nodes[rows]
        f = s @ hidden
        if self.compute_loss:
            self.loss += float(softplus(np.where(turns, f, -f)).sum())
        learning = np.abs(f) < MAX_EXP
        g = (1 - turns - self.sigmoid(f)) * alpha * learning
        if self.train_outputs:
            self.nodes[rows] += np.outer(g, hidden)
        error: Array = g @ s
        return error

    def contrast(
        self, hidden: Array, center: int, random: int, draw: int, alpha: Any, error: Array
    ) -> None:
        """Negative sampling: loss = -log sigmoid(h·s_center) - sum of log sigmoid(-h·s_drawn)."""
        assert self.negatives is not None
        drawn = [self.draw(random, draw + j) for j in range(self.negative)]
        targets = [(center, 1), *((target, 0) for target in drawn if target != center)]
        for target, label in targets:
            s = self.negatives[target]
            f = s @ hidden
            if self.compute_loss:
                self.loss += float(softplus(-f if label else f))
            if abs(f) < MAX_EXP:
                g = (label - self.sigmoid(f)) * alpha
            elif self.skip_saturated_negatives:
                continue
            else:
                g = (label - self.dtype.type(f > 0)) * alpha
            error += g * s
            if self.train_outputs:
                s += g * hidden

    def sigmoid(self, f: Array) -> Array:
        if self.table is None:
            return exact_sigmoid(f)
        limit = self.dtype.type(MAX_EXP)
        index = (np.clip(f, -limit, limit) + limit) * self.dtype.type(TABLE_STEP)
        result: Array = self.table[index.astype(np.int64)]
        return result

    def path(self, word: int) -> tuple[NDArray[np.int32], Array]:
        assert self.path_offsets is not None
        assert self.path_rows is not None
        assert self.codes is not None
        return tree_path(self.path_offsets, self.path_rows, self.codes, word, self.dtype)

    def draw(self, random: int, number: int) -> int:
        assert self.alias_threshold is not None
        assert self.alias_index is not None
        z = mix(random + GOLDEN * (number + 1))
        column = (z >> 32) * len(self.alias_threshold) >> 32
        own = z & LOW < int(self.alias_threshold[column])
        return column if own else int(self.alias_index[column])
