"""Text for word vectors that every Python carries: docstrings and comments of its library."""

from __future__ import annotations

import ast
import re
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from pathlib import Path

#: Folders whose prose is about something else, or that not every installation has.
LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

_SENTENCE_END = re.compile(r"[.!?:;]\s|\n\s*\n|>>>")
_WORD = re.compile(r"[a-z]+(?:_[a-z]+)*")


def library_files() -> list[Path]:
    """The standard library's modules, in an order that does not depend on the file system."""
    root = Path(sysconfig.get_path("stdlib"))
    found = [
        path for path in root.rglob("*.py") if not LEFT_OUT & set(path.relative_to(root).parts)
    ]
    return sorted(found)


def parse(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes in strings of the library
        return ast.parse(source)


def texts(source: str) -> Iterator[str]:
    """Docstrings, and blocks of comments that have their lines to themselves.

    (``tokenize`` would find the others too; it takes five times as long for a tenth more words.)
    """
    inside_strings: set[int] = set()
    for node in ast.walk(parse(source)):
        if isinstance(node, DOCUMENTED):
            if text := ast.get_docstring(node):
                yield text
        elif isinstance(node, (ast.Constant, ast.JoinedStr)):
            inside_strings.update(range(node.lineno + 1, (node.end_lineno or 0) + 1))
    block: list[str] = []
    for number, line in enumerate([*source.splitlines(), ""], 1):
        bare = line.lstrip()
        if bare.startswith("#") and number not in inside_strings:
            block.append(bare.lstrip("#! "))
        elif block:
            yield "\n".join(block)
            block = []


def sentences(text: str) -> Iterator[list[str]]:
    """Words in lower case, names with underscores kept whole."""
    for part in _SENTENCE_END.split(text.lower()):
        words = _WORD.findall(part)
        if len(words) > 1:
            yield words


def library_sentences() -> tuple[list[list[str]], int]:
    """Every sentence of the library, and how many characters they were read from."""
    found: list[list[str]] = []
    characters = 0
    for path in library_files():
        try:
            with tokenize.open(path) as file:
                source = file.read()
            prose = list(texts(source))
        except (OSError, SyntaxError, UnicodeError, ValueError):
            continue  # not for this Python, or not to be read by it
        for text in prose:
            characters += len(text)
            found.extend(sentences(text))
    return found, characters
