"""The demo's word vectors, on a part of the built-in text, and without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from subprocesses import run_python
from typer.testing import CliRunner

from fastrnn.cli import demo as demo_command
from fastrnn.cli.app import app
from fastrnn.demo import word2vec, word2vec_text

SOURCE = '''"""Module text. Second sentence here"""
# One comment,
# on two lines.
x = """not # a docstring
# nor a comment
"""

def function(argument):
    """Return the snake_case_name."""
    return argument  # a remark

#!odd
'''


def test_texts_are_docstrings_and_whole_line_comments() -> None:
    assert list(word2vec_text.texts(SOURCE)) == [
        "Module text. Second sentence here",
        "Return the snake_case_name.",
        "One comment,\non two lines.",
        "odd",
    ]


def test_sentences_are_lower_case_words() -> None:
    found = list(word2vec_text.sentences("The snake_case_name is 3 Words. Short\n\nLast ONE; end"))
    assert found == [["the", "snake_case_name", "is", "words"], ["last", "one"]]


def test_library_has_millions_of_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    files = word2vec_text.library_files()
    assert files == sorted(files)
    assert len(files) > 200
    assert sum(path.stat().st_size for path in files) > 5_000_000
    monkeypatch.setattr(word2vec_text, "library_files", lambda: files[:40])
    sentences, characters = word2vec_text.library_sentences()
    assert characters > 50_000
    assert sum(map(len, sentences)) > 8_000


@pytest.fixture
def few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    files = word2vec_text.library_files()[:60]
    monkeypatch.setattr(word2vec_text, "library_files", lambda: files)
    monkeypatch.setattr(word2vec, "EPOCHS", 2)


def test_same_vectors_with_any_number_of_threads(few_files: None) -> None:
    sentences, _ = word2vec_text.library_sentences()
    one, two = (word2vec.train(sentences, 0, threads, epochs=1).model for threads in (1, 2))
    np.testing.assert_array_equal(one.wv.vectors, two.wv.vectors)


def test_demo_prints_neighbors(few_files: None) -> None:
    result = CliRunner().invoke(app, ["demo", "word2vec", "--threads", "2"])
    assert result.exit_code == 0, result.output
    assert "characters of the standard library" in " ".join(result.output.split())
    for word in ("file", "string", "exception"):
        assert f" {word} " in result.output


@pytest.mark.parametrize(
    ("part", "shown"),
    [([], ["layers", "word2vec"]), (["layers"], ["layers"]), (["word2vec"], ["word2vec"])],
)
def test_demo_shows_both_halves(
    part: list[str], shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []
    monkeypatch.setattr(demo_command, "_demo", lambda *_: found.append("layers"))

    def show(*_: Any) -> None:
        found.append("word2vec")

    monkeypatch.setattr(demo_command.demo_word2vec, "show", show)
    assert CliRunner().invoke(app, ["demo", *part]).exit_code == 0
    assert found == shown


def test_demo_of_words_needs_no_torch() -> None:
    done = run_python(
        "import sys; sys.modules['torch'] = None\n"
        "from fastrnn.demo import word2vec_text as text\n"
        "files = text.library_files()[:20]; text.library_files = lambda: files\n"
        "from fastrnn.cli import main\n"
        "sys.argv = ['fastrnn', 'demo', 'word2vec', '--threads', '1']; main()"
    )
    assert done.returncode == 0, done.stderr
    assert "million words a second" in " ".join(done.stdout.split())
