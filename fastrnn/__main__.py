"""``python -m fastrnn`` is the ``fastrnn`` command."""

from __future__ import annotations

from fastrnn.cli import main

main()
