"""The class that users see, put together from its parts."""

from __future__ import annotations

from fastrnn.word2vec.keyed_vectors._attributes import Attributes
from fastrnn.word2vec.keyed_vectors._comparisons import Comparisons
from fastrnn.word2vec.keyed_vectors._editing import Editing
from fastrnn.word2vec.keyed_vectors._evaluation import Evaluation
from fastrnn.word2vec.keyed_vectors._exchange import Exchange
from fastrnn.word2vec.keyed_vectors._files import Files
from fastrnn.word2vec.keyed_vectors._neighbors import Neighbors
from fastrnn.word2vec.keyed_vectors._word2vec_files import Word2VecFiles


class KeyedVectors(
    Files, Word2VecFiles, Exchange, Evaluation, Neighbors, Comparisons, Editing, Attributes
):
    """Vectors by key (a word), with the names and behavior of gensim 4's ``KeyedVectors``.

    Args:
        vector_size: numbers in each vector.
        count: vectors to make room for; until they are added their key is ``None``.
        dtype: of the vectors, float32 unless given.

    ``vectors`` is a matrix ``[V, vector_size]``; row i is the vector of ``index_to_key[i]``, and
    ``key_to_index`` maps back.  Its rows lie padded to cache lines, as a view of a larger matrix.

    Any number of threads may ask one object questions: no question changes it, except that the
    norms of all vectors are kept after their first use (two threads may both compute them then,
    and get the same).  Changing it (``add_vectors``, training, ...) while others ask is not safe.

    Where it knowingly differs from gensim: a zero vector is similar to nothing (0, where gensim
    divides by zero and returns NaN); among equally similar keys the one with the lower index comes
    first; ``most_similar_cosmul`` takes integer keys, and given vectors of any length;
    adding vectors forgets the norms kept; results are Python floats where gensim returns NumPy's.

    Example::

        wv = KeyedVectors(2)
        wv.add_vectors(["north", "east", "west"], [[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]])
        wv.most_similar("east", topn=1)  # [("north", 0.0)]
    """
