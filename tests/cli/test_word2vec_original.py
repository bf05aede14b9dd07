"""The original tool's flags: its defaults, its files, and clear errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fastrnn.cli import word2vec_original
from fastrnn.cli.app import app
from fastrnn.word2vec import KeyedVectors, Word2Vec

runner = CliRunner()
TEXT = "the cat eats the fish\nthe dog eats the bone\n" * 20


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text(TEXT, encoding="utf-8")
    return path


def run(*flags: object, code: int = 0) -> str:
    result = runner.invoke(app, ["word2vec", *map(str, flags)])
    assert result.exit_code == code, result.output
    return result.output


def test_defaults_are_the_original_s() -> None:
    assert word2vec_original.parse(["-train", "t"]) == {
        "train": "t",
        "output": None,
        "size": 100,
        "window": 5,
        "sample": 1e-3,
        "hs": 0,
        "negative": 5,
        "threads": 12,
        "iter": 5,
        "min-count": 5,
        "alpha": 0.05,
        "classes": 0,
        "debug": 2,
        "binary": 0,
        "save-vocab": None,
        "read-vocab": None,
        "cbow": 1,
    }
    assert word2vec_original.parse(["-cbow", "0", "-train", "t"])["alpha"] == 0.025
    assert word2vec_original.parse(["-alpha", "0.1", "-train", "t"])["alpha"] == 0.1


def test_the_demo_script_s_call(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "vectors.bin"
    flags = (
        f"-train {text} -output {out} -cbow 1 -size 200 -window 8 -negative 25 -hs 0 "
        "-sample 1e-4 -threads 20 -binary 1 -iter 15"
    )
    said = run(*flags.split())
    assert f"Starting training using file {text}\nVocab size: 7\n" in said
    assert "Words in train file: 240" in said  # 200 words and 40 line ends
    known = KeyedVectors.load_word2vec_format(str(out), binary=True)
    assert known.index_to_key[0] == "</s>"
    assert known.index_to_key[1:3] == ["the", "eats"]
    assert known.vectors.shape == (7, 200)


def test_text_output_and_silence(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "vectors.txt"
    said = run("-train", text, "-output", out, "-size", 3, "-hs", 1, "-debug", 0)  # both trained
    assert said == ""
    assert out.read_text(encoding="utf-8").startswith("7 3\n</s> ")


def test_it_trains_as_compat_does(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "vectors.bin"
    run(
        *("-train", text, "-output", out, "-size", 5, "-cbow", 0, "-hs", 1, "-negative", 0),
        *("-threads", 1, "-iter", 2, "-sample", 0.1, "-binary", 1, "-debug", 0),
    )
    model = Word2Vec(
        corpus_file=str(text),
        compat="word2vec.c",
        vector_size=5,
        sg=1,
        hs=1,
        negative=0,
        workers=1,
        epochs=2,
        sample=0.1,
    )
    known = KeyedVectors.load_word2vec_format(str(out), binary=True)
    assert known.index_to_key == model.wv.index_to_key
    np.testing.assert_array_equal(known.vectors, model.wv.vectors)


def test_vocabulary_is_saved_and_read(text: Path, tmp_path: Path) -> None:
    saved = tmp_path / "vocabulary"
    run("-train", text, "-save-vocab", saved)
    assert saved.read_text(encoding="utf-8").splitlines()[:3] == ["</s> 40", "the 80", "eats 40"]
    out, again = tmp_path / "one.bin", tmp_path / "two.bin"
    flags = ("-train", text, "-size", 4, "-threads", 1, "-binary", 1, "-output")
    run(*flags, out)
    run(*flags, again, "-read-vocab", saved)
    assert again.read_bytes() == out.read_bytes()


def test_a_vocabulary_without_line_ends(tmp_path: Path) -> None:
    text, saved, out = tmp_path / "text", tmp_path / "vocabulary", tmp_path / "out"
    text.write_text("a b a b a\x0cc " * 9, encoding="utf-8")  # \x0c is part of a word there
    run("-train", text, "-save-vocab", saved)
    lines = ["</s> 0", "b 18", "a 18", "a\x0cc 9"]
    assert sorted(saved.read_text(encoding="utf-8").split("\n")[:-1]) == sorted(lines)
    run("-train", text, "-read-vocab", saved, "-output", out, "-size", 2, "-debug", 0)
    assert out.read_text(encoding="utf-8").startswith("4 2\n</s> ")


def test_classes(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "classes"
    run("-train", text, "-output", out, "-size", 4, "-classes", 3)
    lines = [line.split() for line in out.read_text(encoding="utf-8").splitlines()]
    assert [word for word, _ in lines][:2] == ["</s>", "the"]
    assert {int(number) for _, number in lines} == {0, 1, 2}
    assert "7 words" in run("-train", text, "-output", out, "-classes", 8, code=1)


@pytest.mark.parametrize(
    ("flags", "message", "code"),
    [
        (("-train",), "argument missing for -train", 2),
        (("-output", "x"), "-train is missing", 2),
        (("-train", "t", "-size", "big"), "-size takes an integer, not 'big'", 2),
        (("-train", "t", "-alpha", "x"), "-alpha takes a number", 2),
        (("-train", "t", "-colour", "1"), "unknown flag '-colour'", 2),
        (("-colour", "1"), "unknown flag '-colour'", 2),
        (("-train", "/nowhere/text", "-output", "x"), "/nowhere/text", 1),
        (("-train", "TEXT", "-output", "x", "-size", "0"), "vector_size", 1),
        (("-train", "TEXT", "-output", "x", "-read-vocab", "TEXT"), "line 1", 1),
    ],
)
def test_errors(text: Path, flags: tuple[str, ...], message: str, code: int) -> None:
    result = runner.invoke(app, ["word2vec", *(str(text) if f == "TEXT" else f for f in flags)])
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not Path("x").exists()
