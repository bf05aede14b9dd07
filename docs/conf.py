"""Sphinx with the PyData theme and MyST: what NumPy, SciPy, pandas and PyTorch document with.

The usual alternative, MkDocs, is no longer developed in the form that its themes need.
"""

from __future__ import annotations

import sys
from pathlib import Path

import fastrnn

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "fastrnn"
author = "the fastrnn developers"
copyright = "2026, the fastrnn developers"
version = release = fastrnn.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "equations",
    "mathml",
    "parameters",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository beside docs/

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_custom_sections = [("Shapes", "params_style")]
default_role = "code"
smartquotes = False  # h' is a variable

html_theme = "pydata_sphinx_theme"
html_title = f"fastrnn {release}"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
html_show_sourcelink = False
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["math.css"]


def readable(
    _app: object, _what: str, name: str, _obj: object, _opt: object, lines: list[str]
) -> None:
    """Docstrings are written for help(); make reStructuredText of what it would misread."""
    if name.startswith("fastrnn.ops.") and lines:  # generated, plain text throughout
        first, *rest = lines
        lines[:] = [first, "", ".. code-block:: text", "", *("   " + line for line in rest)]
    lines[:] = [line.replace(", *]", ", \\*]") for line in lines]


def setup(app: object) -> None:
    app.connect("autodoc-process-docstring", readable, priority=400)  # type: ignore[attr-defined]
