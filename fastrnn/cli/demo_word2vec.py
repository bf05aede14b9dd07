"""``fastrnn demo word2vec``: vectors of the words that Python's own library is documented with."""

from __future__ import annotations

import os

from rich.console import Console
from rich.table import Table


def show(console: Console, seed: int, threads: int) -> None:
    """Train and print neighbors; needs no torch."""
    from fastrnn.demo import word2vec, word2vec_text

    with console.status("reading the standard library"):
        sentences, characters = word2vec_text.library_sentences()
    console.print(
        f"Text: {characters:,} characters of the standard library's docstrings and comments, "
        f"{sum(map(len, sentences)):,} words.",
        highlight=False,
    )
    count = threads or os.cpu_count() or 1
    with console.status("training word vectors"):
        trained = word2vec.train(sentences, seed, count, word2vec.EPOCHS)
    console.print(
        f"word2vec, skip-gram with hierarchical softmax: {len(trained.model.wv):,} words, "
        f"{trained.model.vector_size} dimensions, {trained.model.epochs} epochs in "
        f"[bold]{trained.seconds:.1f}[/] s, {trained.words_per_second / 1e6:.2f} million words "
        f"a second, {count} threads, deterministic.",
        highlight=False,
    )
    table = Table("Word", "Nearest words, cosine similarity")
    for word, found in trained.neighbors().items():
        table.add_row(word, ", ".join(f"{other} {score:.2f}" for other, score in found))
    console.print(table)
