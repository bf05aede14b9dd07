"""Whole models in files: everything that training needs to go on, and no pickle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec import _options
from fastrnn.word2vec._formats.container import read_arrays, write_arrays
from fastrnn.word2vec._schedule import EpochReport, TrainingPosition
from fastrnn.word2vec._state import ModelState
from fastrnn.word2vec._tree import Tree
from fastrnn.word2vec._vocabulary import Vocabulary

if TYPE_CHECKING:
    import os

    from typing_extensions import Self

KIND = "word2vec model"
# Settings under the constructor's names; gensim has those before deterministic.
OPTIONS = (
    "vector_size",
    "alpha",
    "window",
    "min_count",
    "max_vocab_size",
    "sample",
    "seed",
    "workers",
    "min_alpha",
    "sg",
    "hs",
    "negative",
    "ns_exponent",
    "cbow_mean",
    "epochs",
    "null_word",
    "sorted_vocab",
    "batch_words",
    "compute_loss",
    "comment",
    "max_final_vocab",
    "shrink_windows",
    "deterministic",
    "strict",
    "sigmoid",
    "compat",
    "cbow_grad",
)
_COUNTERS = (
    "corpus_count",
    "corpus_total_words",
    "train_count",
    "total_train_time",
    "min_alpha_yet_reached",
    "_running_loss",
    "_epochs_begun",
    "_outputs_frozen",
    "_corpus_size",
)


class Saving(ModelState):
    """``save`` and ``load``; see ``Word2Vec``."""

    def save(self, fname: str | os.PathLike[str], **_ignored: Any) -> None:
        """Save the whole model in one file: vectors, outputs, tree, words, settings, progress.

        The file replaces one of that name only when it is complete.  ``load`` gets it back, and
        ``train`` goes on with it.  gensim's other arguments are accepted and not needed.

        Raises:
            OSError: the file cannot be written; an old one stays as it was.
        """
        arrays: dict[str, Any] = {"vectors_lockf": np.asarray(self.wv.vectors_lockf, np.float32)}
        header: dict[str, Any] = {
            "options": {name: getattr(self, name) for name in OPTIONS},
            "counters": {name: getattr(self, name) for name in _COUNTERS},
            "epochs": [asdict(report) for report in self.epoch_reports],
        }
        if self.training_position is not None:
            header["position"] = self.training_position.as_dict()
        words: list[str] = []
        if self._vocabulary is not None:
            self._own_weights(writable=False)
            words = self._vocabulary.words
            arrays |= {"counts": self._vocabulary.counts, "vectors": self._inputs}
            header["unique_words"] = self._vocabulary.unique_words
            header["effective_min_count"] = self._vocabulary.min_count
            header["vocabulary_compat"] = self._vocabulary.compat
        if self._nodes is not None:
            arrays["syn1"] = self._nodes
        if self._negatives is not None:
            arrays["syn1neg"] = self._negatives
        if self._tree is not None:
            arrays["path_offsets"] = self._tree.path_offsets
            arrays["path_rows"] = self._tree.path_rows
            arrays["codes"] = self._tree.codes
        write_arrays(fname, header, arrays, {"words": words}, kind=KIND)

    @classmethod
    def load(
        cls, fname: str | os.PathLike[str], mmap: bool | str | None = None, **_ignored: Any
    ) -> Self:
        """A model that ``save`` wrote.

        Args:
            fname: the file.
            mmap: ``"r"`` to map the arrays from the file instead of reading them, so that it loads
                at once and processes share the memory; training such a model copies them first.

        Raises:
            ValueError: the file is not such a model, is damaged, or is a pickle, as gensim
                writes; ``Word2Vec.from_gensim(gensim.models.Word2Vec.load(fname))`` reads those.
        """
        with Path(fname).open("rb") as file:
            start = file.read(2)
        if start[:1] == b"\x80" and start[1:] in b"\x02\x03\x04\x05":
            raise ValueError(
                f"{str(fname)!r} is a pickle, perhaps a model that gensim saved. fastrnn reads no "
                "pickles, which can run any code. With gensim installed: "
                "fastrnn.Word2Vec.from_gensim(gensim.models.Word2Vec.load(path))"
            )
        header, arrays, strings = read_arrays(fname, mmap or False, kind=KIND)
        try:
            model = cls(**header["options"])
            model._restore(header, arrays, strings["words"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{str(fname)!r} is no whole word2vec model: {error!r}") from error
        return model

    def _restore(self, header: dict[str, Any], arrays: dict[str, Any], words: list[str]) -> None:
        for name in _COUNTERS:
            setattr(self, name, header["counters"][name])
        words_encoded, sentences_encoded = header["counters"]["_corpus_size"]
        self._corpus_size = (words_encoded, sentences_encoded)
        self.epoch_reports = [EpochReport(**each) for each in header["epochs"]]
        if "position" in header:
            self.training_position = TrainingPosition(**header["position"])
        lock = np.array(arrays["vectors_lockf"], np.float32)
        if words:
            self._vocabulary = Vocabulary(
                words=words,
                counts=np.array(arrays["counts"], np.int64),
                corpus_total_words=self.corpus_total_words,
                corpus_count=self.corpus_count,
                unique_words=header["unique_words"],
                min_count=header["effective_min_count"],
                compat=_options.choice(
                    "the vocabulary's compat", header["vocabulary_compat"], _options.COMPAT
                ),
            )
            self._inputs = arrays["vectors"]
            self._nodes = arrays.get("syn1")
            self._negatives = arrays.get("syn1neg")
            if "codes" in arrays:
                self._tree = Tree(
                    path_offsets=arrays["path_offsets"],
                    path_rows=arrays["path_rows"],
                    codes=arrays["codes"],
                ).check()
            self._check_shapes(len(words))
            self._bind_vectors()
        self.wv.vectors_lockf = lock

    def _check_shapes(self, size: int) -> None:
        shape = self._inputs.shape
        if shape[0] != size or len(shape) != 2 or shape[1] < self.vector_size:
            raise ValueError(f"its vectors have shape {shape}")
        if len(self.counts) != size or (self._tree is not None and self._tree.num_words != size):
            raise ValueError("its words, counts and tree do not belong together")
        # hs and negative may have been switched since the vocabulary was built; training checks.
        for matrix in (self._nodes, self._negatives):
            if matrix is not None and matrix.shape != shape:
                raise ValueError(f"its output vectors have shape {matrix.shape}")
        if (self._tree is None) != (self._nodes is None):
            raise ValueError("its tree does not belong to its output vectors")
