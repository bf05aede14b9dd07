"""What the fuzzers throw bytes at: each reader of vector files, with what must hold for any input.

A reader either raises ``ValueError`` (``UnicodeDecodeError`` is one), ``EOFError`` or ``OSError``
(for broken compressed data) that names the file, or returns something that is whole and no larger
than the file gives reason for.  Anything else that it raises is a find.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fastrnn.word2vec._formats.container import read_arrays, write_arrays
from fastrnn.word2vec._formats.rows import WordVectors
from fastrnn.word2vec._formats.word2vec_reader import read_counts, read_word2vec
from fastrnn.word2vec.keyed_vectors import KeyedVectors

REFUSALS = (ValueError, EOFError, OSError)


def _refuses(path: Path, call: Callable[[], object]) -> bool:
    try:
        call()
    except REFUSALS as error:
        message = str(error)
    else:
        return False
    assert path.name in message, f"does not name the file: {message}"
    return True


def _check_rows(found: WordVectors, size: int) -> None:
    assert len(found.words) == len(set(found.words)) == len(found.storage) <= found.announced
    assert not found.storage[:, found.vector_size :].any()
    # Rows are padded to 64 bytes; the shortest of text takes 3 bytes of file.
    assert found.storage.nbytes <= 64 * (size + 1)


def _word2vec(path: Path, data: bytes, **options: object) -> None:
    path.write_bytes(data)

    def read() -> None:
        _check_rows(read_word2vec(path, **options), len(data))  # type: ignore[arg-type]

    _refuses(path, read)


def text(path: Path, data: bytes) -> None:
    _word2vec(path, data)


def text_lenient(path: Path, data: bytes) -> None:
    _word2vec(path, data, unicode_errors="replace", limit=3, datatype=np.float16)


def binary(path: Path, data: bytes) -> None:
    _word2vec(path, data, binary=True)


def glove(path: Path, data: bytes) -> None:
    _word2vec(path, data, no_header=True)


def compressed(path: Path, data: bytes) -> None:
    for ending in (".gz", ".bz2", ".xz", ".zst"):
        packed = path.with_name(path.name + ending)
        packed.write_bytes(data)
        _refuses(packed, lambda packed=packed: read_word2vec(packed))
        packed.unlink()


def counts(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    _refuses(path, lambda: read_counts(path))


def container(path: Path, data: bytes) -> None:
    path.write_bytes(data)

    def read() -> None:
        copied, mapped = read_arrays(path), read_arrays(path, "r")
        assert copied.header.keys() == mapped.header.keys() and copied.strings == mapped.strings
        for name, array in copied.arrays.items():
            assert array.shape == mapped.arrays[name].shape
            assert array.tobytes() == mapped.arrays[name].tobytes()
            assert array.nbytes <= len(data)

    _refuses(path, read)


def keyed_vectors(path: Path, data: bytes) -> None:
    path.write_bytes(data)

    def load() -> None:
        wv = KeyedVectors.load(path)
        assert wv.vectors.shape == (len(wv), wv.vector_size)
        for attr in wv.expandos:
            assert len(wv.expandos[attr]) == len(wv)

    _refuses(path, load)


TARGETS: dict[str, Callable[[Path, bytes], None]] = {
    "text": text,
    "text_lenient": text_lenient,
    "binary": binary,
    "glove": glove,
    "compressed": compressed,
    "counts": counts,
    "container": container,
    "keyed_vectors": keyed_vectors,
}


def seeds(folder: Path) -> dict[str, list[bytes]]:
    """Sound files for the fuzzers to start from; ``folder`` is for files in between."""
    wv = KeyedVectors(3)
    rows = np.array([[0.25, -1.5, 3e-7], [1, 2, 3], [1e20, 0, -0.0]], np.float32)
    wv.add_vectors(["the", "naïve", "x"], rows)
    wv.expandos["count"] = np.array([7, 5, 1])
    wv.expandos["tag"] = np.array(["a", "b", "ü"], dtype=object)
    path = folder / "seed"

    def saved(name: str, **options: object) -> bytes:
        target = folder / name
        wv.save_word2vec_format(target, **options)  # type: ignore[arg-type]
        return target.read_bytes()

    both = [saved("seed", style=style) for style in ("gensim", "word2vec.c")]
    found = {
        "text": both,
        "text_lenient": both,
        "binary": [saved("seed", binary=True, style=style) for style in ("gensim", "word2vec.c")],
        "glove": [saved("seed", write_header=False)],
        "compressed": [saved("seed" + ending) for ending in (".gz", ".bz2", ".xz", ".zst")],
    }
    wv.save_word2vec_format(folder / "vectors", fvocab=path)
    found["counts"] = [path.read_bytes()]
    wv.save(path)
    found["keyed_vectors"] = [path.read_bytes()]
    arrays = {"m": rows, "empty": np.empty((0, 4)), "flags": np.array([True, False])}
    write_arrays(path, {"a": [1, None]}, arrays, {"s": ["", "é"], "none": []})
    found["container"] = [path.read_bytes(), *found["keyed_vectors"]]
    return found
