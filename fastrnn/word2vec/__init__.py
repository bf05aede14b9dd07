"""Word vectors: CBOW and skip-gram with hierarchical softmax and negative sampling.

``Word2Vec``
    Trains vectors; gensim's names and behavior.
``KeyedVectors``
    The vectors by word: neighbors, analogies, evaluation, file formats.
``LineSentence``, ``PathLineSentences``, ``Text8Corpus``
    Sentences out of text files.
``EncodedCorpus``
    A corpus as arrays of word numbers, ready for any number of training runs.
``callbacks``
    What may watch, save or stop a training run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastrnn.word2vec import callbacks
    from fastrnn.word2vec._corpus import EncodedCorpus
    from fastrnn.word2vec.keyed_vectors import KeyedVectors
    from fastrnn.word2vec.model import Word2Vec
    from fastrnn.word2vec.sentences import LineSentence, PathLineSentences, Text8Corpus

__all__ = [
    "EncodedCorpus",
    "KeyedVectors",
    "LineSentence",
    "PathLineSentences",
    "Text8Corpus",
    "Word2Vec",
    "callbacks",
]

# Public name -> module that holds it; loaded at first use, as fastrnn's own names are.
_LAZY = {
    "EncodedCorpus": "_corpus",
    "KeyedVectors": "keyed_vectors",
    "LineSentence": "sentences",
    "PathLineSentences": "sentences",
    "Text8Corpus": "sentences",
    "Word2Vec": "model",
    "callbacks": "callbacks",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'fastrnn.word2vec' has no attribute {name!r}")
    module = importlib.import_module(f"fastrnn.word2vec.{_LAZY[name]}")
    value = module if name == _LAZY[name] else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
