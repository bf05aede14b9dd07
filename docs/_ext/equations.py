"""Equations in docstrings, written for help(), as formulas.

In the docstrings of `fastrnn.nn` and `fastrnn.functional` a literal block of lines ``h' = ...`` is
the one place where a cell's equations are written down; here they become TeX.  A line may have
several statements, ``;`` between them, and words after three or more spaces.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

STATEMENT = re.compile(r"[A-Za-z]\w*'?(\(\w\))?(, [A-Za-z]\w*'?)*\s+= ")
TOKEN = re.compile(r"\s*(\d+e-?\d+|\d+|[A-Za-z]+(?:_[A-Za-z]+)?'*|[-+*/@=.,()\[\]])")
FUNCTIONS = {"tanh": r"\tanh", "s": r"\sigma"}
WORDS = {"or", "and"}
OPERATORS = {"*": r" \odot ", "@": r"\,", ".": r"\cdot", "/": " / ", ",": r",\; "}
GREEK = {"gamma", "beta"}
LONG = 45  # a remark of more characters gets a line of its own


def tokens(text: str) -> Iterator[str]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"no formula: {text}")
        at = found.end()
        yield found[1]


def name(token: str) -> str:
    base, _, index = token.rstrip("'").partition("_")
    primes = "'" * token.count("'")
    if base in FUNCTIONS:
        return FUNCTIONS[base]
    if base in WORDS:
        return rf"\text{{ {base} }}"
    if base in GREEK:
        base = f"\\{base}"
    elif len(base) > 1:  # mean, var, relu
        base = rf"\operatorname{{{base}}}"
    return base + (f"_{{{index}}}" if index else "") + primes


def tex(text: str) -> str:
    """One side of a statement."""
    found = list(tokens(text))
    result, depth = "", 0
    roots: list[int] = []
    for at, token in enumerate(found):
        if token == "sqrt":
            roots.append(depth)
            result += r"\sqrt{"
        elif token == "(":
            depth += 1
            result += "" if at and found[at - 1] == "sqrt" else "("
        elif token == ")":
            depth -= 1
            if roots and roots[-1] == depth:
                roots.pop()
                result += "}"
            else:
                result += ")"
        elif token in OPERATORS:
            result += OPERATORS[token]
        elif token[0].isdigit():
            digits, _, exponent = token.partition("e")
            power = f"10^{{{exponent}}}" if exponent else digits
            result += power if not exponent or digits == "1" else rf"{digits} \cdot {power}"
        elif token[0].isalpha():
            result += name(token)
        else:
            result += f" {token} "
    return result.strip()


def remark(text: str) -> str:
    """Words beside a statement; variables among them stay variables."""
    parts = re.split(r"((?<!\w)(?:[A-Za-z]_[a-z]{1,2}|[hc]')(?!\w)|: .*)", text)
    result = ""
    for part in parts:
        if part.startswith(": "):
            left, right = part[2:].split(" = ")
            result += rf"\text{{: }} {tex(left)} = {tex(right)}"
        elif re.fullmatch(r"[A-Za-z]_[a-z]{1,2}|[hc]'", part):
            result += tex(part)
        elif part:
            result += rf"\text{{{part}}}"
    return result


def rows(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        found: list[str] = []
        remarks: list[str] = []
        # What stands after the spaces is words, or one more statement (f = tanh, relu or sigmoid).
        for part in (part.strip() for part in re.split(r";\s*|\s{3,}", line.strip())):
            (found if STATEMENT.match(part) else remarks).append(part)
        if not found:
            raise ValueError(f"no formula: {line}")
        sides = [part.split("=", 1) for part in found]
        (left, right), *others = [(tex(left), tex(right)) for left, right in sides]
        row = f"{left} &= {right}"
        row += "".join(rf" , \quad {left} = {right}" for left, right in others)
        short = all(len(words) <= LONG for words in remarks)
        gap = r" \qquad " if short else r" \\ & \quad "
        yield row + "".join(gap + remark(words) for words in remarks)


def formula(block: str) -> str:
    """TeX of the lines of a block."""
    lines = [re.sub(r"\s+= ", " = ", line, count=1) for line in block.splitlines() if line.strip()]
    return r"\begin{split}" + r" \\ ".join(rows(lines)) + r"\end{split}"


def blocks(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """First and last line of each literal block of equations, and its text."""
    at = 0
    while at < len(lines):
        if lines[at].rstrip().endswith("::") and not lines[at].lstrip().startswith(".."):
            end = at + 1
            while end < len(lines) and (not lines[end].strip() or lines[end].startswith("    ")):
                end += 1
            body = "\n".join(line for line in lines[at + 1 : end] if line.strip())
            if STATEMENT.match(body.strip()):
                yield at, end, body
            at = end
        else:
            at += 1


def with_formulas(
    _app: Sphinx, _what: str, full_name: str, _obj: object, _opt: object, lines: list[str]
) -> None:
    if not full_name.startswith(("fastrnn.nn.", "fastrnn.functional.")):
        return
    for at, end, body in reversed(list(blocks(lines))):
        try:
            math = formula(body)
        except ValueError as problem:
            logger.warning("%s: %s", full_name, problem)
            continue
        lines[at:end] = [lines[at].rstrip()[:-1], "", ".. math::", "", f"   {math}", ""]


class Equations(SphinxDirective):
    """The equations of a docstring alone; a number after the name for another than the first."""

    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, attribute = self.arguments[0].rpartition(".")
        documented: Any = getattr(importlib.import_module(module), attribute)
        lines = [re.sub(r"^    ", "", line) for line in documented.__doc__.splitlines()]
        which = int(self.arguments[1]) if len(self.arguments) > 1 else 1
        found = [body for _, _, body in blocks(lines)]
        math = formula(found[which - 1])
        return [nodes.math_block(math, math, nowrap=False, number=None, label=None)]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", with_formulas, priority=300)
    app.add_directive("equations", Equations)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
