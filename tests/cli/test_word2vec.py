"""``fastrnn word2vec``: every command on a small text, its files, pipes and errors."""

from __future__ import annotations

import gzip
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import fastrnn
from fastrnn.cli.app import app
from fastrnn.cli.word2vec_files import Kind, kind_by_name
from fastrnn.word2vec import KeyedVectors, Word2Vec

runner = CliRunner()
WORDS = ("cat", "dog", "horse", "eats", "sleeps", "runs", "house", "garden", "street", "tree")


def write_text(path: Path, lines: int = 300, seed: int = 0) -> Path:
    rng = random.Random(seed)
    text = "".join(" ".join(rng.choices(WORDS, k=8)) + "\n" for _ in range(lines))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return write_text(tmp_path / "text.txt")


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Known vectors: a and b are near each other, man - king = woman - queen."""
    words = {
        "king": (1, 1, 0),
        "queen": (1, 0, 1),
        "man": (0, 1, 0),
        "woman": (0, 0, 1),
        "tree": (-1, -1, -1),
    }
    path = tmp_path / "known.txt"
    lines = [f"{word} {' '.join(map(str, values))}" for word, values in words.items()]
    path.write_text("5 3\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def run(*arguments: object, stdin: str | None = None, code: int = 0) -> str:
    result = runner.invoke(app, ["word2vec", *map(str, arguments)], input=stdin)
    assert result.exit_code == code, result.output
    return result.output


def error(*arguments: object, code: int = 1, stdin: str | None = None) -> str:
    """The one line that an error is told in."""
    result = runner.invoke(app, ["word2vec", *map(str, arguments)], input=stdin)
    assert result.exit_code == code, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def command(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    """The real program, for pipes and signals."""
    package = Path(fastrnn.__file__).parents[1]
    paths = [] if package.name == "site-packages" else [str(package)]
    return subprocess.Popen(
        [sys.executable, "-m", "fastrnn", "word2vec", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


@pytest.mark.parametrize("options", [("--hs",), ("--negative", "3")])
@pytest.mark.parametrize("architecture", ["cbow", "skip-gram"])
def test_train_writes_vectors(
    text: Path, tmp_path: Path, architecture: str, options: tuple[str, ...]
) -> None:
    out = tmp_path / "vectors.bin"
    said = run(
        *("train", text, "-o", out, "--architecture", architecture, *options),
        *("--size", 12, "--epochs", 2, "--threads", 2),
    )
    known = KeyedVectors.load_word2vec_format(str(out), binary=True)
    assert sorted(known.index_to_key) == sorted(WORDS)
    assert known.vectors.shape == (10, 12)
    assert "2,400 words of text, 10 in the vocabulary" in said
    assert str(out) in said


def test_train_is_word2vec_with_its_options(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "vectors.fastrnn"
    options = ("--hs", "--size", 8, "--window", 3, "--min-count", 1, "--sample", 0.01, "--seed", 7)
    run("train", text, "-o", out, *options, "--epochs", 2, "--threads", 1, "--deterministic", "-q")
    model = Word2Vec(
        corpus_file=str(text),
        vector_size=8,
        window=3,
        min_count=1,
        sample=0.01,
        seed=7,
        hs=1,
        negative=0,
        alpha=0.05,
        epochs=2,
        workers=2,
        deterministic=True,
    )
    np.testing.assert_array_equal(KeyedVectors.load(str(out)).vectors, model.wv.vectors)


def test_hierarchical_softmax_turns_negative_sampling_off(text: Path, tmp_path: Path) -> None:
    saved = tmp_path / "model.fastrnn"
    out = tmp_path / "v.txt"
    run("train", text, "-o", out, "--model", saved, "--hs", "--size", 4, "--epochs", 1)
    model = Word2Vec.load(str(saved))
    assert (model.hs, model.negative) == (1, 0)
    run("train", text, "-o", out, "--model", saved, "--size", 4, "--epochs", 1)
    model = Word2Vec.load(str(saved))
    assert (model.hs, model.negative) == (0, 5)


def test_stdin_to_stdout(text: Path) -> None:
    with text.open("rb") as source:
        child = command(*("train", "-", "-o", "-", "--size", 4, "-q"), stdin=source)
        out, errors = child.communicate(timeout=100)
    assert child.returncode == 0, errors
    lines = out.decode().splitlines()
    assert lines[0] == "10 4"
    assert sorted(line.split()[0] for line in lines[1:]) == sorted(WORDS)
    assert errors == b""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("/nowhere/text.txt",), "/nowhere/text.txt"),
        (("TEXT", "--alpha", "nan"), "alpha"),
        (("TEXT", "--min-count", "100000"), "min_count"),
        (("TEXT", "--negative", "0"), "hs"),
        (("TEXT", "-o", "/nowhere/at/all/v.txt"), "no folder"),
    ],
)
def test_train_s_errors(
    text: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "vectors.txt"
    given = [str(text) if each == "TEXT" else each for each in arguments]
    if "-o" not in given:
        given += ["-o", str(out)]
    assert message in error("train", *given)
    assert not out.exists()


def test_interrupt_leaves_the_old_file(tmp_path: Path) -> None:
    text = write_text(tmp_path / "text.txt", lines=20_000)
    out = tmp_path / "vectors.txt"
    out.write_text("old", encoding="utf-8")
    child = command("train", text, "-o", out, "--epochs", 100_000, "--threads", 2)
    try:
        assert child.stderr
        assert b"in the vocabulary" in child.stderr.readline()  # training begins
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 130
    (line,) = errors.decode().splitlines()
    assert line == f"stopped; nothing was written to {out}"
    assert out.read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.txt", "vectors.txt"]


def test_similar(vectors: Path) -> None:
    lines = run("similar", vectors, "king", "-n", 2).splitlines()
    assert lines == ["man\t0.7071", "queen\t0.5000"]


def test_similar_of_several_words_from_stdin(vectors: Path) -> None:
    said = run("similar", vectors, "-n", 1, stdin="king\n\nqueen\n")
    assert said == "king:\nman\t0.7071\n\nqueen:\nwoman\t0.7071\n"


def test_similar_to_an_unknown_word(vectors: Path) -> None:
    assert "unicorn" in error("similar", vectors, "unicorn")
    assert "both" in error("similar", "-", code=2)


def test_analogy(vectors: Path) -> None:
    assert run("analogy", vectors, "man", "king", "woman", "-n", 1).startswith("queen\t")


def test_evaluate(vectors: Path, tmp_path: Path) -> None:
    questions = tmp_path / "questions.txt"
    questions.write_text(": family\nman king woman queen\nman king woman tree\n", encoding="utf-8")
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("king\tman\t9\nking\tqueen\t8\nking\ttree\t1\n", encoding="utf-8")
    said = run("evaluate", vectors, "--questions", questions, "--pairs", pairs)
    assert "family: 50.00% (1 of 2)" in said
    assert "Spearman 1.0000" in said
    assert "--questions" in error("evaluate", vectors, code=2)


@pytest.mark.parametrize("target", ["v.bin", "v.txt", "v.txt.gz", "v.bin.gz", "v.fastrnn"])
def test_convert_there_and_back(vectors: Path, tmp_path: Path, target: str) -> None:
    out = tmp_path / target
    run("convert", vectors, out)
    if target.endswith(".gz"):
        assert gzip.decompress(out.read_bytes()).startswith(b"5 3\n")
    back = tmp_path / "back.txt"
    run("convert", out, back)
    before = KeyedVectors.load_word2vec_format(str(vectors))
    after = KeyedVectors.load_word2vec_format(str(back))
    assert after.index_to_key == before.index_to_key
    np.testing.assert_array_equal(after.vectors, before.vectors)


def test_convert_by_stated_formats(vectors: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.dat"
    run("convert", vectors, odd, "--to", "bin", "--limit", 2)
    assert odd.read_bytes().startswith(b"2 3\nking ")
    text = tmp_path / "text"
    run("convert", odd, text, "--from", "bin")
    assert text.read_text(encoding="utf-8").startswith("2 3\nking 1")


def test_vectors_of_a_whole_model(text: Path, tmp_path: Path) -> None:
    out, model = tmp_path / "v.txt", tmp_path / "model"
    run("train", text, "-o", out, "--model", model, "--size", 4, "--epochs", 1, "--hs")
    again = tmp_path / "again.txt"
    run("convert", model, again)
    assert again.read_bytes() == out.read_bytes()


def test_convert_from_stdin(vectors: Path, tmp_path: Path) -> None:
    out = tmp_path / "v.bin"
    run("convert", "-", out, stdin=vectors.read_text(encoding="utf-8"))
    assert out.read_bytes().startswith(b"5 3\nking ")


def test_convert_of_a_damaged_file(tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("2 3\nking 1 2 3\nqueen 1\n", encoding="utf-8")
    out = tmp_path / "out.bin"
    out.write_bytes(b"old")
    assert len(error("convert", bad, out)) > len("error: ")
    assert out.read_bytes() == b"old"


def test_a_missing_package_is_named(
    vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("zstandard", "compression", "compression.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    assert "pip install" in error("convert", vectors, tmp_path / "v.txt.zst")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.bin", Kind.bin),
        ("a.bin.gz", Kind.bin),
        ("a.txt.xz", Kind.txt),
        ("a.vec", Kind.txt),
        ("a", Kind.txt),
        ("a.fastrnn", Kind.native),
    ],
)
def test_kind_by_name(name: str, kind: Kind) -> None:
    assert kind_by_name(name) is kind


@pytest.mark.parametrize("name", ["train", "similar", "analogy", "evaluate", "convert"])
def test_help_lists_options_with_defaults(name: str) -> None:
    result = runner.invoke(app, ["word2vec", name, "--help"])
    assert result.exit_code == 0
    options = typer.main.get_command(app).commands["word2vec"].commands[name].params
    assert len(options) > 3
    for option in options:
        assert option.help
        stated = option.required or option.default is not None or option.name == "help"
        # Where no default can be shown, the text says what happens.
        assert stated or re.search("(?i)default:|none:|repeatable|Also|Analogies", option.help)
