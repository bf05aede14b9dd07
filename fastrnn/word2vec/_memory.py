"""How much memory a model takes, and whether the machine has it."""

from __future__ import annotations

import math
import os
from pathlib import Path

from fastrnn.word2vec._formats.aligned import padded_stride

_BYTES_PER_WORD = 170  # a str of some letters, its place in a dict and in a list, its count
_THREAD_BYTES = 1 << 20  # copies of the hottest rows, counters


def memory_report(
    *,
    vocab_size: int,
    vector_size: int,
    hs: int,
    negative: int,
    threads: int,
    corpus_words: int,
    corpus_sentences: int,
    path_turns: int | None = None,
) -> dict[str, int]:
    """Bytes by what takes them, without a total.  ``path_turns``: of all paths together."""
    matrix = vocab_size * padded_stride(vector_size) * 4
    report = {"vocab": vocab_size * _BYTES_PER_WORD, "vectors": matrix}
    if hs:
        report["syn1"] = matrix
        # Rare words, of which there are most, have paths a little longer than the mean.
        turns = path_turns or vocab_size * (math.ceil(math.log2(max(2, vocab_size))) + 2)
        report["tree"] = vocab_size * 16 + turns * 4
    if negative:
        report["syn1neg"] = matrix
    report["tables"] = vocab_size * (12 if negative else 4)
    report["ids"] = corpus_words * 4 + (corpus_sentences + 1) * 8
    report["threads"] = threads * _THREAD_BYTES
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
