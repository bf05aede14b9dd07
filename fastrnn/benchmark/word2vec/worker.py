"""One training in a process of its own: ``ours`` with fastrnn, ``gensim`` with gensim.

Both libraries get the name of the text file, which is how either is fastest.  gensim's training
is its call of ``train``, its vocabulary that of ``build_vocab``: reading the file, counting,
sorting, the tree and the initial weights.  fastrnn does it all in the constructor, which reads the
file once: its vocabulary is everything before the first epoch (what gensim's is, the encoded text
and the trainer's tables), its training everything from there on.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from fastrnn.benchmark.word2vec.settings import MODES

#: What the process runs; it looks for modules where this one does, so it finds the same fastrnn.
CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from fastrnn.benchmark.word2vec.worker import main; main(sys.argv[2])"
)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Do ``job`` in a fresh process."""
    command = [sys.executable, "-c", CODE, json.dumps(sys.path), json.dumps(job)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"training with {job['who']} failed: {done.stderr.strip()[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def options(training: dict[str, Any]) -> dict[str, Any]:
    """Constructor arguments, by the names that both libraries share."""
    mode = MODES[training["mode"]]
    return {
        "vector_size": training["dim"],
        "window": training["window"],
        "sample": training["sample"],
        "min_count": training["min_count"],
        "workers": training["threads"],
        "epochs": training["epochs"],
        "alpha": training["alpha"],
        "min_alpha": training["alpha"] * 1e-4,  # as in word2vec.c
        "seed": training["seed"],
        "sg": mode.sg,
        "hs": mode.hs,
        "negative": mode.negative,
    }


def status(key: str) -> int | None:
    """Bytes of one line of /proc/self/status; None on systems without it."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = [line.split()[1] for line in text.splitlines() if line.startswith(key + ":")]
    return int(found[0]) * 1024 if found else None


def reset_peak() -> None:
    """Set the high-water mark of memory to what is held now."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def grown(before: int | None) -> int | None:
    """The high-water mark over ``before``."""
    peak = status("VmHWM")
    return None if before is None or peak is None else peak - before


class Clock:
    """A callback of fastrnn's: when training starts and ends, and the memory at its peak."""

    def __init__(self, before: int | None) -> None:
        self.before = before
        self.began = self.ended = 0.0
        self.vocabulary_memory: int | None = None

    def on_train_begin(self, model: Any) -> None:  # noqa: ARG002
        self.vocabulary_memory = grown(self.before)
        reset_peak()
        self.began = time.perf_counter()

    def on_train_end(self, model: Any) -> None:  # noqa: ARG002
        self.ended = time.perf_counter()


def ours(job: dict[str, Any]) -> dict[str, Any]:
    from fastrnn.word2vec import Word2Vec

    reset_peak()
    before = status("VmRSS")
    clock = Clock(before)
    start = time.perf_counter()
    model = Word2Vec(
        corpus_file=job["corpus"], callbacks=[clock], **options(job["training"]), **job["extra"]
    )
    result = {
        "seconds": clock.ended - clock.began,
        "vocabulary_seconds": clock.began - start,
        "memory": grown(before),
        "vocabulary_memory": clock.vocabulary_memory,
        "raw_words": model.corpus_total_words * model.epochs,
    }
    return finish(model, job, result)


def gensim(job: dict[str, Any]) -> dict[str, Any]:
    models = importlib.import_module("gensim.models")
    reset_peak()
    before = status("VmRSS")
    model = models.Word2Vec(**options(job["training"]))
    start = time.perf_counter()
    model.build_vocab(corpus_file=job["corpus"])
    vocabulary_seconds = time.perf_counter() - start
    vocabulary_memory = grown(before)
    reset_peak()
    # corpus_file= is gensim's fastest way, but each of n workers there lowers the learning rate by
    # what it has read itself, down to 1 - 1/n of it only: not the same training. Where vectors are
    # judged, not timed, gensim reads sentences.
    word2vec = importlib.import_module("gensim.models.word2vec")
    text = (
        {"corpus_iterable": word2vec.LineSentence(job["corpus"])}
        if job["vectors"]
        else {"corpus_file": job["corpus"]}
    )
    start = time.perf_counter()
    _, raw_words = model.train(
        **text,
        total_examples=model.corpus_count,
        total_words=model.corpus_total_words,
        epochs=model.epochs,
    )
    result = {
        "seconds": time.perf_counter() - start,
        "vocabulary_seconds": vocabulary_seconds,
        "memory": grown(before),
        "vocabulary_memory": vocabulary_memory,
        "raw_words": int(raw_words),
    }
    return finish(model, job, result)


def finish(model: Any, job: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Write the vectors if they are asked for."""
    if job["vectors"]:
        model.wv.save_word2vec_format(job["vectors"], binary=True)
    return {**result, "vocabulary_size": len(model.wv)}


def main(text: str) -> None:
    """Do what a JSON text describes, and print the result as JSON."""
    from fastrnn.benchmark.word2vec import likelihood

    job = json.loads(text)
    jobs = {"ours": ours, "gensim": gensim, "likelihood": likelihood.job}
    print(json.dumps(jobs[job["who"]](job)))
