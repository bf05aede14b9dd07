"""Run the benchmark: ``python bench/run.py --quick``; takes the options of ``fastrnn bench``.

Without ``--output`` the result goes to ``bench/results/``, named after day and instruction set.
"""

from __future__ import annotations

import datetime
import sys
from pathlib import Path

import fastrnn
from fastrnn.cli import main as command

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    arguments = ["bench", *sys.argv[1:]]
    if not any(a.split("=")[0] in ("--output", "--help") for a in arguments):
        day = datetime.datetime.now(datetime.timezone.utc).date()
        arguments += ["--output", str(RESULTS / f"{day}-{fastrnn.current_isa()}.json")]
    sys.argv = ["fastrnn", *arguments]
    command()


if __name__ == "__main__":
    main()
