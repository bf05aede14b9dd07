"""How much memory a model takes, and whether the machine has it."""

from __future__ import annotations

import math
import os
from pathlib import Path

from fastrnn.word2vec._formats.aligned import padded_stride

_BYTES_PER_WORD = 170  # a str of some letters, its place in a dict and in a list, its count
_COUNTS = 16  # of a word: the vocabulary's, and that of wv
# What each of several threads keeps of a matrix's hottest rows, twice, as the trainer has it.
_HOT = {"vectors": 320 << 10, "syn1": 224 << 10, "syn1neg": 640 << 10}
_THREAD_BYTES = 256 << 10  # else: words and samples at work


def memory_report(
    *,
    vocab_size: int,
    vector_size: int,
    hs: int,
    negative: int,
    threads: int,
    corpus_words: int,
    corpus_sentences: int,
    copies: bool = True,
    packed_words: int | None = None,
    tree: int | None = None,
) -> dict[str, int]:
    """Bytes by what takes them, without a total.

    ``copies``: threads keep some of the hottest rows.  ``packed_words`` and ``tree`` are the bytes
    of what is there: words that are not strings yet, the tree.
    """
    matrix = vocab_size * padded_stride(vector_size) * 4
    words = vocab_size * _BYTES_PER_WORD
    if packed_words is not None:
        words = packed_words + vocab_size * _COUNTS
    report = {"vocab": words, "vectors": matrix}
    if hs:
        report["syn1"] = matrix
        # Rare words, of which there are most, have paths a little longer than the mean, and mostly
        # share them with another.
        turns = vocab_size * (math.ceil(math.log2(max(2, vocab_size))) + 2) // 2
        report["tree"] = vocab_size * 16 + turns * 4 if tree is None else tree
    if negative:
        report["syn1neg"] = matrix
    report["tables"] = vocab_size * (12 if negative else 4)
    report["ids"] = corpus_words * 4 + (corpus_sentences + 1) * (4 if corpus_words < 2**31 else 8)
    hot = sum(2 * min(matrix, _HOT[name]) for name in _HOT if name in report)
    report["threads"] = threads * (_THREAD_BYTES + (hot if copies and threads > 1 else 0))
    return report


def available_memory() -> int | None:
    """Bytes that can be allocated without swapping, or None where the system does not say."""
    limits = [_kernel_estimate(), _control_group_rest()]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def require_memory(report: dict[str, int], vector_size: int, vocab_size: int) -> None:
    """Raise MemoryError, with advice, if ``report`` adds up to more than is available."""
    available = available_memory()
    needed = sum(report.values())
    if available is None or needed <= available:
        return
    raise MemoryError(
        f"vectors of {vocab_size:,} words in {vector_size:,} dimensions need "
        f"{needed / 1e9:,.1f} GB, and {available / 1e9:,.1f} GB are available. "
        "A smaller vector_size, a larger min_count or max_final_vocab take less; "
        "estimate_memory() says what takes how much."
    )


def _kernel_estimate() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _control_group_rest() -> int | None:
    """What a container's limit leaves; the cache of files in it can be given up."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())  # the text "max" if there is none
        used = int((group / "memory.current").read_text())
        for line in (group / "memory.stat").read_text().splitlines():
            if line.startswith("inactive_file "):
                used -= int(line.split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return max(0, limit - used)
