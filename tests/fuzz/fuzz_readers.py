"""Coverage-guided fuzzing of the readers of vector files, by Atheris (libFuzzer for Python).

``nox -s fuzz`` runs it.  Without nox, from the repository's root, with ``pip install atheris`` (not
part of any extra: no test needs it, and it has wheels for Linux alone)::

    python tests/fuzz/fuzz_readers.py [--targets text,binary] [--seconds 60] [libFuzzer options]

Each target gets its share of the seconds, in a process of its own that starts from sound files.
The exit status is not 0 if one of them found something; the input then lies in
``fuzz-finds/TARGET-...`` and belongs, cut down, into ``tests/word2vec/test_formats_hostile.py``.
``--rss-limit`` is what a reader may take of memory before that counts as a find.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.append(str(Path(__file__).resolve().parents[2]))  # after an installed fastrnn


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the readers of vector files.")
    parser.add_argument("--targets", default="", help="names, comma-separated; all by default")
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("--rss-limit", type=int, default=1024, help="MiB")
    parser.add_argument("--finds", default="fuzz-finds", help="folder for inputs that fail")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args()
    if options.one:
        _fuzz(options.one, rest)
        return 0

    from fuzz.reader_targets import TARGETS, seeds

    names = options.targets.split(",") if options.targets else list(TARGETS)
    unknown = set(names) - set(TARGETS)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    finds = Path(options.finds)
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        sound = seeds(Path(folder))
        for name in names:
            corpus = Path(folder) / f"corpus-{name}"
            corpus.mkdir()
            for place, data in enumerate(sound[name]):
                (corpus / str(place)).write_bytes(data)
            finds.mkdir(parents=True, exist_ok=True)
            command = [
                sys.executable,
                __file__,
                "--one",
                name,
                f"-max_total_time={max(1, options.seconds // len(names))}",
                f"-rss_limit_mb={options.rss_limit}",
                "-timeout=10",
                "-max_len=4096",
                f"-artifact_prefix={finds / name}-",
                *rest,
                str(corpus),
            ]
            if subprocess.run(command, check=False).returncode:
                failed.append(name)
    if not any(finds.iterdir()):
        finds.rmdir()
    print("found something in: " + ", ".join(failed) if failed else "nothing found")
    return 1 if failed else 0


def _fuzz(name: str, arguments: list[str]) -> None:
    import logging

    import atheris

    with atheris.instrument_imports(include=["fastrnn"]):
        from fuzz.reader_targets import TARGETS
    logging.disable(logging.CRITICAL)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        path = Path(folder) / "input"
        target = TARGETS[name]
        atheris.Setup([sys.argv[0], *arguments], lambda data: target(path, data))
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
