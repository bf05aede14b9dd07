"""The original tool's flags, so that its scripts run by swapping the binary."""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastrnn.cli.word2vec_files import failure, one_line_errors, spooled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastrnn.word2vec import Word2Vec

#: Flag -> (type, default); None: it has no default, or one that depends.
FLAGS: dict[str, tuple[type, Any]] = {
    "-train": (str, None),
    "-output": (str, None),
    "-size": (int, 100),
    "-window": (int, 5),
    "-sample": (float, 1e-3),
    "-hs": (int, 0),
    "-negative": (int, 5),
    "-threads": (int, 12),
    "-iter": (int, 5),
    "-min-count": (int, 5),
    "-alpha": (float, None),
    "-classes": (int, 0),
    "-debug": (int, 2),
    "-binary": (int, 0),
    "-save-vocab": (str, None),
    "-read-vocab": (str, None),
    "-cbow": (int, 1),
}


def parse(arguments: list[str]) -> dict[str, Any]:
    """Values by flag without its dash; ValueError for what the original does not have."""
    values = {flag[1:]: default for flag, (_, default) in FLAGS.items()}
    left = iter(arguments)
    for flag in left:
        if flag not in FLAGS:
            raise ValueError(f"unknown flag {flag!r}; there are {' '.join(FLAGS)}")
        text = next(left, None)
        if text is None:
            raise ValueError(f"argument missing for {flag}")
        kind = FLAGS[flag][0]
        try:
            values[flag[1:]] = kind(text)
        except ValueError as error:
            name = "an integer" if kind is int else "a number"
            raise ValueError(f"{flag} takes {name}, not {text!r}") from error
    if values["train"] is None:
        raise ValueError("-train is missing: the text to train on")
    if values["alpha"] is None:
        values["alpha"] = 0.05 if values["cbow"] else 0.025
    return values


def original(arguments: Annotated[list[str], typer.Argument()]) -> None:
    """Train like the original tool: its flags, defaults and details."""
    try:
        values = parse(arguments)
    except ValueError as error:
        raise failure(error, 2) from error
    with one_line_errors(writing=values["output"]):
        _run(values)


def _run(values: dict[str, Any]) -> None:
    from fastrnn.cli.word2vec_progress import Bar
    from fastrnn.word2vec import Word2Vec
    from fastrnn.word2vec._corpus import encode_corpus

    def say(text: str) -> None:
        if values["debug"] > 0:
            typer.echo(text)

    def begin(model: Word2Vec) -> None:
        """The vocabulary is there, nothing is trained yet."""
        counts = kept_counts(model)
        say(f"Vocab size: {len(counts)}\nWords in train file: {sum(counts.values())}")
        if values["save-vocab"]:
            save_vocabulary(values["save-vocab"], counts)

    settings = {
        "compat": "word2vec.c",
        "vector_size": values["size"],
        "window": values["window"],
        "sample": values["sample"],
        "hs": int(bool(values["hs"])),
        "negative": values["negative"],
        "workers": values["threads"],
        "epochs": values["iter"],
        "min_count": values["min-count"],
        "alpha": values["alpha"],
        "sg": int(not values["cbow"]),
    }
    say(f"Starting training using file {values['train']}")
    with (
        warnings.catch_warnings(),
        Bar(values["debug"] > 1, begin) as bar,
        spooled(values["train"]) as name,
    ):
        warnings.simplefilter("ignore", UserWarning)  # the original has -hs and -negative both on
        if values["output"] and not values["read-vocab"]:
            model = Word2Vec(corpus_file=name, callbacks=[bar], **settings)
        else:
            model = Word2Vec(**settings)
            if values["read-vocab"]:
                model.build_vocab_from_freq(read_vocabulary(values["read-vocab"]))
            else:
                model.build_vocab(corpus_file=name)
            if not values["output"]:
                begin(model)
                return
            assert model._vocabulary
            corpus = encode_corpus(name, model._vocabulary, threads=values["threads"])
            sentences = corpus.total_sentences
            model.train(corpus, total_examples=sentences, epochs=values["iter"], callbacks=[bar])
    if values["classes"]:
        save_classes(values["output"], model, values["classes"])
    else:
        model.wv.save_word2vec_format(
            values["output"], binary=bool(values["binary"]), sort_attr="", style="word2vec.c"
        )


def kept_counts(model: Word2Vec) -> dict[str, int]:
    """Words of the vocabulary in its order, with their counts."""
    return {word: int(model.wv.get_vecattr(word, "count")) for word in model.wv.index_to_key}


def read_vocabulary(path: str) -> dict[str, int]:
    """Lines of a word and its count, as ``-save-vocab`` writes them."""
    counts: dict[str, int] = {}
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        for number, line in enumerate(file, 1):
            word, _, count = line.rstrip("\n").rpartition(" ")
            try:
                counts[word] = int(count)
            except ValueError as error:
                raise ValueError(
                    f"{path}, line {number}: {line.strip()!r} is not a word and its count"
                ) from error
    return counts


def save_vocabulary(path: str, counts: Mapping[str, int]) -> None:
    """Lines of a word and its count, the most frequent first."""
    write_lines(path, (f"{word} {count}" for word, count in counts.items()))


def save_classes(path: str, model: Word2Vec, classes: int) -> None:
    """Lines of a word and its class: k-means on the vectors brought to length 1."""
    try:
        clusters = importlib.import_module("sklearn.cluster")
    except ImportError as error:
        raise ValueError('-classes needs scikit-learn: pip install "fastrnn[plot]"') from error
    words = model.wv.index_to_key
    if classes > len(words):
        raise ValueError(f"-classes {classes} is more than the vocabulary's {len(words)} words")
    vectors = model.wv.get_normed_vectors()
    kmeans = clusters.KMeans(classes, n_init=1, max_iter=10, random_state=1)
    found = kmeans.fit_predict(vectors)
    write_lines(path, (f"{word} {number}" for word, number in zip(words, found)))


def write_lines(path: str, lines: Any) -> None:
    from fastrnn.word2vec._formats.atomic import replacing

    with replacing(path) as file:
        file.writelines(f"{line}\n".encode() for line in lines)
