"""Ctrl-C while training: a real signal to a process of its own."""

from __future__ import annotations

import pytest
from subprocesses import python_output

CODE = """
import os, signal, threading, time
import numpy as np
from fastrnn import Word2Vec

rng = np.random.default_rng(0)
weights = 1 / np.arange(1, 2001)
walks = rng.choice(2000, (20_000, 40), p=weights / weights.sum())
model = Word2Vec(min_count=1, vector_size=200, **{settings})
model.build_vocab(walks)
untrained = model.wv.vectors.copy()

def press():
    while model.training_position is None:
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGINT)

thread = threading.Thread(target=press)
thread.start()
begun = time.monotonic()
try:
    model.train(walks, total_examples=model.corpus_count, epochs=200)
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - begun < 30)
thread.join()

position = model.training_position
print("midway", 0 <= position.epoch < 200 and position.epoch + position.sentence > 0)
print("trained", np.isfinite(model.wv.vectors).all() and (model.wv.vectors != untrained).any())
print("usable", len(model.wv.most_similar("0")) == 10)
now = model.wv.vectors.copy()
time.sleep(0.3)
print("stopped", np.array_equal(model.wv.vectors, now))
position.epochs = position.epoch + 1
model.train(walks, resume=True)
print("resumed", model.training_position.finished and not np.array_equal(model.wv.vectors, now))
"""
EXPECTED = ["interrupted", "midway", "trained", "usable", "stopped", "resumed"]


@pytest.mark.parametrize(
    "settings",
    [
        {"hs": 1, "negative": 0, "sg": 1, "workers": 2},
        {"negative": 5, "workers": 2},
        {"hs": 1, "negative": 0, "deterministic": True, "workers": 2},
        {"hs": 1, "negative": 0, "strict": True},
    ],
    ids=["fast", "sampling", "deterministic", "strict"],
)
def test_ctrl_c_leaves_a_usable_model(settings: dict[str, object]) -> None:
    lines = python_output(CODE.format(settings=settings)).splitlines()
    assert lines == [f"{name} True" for name in EXPECTED]


def test_a_signal_handler_of_the_users_own() -> None:
    handler = "signal.signal(signal.SIGINT, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))"
    code = CODE.format(settings={"negative": 2}).replace("rng =", f"{handler}\nrng =", 1)
    assert python_output(code).splitlines() == [f"{name} True" for name in EXPECTED]
