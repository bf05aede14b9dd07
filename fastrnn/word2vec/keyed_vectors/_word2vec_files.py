"""KeyedVectors to and from word2vec's file formats."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from fastrnn.word2vec._formats.word2vec_reader import read_counts, read_word2vec
from fastrnn.word2vec._formats.word2vec_writer import write_counts, write_word2vec
from fastrnn.word2vec.keyed_vectors._attributes import Attributes

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger(__name__)


class Word2VecFiles(Attributes):
    """Text and binary files, as word2vec.c, gensim and GloVe write them."""

    def save_word2vec_format(
        self,
        fname: str | os.PathLike[str],
        fvocab: str | os.PathLike[str] | None = None,
        binary: bool = False,
        total_vec: int | None = None,
        write_header: bool = True,
        prefix: str = "",
        append: bool = False,
        sort_attr: str = "count",
        style: str = "gensim",
    ) -> None:
        """Write word2vec's text or binary format; .gz, .bz2, .xz and .zst are compressed.

        Args:
            fname: the file; it is replaced at once when all is written.
            fvocab: a file for words and counts besides.
            binary: binary rather than text.
            total_vec: what the first line says instead of the number of keys.
            write_header: whether there is a first line (GloVe's files have none).
            prefix: put before each word.
            append: write at the end of a file that exists.
            sort_attr: the order is by this attribute, falling, if there is such.
            style: "gensim" (the default) writes the very bytes that gensim 4.4 does,
                "word2vec.c" those of the original program.
        """
        if len(self) != len(self.vectors):
            raise ValueError(f"{len(self)} keys but {len(self.vectors)} vectors")
        order = None
        if sort_attr in self.expandos:
            values = self.expandos[sort_attr]
            order = np.argsort(-values, kind="stable") if values.dtype != object else None
        elif fvocab is not None:
            raise ValueError(
                f"Cannot store vocabulary with '{sort_attr}' because that attribute does not exist"
            )
        if fvocab is not None:
            places = range(len(self)) if order is None else order.tolist()
            words = [self.index_to_key[place] for place in places]
            counts = [self.expandos[sort_attr][place] for place in places]
            write_counts(fvocab, words, counts, prefix=prefix, append=append)
        write_word2vec(
            fname,
            self.index_to_key,
            self.vectors,
            order=order,
            binary=binary,
            style=style,
            header=write_header,
            total=total_vec,
            prefix=prefix,
            append=append,
        )

    @classmethod
    def load_word2vec_format(
        cls,
        fname: str | os.PathLike[str],
        fvocab: str | os.PathLike[str] | None = None,
        binary: bool = False,
        encoding: str = "utf8",
        unicode_errors: str = "strict",
        limit: int | None = None,
        datatype: DTypeLike = np.float32,
        no_header: bool = False,
    ) -> Self:
        """Read word2vec's text or binary format, or GloVe's text with ``no_header``.

        Args:
            fname: the file; .gz, .bz2, .xz and .zst are decompressed.
            fvocab: a file of words and counts; without one, counts fall from the number of words
                to 1, as gensim makes them up.
            binary: binary rather than text.
            encoding: of the words.
            unicode_errors: "strict", "ignore" or "replace", for words that are not in it
                (word2vec.c cuts long words within a character).
            limit: how many words to read at most.
            datatype: floating-point type of the vectors.
            no_header: the first line is already a word; words may then contain spaces.

        Of a word that comes twice the first vector stays.  Raises ``EOFError`` for a truncated
        file, ``ValueError`` (of which ``UnicodeDecodeError`` is one) for a damaged one.
        """
        counts = None
        if fvocab is not None:
            counts = read_counts(fvocab, unicode_errors=unicode_errors)
        found = read_word2vec(
            fname,
            binary=binary,
            encoding=encoding,
            unicode_errors=unicode_errors,
            limit=limit,
            datatype=datatype,
            no_header=no_header,
        )
        new: Self = cls._from_parts(found.words, found.storage, found.vector_size)
        if counts is None:
            values = found.announced - np.arange(len(found.words), dtype=np.int64)
        else:
            missing = [word for word in found.words if word not in counts]
            if missing:
                logger.warning(
                    "vocabulary file is incomplete: %d words are missing, such as '%s'",
                    len(missing),
                    missing[0],
                )
            values = np.array([counts.get(word, 0) for word in found.words], dtype=np.int64)
        new.expandos["count"] = values
        return new

    def intersect_word2vec_format(
        self,
        fname: str | os.PathLike[str],
        lockf: float = 0.0,
        binary: bool = False,
        encoding: str = "utf8",
        unicode_errors: str = "strict",
    ) -> None:
        """Take over the vectors that a file in word2vec's format has for keys that are here.

        ``lockf`` becomes the factor on what later training adds to them (``vectors_lockf``): 0
        keeps them as they are, 1 trains them on.
        """
        found = read_word2vec(
            fname, binary=binary, encoding=encoding, unicode_errors=unicode_errors
        )
        if found.vector_size != self.vector_size:
            raise ValueError(
                f"incompatible vector size {found.vector_size} in file {os.fspath(fname)}"
            )
        if not self.vectors.flags.writeable:
            raise ValueError("the vectors are mapped read-only: load them with mmap=None")
        pairs = [
            (self.key_to_index[word], place)
            for place, word in enumerate(found.words)
            if word in self.key_to_index
        ]
        ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        self.vectors[ours] = found.storage[theirs, : self.vector_size]
        if len(self.vectors_lockf) != len(self):
            self.vectors_lockf = np.full(len(self), self.vectors_lockf[0], np.float32)
        self.vectors_lockf[ours] = lockf
        self.norms = None
        logger.info("merged %d vectors from %s", len(pairs), fname)
