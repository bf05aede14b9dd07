"""Benchmark word2vec training: ``python bench/word2vec.py --corpus TEXT --json RUN.json``.

gensim takes part if it is installed; binaries of the original tool with ``--word2vec-c``.
``bench/word2vec_report.py`` makes tables and a picture of the result.
"""

from __future__ import annotations

from fastrnn.benchmark.word2vec.command import run

if __name__ == "__main__":
    run()
