"""Small corpora and trainers' arguments for the tests of word2vec."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn.word2vec._sampling import alias_table, keep_thresholds, negative_weights
from fastrnn.word2vec._tree import huffman_tree


def zipf_corpus(
    num_words: int, num_tokens: int, seed: int = 0, longest: int = 40
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ids, offsets and counts; some sentences are empty or have a single word."""
    rng = np.random.default_rng(seed)
    chances = 1 / np.arange(1, num_words + 1)
    ids = rng.choice(num_words, num_tokens, p=chances / chances.sum()).astype(np.int32)
    ids[:num_words] = np.arange(num_words)  # each at least once
    lengths = rng.integers(0, longest, num_tokens)
    ends = np.minimum(np.cumsum(lengths), num_tokens)
    offsets = np.concatenate([[0], ends[: np.searchsorted(ends, num_tokens) + 1]])
    counts = np.bincount(ids, minlength=num_words)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(num_words, dtype=np.int32)
    rank[order] = np.arange(num_words)
    return rank[ids], offsets.astype(np.int64), counts[order]


def aligned(rows: int, size: int, dtype: Any = np.float32) -> np.ndarray:
    """Zeros [rows, size rounded up to 16] on a cache line."""
    stride = -(-size // 16) * 16
    raw = np.zeros(rows * stride + 16, dtype=dtype)
    start = (-raw.ctypes.data % 64) // raw.itemsize
    return raw[start : start + rows * stride].reshape(rows, stride)


def random_storage(rows: int, size: int, scale: float, seed: int) -> np.ndarray:
    storage = aligned(rows, size)
    storage[:, :size] = np.random.default_rng(seed).uniform(-scale, scale, (rows, size))
    return storage


def copied(arguments: dict[str, Any], dtype: Any = np.float32) -> dict[str, Any]:
    """The arguments with matrices of their own."""
    result = dict(arguments)
    for name in ("vectors", "node_vectors", "negative_vectors"):
        if result.get(name) is not None:
            storage = aligned(*result[name].shape, dtype)
            storage[:] = result[name]
            result[name] = storage
    return result


def trainer_arguments(
    ids: np.ndarray,
    offsets: np.ndarray,
    counts: np.ndarray,
    *,
    size: int = 10,
    hs: bool = True,
    negative: int = 0,
    sample: float = 0.0,
    compat: str | None = None,
    scale: float = 0.5,
    seed: int = 1,
    **others: Any,
) -> dict[str, Any]:
    """What a trainer takes, as the model passes it; weights are uniform in ±scale / size."""
    tree = huffman_tree(counts, compat=compat)
    threshold, index = alias_table(negative_weights(counts, compat=compat))
    num_words = len(counts)
    arguments: dict[str, Any] = {
        "vectors": random_storage(num_words, size, scale / size, seed),
        "vector_size": size,
        "ids": ids,
        "offsets": offsets,
        "keep": keep_thresholds(counts, sample, compat=compat),
        "window": 5,
        "shrink_windows": True,
        "sg": False,
        "cbow_mean": True,
        "cbow_divide": False,
        "sigmoid": "exact",
        "skip_saturated_negatives": compat == "gensim",
        "max_kept": 1000 if compat == "word2vec.c" else 10_000,
        "seed": seed,
        "threads": 1,
        "strict": True,
        "deterministic": False,
        "compute_loss": True,
    }
    if hs:
        arguments.update(
            node_vectors=random_storage(num_words, size, scale / size, seed + 1),
            path_offsets=tree.path_offsets,
            path_rows=tree.path_rows,
            codes=tree.codes,
        )
    if negative:
        arguments.update(
            negative_vectors=random_storage(num_words, size, scale / size, seed + 2),
            alias_threshold=threshold,
            alias_index=index,
            negative=negative,
        )
    arguments.update(others)
    return arguments


def epoch_arguments(num_tokens: int, **others: Any) -> dict[str, Any]:
    """What ``train`` takes for the first and only epoch."""
    return {
        "epoch": 0,
        "alpha_start": 0.025,
        "alpha_end": 0.0001,
        "c_schedule": False,
        "done": 0,
        "total": num_tokens,
        "by_sentences": False,
        **others,
    }
