"""A math renderer for Sphinx: TeX becomes MathML while the pages are built.

Browsers draw MathML themselves, so the pages need no network, no script and no fonts of their own,
and formulas are text that can be searched and copied.  Sphinx's default fetches MathJax from
elsewhere whenever a page is read, and its images need a TeX installation.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml import converter
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def mathml(tex: str, display: str) -> str:
    """The ``<math>`` element; ValueError where something of the TeX was not understood."""
    text = tex.strip()
    if r"\\" in text and r"\begin" not in text:
        text = rf"\begin{{split}}{text}\end{{split}}"
    found: str = converter.convert(text.replace(r"\!", ""), display=display)
    left = re.sub(r"<[^>]*>|&#?\w+;", "", found)
    if "\\" in left or "&" in left or "merror" in found:
        raise ValueError(f"no MathML for {tex!r}")
    found = re.sub(r"<mo>([a-z]+)</mo>", r"<mi>\1</mi>", found)  # mean(v), without a gap
    # Beside its letter a prime is right in every font; raised, only in those made for mathematics.
    return re.sub(r"<msup>(<mi>\w</mi>)<mi>(&#x02032;)</mi></msup>", r"\1<mo>\2</mo>", found)


def rendered(node: nodes.Element, display: str) -> str:
    try:
        return mathml(node.astext(), display)
    except Exception as problem:  # noqa: BLE001 - the converter's own errors have no base in common
        logger.warning("%s", problem, location=node)
        return ""


def visit_inline(self: Any, node: nodes.math) -> None:
    self.body.append(rendered(node, "inline"))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    # The theme arranges what has the usual class, math, for MathJax.
    self.body.append(self.starttag(node, "div", CLASS="formula"))
    self.body.append(rendered(node, "block") + "</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
